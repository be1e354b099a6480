"""Named SQL: one `.sql` file a noun under `sql/`, each query behind a `-- name: …` line."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from typing import Any

Execute = Callable[..., Any]
"""A connection's `execute`; what columns hold is known from the schema, not from types."""

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def queries(noun: str) -> dict[str, str]:
    """The queries of `sql/<noun>.sql` by name."""
    text = resources.files(__package__).joinpath("sql", f"{noun}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: sql.strip().rstrip(";") for name, sql in zip(parts[::2], parts[1::2], strict=True)
    }


def nouns() -> list[str]:
    """Names of all `.sql` files, sorted."""
    found = resources.files(__package__).joinpath("sql").iterdir()
    return sorted(entry.name[:-4] for entry in found if entry.name.endswith(".sql"))


def migrations() -> list[tuple[int, str, str]]:
    """(version, name, SQL) of each `migrations/NNNN_name.sql`, in order."""
    found = []
    for entry in resources.files(__package__).joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name[:-4].partition("_")
            found.append((int(number), name, entry.read_text("utf-8")))
    return sorted(found)
