"""Which store a workspace has: its own SQLite file, or a PostgreSQL database of a team.

A workspace whose store is elsewhere says so in `store/elsewhere` (the address without password), so
that no command opens an empty file of its own instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from handrail.app.keys import sync_folder
from handrail.model.errors import BadInput, Conflict, Unavailable
from handrail.ports import Steps, no_steps
from handrail.settings import Settings
from handrail.store.clock import now_us

if TYPE_CHECKING:
    from handrail.store.move import Moved
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
    _check_address(url)
    if kept and without_password(url) != kept:
        raise Conflict(
            f"this workspace's store is {kept}, not {without_password(url)}; leave --db and "
            "HANDRAIL_DB out, or name another workspace"
        )
    if not kept and store.is_file():
        raise Conflict(
            f"this workspace has its store in {store}, not in {without_password(url)}; "
            "`handrail up --db URL` moves it there, once, or leave HANDRAIL_DB out"
        )
    return url


def _check_address(url: str) -> None:
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


def bring_over(store: Path, elsewhere: Path, settings: Settings) -> Moved | None:
    """Move the file `store` into the database that `settings` name; None where there is nothing to.

    Who calls it owns the workspace. The file stays as it is. A move that ended before it was noted
    down is recognised by its log. Raises `BadInput`, `Conflict`, `Unavailable`; nothing was moved
    then.
    """
    if not settings.db or elsewhere.is_file() or not store.is_file():
        return None
    _check_address(settings.db)
    with _driver(settings.db):
        from handrail.store.move import move
    moved = move(str(store), settings.db)
    _note_down(elsewhere, settings.db)
    return moved


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
    with _driver(url):
        from handrail.store.postgres import PostgresStore
    found = PostgresStore.open(url, clock=clock, settings=settings, steps=steps)
    if not elsewhere.is_file():
        _note_down(elsewhere, url)
    return found


@contextmanager
def _driver(url: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise Unavailable(
            f"this workspace's store is {without_password(url)}, and the driver for it is not "
            f"here ({error.name}); install handrail[postgres]"
        ) from error


def _note_down(elsewhere: Path, url: str) -> None:
    """Say where the store is, on disk before anything is written there.

    Were it lost, the next owner would go on with the file of before.
    """
    draft = elsewhere.with_name(elsewhere.name + ".new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(without_password(url) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(elsewhere)
    sync_folder(elsewhere.parent)
