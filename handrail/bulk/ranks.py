"""`top: 5%` in a file: the exact rank of every row, found before the rows are judged.

One pass over the column of the number (and of the fields under `by:`) finds where the highest
share begins; eight bytes a row are in memory meanwhile. Where several rows have just that number
and not all of them belong to the share, a second pass draws among them by the hash of their keys,
so that the order of the file does not matter. Without key columns the number of the row is the key.

An aggregate with `top:` is the number from which the share begins, and rules compare with it: `risk
>= mark`. A row that has that very number and is not drawn gets the next number above its own, so
that the same rule says no. A row without a value has no rank: it is unknown. As for any aggregate,
below `min` values all are.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

import msgspec
import polars as pl

from handrail.bulk import typed
from handrail.bulk.cells import read_cell
from handrail.bulk.judge import Plan, key_of
from handrail.bulk.read import Row, Source, csv_cells, parquet_frames
from handrail.gate import Aggregate, Policy, Record
from handrail.gate.values import Wrong
from handrail.model.policy import Field

BATCH = 100_000
"""Rows that are read at once."""

Frames = Callable[[], Iterable[tuple[pl.DataFrame, Sequence[int]]]]
"""Gives the frames of a file again and again, each with the numbers of its rows."""
_Key = tuple[Any, ...]


class _Mark(msgspec.Struct, frozen=True):
    """Where the share begins in one group."""

    at: int | float
    """The least number that belongs to it."""
    last: tuple[bytes, int] | None
    """Of the rows with just that number: the last (hash of the key, row) that belongs to it; None
    where all of them do."""


class FileRanks:
    """Where the aggregates with `top:` begin in one file. Made by `ranks_of`."""

    def __init__(self, plan: Plan, frames: Frames) -> None:
        self._keys = plan.keys
        self._source = plan.source
        fields = {field.name: header for header, field in (*plan.facts, *plan.proposal)}
        self._tops = [
            _Top(made, plan.policy, fields)
            for made in plan.policy.aggregate_parts
            if made.function == "top"
        ]
        for top in self._tops:
            top.rank(frames, self._hash)

    def _hash(self, row: Row) -> tuple[bytes, int]:
        key = (key_of(self._keys, self._source, row) or "") if self._keys else str(row.number)
        return hashlib.sha256(key.encode()).digest()[:8], row.number

    def given(self, record: Record, row: Row) -> dict[str, int | None]:
        """See `handrail.bulk.judge.Ranks`."""
        return {
            top.name: top.given(top.value(record), top.group(record), lambda: self._hash(row))
            for top in self._tops
        }

    def columns(self, frame: pl.DataFrame, row: Callable[[int], Row]) -> list[pl.Series]:
        """See `handrail.bulk.judge.Ranks`."""
        return [top.columns(frame, lambda at: self._hash(row(at))) for top in self._tops]


class _Top:
    """One aggregate with `top:`."""

    def __init__(self, made: Aggregate, policy: Policy, headers: dict[str, str]) -> None:
        self.name = made.name
        self._share = 1 - made.share
        self._least = max(made.least, 1)
        part = made.series.field
        assert part is not None
        self._fields = [part.field, *(one.field for one in made.series.by)]
        self._headers = [headers.get(field.name) for field in self._fields]
        self._readers = typed.readers(policy.draft.plans)
        names = [field.name for field in policy.fields]
        self._slots = [names.index(field.name) for field in self._fields]
        self._scale: int = 10**made.places
        self._units: int = 10 ** (part.field.places or 0)
        self._is_double = part.field.kind == "double"
        self._marks: dict[_Key, _Mark] = {}

    # ---------------------------------------------------------------------- the passes

    def rank(self, frames: Frames, hashed: Callable[[Row], tuple[bytes, int]]) -> None:
        """Find the mark of each group."""
        if None in self._headers:
            return  # no column, no rank: unknown
        parts: list[pl.DataFrame] = [
            self._typed(frame).drop_nulls() for frame, _ in frames() if frame.height
        ]
        if not parts:
            return
        drawn: dict[_Key, int] = {}
        whole = pl.concat(parts)
        del parts
        keys = whole.columns[1:]
        groups: Iterable[tuple[_Key, pl.DataFrame]] = (
            [((), whole)] if not keys else whole.group_by(keys)
        )
        for key, rows in groups:
            values = rows.to_series(0)
            if len(values) < self._least:
                continue
            belong = math.ceil(self._share * len(values))
            at = values.sort(descending=True)[belong - 1]
            above, tied = int((values > at).sum()), int((values == at).sum())
            self._marks[key] = _Mark(at, None)
            if above + tied > belong:
                drawn[key] = belong - above
        if drawn:
            self._draw(frames, hashed, drawn)

    def _draw(
        self,
        frames: Frames,
        hashed: Callable[[Row], tuple[bytes, int]],
        drawn: dict[_Key, int],
    ) -> None:
        """Of the rows with just the number of the mark, those with the lowest hashes belong."""
        tied: dict[_Key, list[tuple[bytes, int]]] = {key: [] for key in drawn}
        for frame, numbers in frames():
            read = self._typed(frame)
            for at, cells in enumerate(read.iter_rows()):
                key, mark = cells[1:], self._marks.get(cells[1:])
                if mark is not None and key in tied and cells[0] == mark.at:
                    row = Row(number=numbers[at], values=frame.row(at, named=True))
                    tied[key].append(hashed(row))
        for key, count in drawn.items():
            found = sorted(tied[key])
            self._marks[key] = _Mark(self._marks[key].at, found[count - 1])

    def _typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The number and the fields under `by:`, typed; null where a cell is wrong."""
        made = []
        for at, (field, header) in enumerate(zip(self._fields, self._headers, strict=True)):
            assert header is not None
            series, wrong = typed.column(field, frame[header], self._readers.get(field.name))
            if wrong is not None:
                places = wrong.arg_true()
                cells = [self._read(field, cell) for cell in frame[header].gather(places)]
                series = series.scatter(places, pl.Series(cells, dtype=series.dtype, strict=False))
            made.append(series.alias(str(at)))
        return pl.DataFrame(made)

    def _read(self, field: Field, cell: Any) -> Any:
        """A cell that is not plainly a value, as the row path reads it; None where that refuses."""
        try:
            value = self._readers[field.name](read_cell(field, cell))
        except Wrong:
            return None
        return int(value.scaleb(field.places or 0)) if isinstance(value, Decimal) else value

    # ---------------------------------------------------------------------- one row

    def value(self, record: Record) -> int | float | None:
        """The number of a record, as it was ranked."""
        value = record.slots[self._slots[0]]
        if isinstance(value, Decimal):
            return int(value * self._units)
        return value if isinstance(value, int | float) else None

    def group(self, record: Record) -> _Key:
        """The values under `by:` of a record."""
        return tuple(
            int(value * 10 ** (field.places or 0)) if isinstance(value, Decimal) else value
            for field, slot in zip(self._fields[1:], self._slots[1:], strict=True)
            for value in (record.slots[slot],)
        )

    def given(
        self, value: int | float | None, key: _Key, hashed: Callable[[], tuple[bytes, int]]
    ) -> int | None:
        """The number from which the share begins, as this row is to see it."""
        mark = self._marks.get(key)
        if value is None or mark is None:
            return None
        begins = self._whole(mark.at)
        belongs = value > mark.at or (
            value == mark.at and (mark.last is None or hashed() <= mark.last)
        )
        return begins if belongs else max(begins, self._whole(value) + 1)

    def _whole(self, value: int | float) -> int:
        """A number in units of the aggregate, not above it."""
        if isinstance(value, float):
            return math.floor(Fraction(repr(value)) * self._scale)
        return value * self._scale // self._units

    # ---------------------------------------------------------------------- many rows

    def columns(self, frame: pl.DataFrame, hashed: Callable[[int], tuple[bytes, int]]) -> pl.Series:
        """The same for the rows of a typed frame."""
        values = frame[self._fields[0].name]
        made = pl.repeat(None, frame.height, dtype=pl.Int64, eager=True)
        keys = [field.name for field in self._fields[1:]]
        for key, mark in self._marks.items():
            begins = self._whole(mark.at)
            mine = values.is_not_null()
            for name, part in zip(keys, key, strict=True):
                mine = mine & (frame[name] == part).fill_null(False)
            made = made.set(mine, begins)
            # Below the mark it is above the number by itself, but for what lies within a unit.
            near = mark.at - abs(mark.at) * 1e-12 - 2 * self._unit()
            close = (mine & (values <= mark.at) & (values >= near)).arg_true().to_list()
            if close:
                seen = [
                    self.given(values[at], key, lambda at=at: hashed(at))  # type: ignore[misc]
                    for at in close
                ]
                made = made.scatter(close, seen)
        return made.alias(self.name)

    def _unit(self) -> float:
        """A unit of the aggregate, in those of the number."""
        return (1 if self._is_double else self._units) / self._scale


