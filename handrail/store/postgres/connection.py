"""Connections to one schema of one database, set up so that plans and waits are known."""

from __future__ import annotations

import logging
import re
from typing import Any

import psycopg
from psycopg import sql
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import BytesBinaryDumper, StrBinaryDumper

from handrail.model.errors import Unavailable
from handrail.store.postgres.columns import register, stored_text
from handrail.store.postgres.failures import first_line

OLDEST = 150_000
"""Version of the oldest server that is tested (15.0)."""

SCHEMA = "handrail"
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")

LOCK_MS = 300
"""A wait for a lock longer than this is taken for a deadlock: the use case runs again. Units of
work last milliseconds, and PostgreSQL itself looks for deadlocks only after a second."""

IDLE_MS = 5_000
"""A client that says nothing for so long inside a transaction (stopped, or its machine gone) loses
it, so that its locks hold up nobody for longer."""

_DEFAULTS = {
    "application_name": "handrail",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}

_TEXT_OID, _VARCHAR_OID = 25, 1043

_log = logging.getLogger("handrail.store")


class _TextDumper(StrBinaryDumper):
    def dump(self, obj: str) -> Buffer:
        return stored_text(obj)


class _TextLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        text = str(data, "utf-8")  # as `stored_text` made it
        if "\x01" in text:
            text = text.replace("\x010", "\x00").replace("\x011", "\x01")
        return text


class Place:
    """Where a store lies: how to connect, and the schema."""

    def __init__(self, url: str, schema: str) -> None:
        """`url` is what libpq takes: `postgresql://…` or `host=… dbname=…`.

        Raises `Unavailable` where it cannot be read. Nothing here shows a password.
        """
        if not _SCHEMA_NAME.fullmatch(schema):
            raise Unavailable(
                f"{schema!r} is no name for the schema; expected up to 48 of a-z, 0-9 and _"
            )
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise Unavailable(
                "the address of the database cannot be read; expected "
                "postgresql://user@host:port/database"
            ) from error
        self.schema = schema
        self.conninfo = make_conninfo(
            "", **{**_DEFAULTS, **{name: str(value) for name, value in given.items()}}
        )
        self.name = "/".join(
            str(given[part]) for part in ("host", "port", "dbname") if given.get(part)
        )
        """For messages: host, port and database, as far as they were given."""

    def connect(self) -> psycopg.Connection[Any]:
        """A connection with Handrail's settings. Raises `Unavailable` where there is none."""
        try:
            connection = psycopg.connect(self.conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            raise Unavailable(
                f"the database {self.name} cannot be reached: {first_line(error)}; "
                "see that it runs and that this user may connect"
            ) from error
        try:
            self.configure(connection)
        except psycopg.Error as error:
            connection.close()
            raise Unavailable(
                f"the database {self.name} cannot be used: {first_line(error)}"
            ) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def configure(self, connection: psycopg.Connection[Any]) -> None:
        """Give a connection Handrail's settings; the pool calls it for each it makes."""
        info = connection.info
        if info.server_version < OLDEST:
            raise Unavailable(
                f"{self.name} is PostgreSQL {info.server_version // 10_000}; expected "
                f"{OLDEST // 10_000} or later; upgrade the server"
            )
        encoding = info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise Unavailable(
                f"the database {self.name} has the encoding {encoding}; expected UTF8; "
                "make one with ENCODING 'UTF8'"
            )
        adapters = connection.adapters
        adapters.register_dumper(str, _TextDumper)
        adapters.register_dumper(int, Int8BinaryDumper)
        adapters.register_dumper(bytes, BytesBinaryDumper)
        register(adapters)
        adapters.register_loader(_TEXT_OID, _TextLoader)
        adapters.register_loader(_VARCHAR_OID, _TextLoader)
        connection.prepared_max = 1_000
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        schema = sql.Identifier(self.schema).as_string(connection)
        connection.execute(
            # One plan a query, by its indexes, whatever the statistics say on a young database.
            "SET plan_cache_mode = force_generic_plan;"
            "SET enable_seqscan = off;"
            "SET enable_bitmapscan = off;"
            "SET enable_hashjoin = off;"
            "SET enable_mergejoin = off;"
            "SET enable_sort = off;"
            "SET enable_incremental_sort = off;"
            "SET jit = off;"
            f"SET search_path = {schema};"
            f"SET lock_timeout = {LOCK_MS};"
            f"SET idle_in_transaction_session_timeout = {IDLE_MS};"
            "SET statement_timeout = 60000;"
            # What is acknowledged is flushed, whatever the database's default is.
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )

    def warn(self, connection: psycopg.Connection[Any]) -> None:
        """Say in the log where the server is set up to lose what it acknowledged."""
        for name in ("fsync", "full_page_writes"):
            row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            if row is not None and row[0] == "off":
                _log.warning(
                    "%s runs with %s = off: a crash of its machine can lose or corrupt what was "
                    "acknowledged; turn it on",
                    self.name,
                    name,
                )
