"""A file through a policy in batches: bounded memory, and a run that was cut off goes on.

While a run with `--output` is on its way, what it has done lies in a folder beside the output:
for every finished batch the rows and the bad rows, and last, with one rename, the counts. A part
without counts was cut off and is made again; so no row is written twice and none is lost. The
output appears under its name when all of it is there, and the folder goes. Another policy, another
input or other options begin anew.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from handrail.bulk.judge import Bad, Judged, Plan, Tally, judge_row
from handrail.bulk.read import SUFFIXES, Cells, csv_cells, parquet_frames
from handrail.bulk.write import RESULTS, bad_line, found_of, joined
from handrail.model.errors import BadInput

if TYPE_CHECKING:
    from handrail.bulk.frames import FrameGate, Judgement

BATCH = 100_000
"""Rows that are judged as columns at once."""
ROW_BATCH = 10_000
"""Rows that are judged one by one before they are written."""
SMALL = 200_000
"""Bytes of a CSV file up to which loading the columns costs more than it saves."""

Progress = Callable[[int], None]


@dataclass
class Batch:
    """Judged rows that follow each other in a file."""

    rows: int
    tally: Tally
    bad: list[Bad]
    held: Callable[[], Iterator[Judged]]
    """The rows that wait for a person, whole."""
    lines: Callable[[], Iterator[tuple[dict[str, Any], dict[str, Any]]]]
    """The values and the results (`RESULTS`) of every row."""
    cells: Callable[[], Iterator[tuple[Sequence[Any], Sequence[Any]]]]
    """The same without their names: the values in the order of the headers of the file."""
    frame: Callable[[], Any]
    """The same as a Polars frame."""


def uses_columns(plan: Plan) -> bool:
    """Whether a file is judged as columns: Parquet, and CSV that is not small."""
    source = plan.source
    if source.format == "parquet":
        return True
    big = source.format == "csv" and source.size > SMALL
    return big and importlib.util.find_spec("polars") is not None


def batches(
    plan: Plan,
    now: int,
    *,
    skip: int = 0,
    progress: Progress | None = None,
    columns: bool | None = None,
    size: int | None = None,
) -> Iterator[Batch]:
    """The rows of a file after the first `skip`, judged; `columns=None` chooses the way.

    Either way the results are the same. `now` (µs UTC) is the time of every ruling, `size` the
    rows of a batch.
    """
    if columns is None:
        columns = uses_columns(plan)
    if not columns or plan.source.format == "jsonl":
        rows = islice(plan.source.rows(progress), skip, None)
        while batch := [judge_row(plan, row, now) for row in islice(rows, size or ROW_BATCH)]:
            yield _of_rows(batch, plan.source.headers)
        return
    from handrail.bulk.frames import FrameGate

    gate = FrameGate(plan)
    if plan.source.format == "parquet":
        done = skip
        for frame in parquet_frames(plan.source.path, size or BATCH, skip, progress):
            yield _of_columns(gate.judge(frame, now=now, first=done + 1), frame.iter_rows)
            done += frame.height
        return
    cells = islice(csv_cells(plan.source, progress), skip, None)
    while part := list(islice(cells, size or BATCH)):
        yield _of_columns(_judge_cells(gate, part, now), _Evened(part, plan.source.headers))


def _judge_cells(gate: FrameGate, part: list[Cells], now: int) -> Judgement:
    import polars as pl

    headers = gate.plan.source.headers
    width = len(headers)
    problems = {at: row.problem for at, row in enumerate(part) if row.problem is not None}
    blank = [None] * width
    rows: list[Sequence[Any]] = [blank if row.problem else row.cells for row in part]
    frame = pl.DataFrame(
        [
            pl.Series(header, list(column), dtype=pl.String)
            for header, column in zip(headers, zip(*rows, strict=True), strict=True)
        ]
    )
    return gate.judge(frame, now=now, row=lambda at: part[at].row(headers), problems=problems)


def _of_rows(batch: list[Judged], headers: Sequence[str]) -> Batch:
    tally = Tally()
    for judged in batch:
        tally.add(judged)

    def frame() -> Any:
        import polars as pl

        cells = [
            {**{header: one.row.values.get(header) for header in headers}, **found_of(one)}
            for one in batch
        ]
        return pl.DataFrame(cells, infer_schema_length=None, strict=False)

    return Batch(
        rows=len(batch),
        tally=tally,
        bad=[one.bad for one in batch if one.bad is not None],
        held=lambda: (one for one in batch if one.ruling is not None and _held(one)),
        lines=lambda: ((one.row.values, found_of(one)) for one in batch),
        cells=lambda: (
            ([one.row.values.get(header) for header in headers], list(found_of(one).values()))
            for one in batch
        ),
        frame=frame,
    )


def _held(judged: Judged) -> bool:
    return judged.ruling is not None and str(judged.ruling.lane) == "hold"


class _Evened:
    """The cells of rows of a CSV file, as many in each as the file has headers."""

    def __init__(self, part: list[Cells], headers: Sequence[str]) -> None:
        self._part = part
        self._width = len(headers)

    def __call__(self) -> Iterator[Sequence[Any]]:
        width = self._width
        for row in self._part:
            cells = row.cells
            if len(cells) == width:
                yield cells
            else:
                yield [*cells[:width], *([None] * (width - len(cells)))]


def _of_columns(made: Judgement, rows: Callable[[], Iterator[Sequence[Any]]]) -> Batch:
    def results() -> Iterator[Sequence[Any]]:
        return zip(*(series.to_list() for series in made.results()), strict=True)

    def lines() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for at, found in enumerate(results()):
            yield made.row(at).values, dict(zip(RESULTS, found, strict=True))

    return Batch(
        rows=made.height,
        tally=made.tally(),
        bad=[made.bad[at] for at in sorted(made.bad)],
        held=lambda: (made.judged(at) for at in made.held.arg_true().to_list()),
        lines=lines,
        cells=lambda: zip(rows(), results(), strict=True),
        frame=lambda: made.frame.with_columns(made.results()),
    )


# ------------------------------------------------------------------------------ written in parts


class Parts:
    """The output of a run while it is being made, and what an earlier run left of it."""

    def __init__(self, output: Path, plan: Plan, options: dict[str, Any]) -> None:
        form = SUFFIXES.get(output.suffix.lower())
        if form is None:
            raise BadInput(
                f"{output}: the ending {output.suffix!r} is not known; expected one of "
                + ", ".join(sorted(SUFFIXES))
            )
        self.output = output
        self.form = form
        self.headers = plan.source.headers
        self.folder = output.with_name(f".{output.name}.parts")
        self.done: list[dict[str, Any]] = []
        """Counts of each finished part, in order: of an earlier run, then of this one."""
        try:
            self._open(
                {
                    "policy": plan.policy.version,
                    "input": _digest(plan.source.path),
                    "path": str(plan.source.path.resolve()),
                    "output": output.name,
                    **options,
                }
            )
        except OSError as error:
            raise BadInput(f"{output}: {error.strerror or error}; name another place") from error

    def _open(self, told: dict[str, Any]) -> None:
        run = self.folder / "run.json"
        try:
            before = json.loads(run.read_text("utf-8"))
        except (OSError, ValueError):
            before = None
        if before != told:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            _whole(run, json.dumps(told).encode())
        while True:
            counts = self._part("json", len(self.done))
            if not counts.exists():
                return
            self.done.append(json.loads(counts.read_text("utf-8")))

    def _part(self, ending: str, at: int) -> Path:
        return self.folder / f"{at:06d}.{ending}"

    @property
    def rows(self) -> int:
        """Rows of the input that are done."""
        return sum(int(one["rows"]) for one in self.done)

    def put(self, batch: Batch, bad: Iterable[Bad], counts: dict[str, Any]) -> None:
        """Keep one batch: its rows, its bad rows, and at the very end its counts."""
        at = len(self.done)
        place = self._part(self.form, at)
        try:
            if self.form == "parquet":
                batch.frame().write_parquet(place)
                _to_disk(place)
            else:
                with place.open("w", encoding="utf-8", newline="") as file:
                    self._write(file, batch, first=at == 0)
                    file.flush()
                    os.fsync(file.fileno())
            lines = "".join(bad_line(one) for one in bad)
            _whole(self._part("bad", at), lines.encode())
            told = {"rows": batch.rows, **counts}
            _whole(self._part("json", at), json.dumps(told).encode())
        except OSError as error:
            raise BadInput(f"{place}: {error.strerror or error}; make room there") from error
        self.done.append(told)

    def _write(self, file: IO[str], batch: Batch, *, first: bool) -> None:
        if self.form == "jsonl":
            names = (*self.headers, *RESULTS)
            encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
            for cells, found in batch.cells():
                file.write(encode(dict(zip(names, (*cells, *found), strict=True))) + "\n")
            return
        mark = "\t" if self.output.suffix.lower() == ".tsv" else ","
        writer = csv.writer(file, delimiter=mark, lineterminator="\n")
        if first:
            writer.writerow([*self.headers, *RESULTS])
        writer.writerows((*cells, *map(joined, found)) for cells, found in batch.cells())

    def finish(self, bad_path: Path) -> None:
        """Put the parts together under the names people know, and take the folder away."""
        count = len(self.done)
        whole = self.folder / f"whole.{self.form}"
        try:
            if self.form == "parquet":
                self._join_frames(whole)
                _to_disk(whole)
            else:
                _join(whole, [self._part(self.form, at) for at in range(count)])
                if not count and self.form == "csv":
                    with whole.open("w", encoding="utf-8", newline="") as file:
                        csv.writer(file, lineterminator="\n").writerow([*self.headers, *RESULTS])
            bad = self.folder / "whole.bad"
            _join(bad, [self._part("bad", at) for at in range(count)])
            if bad.stat().st_size:
                bad.replace(bad_path)
            else:
                bad_path.unlink(missing_ok=True)  # of an earlier run: it speaks of other rows
            whole.replace(self.output)
        except OSError as error:
            raise BadInput(f"{self.output}: {error.strerror or error}; make room there") from error
        shutil.rmtree(self.folder, ignore_errors=True)

    def _join_frames(self, whole: Path) -> None:
        import polars as pl

        parts = [pl.scan_parquet(self._part("parquet", at)) for at in range(len(self.done))]
        if not parts:
            kinds: list[Any] = [
                pl.String,
                pl.String,
                pl.List(pl.String),
                pl.List(pl.String),
                pl.String,
            ]
            names = [*self.headers, *RESULTS]
            dtypes: list[Any] = [*([pl.String] * len(self.headers)), *kinds]
            pl.DataFrame(schema=dict(zip(names, dtypes, strict=True))).write_parquet(whole)
            return
        pl.concat(parts, how="diagonal_relaxed").sink_parquet(whole)

    def leave(self) -> None:
        """Stop before the end: keep finished parts for the next run, and no empty folder."""
        if not self.done:
            shutil.rmtree(self.folder, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _whole(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, on disk when this returns."""
    part = path.with_suffix(path.suffix + ".tmp")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _join(whole: Path, parts: list[Path]) -> None:
    with whole.open("wb") as file:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
