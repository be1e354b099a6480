"""Moves what an embedded store holds into an empty team store: row by row, in one transaction.

The log comes over byte by byte: the same entries at the same places, the same nodes and
checkpoints, so that every proof and anchor of before holds afterwards. Before the commit the log is
rebuilt from the rows that arrived and held against the source's head. Whatever fails, nothing has
happened, and the move may be tried again. One that was made already, and whose caller never heard
of it, is recognised by its log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apsw
import msgspec
import psycopg

from handrail.audit.tree import Frontier, leaf_hash
from handrail.model.errors import Conflict, NotFound, Unavailable
from handrail.store.postgres import SCHEMA
from handrail.store.postgres.connection import Place
from handrail.store.postgres.counters import stored_key
from handrail.store.postgres.failures import first_line
from handrail.store.postgres.schema import migrate
from handrail.store.postgres.session import Session
from handrail.store.sqlite import schema as embedded
from handrail.store.sqlite.connection import connect

TABLES = (
    "decisions",
    "reviews",
    "review_asks",
    "rounds",
    "seats",
    "votes",
    "acts",
    "outcomes",
    "grants",
    "labels",
    "people",
    "tokens",
    "sessions",
    "passwords",
    "identities",
    "invitations",
    "policy_versions",
    "active_policies",
    "activations",
    "list_versions",
    "list_entries",
    "subject_keys",
    "stops",
    "notices",
    "counters",
    "series",
    "buckets",
    "streams",
    "observations",
    "audit_entries",
    "audit_head",
    "checkpoints",
)
"""Every table that holds something, each after those it refers to."""

ONLY_THERE = ("schema_version", "standing", "audit_stage")
"""Tables of the team store that the embedded one has not, or that each fills itself."""

_COLUMNS = (
    "SELECT column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = $1 AND table_name = $2 AND is_generated = 'NEVER'"
    " ORDER BY ordinal_position"
)
_TYPES = {"bigint": "int8", "text": "text", "bytea": "bytea", "boolean": "bool"}


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a move brought over."""

    rows: dict[str, int]
    """Rows of each table; empty where they had been moved before."""
    size: int
    """Entries of the log."""
    root: str
    """Root of the log, in hexadecimal: the same before and after."""


def move(
    path: str,
    url: str,
    *,
    schema: str = SCHEMA,
    told: Callable[[str, int], None] = lambda table, rows: None,
) -> Moved:
    """Copy the embedded store at `path` into `schema` of the database at `url`.

    Nobody may own the workspace meanwhile (the caller sees to that). `told` hears of each table
    that was copied. Where the target holds the log of this store, or one that goes on from it,
    nothing is left to do. Raises `Conflict` where it holds anything else, `NotFound` where there is
    no source, `Unavailable` where either cannot be read or used, or does not fit the other.
    """
    place = Place(url, schema)
    try:
        source = connect(path, vfs=None, writing=False)
    except Unavailable as error:
        raise NotFound(f"there is no store to move: {error}") from error
    try:
        source.execute("BEGIN")
        with place.connect() as connection:
            version = migrate(connection, schema)
            have = embedded.schema_version(source)
            if have != version:
                raise Unavailable(
                    f"{path} has schema {have} and this version of Handrail writes {version}; "
                    "open the workspace with this version once, then move it"
                )
            with connection.transaction():
                return _move(source, Session(connection, schema=schema, writing=True), told)
    except apsw.Error as error:
        raise Unavailable(f"{path} cannot be read: {error}; nothing was moved") from error
    except psycopg.Error as error:
        raise Unavailable(
            f"the database {place.name} did not take it: {first_line(error)}; nothing was moved"
        ) from error
    finally:
        source.close()


