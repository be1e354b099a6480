"""The log: entries and the complete nodes of their tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw

from handrail.audit.entry import encode
from handrail.audit.tree import Frontier, leaf_hash
from handrail.ports import Checkpoint
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("audit")
_ADD_ENTRY = _SQL["add_entry"]
_ADD_NODE = _SQL["add_node"]

Mark = tuple[Frontier, int, int, int, int]
"""Where the log stood: edge, then lengths and written lengths of the waiting rows."""


class SqliteAudit:
    """See `handrail.ports.AuditLog`. On a reader it has no edge, and reads size and root.

    What a group of use cases appends waits in memory and is written in one go before the commit
    (or before somebody in the group reads the log): many small statements cost more than two
    large ones.
    """

    def __init__(self, connection: apsw.Connection, *, writing: bool) -> None:
        self._execute: Execute = connection.execute
        self._executemany = connection.executemany
        self._writing = writing
        self._frontier = Frontier()
        self._entries: list[tuple[int, bytes, bytes]] = []
        self._nodes: list[tuple[int, int, bytes]] = []
        self._written_entries = 0
        self._written_nodes = 0

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
        return (
            self._frontier,
            len(self._entries),
            len(self._nodes),
            self._written_entries,
            self._written_nodes,
        )

    def back_to(self, mark: Mark) -> None:
        """Forget what was appended since; the database is rolled back by the caller."""
        self._frontier, entries, nodes, self._written_entries, self._written_nodes = mark
        del self._entries[entries:]
        del self._nodes[nodes:]

    def write(self) -> None:
        """Write what waits."""
        if len(self._entries) > self._written_entries:
            self._executemany(_ADD_ENTRY, self._entries[self._written_entries :])
            self._executemany(_ADD_NODE, self._nodes[self._written_nodes :])
            self._written_entries = len(self._entries)
            self._written_nodes = len(self._nodes)

    def seal(self) -> None:
        """Write what waits and the head, as the last thing before a commit."""
        if self._entries:
            self.write()
            self._execute(_SQL["set_head"], (self._frontier.size, self._frontier.root()))

    def sealed(self) -> None:
        """After the commit: nothing waits any more."""
        self._entries.clear()
        self._nodes.clear()
        self._written_entries = self._written_nodes = 0

    # ------------------------------------------------------------------ the port

    def append(self, entry: dict[str, Any]) -> int:
        if not self._writing:
            raise RuntimeError("a query cannot append to the log; do it in store.write")
        body = encode(entry)
        leaf = leaf_hash(body)
        frontier = self._frontier
        index = frontier.size
        self._frontier, nodes = frontier.append(leaf)
        self._entries.append((index, leaf, body))
        if len(nodes) > 1:
            self._nodes.extend(nodes[1:])
        return index

    def size(self) -> int:
        if self._writing:
            return self._frontier.size
        size: int = self._execute(_SQL["size"]).fetchall()[0][0]
        return size

    def root(self) -> bytes:
        if self._writing:
            return self._frontier.root()
        return Frontier.from_nodes(self.size(), self.node).root()

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self.write()
        last = self.size() if end is None else end
        for row in self._execute(_SQL["entries"], (start, last)):
            yield row[0]

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
        rows = self._execute(_SQL["nodes"], (level,)) if level else self._execute(_SQL["leaves"])
        yield from rows

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
