"""Files that are written whole or not at all: results of a gate run, and the rows that were bad."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from handrail.bulk.judge import Bad, Judged
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


def why_of(judged: Judged) -> str:
    """Why a row passed, is held or refused, or is bad: one sentence."""
    if judged.ruling is not None:
        return judged.ruling.why
    reasons = judged.bad.reasons if judged.bad is not None else ()
    return "; ".join(f"{reason['pointer']}: {reason['message']}" for reason in reasons)


def found_of(judged: Judged) -> dict[str, Any]:
    """The results of one row by their column."""
    ruling = judged.ruling
    if ruling is None:
        return {
            "handrail_lane": "bad",
            "handrail_mode": None,
            "handrail_rules": [],
            "handrail_unknown": [],
            "handrail_why": why_of(judged),
        }
    return {
        "handrail_lane": str(ruling.lane),
        "handrail_mode": str(ruling.mode),
        "handrail_rules": [fired.rule for fired in ruling.fired],
        "handrail_unknown": list(dict.fromkeys(unknown.rule for unknown in ruling.unknown)),
        "handrail_why": ruling.why,
    }


def joined(value: Any) -> Any:
    """A result as one cell of a CSV file."""
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value  # a sentence must not become a formula where the file is opened
    return value


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
