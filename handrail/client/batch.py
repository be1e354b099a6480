"""Many decisions at once: rows of frames, tables and iterables in, rulings out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, overload

import msgspec

from handrail.client.convert import NARROW, shortest, wire, wire_object
from handrail.client.transport import Transport
from handrail.model.commands import Record, Row, RowAnswer, Submit, SubmitBatch
from handrail.model.errors import BadInput, HandrailError
from handrail.model.observation import Recorded, Recording
from handrail.model.people import Actor
from handrail.model.problem import error_of, problem_of
from handrail.model.ruling import Ruling

CHUNK = 256
"""Rows a batch command carries."""

OnBad = Literal["raise", "hold", "skip"]


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that did not become a decision, and why."""

    row: int
    """Position in what was given, from 0."""
    key: str | None
    error: HandrailError


class Rulings(Sequence[Ruling]):
    """The rulings of `submit_many`, in the order of the rows. `bad` has the rows left out."""

    def __init__(self, rulings: Sequence[Ruling], rows: Sequence[int], keys: Sequence[str]) -> None:
        self._rulings = tuple(rulings)
        self.rows = tuple(rows)
        """Position of each ruling's row in what was given, from 0."""
        self.keys = tuple(keys)
        """Key of each ruling's row."""
        self.bad: tuple[BadRow, ...] = ()

    def __len__(self) -> int:
        return len(self._rulings)

    @overload
    def __getitem__(self, index: int) -> Ruling: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Ruling]: ...
    def __getitem__(self, index: int | slice) -> Ruling | Sequence[Ruling]:
        return self._rulings[index]

    def __repr__(self) -> str:
        lanes = {"pass": 0, "hold": 0, "refuse": 0}
        for ruling in self._rulings:
            lanes[ruling.lane] += 1
        counts = ", ".join(f"{lane} {count}" for lane, count in lanes.items())
        return f"<Rulings: {counts}, bad {len(self.bad)}>"

    def _repr_html_(self) -> str:
        from handrail.model.html import html_table

        rows = [(row["key"], f"{row['lane']}: {row['why']}") for row in self.to_dicts()[:20]]
        return html_table(repr(self)[1:-1], rows)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One flat dict a ruling; `rules` are the ids of the rules that fired."""
        return [
            {
                "row": row,
                "key": key,
                "decision_id": ruling.decision_id,
                "lane": str(ruling.lane),
                "mode": str(ruling.mode),
                "severity": None if ruling.severity is None else str(ruling.severity),
                "rules": [fired.rule for fired in ruling.fired],
                "unknown": [unknown.rule for unknown in ruling.unknown],
                "why": ruling.why,
                "policy": ruling.policy,
                "review_id": ruling.review_id,
                "due": ruling.due,
            }
            for row, key, ruling in zip(self.rows, self.keys, self._rulings, strict=True)
        ]

    def to_pandas(self) -> Any:
        """A pandas DataFrame of `to_dicts`; needs pandas installed."""
        import pandas

        return pandas.DataFrame(self.to_dicts(), columns=list(_COLUMNS))

    def to_polars(self) -> Any:
        """A Polars DataFrame of `to_dicts`; needs Polars installed."""
        import polars

        types: dict[str, Any] = {
            "text": polars.String,
            "number": polars.Int64,
            "list": polars.List(polars.String),
        }
        return polars.DataFrame(
            self.to_dicts(), schema={name: types[kind] for name, kind in _COLUMNS.items()}
        )


_COLUMNS = {
    "row": "number",
    "key": "text",
    "decision_id": "text",
    "lane": "text",
    "mode": "text",
    "severity": "text",
    "rules": "list",
    "unknown": "list",
    "why": "text",
    "policy": "text",
    "review_id": "text",
    "due": "number",
}


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns of a row are what. Every column that is not proposal or confidence is a fact;
    the key and subject columns are facts too."""

    workflow: str
    key: str
    proposal: dict[str, str]
    """Field of the proposal to column."""
    confidence: str | None
    subject: str | None
    model: str | None
    hold: bool

    def submit(self, row: Any, pointer: str) -> Submit:
        """The command of one row. Raises `BadInput` with a pointer into the rows."""
        facts = {
            column: value
            for column, value in wire_object(row, pointer).items()
            if value is not None
        }
        if self.key not in facts:
            raise BadInput(
                f"has no {self.key!r}, which names the row; it has {', '.join(facts) or 'nothing'}",
                pointer,
            )
        key = _text(facts.get(self.key), f"{pointer}/{self.key}")
        subject = facts.get(self.subject) if self.subject else None
        proposal = {
            field: facts[column] for field, column in self.proposal.items() if column in facts
        }
        confidence = facts.get(self.confidence) if self.confidence else None
        if confidence is not None and (
            isinstance(confidence, bool) or not isinstance(confidence, int | float)
        ):
            raise BadInput(
                f"confidence is {confidence!r}; expected a number from 0 to 1",
                f"{pointer}/{self.confidence}",
            )
        for column in {self.confidence, *self.proposal.values()} - {None}:
            facts.pop(str(column), None)
        return Submit(
            workflow=self.workflow,
            facts=facts,
            proposal=proposal or None,
            key=key,
            subject=None if subject is None else _text(subject, f"{pointer}/{self.subject}"),
            confidence=confidence,
            model=self.model,
            on_bad="hold" if self.hold else "raise",
        )

    def check(self, there: Sequence[str]) -> None:
        """Raise `BadInput` where a named column is not among those of a table."""
        named = (self.key, self.subject, self.confidence, *self.proposal.values())
        wrong = [name for name in named if name is not None and name not in there]
        if wrong:
            raise BadInput(
                f"the table has no column {wrong[0]!r}; its columns are {', '.join(there)}", "/rows"
            )