def ranks_of(plan: Plan, frames: Frames | None = None) -> Plan:
    """The plan with the ranks of its file, where a rule asks for them."""
    if not any(made.function == "top" for made in plan.policy.aggregate_parts):
        return plan
    again = frames or (lambda: numbered_frames(plan.source))
    return msgspec.structs.replace(plan, ranks=FileRanks(plan, again))


def numbered_frames(
    source: Source,
    *,
    size: int = BATCH,
    progress: Callable[[int], None] | None = None,
    lost: Callable[[int], None] = lambda rows: None,
) -> Iterator[tuple[pl.DataFrame, Sequence[int]]]:
    """A file as frames of its cells, each with the numbers of its rows.

    Rows that cannot be read at all are left out; `lost` hears how many those were.
    """
    if source.format == "parquet":
        done = 0
        for frame in parquet_frames(source.path, size, 0, progress):
            yield frame, range(done + 1, done + frame.height + 1)
            done += frame.height
    elif source.format == "csv":
        cells = csv_cells(source, progress)
        schema = dict.fromkeys(source.headers, pl.String)
        while part := list(islice(cells, size)):
            good = [row for row in part if row.problem is None]
            lost(len(part) - len(good))
            frame = pl.DataFrame([row.cells for row in good], schema=schema, orient="row")
            yield frame, [row.number for row in good]
    else:
        rows = source.rows(progress)
        while batch := list(islice(rows, size)):
            fit = [row for row in batch if row.problem is None]
            lost(len(batch) - len(fit))
            made = [
                column_of(header, [row.values.get(header) for row in fit])
                for header in source.headers
            ]
            yield pl.DataFrame(made), [row.number for row in fit]


def column_of(name: str, values: list[Any]) -> pl.Series:
    """Values of JSON under one name; of several types, as their text."""
    if len({type(value) for value in values if value is not None}) > 1:
        texts = [
            value if value is None or isinstance(value, str) else json.dumps(value)
            for value in values
        ]
        return pl.Series(name, texts, dtype=pl.String)
    return pl.Series(name, values)
