"""Looking into a workspace's store without owning it: for verification, export and the doctor.

A read-only connection beside a running owner, or where nobody runs. It sees what is committed and
changes nothing, so what it finds does not depend on the owner it may be checking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from handrail.app.keys import NoteSigner, read_signer
from handrail.app.workspace import Paths
from handrail.audit.events import Difference
from handrail.channels import FileAnchor
from handrail.flow import Ports, Shelf, against_state
from handrail.model.errors import NotFound, Unavailable
from handrail.ports import Checkpoint, Transaction
from handrail.store.clock import now_us

T = TypeVar("T")


class Reading:
    """A workspace as a reader sees it. Made by `read_store`."""

    def __init__(self, folder: Path) -> None:
        from handrail.store.sqlite.connection import connect
        from handrail.store.sqlite.readers import Readers

        self.paths = Paths(folder)
        if not self.paths.store.is_file():
            raise NotFound(
                f"{folder} has no store yet; `handrail init {folder}` or the first submit makes it"
            )
        path = str(self.paths.store)
        self._readers = Readers(lambda: connect(path, vfs=None, writing=False), 1)

    def read(self, query: Callable[[Transaction], T]) -> T:
        """Run a query on one consistent snapshot. Writing in it raises."""
        return self._readers.run(query, now_us)

    def signer(self) -> NoteSigner:
        """The signer of the log. Raises `NotFound` where its key is gone; none is made."""
        if not self.paths.signer.is_file():
            raise NotFound(
                f"{self.paths.signer} is gone; restore it from a backup: the log is signed with it"
            )
        return read_signer(self.paths.signer)

    def anchors(self) -> list[Checkpoint]:
        """Checkpoints that were kept outside the database, oldest first."""
        return FileAnchor(self.paths.anchor).all()

    def differences(self) -> list[Difference]:
        """Where the tables do not say what the log says."""
        return against_state(Ports(store=_OnlyReads(self), shelf=Shelf(), secret=b""))

    def integrity(self) -> list[str]:
        """What SQLite's own check of the file finds; empty where nothing is wrong."""
        from handrail.store.sqlite.connection import connect

        connection = connect(str(self.paths.store), vfs=None, writing=False)
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check")]
        finally:
            connection.close()
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close the connections."""
        self._readers.close()


class _OnlyReads:
    """The store as use cases that only read want it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def read(self, query: Callable[[Transaction], T]) -> T:
        return self._reading.read(query)

    def close(self) -> None:
        self._reading.close()

    def write(self, use_case: Callable[[Transaction], T]) -> T:
        raise self._refusal()

    def begin(self, use_case: Callable[[Transaction], T]) -> Future[T]:
        raise self._refusal()

    def write_many(
        self, use_cases: Iterable[Callable[[Transaction], T]]
    ) -> list[T | BaseException]:
        raise self._refusal()

    def listen(self, listener: Callable[[frozenset[str], int | None], None]) -> Callable[[], None]:
        raise self._refusal()

    def _refusal(self) -> Unavailable:
        return Unavailable("this only reads the store; it cannot write")


@contextmanager
def read_store(folder: Path) -> Iterator[Reading]:
    """Look into the store of the workspace `folder`, whoever owns it.

    Raises `NotFound` where there is no store, `Unavailable` where it cannot be read.
    """
    reading = Reading(folder)
    try:
        yield reading
    finally:
        reading.close()