def _move(source: apsw.Connection, target: Session, told: Callable[[str, int], None]) -> Moved:
    target.control("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 10000")
    # Nobody writes there meanwhile, and nobody who opens it sees half of it.
    target.control(f"LOCK TABLE {', '.join((*TABLES, 'audit_stage'))} IN EXCLUSIVE MODE")
    head: tuple[int, bytes] = source.execute("SELECT size, root FROM audit_head").fetchone() or (
        0,
        Frontier().root(),
    )
    if head[0] and _begins_with(target, *head):
        return Moved(rows={}, size=head[0], root=head[1].hex())
    for table in (*TABLES, "audit_stage"):
        if target.one(f"SELECT 1 FROM {table} LIMIT 1") is not None:
            raise Conflict(
                f"the schema {target.schema} holds {table} already; a store is only moved into an "
                "empty one: name another schema, or drop this one if it is of no use"
            )
    rows = {}
    for table in TABLES:
        rows[table] = _copy(source, target, table)
        told(table, rows[table])
    for table in TABLES:
        if target.one(
            "SELECT 1 FROM information_schema.columns WHERE table_schema = $1"
            " AND table_name = $2 AND is_identity = 'YES'",
            (target.schema, table),
        ):
            target.one(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'seq'),"
                f" coalesce(max(seq), 1), max(seq) IS NOT NULL) FROM {table}"
            )
    size, root = _rebuilt(target)
    if (size, root) != head:
        raise Unavailable(
            f"the log that arrived has {size} entries and another root than the head of the "
            f"source, which says {head[0]}; run `handrail audit verify` on the source; nothing "
            "was moved"
        )
    return Moved(rows=rows, size=size, root=root.hex())


def _begins_with(target: Session, size: int, root: bytes) -> bool:
    """Whether the first `size` entries of the target's log are the log with that root."""
    frontier = Frontier()
    rows = target.pages("SELECT idx, leaf FROM audit_entries WHERE idx > $1 ORDER BY idx LIMIT $2")
    for index, leaf in rows:
        if index == size or index != frontier.size:
            break
        frontier, _ = frontier.append(leaf)
    return frontier.size == size and frontier.root() == root


def _copy(source: apsw.Connection, target: Session, table: str) -> int:
    """Copy one table; returns its number of rows."""
    columns = target.all(_COLUMNS, (target.schema, table))
    names = [str(name) for name, _ in columns]
    flags = [place for place, (_, kind) in enumerate(columns) if kind == "boolean"]
    key = names.index("key") if table in ("counters", "buckets") else None

    def read() -> Iterator[list[Any]]:
        for found in source.execute(f"SELECT {', '.join(names)} FROM {table}"):
            row = list(found)
            for place in flags:
                row[place] = bool(row[place])
            if key is not None:
                row[key] = stored_key(row[key])
            yield row

    count = 0

    def counted() -> Iterator[list[Any]]:
        nonlocal count
        for row in read():
            count += 1
            yield row

    target.copy(
        f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT binary)",
        [_TYPES[str(kind)] for _, kind in columns],
        counted(),
    )
    there = target.one(f"SELECT count(*) FROM {table}")
    if there is None or there[0] != count:
        raise Unavailable(f"{count} rows of {table} were sent, others arrived; nothing was moved")
    return count


def _rebuilt(target: Session) -> tuple[int, bytes]:
    """Size and root of the log that arrived, each row held to the tree of its entries."""
    frontier = Frontier()
    rows = target.pages(
        "SELECT idx, leaf, nodes, body FROM audit_entries WHERE idx > $1 ORDER BY idx LIMIT $2"
    )
    for index, leaf, nodes, body in rows:
        if index != frontier.size or leaf != leaf_hash(body):
            raise Unavailable(
                f"entry {frontier.size} of the log did not arrive as it was; run `handrail audit "
                "verify` on the source; nothing was moved"
            )
        frontier, made = frontier.append(leaf)
        if nodes != b"".join(node for _, _, node in made[1:]):
            raise Unavailable(
                f"the nodes of entry {index} do not fit the log; run `handrail audit verify` on "
                "the source; nothing was moved"
            )
    return frontier.size, frontier.root()


__all__ = ["Moved", "move"]
