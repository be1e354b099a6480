"""CSV, JSON Lines and Parquet as rows with their numbers.

A row that cannot be read does not end the reading: it comes with `problem` set. What makes the
whole file unreadable (no header, another encoding) raises `BadInput` with `file:line:col`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from handrail.model.errors import BadInput
from handrail.model.wire import MAX_BODY_BYTES, read_json

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""Ending of a file name → its format."""

_SEP = re.compile(rb"(?:\xef\xbb\xbf)?\"?sep=.\"?[\r\n]", re.IGNORECASE)
PARQUET_BATCH = 5_000
"""Rows of a Parquet file held as Python values at once."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a file."""

    number: int
    """From 1, the header not counted."""
    line: int | None = None
    """Line of the file the row starts at, from 1; None where the format has no lines."""
    values: dict[str, Any]
    """Header → value: text in CSV, typed values elsewhere."""
    problem: str | None = None
    """Why the row cannot be used; None where it can."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An opened file: what it is and how to read its rows."""

    path: Path
    format: str
    """`csv`, `jsonl` or `parquet`."""
    headers: tuple[str, ...]
    """As written in the file; for JSON Lines the keys of its first 1,000 rows."""
    delimiter: str = ","
    size: int
    """Bytes of the file, or its rows for Parquet: what `progress` counts up to."""

    @property
    def textual(self) -> bool:
        """Whether every value is text that still has to be read."""
        return self.format == "csv"

    def rows(self, progress: Callable[[int], None] | None = None) -> Iterator[Row]:
        """The rows in order. `progress` is told how much of `size` has been read."""
        if self.format == "csv":
            return _csv_rows(self, progress)
        if self.format == "jsonl":
            return _jsonl_rows(self.path, progress)
        return _parquet_rows(self.path, progress)


def open_source(path: Path) -> Source:
    """Look at a file; the ending of its name says the format. Raises `BadInput`."""
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise BadInput(
            f"{path}: the ending {path.suffix!r} is not known; expected one of "
            + ", ".join(sorted(SUFFIXES))
        )
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise BadInput(f"{path} is a folder; name a file in it")
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; check the path") from error
    if form == "parquet":
        return _open_parquet(path)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise BadInput(
            f"{path}:1:1: the file is a workbook or an archive, whatever its name says; save the "
            "sheet as CSV (UTF-8)"
        )
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{path}:1:1: the file is UTF-16; save it as UTF-8")
    if form == "jsonl":
        keys: dict[str, None] = {}
        for row in _jsonl_rows(path, None):
            keys.update(dict.fromkeys(row.values))
            if row.number >= 1_000:
                break
        return Source(path=path, format=form, headers=tuple(keys), size=size)
    if _SEP.match(head):
        raise BadInput(
            f"{path}:1:1: the first line is a hint for Excel; expected the names of the columns: "
            "delete that line"
        )
    delimiter = _delimiter(head)
    with path.open("rb") as file:
        reader = csv.reader(_text(file), delimiter=delimiter, strict=True)
        try:
            header = next((cells for cells in reader if cells), None)
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadInput(_unreadable(path, reader.line_num, error)) from error
    if header is None:
        raise BadInput(f"{path}:1:1: the file is empty; expected a line of column names")
    return Source(path=path, format=form, headers=tuple(header), delimiter=delimiter, size=size)


def _text(file: BinaryIO) -> io.TextIOWrapper:
    """UTF-8, with or without a byte order mark; line ends are left to the CSV reader."""
    return io.TextIOWrapper(file, encoding="utf-8-sig", newline="")


def _delimiter(head: bytes) -> str:
    """What parts the cells of the first line: the commonest of comma, semicolon, tab and bar."""
    first = head.decode("utf-8", "replace").lstrip("\ufeff").splitlines()[:1]
    bare = "".join(first[0].split('"')[::2]) if first else ""
    return max(",;\t|", key=lambda mark: (bare.count(mark), mark == ","))


