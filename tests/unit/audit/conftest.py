"""A small log, as a database would hold it, and exports of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from handrail.audit import encode, leaf_hash
from handrail.audit.checkpoint import sign_checkpoint
from handrail.audit.export import export_files
from handrail.audit.note import SignerKey
from handrail.audit.tree import Frontier

ORIGIN = "handrail.example/log"
KEY = SignerKey.from_seed(ORIGIN, bytes(range(32)))


class Log:
    """Entries, nodes and checkpoints, kept as a store keeps them."""

    def __init__(self, key: SignerKey = KEY) -> None:
        self.key = key
        self.entries: list[bytes] = []
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.checkpoints: dict[int, bytes] = {}
        self.frontier = Frontier()

    def append(self, *entries: bytes) -> Log:
        for line in entries:
            self.entries.append(line)
            self.frontier, created = self.frontier.append(leaf_hash(line))
            self.nodes.update({(level, index): node for level, index, node in created})
        return self

    def grow(self, count: int) -> Log:
        start = len(self.entries)
        return self.append(
            *(
                encode({"type": "vote.cast", "at": 1_790_000_000_000_000 + n, "note": f"n{n}"})
                for n in range(start, start + count)
            )
        )

    def sign(self) -> bytes:
        note = sign_checkpoint(self.frontier.size, self.frontier.root(), self.key)
        self.checkpoints[self.frontier.size] = note
        return note

    def read_node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]

    def level(self, level: int) -> list[tuple[int, bytes]]:
        return sorted((index, node) for (at, index), node in self.nodes.items() if at == level)

    def rows(self) -> list[tuple[int, bytes]]:
        return list(enumerate(self.entries))

    def notes(self) -> list[tuple[str, bytes]]:
        return [(f"checkpoint {size}", note) for size, note in self.checkpoints.items()]

    def export(self, prove: Iterable[int] | None = None) -> dict[str, bytes]:
        files = export_files(
            entries=lambda start, end: self.entries[start:end],
            leaves=lambda start, end: [self.nodes[0, index] for index in range(start, end)],
            nodes=self.read_node,
            checkpoint=self.checkpoints[max(self.checkpoints)],
            key=self.key.verifier,
            earlier=self.checkpoints.values(),
            prove=prove,
        )
        return {name: b"".join(pieces) for name, pieces in files}


@pytest.fixture
def log() -> Log:
    """11 entries, checkpoints at 3, 8 and 11."""
    made = Log()
    made.grow(3).sign()
    made.grow(5).sign()
    made.grow(3).sign()
    return made
