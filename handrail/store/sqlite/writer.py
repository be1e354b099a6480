"""The one writer thread: first come, first served, many use cases a commit.

While one commit is flushed to disk the next use cases queue up; they then share the next commit.
So one waiting caller pays one flush and no delay, and many callers share flushes. Each use case has
a savepoint of its own: what raises is rolled back alone. Nobody is told anything before COMMIT has
returned.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import apsw

from handrail.model.errors import Conflict, Unavailable
from handrail.ports import Steps, Transaction
from handrail.store.sqlite.transaction import SqliteTransaction

STEPS = (
    "store.begin",
    "store.use_case",
    "store.before_commit",
    "store.after_commit",
    "store.before_ack",
)
"""Points the writer names as it passes them, in this order (the second once a use case)."""

Listener = Callable[[frozenset[str], int | None], None]
UseCase = Callable[[Transaction], Any]

CHECKPOINT_PAGES = 4_000
"""Pages of write-ahead log (16 MB) after which the writer copies them into the database."""

_BROKEN = (
    apsw.FullError,
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
)
"""After these the database on disk may not be what the pages in memory say."""

_log = logging.getLogger("handrail.store")


class Batch:
    """Use cases handed in together. They share commits and the queue with everybody else's."""

    __slots__ = ("future", "next", "results", "use_cases")

    def __init__(self, use_cases: list[UseCase]) -> None:
        self.use_cases = use_cases
        self.results: list[Any] = [None] * len(use_cases)
        self.next = 0
        """Position of the first use case that no commit has taken yet."""
        self.future: Future[list[Any]] = Future()


class Job:
    """One use case and who waits for it."""

    __slots__ = ("future", "use_case")

    def __init__(self, use_case: UseCase) -> None:
        self.use_case = use_case
        self.future: Future[Any] = Future()


class _Member:
    """One use case in the current group, and where its end is reported."""

    __slots__ = ("batch", "error", "future", "position", "result", "use_case")

    def __init__(
        self, use_case: UseCase, future: Future[Any], batch: Batch | None, position: int
    ) -> None:
        self.use_case = use_case
        self.future = future
        self.batch = batch
        self.position = position
        self.result: Any = None
        self.error: BaseException | None = None

    def report(self) -> None:
        batch = self.batch
        if batch is None:
            if self.error is not None:
                self.future.set_exception(self.error)
            else:
                self.future.set_result(self.result)
            return
        batch.results[self.position] = self.result if self.error is None else self.error
        if self.position == len(batch.results) - 1:
            batch.future.set_result(batch.results)


class _Stop:
    pass


