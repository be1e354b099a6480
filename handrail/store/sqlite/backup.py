"""A copy of a database while its owner writes: SQLite's online backup, checked before it counts."""

from __future__ import annotations

import os

import apsw

from handrail.model.errors import Unavailable
from handrail.store.sqlite.connection import connect


def copy_database(source: str, target: str) -> None:
    """Copy what is committed in the database `source` into the new file `target`.

    The copy is one consistent state, in one file (no write-ahead log beside it), and is on the
    disk when this returns. Raises `Unavailable` where the source is damaged or the copy fails.
    """
    reader = connect(source, vfs=None, writing=False)
    try:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_EXCLUSIVE
        writer = apsw.Connection(target, flags=flags)
        try:
            with writer.backup("main", reader, "main") as backup:
                # In one step: readers do not stop the writer, and no change starts it over.
                while not backup.done:
                    backup.step(-1)
            writer.execute("PRAGMA journal_mode = DELETE")
            [[found]] = writer.execute("PRAGMA quick_check(1)").fetchall()
        finally:
            writer.close()
    except apsw.Error as error:
        # Of a step of its backup SQLite keeps no words: the driver's say "not an error".
        why = type(error).__name__ if str(error) == "not an error" else str(error)
        if isinstance(error, apsw.FullError):
            why = "the disk is full"
        raise Unavailable(
            f"{source} cannot be copied to {target}: {why}; name a place with room and the right "
            "to write"
        ) from error
    finally:
        reader.close()
    if found != "ok":
        raise Unavailable(f"{source} is damaged: {found}; run `handrail doctor`")
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
