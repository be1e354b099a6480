"""Gives staged entries their places in the log: one process at a time, gapless, in batches.

A batch is one transaction: it takes the advisory lock of the log, moves staged entries to the end
of the log with their tree nodes, and writes the new head. Killed at any point it has happened
whole, or not at all, and the next holder of the lock goes on.

The order is that of the tickets among what the batch sees. Take two transactions of which the
second came to hold a lock of the first, or saw what the first did. The first had committed before
that, so it drew the lower ticket, and a snapshot that shows the second shows the first too: they
are numbered in this order, in one batch or in two. Others depend on nothing of each other.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg

from handrail.audit.tree import Frontier, leaf_hash
from handrail.model.errors import Unavailable
from handrail.ports import Steps
from handrail.store.postgres.audit import PostgresAudit
from handrail.store.postgres.columns import Rows, blobs, numbers
from handrail.store.postgres.failures import first_line
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session

BATCH = 500
"""Entries after which a batch takes no more (a unit of work is never split)."""

MAX_PAYLOAD = 7_800
"""Bytes of one notification; PostgreSQL takes less than 8,000."""

PAUSE_SECONDS = 0.01
"""Least time between two batches of the background thread, so that commits share them."""

LONGEST_SECONDS = 0.5
"""Pause after a failure grows up to this: a database that is back is found again soon."""

LOOK_SECONDS = 1.0
"""The thread looks at least this often: another process may have died before it numbered."""

SEQUENCER_STEPS = (
    "log.begin",
    "log.numbered",
    "log.committed",
)
"""Points a batch names as it passes them."""

_SQL = queries("audit")
_ENTRIES = Rows(0, _SQL["add_entries"], numbers, blobs, blobs, blobs)
_log = logging.getLogger("handrail.store")


class LogDamaged(Exception):
    """Entries, nodes and head do not fit."""


class Sequencer:
    """Numbers on whatever connection it is given; remembers the tree's edge between batches."""

    def __init__(self, schema: str, channel: str, steps: Steps) -> None:
        self._schema = schema
        self._channel = channel
        self._steps = steps
        self._lock = threading.Lock()
        self._frontier: Frontier | None = None
        self.numbered = 0
        """Entries that were in the log when this process last looked: at least so many are."""

    def number(self, connection: psycopg.Connection[Any]) -> int:
        """One batch; returns how many units of work it numbered (0: none was staged).

        Raises `LogDamaged` where the log does not fit its head, and the driver's errors.
        """
        session = Session(connection, schema=self._schema, writing=True)
        with self._lock:
            known, self._frontier = self._frontier, None
            try:
                *_, staged, head = session.together(
                    [
                        ("BEGIN ISOLATION LEVEL READ COMMITTED", ()),
                        ("SET LOCAL lock_timeout = 0", ()),
                        ("SELECT pg_advisory_xact_lock($1)", (session.advisory("log"),)),
                        # Statements of their own: they see what the last holder committed.
                        (_SQL["staged"], (BATCH,)),
                        (_SQL["head"], ()),
                    ]
                )
                self._steps("log.begin")
                taken = 0
                moving: list[tuple[str, Sequence[Any]]] = []
                units = staged.fetchall()
                if units:
                    known, taken, moving = self._append(
                        _edge(session, known, head.fetchone()), units
                    )
                    self._steps("log.numbered")
                session.together([*moving, ("COMMIT", ())])
            except BaseException:
                if not connection.closed and not connection.broken:
                    session.control("ROLLBACK")
                raise
            # Had the commit failed, or its answer been lost, the edge would be read again.
            self._frontier = known
            if known is not None:
                self.numbered = known.size
            self._steps("log.committed")
            return taken

    def _append(
        self, frontier: Frontier, staged: list[tuple[Any, ...]]
    ) -> tuple[Frontier, int, list[tuple[str, Sequence[Any]]]]:
        """Move units from the stage to the log: the new edge, how many units they were, and the
        statements that do it."""
        rows: list[tuple[int, bytes, bytes, bytes]] = []
        taken: list[tuple[Any, ...]] = []
        for unit in staged:
            if rows and len(rows) + len(unit[1]) > BATCH:
                break
            taken.append(unit)
            for body in unit[1]:
                leaf = leaf_hash(body)
                index = frontier.size
                frontier, nodes = frontier.append(leaf)
                rows.append((index, leaf, b"".join(node for _, _, node in nodes[1:]), body))
        moving: list[tuple[str, Sequence[Any]]] = []
        if rows:
            moving.append((_ENTRIES.sql, _ENTRIES.params(rows)))
            moving.append((_SQL["set_head"], (frontier.size, frontier.root())))
        moving.append((_SQL["unstage"], (numbers([unit[0] for unit in taken]),)))
        for payload in payloads((origin, topics, due) for _, _, origin, topics, due in taken):
            moving.append(("SELECT pg_notify($1, $2)", (self._channel, payload)))
        return frontier, len(taken), moving

    def settle(self, connection: psycopg.Connection[Any]) -> None:
        """Number everything that was committed before this call. Raises as `number`."""
        session = Session(connection, schema=self._schema, writing=False)
        last = session.one(_SQL["last_ticket"])
        if last is not None:
            while session.one(_SQL["staged_to"], last) is not None:
                self.number(connection)

    def check(self, connection: psycopg.Connection[Any]) -> None:
        """Raise `LogDamaged` unless entries, nodes and head fit."""
        session = Session(connection, schema=self._schema, writing=False)
        with connection.transaction():
            session.control("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            load(session)


def _edge(session: Session, known: Frontier | None, found: tuple[Any, ...] | None) -> Frontier:
    """The edge that the head found names: the one remembered, or read and checked."""
    head = found or (0, Frontier().root())
    if known is None or (known.size, known.root()) != head:
        known = load(session)
    return known


def load(session: Session) -> Frontier:
    """The stored edge. Raises `LogDamaged` where entries, nodes and head do not fit."""
    audit = PostgresAudit(session)
    found = session.one(_SQL["size"])
    size = found[0] if found is not None else 0
    head = session.one(_SQL["head"]) or (0, Frontier().root())
    if size != head[0]:
        raise LogDamaged(f"its head was written for {head[0]} entries and it holds {size}")
    try:
        frontier = Frontier.from_nodes(size, audit.node)
    except LookupError as error:
        raise LogDamaged(str(error)) from error
    if frontier.root() != head[1]:
        raise LogDamaged("its nodes do not give the root that was written with the last batch")
    if size and leaf_hash(next(audit.entries(size - 1))) != audit.node(0, size - 1):
        raise LogDamaged(f"entry {size - 1} does not fit its leaf hash")
    return frontier


def payloads(units: Iterable[tuple[str, list[str], int | None]]) -> list[str]:
    """What to notify of (origin, topics, due): JSON `[origin, [topic, …], due]`, each in size."""
    topics: dict[str, dict[str, None]] = {}
    due: dict[str, int | None] = {}
    for origin, names, at in units:
        topics.setdefault(origin, {}).update(dict.fromkeys(names))
        known = due.get(origin)
        due[origin] = known if at is None else at if known is None else min(known, at)
    made = []
    for origin, names_ in topics.items():
        if not names_ and due[origin] is None:
            continue
        part: list[str] = []
        room = MAX_PAYLOAD - 200
        for name in names_:
            cost = len(json.dumps(name)) + 2
            if cost > MAX_PAYLOAD - 200:
                continue
            if cost > room:
                made.append(json.dumps([origin, part, due[origin]]))
                part, room = [], MAX_PAYLOAD - 200
            part.append(name)
            room -= cost
        made.append(json.dumps([origin, part, due[origin]]))
    return made


class SequencerThread:
    """Numbers what this process stages, and what others left behind."""

    def __init__(
        self,
        sequencer: Sequencer,
        connect: Callable[[], psycopg.Connection[Any]],
        damaged: Callable[[str], None],
    ) -> None:
        self._sequencer = sequencer
        self._connect = connect
        self._damaged = damaged
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handrail-log", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def want(self) -> None:
        """Something was staged."""
        self._wanted.set()

    def close(self) -> None:
        """End the thread; what is staged stays so."""
        self._stopped.set()
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        pause = PAUSE_SECONDS
        while not self._stopped.is_set():
            self._wanted.wait(LOOK_SECONDS)
            self._wanted.clear()
            try:
                if connection is None or connection.closed or connection.broken:
                    connection = self._connect()
                while not self._stopped.is_set() and self._sequencer.number(connection):
                    self._stopped.wait(PAUSE_SECONDS)
                pause = PAUSE_SECONDS
            except LogDamaged as error:
                self._damaged(str(error))
                break
            except (psycopg.Error, Unavailable) as error:
                pause = min(LONGEST_SECONDS, pause * 2)
                _log.warning(
                    "the log cannot be numbered now: %s; what is staged waits, next try in %.1f s",
                    first_line(error),
                    pause,
                )
                if connection is not None:
                    connection.close()
                connection = None
                self._wanted.set()
            except Exception:
                _log.exception("the sequencer of the log met an error of its own; it goes on")
                pause = min(LONGEST_SECONDS, pause * 2)
                if connection is not None:
                    connection.close()
                connection = None
            self._stopped.wait(pause)
        if connection is not None:
            connection.close()