def _text(value: Any, pointer: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise BadInput(f"is {value!r}; expected text or a whole number that names the row", pointer)
    return str(value)


def proposal_columns(given: str | Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Field of the proposal to column, from a name, names, or a mapping."""
    if given is None:
        return {}
    if isinstance(given, str):
        return {given: given}
    if isinstance(given, Mapping):
        return dict(given)
    return {name: name for name in given}


def rows_of(rows: Any) -> tuple[Iterator[Any], int | None, Sequence[str] | None]:
    """Rows one by one; how many there are and the names of the columns where these are known.

    A missing value (None, null, NA, NaT, and NaN in pandas, which has no other word for it) is left
    out of its row. NaN in Polars, Arrow and plain rows stays NaN and is refused: there a missing
    value has its own word.
    """
    home = type(rows).__module__.partition(".")[0]
    name = type(rows).__name__
    if home == "pandas" and name == "DataFrame":
        found = _plain(_pandas(rows), zip(rows.columns, rows.dtypes, strict=True))
        return found, len(rows), [str(column) for column in rows.columns]
    if home == "polars" and name == "LazyFrame":
        rows, name = rows.collect(), "DataFrame"
    if home == "polars" and name == "DataFrame":
        found = _plain(rows.iter_rows(named=True), rows.schema.items())
        return found, rows.height, rows.columns
    if home == "pyarrow" and name in ("Table", "RecordBatch"):
        kinds = zip(rows.schema.names, rows.schema.types, strict=True)
        return _plain(_arrow(rows), kinds), rows.num_rows, rows.schema.names
    if isinstance(rows, Mapping | str | bytes) or not isinstance(rows, Iterable):
        raise BadInput(
            f"rows is a {name}; expected a pandas, Polars or Arrow table, or an iterable of "
            "mappings",
            "/rows",
        )
    return iter(rows), len(rows) if isinstance(rows, Sequence) else None, None


def _plain(rows: Iterator[Any], kinds: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
    """The rows of a table, floats of fewer than 64 bits by the shortest text that names them."""
    narrow = {
        column: NARROW[str(kind).lower()] for column, kind in kinds if str(kind).lower() in NARROW
    }
    if not narrow:
        return rows

    def widened() -> Iterator[Any]:
        for row in rows:
            for column, form in narrow.items():
                if isinstance(row.get(column), float):
                    row[column] = shortest(row[column], form)
            yield row

    return widened()


def _pandas(frame: Any) -> Iterator[dict[Any, Any]]:
    columns = list(frame.columns)
    for values in frame.itertuples(index=False, name=None):
        yield {
            column: value
            for column, value in zip(columns, values, strict=True)
            if not (isinstance(value, float) and math.isnan(value))
        }


def _arrow(table: Any) -> Iterator[dict[str, Any]]:
    batches = table.to_batches(max_chunksize=CHUNK) if hasattr(table, "to_batches") else [table]
    for batch in batches:
        yield from batch.to_pylist()


def submit_many(
    transport: Transport,
    actor: Actor,
    columns: Columns,
    rows: Any,
    *,
    on_bad: OnBad,
    progress: Callable[[int, int | None], object] | None,
) -> Rulings:
    """Send rows in chunks; see `Client.submit_many`."""
    found, total, there = rows_of(rows)
    if there is not None:
        columns.check(there)
    numbered = enumerate(found)
    rulings: list[Ruling] = []
    places: list[int] = []
    keys: list[str] = []
    bad: list[BadRow] = []
    done = 0
    while chunk := list(islice(numbered, CHUNK)):
        sent: list[tuple[int, Submit]] = []
        for index, row in chunk:
            try:
                sent.append((index, columns.submit(row, f"/rows/{index}")))
            except BadInput as error:
                if on_bad != "skip":
                    raise
                bad.append(BadRow(row=index, key=_key_of(row, columns.key), error=error))
        answers: list[RowAnswer] = (
            transport.call(SubmitBatch(rows=[command for _, command in sent]), actor)
            if sent
            else []
        )
        for (index, command), answer in zip(sent, answers, strict=True):
            if answer.ruling is not None:
                rulings.append(answer.ruling)
                places.append(index)
                keys.append(command.key or "")
                continue
            wrong = error_of(answer.error or {})
            if isinstance(wrong, BadInput):
                wrong = BadInput(wrong.message, f"/rows/{index}{wrong.pointer}")
            if on_bad != "skip":
                wrong.add_note(f"in row {index} of what was submitted, key {command.key}")
                raise wrong
            bad.append(BadRow(row=index, key=command.key, error=wrong))
        done += len(chunk)
        if progress is not None:
            progress(done, total)
    answered = Rulings(rulings, places, keys)
    answered.bad = tuple(sorted(bad, key=lambda row: row.row))
    return answered


def record(
    transport: Transport,
    actor: Actor,
    stream: str,
    rows: Any,
    *,
    key: str,
    at: str,
    on_bad: Literal["raise", "skip"],
) -> Recorded:
    """Send observations in chunks; see `Client.record`."""
    found, _, there = rows_of(rows)
    for name in (key, at):
        if there is not None and name not in there:
            raise BadInput(
                f"the table has no column {name!r}; its columns are {', '.join(there)}", "/rows"
            )
    numbered = enumerate(found)
    answered: list[tuple[int, Recording]] = []
    read_by: tuple[str, ...] = ()
    while chunk := list(islice(numbered, CHUNK)):
        sent: list[tuple[int, Row]] = []
        stop: BadInput | None = None
        for index, row in chunk:
            try:
                sent.append((index, _observation(row, key, at, f"/rows/{index}")))
            except BadInput as error:
                if on_bad != "skip":
                    stop = error  # once what stands before it is recorded
                    break
                answered.append((index, Recording(status="bad", error=problem_of(error))))
        if not sent and stop is None:
            continue
        answer: Recorded = transport.call(
            Record(stream=stream, rows=[row for _, row in sent]), actor
        )
        read_by = answer.read_by
        for (index, row), one in zip(sent, answer.rows, strict=True):
            if one.error is not None:
                # The pointer counts the rows of the chunk; the caller knows those they gave.
                pointer = re.sub(r"^/rows/\d+", f"/rows/{index}", one.error.get("pointer", ""))
                one = msgspec.structs.replace(one, error={**one.error, "pointer": pointer})
            if one.error is not None and on_bad != "skip":
                wrong = error_of(one.error)
                wrong.add_note(f"in row {index} of what was recorded, key {row.key}")
                raise wrong
            answered.append((index, one))
        if stop is not None:
            raise stop
    answers = [one for _, one in sorted(answered, key=lambda pair: pair[0])]
    counts = {
        status: sum(1 for one in answers if one.status == status)
        for status in ("recorded", "repeated", "late", "bad")
    }
    return Recorded(stream=stream, read_by=read_by, rows=tuple(answers), **counts)


def _observation(row: Any, key: str, at: str, pointer: str) -> Row:
    """One row as it is sent; the key and time columns are facts no more."""
    facts = {name: value for name, value in wire_object(row, pointer).items() if value is not None}
    for name in (key, at):
        if name not in facts:
            raise BadInput(f"has no {name!r}; it has {', '.join(facts) or 'nothing'}", pointer)
    moment = facts.pop(at)
    if not isinstance(moment, str):
        raise BadInput(
            f"is {moment!r}; expected a time with a zone, such as 2026-11-30T08:00:00Z, or a day",
            f"{pointer}/{at}",
        )
    return Row(key=_text(facts.pop(key), f"{pointer}/{key}"), at=moment, facts=facts)


def _key_of(row: Any, column: str) -> str | None:
    value = row.get(column) if isinstance(row, Mapping) else getattr(row, column, None)
    try:
        value = wire(value)
    except BadInput:
        return None
    return str(value) if isinstance(value, str | int) else None