def _unreadable(path: Path, line: int, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return (
            f"{path}:{line + 1}:1: byte {error.object[error.start]:#04x} is not UTF-8; "
            "save the file as UTF-8"
        )
    return f"{path}:{max(line, 1)}:1: {error}; check the quotes of that row"


class Cells(NamedTuple):
    """One row of a CSV file as it stands there."""

    number: int
    line: int
    cells: list[str]
    problem: str | None

    def row(self, headers: tuple[str, ...]) -> Row:
        values = dict(zip(headers, self.cells, strict=False))
        return Row(number=self.number, line=self.line, values=values, problem=self.problem)


def _csv_rows(source: Source, progress: Callable[[int], None] | None) -> Iterator[Row]:
    for cells in csv_cells(source, progress):
        yield cells.row(source.headers)


def csv_cells(source: Source, progress: Callable[[int], None] | None) -> Iterator[Cells]:
    """The rows of a CSV file as lists of text; `Source.rows` gives the same ones by header."""
    width = len(source.headers)
    with source.path.open("rb") as file:
        reader = csv.reader(_text(file), delimiter=source.delimiter, strict=True)
        for cells in reader:  # the header, after empty lines
            if cells:
                break
        number, line = 0, reader.line_num
        while True:
            start = line + 1
            problem = None
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError as error:
                raise BadInput(_unreadable(source.path, line, error)) from error
            except csv.Error as error:
                cells, problem = [], f"{error}; check the quotes of the row"
            line = reader.line_num
            if not cells and problem is None:
                continue
            number += 1
            if problem is None and len(cells) != width:
                problem = f"the row has {len(cells)} values; expected {width}, one a column"
            if progress is not None and number % 256 == 0:
                progress(file.tell())
            yield Cells(number, start, cells, problem)


def _jsonl_rows(path: Path, progress: Callable[[int], None] | None) -> Iterator[Row]:
    with path.open("rb") as file:
        number = done = 0
        for line, raw in enumerate(file, start=1):
            done += len(raw)
            if line == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            text = raw.strip()
            if not text:
                continue
            number += 1
            if progress is not None and number % 256 == 0:
                progress(done)
            values: Any = {}
            problem = None
            try:
                values = read_json(text, limit=MAX_BODY_BYTES)
            except BadInput as error:
                problem = str(error)
            if not isinstance(values, dict):
                kind = type(values).__name__
                values, problem = {}, f"the line holds a {kind}; expected one JSON object a line"
            yield Row(number=number, line=line, values=values, problem=problem)


def _polars() -> Any:
    try:
        import polars
    except ImportError as error:
        raise BadInput(
            "Parquet needs Polars, which is not installed; "
            "install it with `pip install 'handrail[bulk]'`, or give CSV or JSON Lines"
        ) from error
    return polars


def _open_parquet(path: Path) -> Source:
    polars = _polars()
    try:
        frame = polars.scan_parquet(path)
        headers = tuple(frame.collect_schema().names())
        rows = frame.select(polars.len()).collect().item()
    except (polars.exceptions.PolarsError, OSError) as error:
        raise BadInput(f"{path}: not a Parquet file that can be read: {error}") from error
    return Source(path=path, format="parquet", headers=headers, size=rows)


def parquet_frames(
    path: Path, size: int, skip: int, progress: Callable[[int], None] | None
) -> Iterator[Any]:
    """Frames of `size` rows, after the first `skip`; few are in memory at once."""
    frame = _polars().scan_parquet(path).slice(skip)
    done = skip
    for batch in frame.collect_batches(chunk_size=size, maintain_order=True):
        if batch.height:
            done += batch.height
            yield batch
            if progress is not None:
                progress(done)


def _parquet_rows(path: Path, progress: Callable[[int], None] | None) -> Iterator[Row]:
    number = 0
    for batch in parquet_frames(path, PARQUET_BATCH, 0, progress):
        for values in batch.iter_rows(named=True):
            number += 1
            yield Row(number=number, values=values)
