"""The log: entries are staged with the unit of work that appends them, and numbered later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handrail.audit.entry import encode
from handrail.audit.tree import Frontier
from handrail.ports import Checkpoint
from handrail.store.postgres.columns import blobs, texts
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import PAGE, Session

_SQL = queries("audit")
_STAGE = _SQL["stage"]


class PostgresAudit:
    """See `handrail.ports.AuditLog`.

    What a unit of work appends waits in memory and is staged by its last statement; `Sequencer`
    gives it its place.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.pending: list[bytes] = []
        """Entries of the running database transaction, in order."""

    def staging(
        self, origin: str, topics: frozenset[str], due: int | None
    ) -> tuple[str, tuple[Any, ...]]:
        """The statement that stages what waits, and what others are to be woken for; it gives the
        id of the transaction.

        The ticket is drawn by it, with every lock held: a transaction that comes to hold one of
        them, or sees what this one did, draws a higher one. So it is the last one.
        """
        return _STAGE, (blobs(self.pending), origin, texts(sorted(topics)), due)

    # ------------------------------------------------------------------ the port

    def append(self, entry: dict[str, Any] | bytes) -> None:
        if not self._session.writing:
            raise RuntimeError("a query cannot append to the log; do it in store.write")
        self.pending.append(entry if isinstance(entry, bytes) else encode(entry))

    def size(self) -> int:
        session = self._session
        if not session.writing:
            return self._numbered()
        # Whoever asks in order to write is to see what anybody else who asked has written.
        session.hold("log size")
        # In one statement: between two of them entries may move from the stage to the log.
        row = session.one(_SQL["committed"])
        return (row[0] if row else 0) + len(self.pending)

    def _numbered(self) -> int:
        row = self._session.one(_SQL["size"])
        return row[0] if row else 0

    def root(self) -> bytes:
        return Frontier.from_nodes(self._numbered(), self.node).root()

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        last = 2**62 if end is None else end
        while rows := self._session.all(_SQL["entries"], (start, last, PAGE)):
            for _, body in rows:
                yield body
            start = rows[-1][0] + 1

    def waiting(self) -> Iterator[bytes]:
        for _, entries in self._session.pages(_SQL["waiting"]):
            yield from entries

    def node(self, level: int, index: int) -> bytes:
        row = (
            self._session.one(_SQL["node"], (level, index))
            if level
            else self._session.one(_SQL["leaf"], (index,))
        )
        if row is None:
            raise LookupError(
                f"the log has no node {index} of level {level}; "
                "ask only for nodes all of whose entries are there"
            )
        found: bytes = row[0]
        return found

    def nodes(self, level: int) -> Iterator[tuple[int, bytes]]:
        if not level:
            for index, leaf in self._session.pages(_SQL["leaves"]):
                yield index, leaf
            return
        count = self._numbered() >> level
        for start in range(0, count, PAGE):
            end = min(start + PAGE, count) - 1
            for index, node in self._session.all(_SQL["nodes"], (level, start, end)):
                yield index, node

    def rows(self) -> Iterator[tuple[int, bytes, bytes, bytes]]:
        yield from self._session.pages(_SQL["rows"])

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._session.change(
            _SQL["put_checkpoint"],
            (checkpoint.size, checkpoint.text, checkpoint.at, checkpoint.anchored),
        )

    def checkpoints(self) -> list[Checkpoint]:
        return [
            Checkpoint(size=size, text=text, at=at, anchored=anchored)
            for size, text, at, anchored in self._session.all(_SQL["checkpoints"])
        ]

    def last_checkpoint(self) -> Checkpoint | None:
        row = self._session.one(_SQL["last_checkpoint"])
        if row is None:
            return None
        return Checkpoint(size=row[0], text=row[1], at=row[2], anchored=row[3])
