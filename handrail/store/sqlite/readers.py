"""A fixed number of read connections, each query on one consistent snapshot."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

import apsw

from handrail.model.errors import Unavailable
from handrail.ports import Transaction
from handrail.store.sqlite.transaction import SqliteTransaction

T = TypeVar("T")


class Reader:
    """One connection and its transaction; used by one thread at a time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.transaction = SqliteTransaction(connection, writing=False)

    def run(self, query: Callable[[Transaction], T], now: int) -> T:
        """Run `query` between BEGIN and COMMIT."""
        self.connection.execute("BEGIN")
        try:
            self.transaction.start(now)
            return query(self.transaction)
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")


class Readers:
    """Connections handed out to whoever reads; made when first wanted."""

    def __init__(self, connect: Callable[[], apsw.Connection], most: int) -> None:
        self._connect = connect
        self._free: queue.LifoQueue[Reader | None] = queue.LifoQueue()
        self._most = max(1, most)
        self._closed = False
        for _ in range(self._most):
            self._free.put(None)

    def run(self, query: Callable[[Transaction], T], now: Callable[[], int]) -> T:
        """Run `query` on a free connection, waiting for one where all are in use."""
        reader = self._free.get()
        try:
            if self._closed:
                raise Unavailable("the store is closed; open it again")
            if reader is None:
                reader = Reader(self._connect())
            return reader.run(query, now())
        finally:
            self._free.put(reader)

    def close(self) -> None:
        """Wait for running queries, then close all connections."""
        readers = [self._free.get() for _ in range(self._most)]
        self._closed = True
        for reader in readers:
            if reader is not None:
                reader.connection.close()
            self._free.put(None)


class SharedReader:
    """Reads on the writer's own connection: a database in memory has no other."""

    def __init__(self, connection: apsw.Connection, turn: threading.Lock) -> None:
        self._reader = Reader(connection)
        self._turn = turn
        self._closed = False

    def run(self, query: Callable[[Transaction], T], now: Callable[[], int]) -> T:
        """Run `query` while the writer waits."""
        with self._turn:
            if self._closed:
                raise Unavailable("the store is closed; open it again")
            connection = self._reader.connection
            connection.execute("PRAGMA query_only = 1")
            try:
                return self._reader.run(query, now())
            finally:
                connection.execute("PRAGMA query_only = 0")

    def close(self) -> None:
        """Read no more."""
        with self._turn:
            self._closed = True