class Writer:
    """Owns the writing connection. Made by `SqliteStore.open`."""

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        clock: Callable[[], int],
        steps: Steps,
        group_max: int,
        turn: threading.Lock,
    ) -> None:
        """`turn` is held while the connection is in use."""
        self._connection = connection
        self._clock = clock
        self._steps = steps
        self._group_max = max(1, group_max)
        self._turn = turn
        self.transaction = SqliteTransaction(connection, writing=True)
        self.refusal: str | None = None
        """Why the store takes no writes; None while it does."""
        damage = self.transaction.audit.load()
        if damage is not None:
            self.refusal = (
                f"the audit log of {connection.filename} is damaged: {damage}; the store only "
                "reads; run `handrail audit verify` and restore the last good backup"
            )
        self._queue: queue.SimpleQueue[Job | Batch | _Stop] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._listeners: tuple[Listener, ...] = ()
        self._wal_pages = 0
        connection.set_wal_hook(self._wal_grew)
        self._thread = threading.Thread(target=self._run, name="handrail-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, item: Job | Batch) -> None:
        """Put in the queue. Raises `Unavailable` where the store is closed."""
        with self._gate:
            if self._closed:
                raise Unavailable("the store is closed; open it again")
            self._queue.put(item)

    def is_here(self) -> bool:
        """Whether the caller runs on the writer's thread: a use case or a listener."""
        return threading.get_ident() == self._thread.ident

    def listen(self, listener: Listener) -> Callable[[], None]:
        """See `handrail.ports.Store.listen`."""
        with self._gate:
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            with self._gate:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return stop

    def close(self) -> None:
        """Finish what was accepted and end the thread."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(_Stop())
        self._thread.join()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        stopping = False
        group: list[_Member] = []
        try:
            while not (stopping and self._queue.empty()):
                item = self._queue.get()
                group = []
                while True:
                    if isinstance(item, _Stop):
                        stopping = True
                    else:
                        self._take(item, group)
                    if len(group) >= self._group_max or self._queue.empty():
                        break
                    item = self._queue.get()
                if group:
                    with self._turn:
                        self._commit(group)
                    if self._wal_pages >= CHECKPOINT_PAGES and self.refusal is None:
                        self._checkpoint()
        except BaseException as error:
            self._die(error, group)

    def _take(self, item: Job | Batch, group: list[_Member]) -> None:
        """Add a job, or as much of a batch as has room; the rest of it queues up again."""
        if isinstance(item, Job):
            # A caller that gave up while waiting is not served; from here on it cannot give up.
            if item.future.set_running_or_notify_cancel():
                group.append(_Member(item.use_case, item.future, None, 0))
            return
        first = item.next
        last = min(len(item.use_cases), first + self._group_max - len(group))
        future = item.future
        group.extend(
            _Member(item.use_cases[position], future, item, position)
            for position in range(first, last)
        )
        item.next = last
        if last < len(item.use_cases):
            self._queue.put(item)

    def _commit(self, group: list[_Member]) -> None:
        """Run a group in one transaction, and tell its members how it went."""
        if self.refusal is not None:
            self._fail(group, self.refusal)
            return
        execute = self._connection.execute
        transaction = self.transaction
        whole = transaction.start(self._clock())
        try:
            self._steps("store.begin")
            execute("BEGIN IMMEDIATE")
            for member in group:
                self._attempt(member)
            transaction.seal()
            self._steps("store.before_commit")
            execute("COMMIT")
        except apsw.Error as error:
            transaction.back_to(whole)
            transaction.lose()
            transaction.taken()
            self._roll_back()
            if isinstance(error, _BROKEN):
                self._refuse(error)
                self._fail(group, self.refusal or "")
            else:
                self._fail(
                    group,
                    f"the database could not commit ({error}); nothing was stored; try again, "
                    "and see that no other program has the file open",
                )
            return
        transaction.sealed()
        woken = transaction.taken()
        self._steps("store.after_commit")
        self._steps("store.before_ack")
        for member in group:
            member.report()
        if woken[0] or woken[1] is not None:
            self._wake(*woken)

    def _attempt(self, member: _Member) -> None:
        """One use case, undone alone where it raises. Raises `apsw.Error` where the whole group is
        lost."""
        transaction = self.transaction
        mark = transaction.start(self._clock())
        try:
            member.result = member.use_case(transaction)
            self._steps("store.use_case")
        except BaseException as error:
            transaction.back_to(mark)
            if isinstance(error, _BROKEN):
                raise
            if not self._connection.in_transaction:
                # SQLite has rolled back everything, the other members of the group included.
                raise apsw.AbortError(f"a use case lost the transaction: {error}") from error
            transaction.undo()
            member.error = _mapped(error)
        else:
            if not self._connection.in_transaction:
                raise apsw.AbortError("a use case lost the transaction and went on")
            transaction.kept()

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error as error:
            self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        """Take no more writes: after a failed flush nobody knows what is on the disk."""
        if isinstance(error, apsw.FullError):
            what = "the disk (or the database's size limit) is full"
            do = "free space there and start Handrail again"
        else:
            what = f"the database file failed ({error})"
            do = "check the disk, run `handrail audit verify`, and start Handrail again"
        self.refusal = (
            f"{what}; the store only reads from here on, so that nothing is acknowledged that is "
            f"not on disk; {do}; a write that was not acknowledged may be repeated with its key"
        )
        _log.critical("%s", self.refusal)

    def _fail(self, group: list[_Member], why: str) -> None:
        for member in group:
            member.result, member.error = None, Unavailable(why)
            member.report()

    def _wake(self, topics: frozenset[str], at: int | None) -> None:
        for listener in self._listeners:
            try:
                listener(topics, at)
            except Exception:
                _log.exception("a listener of the store raised; it should only hand on the news")

    def _die(self, error: BaseException, group: list[_Member]) -> None:
        """Something outside every plan: tell all who wait, and whoever comes later."""
        _log.critical("the writer of the store stopped", exc_info=error)
        self.refusal = (
            f"the writer of the store stopped ({type(error).__name__}: {error}); whether the last "
            "writes are stored is not known; start Handrail again and repeat them with their keys"
        )
        self.transaction.taken()
        self._roll_back()
        waiting = [member for member in group if not member.future.done()]
        self._fail(waiting, self.refusal)
        while True:
            item = self._queue.get()
            if isinstance(item, _Stop):
                return
            if isinstance(item, Batch):
                if not item.future.done():
                    left = range(item.next, len(item.results))
                    item.results[item.next :] = [Unavailable(self.refusal) for _ in left]
                    item.future.set_result(item.results)
            elif item.future.set_running_or_notify_cancel():
                item.future.set_exception(Unavailable(self.refusal))

    # ------------------------------------------------------------------ the write-ahead log

    def _wal_grew(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Copy committed pages into the database; never waits for readers."""
        try:
            with self._turn:
                self._connection.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = 0
        except apsw.Error as error:
            if isinstance(error, _BROKEN):
                self._refuse(error)
            else:
                _log.warning("the write-ahead log could not be copied now: %s", error)


def _mapped(error: BaseException) -> BaseException:
    """The error a caller gets: the driver's own never leave the store."""
    if isinstance(error, apsw.ConstraintError):
        mapped: BaseException = Conflict(
            f"what is stored does not go with this: {error}; read it again, then repeat"
        )
    elif isinstance(error, apsw.Error):
        mapped = Unavailable(f"the database refused a statement: {error}; this is a defect")
    else:
        return error
    mapped.__cause__ = error
    return mapped
