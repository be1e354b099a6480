"""What is acknowledged survives a power cut; a disk that fails ends writing, not truth."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import apsw
import pytest

from handrail.audit.tree import Frontier, leaf_hash
from handrail.model.errors import Unavailable
from handrail.ports import Transaction
from handrail.settings import Settings
from handrail.store.sqlite import SqliteStore
from handrail.store.sqlite import writer as writer_module

from .conftest import Open, filing, numbers
from .disk import Disk

WAIT_SECONDS = 300


def whole(store: SqliteStore) -> list[int]:
    """Numbers of the decisions, held to log, counters and tree."""

    def query(tx: Transaction) -> list[int]:
        leaves = [leaf_hash(entry) for entry in tx.audit.entries()]
        assert tx.audit.root() == Frontier().extend(leaves).root()
        return numbers(tx)

    return store.read(query)


def test_every_commit_is_flushed_before_it_is_acknowledged(open_store: Open) -> None:
    disk = Disk()
    store = open_store(vfs=disk.name)
    for number in range(5):
        before = disk.syncs["wal"]
        store.write(filing(number))
        assert disk.syncs["wal"] == before + 1
        assert not any(disk.waiting[path] for path in disk.waiting if path.endswith("-wal"))


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_nothing_acknowledged_is_lost_by_a_power_cut(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronous: str
) -> None:
    """NORMAL is the control: this test does see what a missing flush loses."""
    monkeypatch.setattr(writer_module, "CHECKPOINT_PAGES", 40)
    dice = random.Random(5)
    disk = Disk()
    store = open_store(vfs=disk.name, settings=Settings(group_commit_max=8))
    store._connection.execute(f"PRAGMA synchronous = {synchronous}")
    acknowledged = lost = 0
    for cut in range(40):
        for _ in range(dice.randrange(4)):
            many = dice.randrange(1, 20)
            results = store.write_many([filing(acknowledged + more, 2_000) for more in range(many)])
            assert all(isinstance(result, str) for result in results)
            acknowledged += many
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        disk.cut(folder, dice if cut % 2 else None)
        after = open_store(folder / "store.db")
        assert after.refusal is None
        stored = whole(after)
        assert stored == list(range(len(stored)))
        lost += acknowledged - len(stored)
        after.close()
    assert acknowledged > 200
    if synchronous == "FULL":
        assert lost == 0
    else:
        assert lost > 0


def test_a_power_cut_in_the_middle_leaves_whole_use_cases(open_store: Open, tmp_path: Path) -> None:
    """Cut at each step of the writer: all of a group's rows, entries and counts, or none."""
    disk = Disk()
    dice = random.Random(3)
    cuts: list[tuple[str, Path]] = []

    def cut(step: str) -> None:
        folder = tmp_path / f"cut-{len(cuts)}"
        folder.mkdir()
        disk.cut(folder, dice)
        cuts.append((step, folder))

    store = open_store(vfs=disk.name, steps=cut)
    for number in range(0, 12, 3):
        store.write_many([filing(number + more) for more in range(3)])
    assert len(cuts) == 4 * 7
    for place, (step, folder) in enumerate(cuts):
        after = open_store(folder / "store.db")
        stored = whole(after)
        group = place // 7
        least = group * 3 + (3 if step in ("store.after_commit", "store.before_ack") else 0)
        assert stored in (list(range(least)), list(range(group * 3 + 3)))
        after.close()


@pytest.mark.parametrize("kind", [apsw.IOError, apsw.FullError])
def test_a_commit_that_fails_is_not_acknowledged_and_ends_writing(
    open_store: Open, kind: type[Exception]
) -> None:
    disk = Disk()
    store = open_store(vfs=disk.name)
    woken: list[frozenset[str]] = []
    store.listen(lambda topics, at: woken.append(topics))
    store.write(filing(0))
    root = store.read(lambda tx: tx.audit.root())
    disk.fail_sync = kind

    def waking(tx: Transaction) -> None:
        filing(1)(tx)
        tx.wake("topic")

    results = store.write_many([waking, filing(2)])
    for result in results:
        assert isinstance(result, Unavailable)
        assert "only reads" in str(result)
    disk.fail_sync = None
    # The disk works again, but nobody knows what it kept: still no writes, and reads go on.
    with pytest.raises(Unavailable, match="start Handrail again"):
        store.write(filing(3))
    assert store.refusal is not None
    assert whole(store) == [0]
    assert store.read(lambda tx: tx.audit.root()) == root
    assert woken == []


