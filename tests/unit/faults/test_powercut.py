"""The power-cut disk forgets what was not synced, and only that."""

from __future__ import annotations

import contextlib
import itertools
import random
from pathlib import Path

import apsw
import pytest

from tests.faults.powercut import SECTOR, Disk, PowerCut, Truncate, Write

NAMES = itertools.count()


def test_synced_bytes_are_certain_and_others_may_be() -> None:
    disk = Disk(b"", there=True)
    disk.pending.append(Write(0, b"a" * 2 * SECTOR))
    disk.sync()
    disk.pending.append(Write(SECTOR // 2, b"b" * 2 * SECTOR))
    seen = {disk.image(random.Random(seed), 0.5) for seed in range(200)}
    firsts = {image[:SECTOR] for image in seen if image}
    assert firsts == {b"a" * SECTOR, b"a" * (SECTOR // 2) + b"b" * (SECTOR // 2)}
    assert {len(image) for image in seen if image} == {2 * SECTOR, 2 * SECTOR + SECTOR // 2}
    holes = [image for image in seen if image and b"b" not in image[: 2 * SECTOR]]
    assert any(image.endswith(b"b") for image in holes), "later sectors may arrive first"


def test_nothing_or_everything_may_arrive() -> None:
    disk = Disk(b"old", there=True)
    disk.pending += [Write(0, b"new"), Truncate(2)]
    assert disk.image(random.Random(1), 0.0) == b"old"
    assert disk.image(random.Random(1), 1.0) == b"ne"


def test_a_file_whose_name_was_never_synced_may_not_exist() -> None:
    disk = Disk(b"", there=False)
    disk.pending.append(Write(0, b"x"))
    assert disk.image(random.Random(1), 0.0) is None
    assert disk.image(random.Random(1), 1.0) == b"x"


def lost_rows(folder: Path, synchronous: str, seed: int) -> int:
    """Rows that were committed before a cut and are gone after it."""
    vfs = PowerCut(f"unit-{next(NAMES)}", after=40 + 7 * seed)
    path = folder / f"{synchronous}-{seed}.db"
    connection = apsw.Connection(str(path), vfs=vfs.name)
    done = 0
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, body TEXT)")
        for number in range(10_000):
            connection.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * 300))
            done = number + 1
    except apsw.IOError:
        pass
    assert vfs.dead
    with contextlib.suppress(apsw.Error):
        connection.close(True)
    vfs.leave(random.Random(seed))
    vfs.unregister()
    after = apsw.Connection(str(path))
    try:
        assert after.execute("PRAGMA integrity_check").fetchall()[0][0] == "ok"
        found = after.execute("SELECT count(*) FROM t").fetchall()[0][0]
    except apsw.Error:
        found = 0
    finally:
        after.close()
    return max(0, done - int(str(found)))


@pytest.mark.parametrize("seed", range(6))
def test_full_synchronous_loses_nothing(tmp_path: Path, seed: int) -> None:
    assert lost_rows(tmp_path, "FULL", seed) == 0


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_disk_sees_a_missing_sync(tmp_path: Path, synchronous: str) -> None:
    assert any(lost_rows(tmp_path, synchronous, seed) for seed in range(4))
