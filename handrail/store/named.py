"""Named SQL: one `.sql` file a noun under `sql/`, each query behind a `-- name: …` line."""

from __future__ import annotations

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def queries(package: str, noun: str) -> dict[str, str]:
    """The queries of `sql/<noun>.sql` in `package`, by name."""
    text = resources.files(package).joinpath("sql", f"{noun}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: sql.strip().rstrip(";") for name, sql in zip(parts[::2], parts[1::2], strict=True)
    }


def nouns(package: str) -> list[str]:
    """Names of all `.sql` files of `package`, sorted."""
    found = resources.files(package).joinpath("sql").iterdir()
    return sorted(entry.name[:-4] for entry in found if entry.name.endswith(".sql"))


def migrations(package: str) -> list[tuple[int, str, str]]:
    """(version, name, SQL) of each `migrations/NNNN_name.sql` of `package`, in order."""
    found = []
    for entry in resources.files(package).joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name[:-4].partition("_")
            found.append((int(number), name, entry.read_text("utf-8")))
    return sorted(found)
