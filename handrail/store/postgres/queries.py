"""The named SQL of this package."""

from __future__ import annotations

from handrail.store import named

_PACKAGE = "handrail.store.postgres"


def queries(noun: str) -> dict[str, str]:
    """The queries of `sql/<noun>.sql` by name."""
    return named.queries(_PACKAGE, noun)


def nouns() -> list[str]:
    """Names of all `.sql` files, sorted."""
    return named.nouns(_PACKAGE)


def migrations() -> list[tuple[int, str, str]]:
    """(version, name, SQL) of each `migrations/NNNN_name.sql`, in order."""
    return named.migrations(_PACKAGE)
