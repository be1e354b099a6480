"""The embedded store: one SQLite file, one writer thread, a few read connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

import apsw

from handrail.model.errors import Unavailable
from handrail.ports import Steps, Transaction, no_steps
from handrail.settings import Settings
from handrail.store.clock import now_us
from handrail.store.sqlite.connection import MEMORY, connect, refuse_network
from handrail.store.sqlite.readers import Readers, SharedReader
from handrail.store.sqlite.schema import migrate
from handrail.store.sqlite.writer import STEPS, Batch, Job, Listener, Writer

T = TypeVar("T")

__all__ = ["STEPS", "SqliteStore"]


class SqliteStore:
    """See `handrail.ports.Store`. Made by `open`; one a file (the caller sees to that)."""

    def __init__(
        self,
        connection: apsw.Connection,
        writer: Writer,
        readers: Readers | SharedReader,
        clock: Callable[[], int],
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._inside = threading.local()
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str,
        *,
        clock: Callable[[], int] = now_us,
        settings: Settings | None = None,
        steps: Steps = no_steps,
        vfs: str | None = None,
    ) -> SqliteStore:
        """Open (or make) the database at `path`; `:memory:` is one that dies with the store.

        `clock` gives µs since 1970 UTC, `steps` is told each of `STEPS`, `vfs` names an apsw VFS.
        Raises `Unavailable` where the file cannot be used: no right to it, a network file system,
        another program's database, or a schema newer than this code.
        """
        settings = settings or Settings()
        if path != MEMORY and vfs is None:
            refuse_network(path)
        connection = connect(path, vfs=vfs, writing=True)
        try:
            migrate(connection, clock())
            turn = threading.Lock()
            writer = Writer(
                connection,
                clock=clock,
                steps=steps,
                group_max=settings.group_commit_max,
                turn=turn,
            )
            readers = (
                SharedReader(connection, turn)
                if path == MEMORY
                else Readers(lambda: connect(path, vfs=vfs, writing=False), settings.readers)
            )
        except apsw.Error as error:
            connection.close()
            raise Unavailable(
                f"the database {path} cannot be used: {error}; restore it from a backup, "
                "or name another file"
            ) from error
        except BaseException:
            connection.close()
            raise
        writer.start()
        return cls(connection, writer, readers, clock)

    @property
    def refusal(self) -> str | None:
        """Why the store takes no writes, as a sentence for people; None while it does."""
        return self._writer.refusal

    def write(self, use_case: Callable[[Transaction], T]) -> T:
        """See `handrail.ports.Store.write`."""
        return self.begin(use_case).result()

    def begin(self, use_case: Callable[[Transaction], T]) -> Future[T]:
        """See `handrail.ports.Store.begin`."""
        self._refuse_inside()
        job = Job(use_case)
        self._writer.submit(job)
        return job.future

    def write_many(
        self, use_cases: Iterable[Callable[[Transaction], T]]
    ) -> list[T | BaseException]:
        """See `handrail.ports.Store.write_many`."""
        self._refuse_inside()
        batch = Batch(list(use_cases))
        if not batch.use_cases:
            return []
        self._writer.submit(batch)
        return batch.future.result()

    def read(self, query: Callable[[Transaction], T]) -> T:
        """See `handrail.ports.Store.read`."""
        self._refuse_inside()
        if self._closed:
            raise Unavailable("the store is closed; open it again")
        self._inside.query = True
        try:
            return self._readers.run(query, self._clock)
        except apsw.ReadOnlyError as error:
            raise RuntimeError("a query cannot write; do it in store.write") from error
        except apsw.Error as error:
            raise Unavailable(f"the database cannot be read: {error}; check the disk") from error
        finally:
            self._inside.query = False

    def settle_log(self) -> None:
        """See `handrail.ports.Store.settle_log`. Entries are numbered before they are committed."""
        self._refuse_inside()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """See `handrail.ports.Store.listen`."""
        return self._writer.listen(listener)

    def close(self) -> None:
        """See `handrail.ports.Store.close`."""
        if self._closed:
            return
        self._writer.close()
        self._closed = True
        self._readers.close()
        # The last connection to close copies the write-ahead log into the database.
        self._connection.close()

    def _refuse_inside(self) -> None:
        if getattr(self._inside, "query", False) or self._writer.is_here():
            raise RuntimeError(
                "a use case or query cannot call the store, it could wait for itself; "
                "use the transaction it was given"
            )
