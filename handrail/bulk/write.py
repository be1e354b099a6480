"""Files that are written whole or not at all: results of a gate run, and the rows that were bad."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from handrail.bulk.judge import Bad, Judged
from handrail.bulk.read import SUFFIXES
from handrail.model.errors import BadInput

RESULTS = ("handrail_lane", "handrail_mode", "handrail_rules", "handrail_unknown", "handrail_why")
"""Columns a result file has behind those of the input."""


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """A text file that appears under its name only when everything in it was written."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; name another place") from error
    finally:
        part.unlink(missing_ok=True)


class Results(Protocol):
    """Takes judged rows one by one."""

    def add(self, judged: Judged) -> None: ...


@contextmanager
def results(path: Path, headers: Sequence[str]) -> Iterator[Results]:
    """A result file of the format its name says: every judged row, with lane, mode and reasons."""
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise BadInput(
            f"{path}: the ending {path.suffix!r} is not known; expected one of "
            + ", ".join(sorted(SUFFIXES))
        )
    if form == "parquet":
        gathered = _Frame(path, headers)
        yield gathered
        gathered.write()
        return
    with whole_file(path) as file:
        yield _Csv(file, headers, path) if form == "csv" else _Lines(file)


def _found(judged: Judged) -> dict[str, Any]:
    ruling = judged.ruling
    if ruling is None:
        reasons = judged.bad.reasons if judged.bad is not None else ()
        return {
            "handrail_lane": "bad",
            "handrail_mode": None,
            "handrail_rules": [],
            "handrail_unknown": [],
            "handrail_why": "; ".join(f"{r['pointer']}: {r['message']}" for r in reasons),
        }
    return {
        "handrail_lane": str(ruling.lane),
        "handrail_mode": str(ruling.mode),
        "handrail_rules": [fired.rule for fired in ruling.fired],
        "handrail_unknown": [unknown.rule for unknown in ruling.unknown],
        "handrail_why": ruling.why,
    }


class _Csv:
    def __init__(self, file: IO[str], headers: Sequence[str], path: Path) -> None:
        mark = "\t" if path.suffix.lower() == ".tsv" else ","
        self._writer = csv.writer(file, delimiter=mark, lineterminator="\n")
        self._headers = headers
        self._writer.writerow([*headers, *RESULTS])

    def add(self, judged: Judged) -> None:
        found = _found(judged)
        cells = [judged.row.values.get(header) for header in self._headers]
        self._writer.writerow([*cells, *(_joined(found[name]) for name in RESULTS)])


def _joined(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value  # a sentence must not become a formula where the file is opened
    return value


class _Lines:
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def add(self, judged: Judged) -> None:
        row = {**judged.row.values, **_found(judged)}
        self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


class _Frame:
    """Gathers the rows, because Parquet is written by column."""

    def __init__(self, path: Path, headers: Sequence[str]) -> None:
        self._path = path
        self._headers = headers
        self._rows: list[dict[str, Any]] = []

    def add(self, judged: Judged) -> None:
        cells = {header: judged.row.values.get(header) for header in self._headers}
        self._rows.append({**cells, **_found(judged)})

    def write(self) -> None:
        import polars

        part = self._path.with_name(f".{self._path.name}.part-{os.getpid()}")
        try:
            frame = polars.DataFrame(self._rows, infer_schema_length=None, strict=False)
            frame.write_parquet(part)
            part.replace(self._path)
        except OSError as error:
            raise BadInput(f"{self._path}: {error}; name another place") from error
        finally:
            part.unlink(missing_ok=True)


def bad_line(bad: Bad) -> str:
    """One line of the side file of bad rows: row, line, key, reasons, values."""
    return (
        json.dumps(
            {
                "row": bad.row,
                "line": bad.line,
                "key": bad.key,
                "reasons": list(bad.reasons),
                "values": bad.values,
            },
            ensure_ascii=False,
            default=str,
        )
        + "\n"
    )
