"""Runs units of work: each attempt is one database transaction on one connection of the pool.

What two units of work cannot both do, PostgreSQL makes one wait for or refuses; the one that was
refused is run again from the start, a bounded number of times. A connection that is lost before
COMMIT was sent loses nothing but work, and the unit is run again too. Where the answer to COMMIT is
lost, the database is asked what became of the transaction; only where it cannot tell is the caller
told so, and nothing is run again behind their back.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from handrail.model.errors import HandrailError, Unavailable
from handrail.ports import Ahead, Steps, Transaction
from handrail.store.postgres.connection import LOCK_MS, Place
from handrail.store.postgres.failures import RERUN, first_line, is_cut, mapped
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import NOW, Again, Alone
from handrail.store.postgres.transaction import PostgresTransaction

STEPS = (
    "store.begin",
    "store.use_case",
    "store.before_commit",
    "store.after_commit",
    "store.before_ack",
)
"""Points a unit of work names as it passes them, in this order (the second once a use case)."""

UseCase = Callable[[Transaction], Any]

ATTEMPTS = 60
PATIENCE_SECONDS = 15.0
"""A unit of work that is in the way of others, or without a connection, is run again this often
and this long at most."""

RECONNECT_SECONDS = 0.25
"""Pause between attempts to connect, while the database is away."""

RESOLVE_SECONDS = 10.0
"""How long the database is asked what became of a commit whose answer was lost."""

CHUNK_MAX = 60
"""Most use cases of a shared commit: a server keeps 64 savepoints of a transaction at hand."""

_BEGIN_SHARED = (
    f"BEGIN ISOLATION LEVEL READ COMMITTED; LOCK TABLE standing IN ROW SHARE MODE; "
    f"SELECT {NOW}, (SELECT version FROM standing)"
)
_BEGIN_ALONE = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = 10000;"
    f"LOCK TABLE standing IN EXCLUSIVE MODE; SET LOCAL lock_timeout = {LOCK_MS};"
    f"SELECT {NOW}, (SELECT version FROM standing)"
)
_BEGIN_ONE = f"SAVEPOINT use_case; SELECT {NOW}"
_BEGIN_READ = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    f"SET LOCAL idle_in_transaction_session_timeout = 0; SELECT {NOW}"
)
_TIMELINE = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"
_STATUS = "SELECT pg_xact_status($1::text::xid8)"
_HOLDS = queries("audit")["holds"]

_log = logging.getLogger("handrail.store")


class Member:
    """One use case and how it ended."""

    __slots__ = ("ahead", "error", "result", "use_case")

    def __init__(self, use_case: UseCase) -> None:
        self.use_case = use_case
        self.ahead: Ahead | None = getattr(use_case, "ahead", None)
        """What it will look up, where it says so: then it may share a transaction."""
        self.result: Any = None
        self.error: BaseException | None = None


class Linked(psycopg.Connection[Any]):
    """A connection of the pool, with the transactions that are run on it."""

    pair: tuple[PostgresTransaction, PostgresTransaction] | None = None
    """The writing and the reading one."""


class _Cut(Exception):
    """The connection was lost before anything was committed."""


class Units:
    """Connections, and units of work run on them."""

    def __init__(
        self,
        place: Place,
        *,
        connections: int,
        clock: Callable[[], int] | None,
        steps: Steps,
        origin: str,
        committed: Callable[[frozenset[str], int | None, bool], None],
        numbered: Callable[[], int],
    ) -> None:
        """`clock` stands in for the database's. `committed` is told, after each commit, what to
        wake, and whether something was staged. `numbered`: no entry that is staged from now on
        comes to stand before this place of the log."""
        self._clock = clock
        self._steps = steps
        self._origin = origin
        self._committed = committed
        self._numbered = numbered
        self._place = place
        self._inside = threading.local()
        self._timeline: str | None = None
        self.pool: ConnectionPool[Linked] = ConnectionPool(
            place.conninfo,
            connection_class=Linked,
            kwargs={"autocommit": True},
            configure=place.configure,
            min_size=1,
            max_size=max(2, connections),
            num_workers=1,
            open=False,
            name="handrail",
            # A database that is away is asked for again at this pace for as long as it takes. Left
            # alone the pool doubles its pauses, and would stay away as long again as the database.
            reconnect_timeout=RECONNECT_SECONDS,
            reconnect_failed=ConnectionPool.check,
        )

    # ------------------------------------------------------------------ connections

    @contextmanager
    def _connection(self, seconds: float) -> Iterator[Linked]:
        try:
            connection = self.pool.getconn(timeout=seconds)
        except PoolClosed as error:
            raise Unavailable("the store is closed; open it again") from error
        except PoolTimeout as error:
            raise Unavailable(
                f"no connection to {self._place.name} within {seconds:.0f} s; nothing was stored; "
                "see that the database runs, or give this process more connections"
            ) from error
        try:
            yield connection
        finally:
            self.pool.putconn(connection)

    def _pair(self, connection: Linked) -> tuple[PostgresTransaction, PostgresTransaction]:
        """The writing and the reading transaction of a connection."""
        if connection.pair is None:
            schema = self._place.schema
            connection.pair = (
                PostgresTransaction(connection, schema=schema, writing=True),
                PostgresTransaction(connection, schema=schema, writing=False),
            )
        return connection.pair

    @property
    def inside(self) -> bool:
        """Whether the calling thread runs a use case or query."""
        return getattr(self._inside, "now", False)

    # ------------------------------------------------------------------ reading

    def read(self, query: Callable[[Transaction], Any]) -> Any:
        """Run a query on one snapshot. A connection that is lost is replaced once."""
        for last in (False, True):
            with self._connection(PATIENCE_SECONDS) as connection:
                transaction = self._pair(connection)[1]
                session = transaction.session
                try:
                    begun = False
                    transaction.fresh()
                    now = session.control(_BEGIN_READ)
                    begun = True
                    transaction.start(self._clock() if self._clock is not None else int(now))
                    self._inside.now = True
                    try:
                        return query(transaction)
                    finally:
                        self._inside.now = False
                        self._roll_back(transaction)
                except psycopg.errors.ReadOnlySqlTransaction as error:
                    raise RuntimeError("a query cannot write; do it in store.write") from error
                except psycopg.Error as error:
                    if begun or last or not is_cut(error, connection):
                        raise mapped(error) from error
            self._check_pool()
        raise AssertionError("unreachable")

    def _roll_back(self, transaction: PostgresTransaction) -> None:
        connection = transaction.session.connection
        if connection.closed or connection.broken:
            return
        try:
            transaction.session.control("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def _check_pool(self) -> None:
        """Have lost connections replaced."""
        try:
            self.pool.check()
        except (psycopg.Error, PoolClosed) as error:
            _log.debug("checking the connections: %s", error)

    # ------------------------------------------------------------------ writing

    def run(self, members: list[Member]) -> None:
        """Run use cases in one commit; every member is done afterwards, with result or error."""
        until = time.monotonic() + PATIENCE_SECONDS
        alone = False
        attempt = 0
        while True:
            attempt += 1
            for member in members:
                member.result = member.error = None
            try:
                left = max(0.1, until - time.monotonic())
                with self._connection(left) as connection:
                    self._attempt(self._pair(connection)[0], members, alone=alone)
                return
            except Alone:
                if len(members) > 1:
                    return self._apart(members)
                alone = True
                continue
            except (Again, *RERUN) as error:
                if len(members) > 1:
                    return self._apart(members)
                reason: BaseException = error
                busy = True
            except _Cut as error:
                reason = error
                busy = False
                self._check_pool()
            except HandrailError as error:
                return self._fail(members, error)
            if attempt >= ATTEMPTS or time.monotonic() >= until:
                what = (
                    f"others are in the way of this ({first_line(reason)}), after {attempt} tries"
                    if busy
                    else f"the connection to {self._place.name} was lost: {first_line(reason)}"
                )
                return self._fail(members, Unavailable(f"{what}; nothing was stored; try again"))
            # Those who lost one race do not start the next one together.
            time.sleep(random.uniform(0, min(0.25, 0.002 * 2 ** min(attempt, 7))))

    def share(self, members: list[Member]) -> bool:
        """Run use cases that said what they look up in one commit, in two round trips.

        False where they cannot be committed together, for whatever reason: nothing is stored then,
        and each is to be run on its own.
        """
        try:
            with self._connection(PATIENCE_SECONDS) as connection:
                self._attempt(self._pair(connection)[0], members, shared=True)
        except (Again, Alone, *RERUN):
            return False
        except _Cut:
            self._check_pool()
            return False
        except HandrailError as error:
            self._fail(members, error)
        return True

    def _apart(self, members: list[Member]) -> None:
        """One commit each, in order: together they cannot be committed."""
        for member in members:
            self.run([member])

    def _fail(self, members: list[Member], error: BaseException) -> None:
        for member in members:
            member.result, member.error = None, error

    def _attempt(
        self,
        transaction: PostgresTransaction,
        members: list[Member],
        *,
        alone: bool = False,
        shared: bool = False,
    ) -> None:
        """Run members in one database transaction, and commit it.

        Raises `Again`, `Alone` or one of `RERUN` where it has to be run again, and `_Cut` where
        the connection was lost; in all these cases nothing is committed.
        """
        session = transaction.session
        connection = session.connection
        begun = False
        xid: str | None
        try:
            transaction.fresh(alone=alone, shared=shared)
            self._steps("store.begin")
            begun = True
            if shared:
                now, version, xid = session.begin_shared(
                    member.ahead for member in members if member.ahead is not None
                )
            else:
                begun_at = session.control_row(_BEGIN_ALONE if alone else _BEGIN_SHARED)
                assert begun_at is not None
                now, version = begun_at
            session.stands_at(version)
            many = len(members) > 1 and not shared
            kept = 0
            for place, member in enumerate(members):
                if many:
                    later = session.control(_BEGIN_ONE)
                    now = later if place else now
                kept += self._one(transaction, member, int(now), many=many)
            if not kept or (shared and not self._left_something(transaction)):
                session.control("ROLLBACK")
                return
            if not shared:
                xid = self._seal(transaction)
            self._steps("store.before_commit")
        except psycopg.Error as error:
            if is_cut(error, connection):
                raise _Cut(first_line(error)) from error
            self._roll_back(transaction)
            if isinstance(error, RERUN):
                raise
            if shared:
                raise Again(first_line(error)) from error
            raise mapped(error) from error
        except BaseException:
            if begun:
                self._roll_back(transaction)
            raise
        if not self._commit(transaction, xid):
            raise _Cut("the connection was lost while committing, and nothing was committed")
        self._steps("store.after_commit")
        self._steps("store.before_ack")
        topics = frozenset(transaction.topics)
        self._committed(topics, transaction.earliest, bool(transaction.audit.pending or topics))

    def _one(
        self, transaction: PostgresTransaction, member: Member, now: int, *, many: bool
    ) -> bool:
        """Run one use case; True where it is to be committed.

        Raises what concerns the whole attempt: a lost connection, a lock not to be had, `Again`.
        """
        session = transaction.session
        mark = transaction.start(self._clock() if self._clock is not None else now)
        self._inside.now = True
        try:
            member.result = member.use_case(transaction)
            # A use case that went on after the store refused it something did not see what is.
            if session.failure is not None:
                raise session.failure
            self._steps("store.use_case")
        except BaseException as error:
            failure = session.failure or error
            if isinstance(failure, (Again, Alone, *RERUN)):
                raise failure from None
            if is_cut(failure, session.connection) and isinstance(error, Exception):
                raise _Cut(first_line(failure)) from failure
            if session.shared and (session.wrote or isinstance(failure, psycopg.Error)):
                # Without a savepoint it cannot be taken back alone.
                raise Again(first_line(failure)) from failure
            member.result = None
            member.error = mapped(failure if isinstance(error, psycopg.Error) else error)
            if many:
                session.control("ROLLBACK TO use_case; RELEASE use_case")
            transaction.back_to(mark)
            return False
        finally:
            self._inside.now = False
        if many:
            session.control("RELEASE use_case")
        transaction.kept()
        return True

    def _seal(self, transaction: PostgresTransaction) -> str | None:
        """The last statement before a commit; the transaction's id, None where nothing changed."""
        if self._has_news(transaction):
            row = transaction.session.one(*self._staging(transaction))
            assert row is not None
            return str(row[0])
        row = transaction.session.one("SELECT pg_current_xact_id_if_assigned()::text")
        return str(row[0]) if row is not None and row[0] is not None else None

    def _has_news(self, transaction: PostgresTransaction) -> bool:
        """Whether there is something to stage."""
        news = transaction.audit.pending or transaction.topics or transaction.earliest is not None
        return bool(news)

    def _left_something(self, transaction: PostgresTransaction) -> bool:
        return transaction.session.changed or self._has_news(transaction)

    def _commit(self, transaction: PostgresTransaction, xid: str | None) -> bool:
        """Whether the transaction is committed. Raises `Unavailable` where that is not known."""
        session = transaction.session
        first, place = next(iter(transaction.audit.pending), None), self._numbered()
        try:
            if session.shared:
                status = session.commit_shared(*self._staging(transaction))
            else:
                session.control("COMMIT")
                status = session.status
        except psycopg.Error as error:
            if not is_cut(error, session.connection):
                self._roll_back(transaction)
                if isinstance(error, RERUN):
                    raise
                if session.shared:
                    raise Again(first_line(error)) from error
                raise mapped(error) from error
            return xid is not None and self._resolve(xid, first, place, first_line(error))
        if status != "COMMIT":
            raise Unavailable(
                f"the database answered the commit with {status}; nothing was stored; try again"
            )
        return True

    def _staging(self, transaction: PostgresTransaction) -> tuple[str, tuple[Any, ...]]:
        """The last statement before a commit."""
        topics = frozenset(transaction.topics)
        return transaction.audit.staging(self._origin, topics, transaction.earliest)

    def _resolve(self, xid: str, first: bytes | None, place: int, why: str) -> bool:
        """Ask what became of a transaction whose commit was not answered.

        A database that crashed gives numbers of transactions that left no trace to new ones. So
        "aborted" is true of ours too, and "committed" may be said of another: then the first entry
        of ours is looked for, in the log from `place` on. Raises `Unavailable` where nothing tells.
        """
        until = time.monotonic() + RESOLVE_SECONDS
        while time.monotonic() < until:
            try:
                with self._place.connect() as connection:
                    found = self._ask(psycopg.RawCursor(connection), xid, first, place)
            except (psycopg.Error, Unavailable) as error:
                why = first_line(error)
            else:
                if found is None:
                    break
                if found != "in progress":
                    return found == "committed"
            time.sleep(0.05)
        raise Unavailable(
            f"the connection to {self._place.name} was lost while committing ({why}); whether "
            "this was stored is not known; look, or repeat it with its key"
        )

    def _ask(
        self, cursor: psycopg.RawCursor[Any], xid: str, first: bytes | None, place: int
    ) -> str | None:
        """What the database says of our transaction; None where it cannot tell."""
        row = cursor.execute(_TIMELINE).fetchone()
        if row is None or row[0] != self._timeline:
            return None  # a stand-by took over
        try:
            row = cursor.execute(_STATUS, (xid,)).fetchone()
        except psycopg.errors.InvalidParameterValue:
            return "aborted"  # it is in the future: no trace of it outlived a crash
        status = row[0] if row is not None else None
        if status != "committed":
            return status  # None: it was too long ago
        if first is None:
            return None
        row = cursor.execute(_HOLDS, (first, place)).fetchone()
        return "committed" if row is not None and row[0] else "aborted"

    # ------------------------------------------------------------------ the pool

    def start(self) -> None:
        """Open the pool. Raises `Unavailable`."""
        self.pool.open()
        with self._connection(PATIENCE_SECONDS) as connection:
            row = connection.execute(_TIMELINE).fetchone()
            self._timeline = row[0] if row is not None else None

    @contextmanager
    def connection(self) -> Iterator[Linked]:
        """A connection for something else than a unit of work."""
        with self._connection(PATIENCE_SECONDS) as connection:
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self.pool.close()
