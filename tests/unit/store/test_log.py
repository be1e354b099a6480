"""A log that does not fit its head: nothing is added to it, and it can still be looked at."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from handrail.model.errors import Unavailable

from .conftest import Open, filing

DAMAGES = {
    "entry gone": ("DELETE FROM audit_entries WHERE idx = 6", "holds 6"),
    "entry added": (
        "INSERT INTO audit_entries SELECT 7, leaf, nodes, body FROM audit_entries WHERE idx = 6",
        "holds 8",
    ),
    "head gone": ("DELETE FROM audit_head", "for 0 entries"),
    "head smaller": ("UPDATE audit_head SET size = 5", "for 5 entries"),
    "root changed": ("UPDATE audit_head SET root = zeroblob(32)", "root"),
    "node gone": (
        "UPDATE audit_entries SET nodes = substr(nodes, 1, 32) WHERE idx = 3",
        "no node 0 of level 2",
    ),
    "node changed": (
        "UPDATE audit_entries SET nodes = zeroblob(64) WHERE idx = 3",
        "root",
    ),
    "last leaf changed": ("UPDATE audit_entries SET leaf = zeroblob(32) WHERE idx = 6", "root"),
    "last entry changed": ("UPDATE audit_entries SET body = x'7b7d' WHERE idx = 6", "entry 6"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_is_only_read(open_store: Open, tmp_path: Path, damage: str) -> None:
    store = open_store()
    for number in range(7):
        store.write(filing(number))
    store.close()
    sql, says = DAMAGES[damage]
    connection = apsw.Connection(str(tmp_path / "store.db"))
    connection.execute(sql)
    assert connection.changes() == 1
    connection.close()
    store = open_store()
    assert store.refusal is not None and says in store.refusal
    with pytest.raises(Unavailable, match="audit verify"):
        store.write(filing(8))
    results = store.write_many([filing(8)])
    assert isinstance(results[0], Unavailable)
    assert len(store.read(lambda tx: list(tx.audit.entries()))) in (6, 7, 8)


def test_an_undamaged_log_is_taken_up(open_store: Open) -> None:
    for number in range(9):
        store = open_store()
        assert store.refusal is None
        assert store.read(lambda tx: tx.audit.size()) == number
        store.write(filing(number))
        store.close()
