"""The log in a real database file: each changed row is named, and its export verifies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from handrail.audit import events
from handrail.audit.checkpoint import sign_checkpoint
from handrail.audit.export import MapReader, export_files, verify_export
from handrail.audit.verify import Report, verify_log
from handrail.ports import Transaction
from handrail.store.sqlite import SqliteStore

from .conftest import KEY

SIGNED, SIZE = 21, 26
"""A checkpoint covers the first 21 of 26 entries."""


class Living:
    """A database in use, and what somebody with a SQL shell can do to it meanwhile."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.store = SqliteStore.open(path)
        self._append(SIGNED)
        size, root = self.store.read(lambda tx: (tx.audit.size(), tx.audit.root()))
        self.note = sign_checkpoint(size, root, KEY)
        self._append(SIZE - SIGNED)

    def _append(self, count: int) -> None:
        entry = events.entry("stop.set", at=1, actor="system", workflow="*")
        for _ in range(count):
            self.store.write(lambda tx: tx.audit.append(entry))

    def change(self, sql: str, *values: int | bytes) -> None:
        connection = apsw.Connection(self.path)
        connection.execute(sql, values)
        assert connection.changes() == 1
        connection.close()

    def verify(self) -> Report:
        def query(tx: Transaction) -> Report:
            log = tx.audit
            rows = zip(log.nodes(0), log.entries(), strict=True)
            return verify_log(
                ((index, body) for (index, _), body in rows),
                nodes=log.nodes,
                checkpoints=[("checkpoint 21", self.note)],
                keys=[KEY.verifier],
                anchors=[("anchor", self.note)],
            )

        return self.store.read(query)


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Living]:
    made = Living(str(tmp_path / "handrail.db"))
    yield made
    made.store.close()


def test_an_untouched_database_verifies_and_exports(living: Living) -> None:
    report = living.verify()
    assert report.ok and (report.size, report.anchored) == (SIZE, SIGNED)

    def query(tx: Transaction) -> dict[str, bytes]:
        log = tx.audit
        files = export_files(
            entries=log.entries,
            leaves=lambda start, end: (node for at, node in log.nodes(0) if start <= at < end),
            nodes=log.node,
            checkpoint=living.note,
            key=KEY.verifier,
        )
        return {name: b"".join(pieces) for name, pieces in files}

    files = living.store.read(query)
    exported = verify_export(MapReader(files), keys=[KEY.verifier])
    assert exported.ok and exported.size == SIGNED


@pytest.mark.parametrize("index", [0, 7, 20, 21, 25])
def test_a_changed_entry_row_is_named(living: Living, index: int) -> None:
    other = b'{"actor":"system","at":2,"type":"stop.set","workflow":"*"}'
    living.change("UPDATE audit_entries SET body = ? WHERE idx = ?", other, index)
    report = living.verify()
    anchored = [("anchor", None)] if index < SIGNED else []
    assert [(p.place, p.index) for p in report.problems] == [("entry row", index), *anchored]
    assert report.first_bad == index


@pytest.mark.parametrize("index", [0, 7, 20, 24])
def test_a_changed_leaf_hash_is_named(living: Living, index: int) -> None:
    living.change("UPDATE audit_entries SET leaf = ? WHERE idx = ?", bytes(32), index)
    report = living.verify()
    assert [p.place for p in report.problems] == [f"node row (level 0, index {index})"]


@pytest.mark.parametrize(("level", "index"), [(1, 0), (1, 12), (2, 3), (3, 1), (4, 0)])
def test_a_changed_node_row_is_named(living: Living, level: int, index: int) -> None:
    """The entry that completed a node keeps it, after those of the levels below."""
    living.change(
        "UPDATE audit_entries SET nodes = "
        "CAST(substr(nodes, 1, ?1) || ?2 || substr(nodes, ?1 + 33) AS BLOB) WHERE idx = ?3",
        32 * (level - 1),
        bytes(32),
        ((index + 1) << level) - 1,
    )
    report = living.verify()
    assert [p.place for p in report.problems] == [f"node row (level {level}, index {index})"]


@pytest.mark.ledger("G-006")
@pytest.mark.parametrize("index", [0, 7, 24])
def test_a_deleted_entry_row_is_named(living: Living, index: int) -> None:
    living.change("DELETE FROM audit_entries WHERE idx = ?", index)
    report = living.verify()
    assert [(p.place, p.index) for p in report.problems] == [("entry row", index)]
    assert "missing" in report.problems[0].message
