"""Wake-ups: to this process's listeners straight after a commit, to others by NOTIFY.

A notification is sent with the batch that numbers what caused it, not with the commit itself:
PostgreSQL makes commits that notify wait for one another. It is a wake-up and nothing more; who
hears nothing finds everything at the next look.
"""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from handrail.model.errors import Unavailable
from handrail.ports import MISSED
from handrail.store.postgres.failures import first_line

Listener = Callable[[frozenset[str], int | None], None]

RETRY_SECONDS = (0.05, 0.2, 0.5)
"""Pauses between attempts to connect again; the last one repeats."""

_log = logging.getLogger("handrail.store")


class Listeners:
    """Who wants to be told of commits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def add(self, listener: Listener) -> Callable[[], None]:
        """See `handrail.ports.Store.listen`."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return stop

    def tell(self, topics: frozenset[str], due: int | None) -> None:
        """Call every listener; one that raises harms nobody."""
        for listener in self._listeners:
            try:
                listener(topics, due)
            except Exception:
                _log.exception("a listener of the store raised; it should only hand on the news")


class ListenThread:
    """Hears what other processes commit, on a connection of its own."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        channel: str,
        origin: str,
        listeners: Listeners,
    ) -> None:
        self._connect = connect
        self._channel = channel
        self._origin = origin
        self._listeners = listeners
        self._stopped = threading.Event()
        self._wake, self._waken = os.pipe()
        self.ready = threading.Event()
        """Set while the connection listens."""
        self._thread = threading.Thread(target=self._run, name="handrail-listen", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        os.write(self._waken, b".")
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._wake)
        os.close(self._waken)

    def _run(self) -> None:
        failures = 0
        missed = False
        while not self._stopped.is_set():
            try:
                with self._connect() as connection:
                    name = sql.Identifier(self._channel)
                    connection.execute(sql.SQL("LISTEN {}").format(name))
                    if missed:
                        self._listeners.tell(frozenset((MISSED,)), None)
                    failures, missed = 0, True
                    self.ready.set()
                    self._hear(connection)
            except (psycopg.Error, Unavailable, OSError) as error:
                pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                _log.warning(
                    "news of other processes cannot be heard now: %s; next try in %.1f s",
                    first_line(error),
                    pause,
                )
                self._stopped.wait(pause)
            finally:
                self.ready.clear()

    def _hear(self, connection: psycopg.Connection[Any]) -> None:
        pgconn = connection.pgconn
        while not self._stopped.is_set():
            select.select([pgconn.socket, self._wake], [], [])
            if self._stopped.is_set():
                return
            pgconn.consume_input()
            while (news := pgconn.notifies()) is not None:
                self._told(bytes(news.extra))

    def _told(self, payload: bytes) -> None:
        try:
            origin, topics, due = json.loads(payload)
            names = frozenset(str(topic) for topic in topics)
        except (ValueError, TypeError):
            _log.warning("a notification on %s was not ours: %.100r", self._channel, payload)
            return
        if origin != self._origin:
            self._listeners.tell(names, due)
