"""The team store: one schema of a PostgreSQL database, shared by any number of processes."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from handrail.model.errors import Unavailable
from handrail.ports import Steps, Transaction, no_steps
from handrail.settings import Settings
from handrail.store.postgres.company import Company, Job, report
from handrail.store.postgres.connection import SCHEMA, Place
from handrail.store.postgres.failures import first_line, mapped
from handrail.store.postgres.listening import Listener, Listeners, ListenThread
from handrail.store.postgres.schema import migrate
from handrail.store.postgres.sequencer import (
    SEQUENCER_STEPS,
    LogDamaged,
    Sequencer,
    SequencerThread,
)
from handrail.store.postgres.units import CHUNK_MAX, STEPS, Member, Units

T = TypeVar("T")

_log = logging.getLogger("handrail.store")

__all__ = ["SCHEMA", "SEQUENCER_STEPS", "STEPS", "PostgresStore"]


class _Stop:
    pass


class PostgresStore:
    """See `handrail.ports.Store`. Made by `open`; any number of them share one schema.

    `write` runs on the caller's thread and a connection of its own; `begin` hands over to a thread
    that puts what has queued up into one commit. Use cases that say what they will look up share
    transactions, whichever way they come.
    """

    def __init__(self, place: Place, settings: Settings, clock: Callable[[], int] | None) -> None:
        self._place = place
        self._settings = settings
        self._clock = clock
        self._origin = secrets.token_hex(8)
        self.refusal: str | None = None
        """Why the store takes no writes, as a sentence for people; None while it does."""
        self._gate = threading.Condition()
        self._running = 0
        self._closed = False
        self._queue: queue.SimpleQueue[Job | _Stop] = queue.SimpleQueue()
        self._listeners = Listeners()
        self._company = Company(
            self._share,
            lambda member: self._run([member]),
            most=self._most,
            threads=max(2, settings.connections),
        )
        self._thread = threading.Thread(target=self._serve, name="handrail-begin", daemon=True)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Callable[[], int] | None = None,
        settings: Settings | None = None,
        steps: Steps = no_steps,
        schema: str = SCHEMA,
    ) -> PostgresStore:
        """Open (or make) the store in `schema` of the database at `url`.

        `clock` gives µs since 1970 UTC in place of the database's own clock; `steps` is told each
        of `STEPS` and `SEQUENCER_STEPS`. Raises `Unavailable` where the database cannot be reached
        or used: no right to it, another program's schema, or one newer than this code.
        """
        settings = settings or Settings()
        place = Place(url, schema)
        store = cls(place, settings, clock)
        store._start(steps)
        return store

    def _start(self, steps: Steps) -> None:
        place = self._place
        channel = f"{place.schema}:news"
        self._sequencer = Sequencer(place.schema, channel, steps)
        with place.connect() as connection:
            place.warn(connection)
            try:
                migrate(connection, place.schema)
                self._sequencer.check(connection)
            except LogDamaged as error:
                self._damaged(str(error))
            except psycopg.Error as error:
                raise mapped(error) from error
        self._units = Units(
            place,
            connections=self._settings.connections,
            clock=self._clock,
            steps=steps,
            origin=self._origin,
            committed=self._committed,
            numbered=lambda: self._sequencer.numbered,
        )
        self._numbering = SequencerThread(self._sequencer, place.connect, self._damaged)
        self._hearing = ListenThread(place.connect, channel, self._origin, self._listeners)
        try:
            self._units.start()
        except BaseException:
            self._units.close()
            raise
        self._thread.start()
        self._company.start()
        self._hearing.start()
        if self.refusal is None:
            self._numbering.start()

    # ------------------------------------------------------------------ the port

    def write(self, use_case: Callable[[Transaction], T]) -> T:
        """See `handrail.ports.Store.write`."""
        self._refuse_inside()
        member = Member(use_case)
        if member.ahead is not None:
            return self.begin(use_case).result()
        with self._accepted():
            self._run([member])
        if member.error is not None:
            raise member.error
        result: T = member.result
        return result

    def begin(self, use_case: Callable[[Transaction], T]) -> Future[T]:
        """See `handrail.ports.Store.begin`."""
        self._refuse_inside()
        future: Future[T] = Future()
        member = Member(use_case)
        with self._gate:
            self._refuse_closed()
            if member.ahead is not None:
                self._company.add(member, future)
            else:
                self._queue.put((member, future))
        return future

    def write_many(
        self, use_cases: Iterable[Callable[[Transaction], T]]
    ) -> list[T | BaseException]:
        """See `handrail.ports.Store.write_many`."""
        self._refuse_inside()
        members = [Member(use_case) for use_case in use_cases]
        with self._accepted():
            for start in range(0, len(members), self._most):
                chunk = members[start : start + self._most]
                if any(member.ahead is None for member in chunk):
                    self._run(chunk)
                elif not self._share(chunk):
                    for member in chunk:
                        self._run([member])
        return [member.result if member.error is None else member.error for member in members]

    def read(self, query: Callable[[Transaction], T]) -> T:
        """See `handrail.ports.Store.read`."""
        self._refuse_inside()
        with self._accepted():
            result: T = self._units.read(query)
            return result

    def settle_log(self) -> None:
        """See `handrail.ports.Store.settle_log`."""
        self._refuse_inside()
        with self._accepted(), self._units.connection() as connection:
            try:
                self._sequencer.settle(connection)
            except LogDamaged as error:
                self._damaged(str(error))
                raise Unavailable(self.refusal or "") from error
            except psycopg.Error as error:
                raise mapped(error) from error

    def listen(self, listener: Listener) -> Callable[[], None]:
        """See `handrail.ports.Store.listen`."""
        return self._listeners.add(listener)

    def close(self) -> None:
        """See `handrail.ports.Store.close`. What is staged is numbered first, where that works."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(_Stop())
        self._thread.join()
        self._company.close()
        with self._gate:
            self._gate.wait_for(lambda: not self._running)
        self._numbering.close()
        if self.refusal is None:
            try:
                with self._units.connection() as connection:
                    self._sequencer.settle(connection)
            except (LogDamaged, Unavailable, psycopg.Error) as error:
                _log.warning("the log could not be numbered at the end: %s", first_line(error))
        self._hearing.close()
        self._units.close()

    # ------------------------------------------------------------------ within

    @property
    def _most(self) -> int:
        return max(1, min(CHUNK_MAX, self._settings.group_commit_max))

    def _run(self, members: list[Member]) -> None:
        if not self._refused(members):
            self._units.run(members)

    def _share(self, members: list[Member]) -> bool:
        """Run them in one transaction; False where each is to be run on its own."""
        return self._refused(members) or self._units.share(members)

    def _refused(self, members: list[Member]) -> bool:
        if self.refusal is None:
            return False
        for member in members:
            member.error = Unavailable(self.refusal)
        return True

    def _serve(self) -> None:
        """The thread behind `begin`: everything that has queued up shares a commit."""
        stopping = False
        while not (stopping and self._queue.empty()):
            item = self._queue.get()
            group: list[Job] = []
            while True:
                if isinstance(item, _Stop):
                    stopping = True
                elif item[1].set_running_or_notify_cancel():
                    group.append(item)
                if len(group) >= self._most or self._queue.empty():
                    break
                item = self._queue.get()
            if not group:
                continue
            try:
                self._run([member for member, _ in group])
            except BaseException as error:
                for member, _ in group:
                    member.error = error
            for job in group:
                report(job)

    def _committed(self, topics: frozenset[str], due: int | None, staged: bool) -> None:
        if staged:
            self._numbering.want()
        if topics or due is not None:
            self._listeners.tell(topics, due)

    def _damaged(self, what: str) -> None:
        self.refusal = (
            f"the audit log in {self._place.name} is damaged: {what}; the store only reads; run "
            "`handrail audit verify` and restore the last good backup"
        )

    @contextmanager
    def _accepted(self) -> Iterator[None]:
        """Counts what closing has to wait for."""
        with self._gate:
            self._refuse_closed()
            self._running += 1
        try:
            yield
        finally:
            with self._gate:
                self._running -= 1
                self._gate.notify_all()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed; open it again")

    def _refuse_inside(self) -> None:
        if self._units.inside:
            raise RuntimeError(
                "a use case or query cannot call the store, it could wait for itself; "
                "use the transaction it was given"
            )
