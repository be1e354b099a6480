"""Forward migrations: numbered files, each applied in one transaction."""

from __future__ import annotations

import apsw

from handrail.model.errors import Unavailable
from handrail.store.sqlite.queries import migrations

APPLICATION_ID = 0x48445231
"""Marks a file as ours ("HDR1" in ASCII) in SQLite's header."""


def schema_version(connection: apsw.Connection) -> int:
    """Version of the schema; 0 for an empty database. Raises `Unavailable` for somebody else's."""
    application = connection.execute("PRAGMA application_id").fetchall()[0][0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0][0]
    if not tables:
        return 0
    if application != APPLICATION_ID:
        raise Unavailable(
            f"{connection.filename} is a database of another program (application id "
            f"{application:#x}, expected {APPLICATION_ID:#x}); name another file"
        )
    version = connection.execute("SELECT max(version) FROM schema_version").fetchall()[0][0]
    return int(str(version))


def migrate(connection: apsw.Connection, now: int) -> int:
    """Bring the schema up to date; returns its version.

    A process that dies on the way leaves whole steps behind, and the next one goes on from there.
    Raises `Unavailable` where the database is newer than this code.
    """
    steps = migrations()
    newest = steps[-1][0]
    version = schema_version(connection)
    if version > newest:
        raise Unavailable(
            f"{connection.filename} has schema {version}; this version of Handrail knows schemas "
            f"up to {newest}; install the version that wrote it, or a later one"
        )
    for number, name, sql in steps:
        if number <= version:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Somebody else may have been here while we waited for the lock.
            if schema_version(connection) < number:
                if number == steps[0][0]:
                    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    connection.execute(
                        "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, "
                        "name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
                    )
                connection.execute(sql)
                connection.execute(
                    "INSERT INTO schema_version VALUES (?1, ?2, ?3)", (number, name, now)
                )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return newest