def test_after_a_failed_commit_the_next_start_goes_on(open_store: Open, tmp_path: Path) -> None:
    """What was not acknowledged may be found stored; its key tells the caller."""
    disk = Disk()
    store = open_store(vfs=disk.name)
    store.write(filing(0))
    disk.fail_sync = apsw.IOError
    with pytest.raises(Unavailable):
        store.write(filing(1))
    disk.fail_sync = None
    for flushed in (True, False):
        folder = tmp_path / f"after-{flushed}"
        folder.mkdir()
        if flushed:
            for path in disk.durable:
                (folder / Path(path).name).write_bytes(Path(path).read_bytes())
        else:
            disk.cut(folder)
        after = open_store(folder / "store.db")
        assert whole(after) == ([0, 1] if flushed else [0])
        after.write(filing(2))
        assert whole(after) == ([0, 1, 2] if flushed else [0, 2])


def test_a_write_that_fails_inside_a_use_case_fails_its_whole_group(open_store: Open) -> None:
    """A large transaction spills to the disk before its commit."""
    disk = Disk()
    store = open_store(vfs=disk.name)
    store._connection.execute("PRAGMA cache_size = 10")
    store.write(filing(0))
    ends: list[str] = []

    def failing(tx: Transaction) -> None:
        disk.fail_write = apsw.FullError
        try:
            for number in range(100, 200):
                filing(number, 5_000)(tx)
        finally:
            ends.append("failing")

    results = store.write_many([filing(1), failing, filing(2)])
    disk.fail_write = None
    assert ends == ["failing"]
    assert all(isinstance(result, Unavailable) for result in results)
    assert "full" in str(results[0])
    assert whole(store) == [0]


def test_another_programs_lock_fails_the_group_and_passes(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store._connection.set_busy_timeout(10)
    other = apsw.Connection(str(tmp_path / "store.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="nothing was stored"):
        store.write(filing(0))
    other.execute("ROLLBACK")
    other.close()
    assert store.refusal is None
    store.write(filing(1))
    assert whole(store) == [1]


def test_only_the_writer_checkpoints_and_the_log_stays_small(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "CHECKPOINT_PAGES", 50)
    store = open_store()
    largest = 0
    for number in range(300):
        store.write(filing(number, 4_000))
        store.read(numbers) if number % 50 == 0 else None
        largest = max(largest, (tmp_path / "store.db-wal").stat().st_size)
    assert largest < 2_000_000
    for reader in list(store._readers._free.queue):  # type: ignore[union-attr]
        if reader is not None:
            assert reader.connection.execute("PRAGMA wal_autocheckpoint").get == 0
    assert store._connection.execute("PRAGMA wal_autocheckpoint").get == 0


def test_a_checkpoint_that_fails_ends_writing(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "CHECKPOINT_PAGES", 1)
    disk = Disk()
    store = open_store(vfs=disk.name)
    broken = threading.Event()

    def step(name: str) -> None:
        if name == "store.before_ack":
            disk.fail_sync = apsw.IOError
            broken.set()

    store._writer._steps = step
    # Acknowledged: its own flush was done before the disk failed.
    store.write(filing(0))
    assert broken.wait(WAIT_SECONDS)
    with pytest.raises(Unavailable, match="only reads"):
        store.write(filing(1))
    assert whole(store) == [0]
    disk.fail_sync = None


def test_settings_of_the_connections(open_store: Open) -> None:
    store = open_store()
    store.read(lambda tx: None)
    reader = store._readers._free.get()  # type: ignore[union-attr]
    store._readers._free.put(reader)  # type: ignore[union-attr]
    assert reader is not None

    def pragma(connection: apsw.Connection, name: str) -> object:
        return connection.execute(f"PRAGMA {name}").get

    for name, value in {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "checkpoint_fullfsync": 1,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "busy_timeout": 5000,
    }.items():
        assert pragma(store._connection, name) == value
    assert reader.connection.readonly("main")
    assert pragma(reader.connection, "trusted_schema") == 0
