"""Which store a workspace has: its own SQLite file, or a PostgreSQL database of a team.

A workspace whose store is elsewhere says so in `store/elsewhere` (the address without password), so
that no command opens an empty file of its own instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from handrail.model.errors import BadInput, Conflict, Unavailable
from handrail.ports import Steps, no_steps
from handrail.settings import Settings
from handrail.store.clock import now_us

if TYPE_CHECKING:
    from handrail.store.postgres import PostgresStore
    from handrail.store.sqlite import SqliteStore

SCHEMES = ("postgresql", "postgres")


def without_password(url: str) -> str:
    """The address of a database as it may be shown and kept.

    >>> without_password("postgresql://ann:secret@db.example:5432/handrail?sslmode=require")
    'postgresql://ann@db.example:5432/handrail?sslmode=require'
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = "&".join(
        pair for pair in parts.query.split("&") if not pair.lower().startswith("password=")
    )
    netloc = user.partition(":")[0] + at + host
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


def place_of(store: Path, elsewhere: Path, settings: Settings) -> str | None:
    """The database's address, or None for the file `store`. Raises `BadInput`, `Conflict`."""
    kept = elsewhere.read_text("utf-8").strip() if elsewhere.is_file() else ""
    url = settings.db or kept
    if not url:
        return None
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise BadInput(f"the database's address cannot be read: {error}", "/db") from error
    if scheme not in SCHEMES:
        raise BadInput(
            f"{without_password(url)!r} is no database we know; write postgresql://HOST/NAME, or "
            "leave it out for the workspace's own file",
            "/db",
        )
    if kept and without_password(url) != kept:
        raise Conflict(
            f"this workspace's store is {kept}, not {without_password(url)}; leave --db and "
            "HANDRAIL_DB out, or name another workspace"
        )
    if not kept and store.is_file():
        raise Conflict(
            f"this workspace has its store in {store}; a team's database starts with a workspace "
            "of its own: make one with `handrail init`"
        )
    return url


def open_store(
    store: Path,
    elsewhere: Path,
    settings: Settings,
    *,
    clock: Callable[[], int] | None = None,
    steps: Steps = no_steps,
) -> SqliteStore | PostgresStore:
    """The workspace's store, made where there is none."""
    url = place_of(store, elsewhere, settings)
    if url is None:
        from handrail.store.sqlite import SqliteStore

        return SqliteStore.open(str(store), clock=clock or now_us, settings=settings, steps=steps)
    try:
        from handrail.store.postgres import PostgresStore
    except ImportError as error:
        raise Unavailable(
            f"this workspace's store is {without_password(url)}, and the driver for it is not "
            f"here ({error.name}); install handrail[postgres]"
        ) from error
    found = PostgresStore.open(url, clock=clock, settings=settings, steps=steps)
    if not elsewhere.is_file():
        elsewhere.write_text(without_password(url) + "\n", "utf-8")
    return found
