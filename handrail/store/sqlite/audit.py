"""The log: entries and the complete nodes of their tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handrail.audit.entry import encode
from handrail.audit.tree import Frontier, leaf_hash
from handrail.ports import Checkpoint
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("audit")
_ADD_ENTRY = _SQL["add_entry"]

Mark = tuple[Frontier, int, int]
"""Where the log stood: edge of what is written, entries that wait, how many are written."""


class SqliteAudit:
    """See `handrail.ports.AuditLog`. On a reader it has no edge, and reads size and root.

    What a group of use cases appends waits in memory; it is hashed and written in one go before the
    commit (or before somebody in the group reads the log): many small steps cost more than a large
    one.
    """

    def __init__(self, line: Line, *, writing: bool) -> None:
        self._execute: Execute = line.execute
        self._executemany = line.executemany
        self._writing = writing
        self._frontier = Frontier()
        """Of what is in the database, what is not committed yet included."""
        self._waiting: list[bytes] = []
        self._written = 0
        """How many of those that wait are in the database already."""

    # ------------------------------------------------------------------ the writer's side

    def load(self) -> str | None:
        """Take up the stored edge; a sentence where entries, nodes and head do not fit."""
        size = self._execute(_SQL["size"]).fetchall()[0][0]
        head = self._execute(_SQL["head"]).fetchone() or (0, Frontier().root())
        if size != head[0]:
            return f"its head was written for {head[0]} entries and it holds {size}"
        try:
            frontier = Frontier.from_nodes(size, self.node)
        except LookupError as error:
            return str(error)
        if frontier.root() != head[1]:
            return "its nodes do not give the root that was written with the last commit"
        if size:
            last = self._execute(_SQL["entries"], (size - 1, size)).fetchall()[0][0]
            if leaf_hash(last) != self.node(0, size - 1):
                return f"entry {size - 1} does not fit its leaf hash"
        self._frontier = frontier
        return None

    def mark(self) -> Mark:
        """Where the log stands, for `back_to`."""
        return self._frontier, len(self._waiting), self._written

    def back_to(self, mark: Mark) -> None:
        """Forget what was appended since; the database is rolled back by the caller."""
        self._frontier, waiting, self._written = mark
        del self._waiting[waiting:]

    def write(self) -> None:
        """Write what waits."""
        bodies = self._waiting[self._written :]
        if bodies:
            first = self._frontier.size
            leaves = [leaf_hash(body) for body in bodies]
            self._frontier, above = self._frontier.grow(leaves)
            indices = range(first, first + len(bodies))
            self._executemany(_ADD_ENTRY, list(zip(indices, leaves, above, bodies, strict=True)))
            self._written = len(self._waiting)

    def seal(self) -> None:
        """Write what waits and the head, as the last thing before a commit."""
        if self._waiting:
            self.write()
            self._execute(_SQL["set_head"], (self._frontier.size, self._frontier.root()))

    def sealed(self) -> None:
        """After the commit: nothing waits any more."""
        self._waiting.clear()
        self._written = 0

    # ------------------------------------------------------------------ the port

    def append(self, entry: dict[str, Any] | bytes) -> None:
        if not self._writing:
            raise RuntimeError("a query cannot append to the log; do it in store.write")
        self._waiting.append(entry if isinstance(entry, bytes) else encode(entry))

    def size(self) -> int:
        if self._writing:
            return self._frontier.size + len(self._waiting) - self._written
        size: int = self._execute(_SQL["size"]).fetchall()[0][0]
        return size

    def root(self) -> bytes:
        if self._writing:
            self.write()
            return self._frontier.root()
        return Frontier.from_nodes(self.size(), self.node).root()

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self.write()
        last = self.size() if end is None else end
        for row in self._execute(_SQL["entries"], (start, last)):
            yield row[0]

    def waiting(self) -> Iterator[bytes]:
        return iter(())

    def node(self, level: int, index: int) -> bytes:
        self.write()
        row = (
            self._execute(_SQL["node"], (level, index))
            if level
            else self._execute(_SQL["leaf"], (index,))
        ).fetchone()
        if row is None:
            raise LookupError(
                f"the log has no node {index} of level {level}; "
                "ask only for nodes all of whose entries are there"
            )
        found: bytes = row[0]
        return found

    def nodes(self, level: int) -> Iterator[tuple[int, bytes]]:
        self.write()
        yield from (
            self._execute(_SQL["nodes"], (level, self.size()))
            if level
            else self._execute(_SQL["leaves"])
        )

    def rows(self) -> Iterator[tuple[int, bytes, bytes, bytes]]:
        self.write()
        yield from self._execute(_SQL["rows"])

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._execute(
            _SQL["put_checkpoint"],
            (checkpoint.size, checkpoint.text, checkpoint.at, checkpoint.anchored),
        )

    def checkpoints(self) -> list[Checkpoint]:
        return [
            Checkpoint(size=size, text=text, at=at, anchored=bool(anchored))
            for size, text, at, anchored in self._execute(_SQL["checkpoints"])
        ]

    def last_checkpoint(self) -> Checkpoint | None:
        for size, text, at, anchored in self._execute(_SQL["last_checkpoint"]).fetchall():
            return Checkpoint(size=size, text=text, at=at, anchored=bool(anchored))
        return None
