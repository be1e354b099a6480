"""A database looked into from outside: beside its owner, or where nobody runs. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

import apsw

from handrail.model.errors import Unavailable
from handrail.ports import Transaction
from handrail.store.clock import now_us
from handrail.store.sqlite.connection import connect
from handrail.store.sqlite.readers import Readers

T = TypeVar("T")


class LookingStore:
    """See `handrail.ports.Store`; only `read` and `close` do anything."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._readers = Readers(lambda: connect(path, vfs=None, writing=False), 1)

    def read(self, query: Callable[[Transaction], T]) -> T:
        """Run a query on one consistent snapshot of what is committed. Writing in it raises."""
        try:
            return self._readers.run(query, now_us)
        except apsw.ReadOnlyError as error:
            raise RuntimeError("a query cannot write") from error
        except apsw.Error as error:
            raise self._damaged(error) from error

    def integrity(self) -> list[str]:
        """What SQLite's own check of the file finds; empty where nothing is wrong."""
        try:
            connection = connect(self._path, vfs=None, writing=False)
            try:
                found = [str(row[0]) for row in connection.execute("PRAGMA quick_check")]
            finally:
                connection.close()
        except apsw.Error as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close the connection."""
        self._readers.close()

    def write(self, use_case: Callable[[Transaction], T]) -> T:
        raise self._refusal()

    def begin(self, use_case: Callable[[Transaction], T]) -> Future[T]:
        raise self._refusal()

    def write_many(
        self, use_cases: Iterable[Callable[[Transaction], T]]
    ) -> list[T | BaseException]:
        raise self._refusal()

    def settle_log(self) -> None:
        """Nothing to do: entries are numbered before they are committed."""

    def listen(self, listener: Callable[[frozenset[str], int | None], None]) -> Callable[[], None]:
        raise self._refusal()

    def _damaged(self, error: apsw.Error) -> Unavailable:
        return Unavailable(
            f"the database {self._path} cannot be read: {error}; run `handrail doctor`, "
            "and restore it from a backup where it is damaged"
        )

    def _refusal(self) -> Unavailable:
        return Unavailable("this only looks into the store; it cannot write")
