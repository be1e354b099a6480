"""Forward migrations: numbered files, each applied in one transaction, by one process at a time."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from handrail.model.errors import Unavailable
from handrail.store.postgres.queries import migrations
from handrail.store.postgres.session import NOW, Session

MARK = "handrail"
"""Comment on the table `schema_version` that marks a schema as ours."""


def schema_version(session: Session) -> int:
    """Version of the schema; 0 for an empty one. Raises `Unavailable` for somebody else's."""
    row = session.one(
        "SELECT (SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n"
        " ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')),"
        " obj_description(to_regclass(quote_ident($1) || '.schema_version'), 'pg_class')",
        (session.schema,),
    )
    tables, mark = row if row is not None else (0, None)
    if not tables:
        return 0
    if mark != MARK:
        raise Unavailable(
            f"the schema {session.schema} of this database belongs to another program; "
            "name another schema or database"
        )
    found = session.one("SELECT max(version) FROM schema_version")
    return int(found[0] or 0) if found is not None else 0


def migrate(connection: psycopg.Connection[Any], schema: str) -> int:
    """Bring the schema up to date; returns its version.

    Processes that start together wait for one another. One that dies on the way leaves whole steps
    behind, and the next goes on from there. Raises `Unavailable` where the database is newer than
    this code.
    """
    session = Session(connection, schema=schema, writing=True)
    key = session.advisory("migrate")
    # Others may be at it for longer than an ordinary lock is waited for.
    session.control("SET lock_timeout = 0")
    session.one("SELECT pg_advisory_lock($1)", (key,))
    try:
        return _migrate(session)
    finally:
        if not connection.broken:
            session.one("SELECT pg_advisory_unlock($1)", (key,))


def _migrate(session: Session) -> int:
    steps = migrations()
    newest = steps[-1][0]
    version = schema_version(session)
    if version > newest:
        raise Unavailable(
            f"the database has schema {version}; this version of Handrail knows schemas up to "
            f"{newest}; install the version that wrote it, or a later one"
        )
    for number, name, text in steps:
        if number <= version:
            continue
        with session.connection.transaction():
            if number == steps[0][0]:
                made = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(
                    sql.Identifier(session.schema)
                )
                session.connection.execute(made)
                session.control(
                    "CREATE TABLE schema_version (version bigint PRIMARY KEY, name text NOT NULL,"
                    " applied_at bigint NOT NULL);"
                    f"COMMENT ON TABLE schema_version IS '{MARK}'"
                )
            session.control(text)
            session.one(
                f"INSERT INTO schema_version VALUES ($1, $2, {NOW}) RETURNING version",
                (number, name),
            )
    return newest
