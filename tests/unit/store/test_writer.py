"""The writer: first come first served, shared commits, and what happens when it dies."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from handrail.model.errors import Unavailable
from handrail.ports import Transaction
from handrail.settings import Settings
from handrail.store.sqlite import STEPS

from .conftest import Open, filing, numbers
from .disk import Disk

WAIT_SECONDS = 300


def blocker() -> tuple[Callable[[Transaction], None], threading.Event, threading.Event]:
    """A use case that stops the writer: (it, set when it runs, set to let it end)."""
    started, go_on = threading.Event(), threading.Event()

    def use_case(tx: Transaction) -> None:
        started.set()
        assert go_on.wait(WAIT_SECONDS)

    return use_case, started, go_on


def test_what_waits_while_a_commit_runs_shares_the_next_one(open_store: Open) -> None:
    disk = Disk()
    store = open_store(vfs=disk.name, settings=Settings(group_commit_max=16))
    stop, started, go_on = blocker()
    first = store.begin(stop)
    assert started.wait(WAIT_SECONDS)
    futures = [store.begin(filing(number)) for number in range(40)]
    before = disk.syncs["wal"]
    go_on.set()
    first.result(WAIT_SECONDS)
    for future in futures:
        future.result(WAIT_SECONDS)
    # 15 beside the first, 16, and the last 9: three commits, three flushes.
    assert disk.syncs["wal"] - before == 3
    assert store.read(numbers) == list(range(40))


def test_a_large_batch_does_not_hold_up_single_writes(open_store: Open) -> None:
    store = open_store(settings=Settings(group_commit_max=10))
    stop, started, go_on = blocker()
    store.begin(stop)
    assert started.wait(WAIT_SECONDS)
    batch = threading.Thread(
        target=lambda: store.write_many([filing(number) for number in range(200)])
    )
    batch.start()
    while store._writer._queue.qsize() < 1:
        pass
    single = store.begin(filing(1000))
    go_on.set()
    single.result(WAIT_SECONDS)
    batch.join(WAIT_SECONDS)
    stored = store.read(numbers)
    assert stored.index(1000) < 30
    assert [number for number in stored if number != 1000] == list(range(200))


def test_a_use_case_that_only_looks_costs_no_flush(open_store: Open) -> None:
    disk = Disk()
    store = open_store(vfs=disk.name)
    store.write(filing(0))
    before = disk.syncs["wal"]
    assert store.write(numbers) == [0]
    with pytest.raises(ZeroDivisionError):
        store.write(lambda tx: 1 // 0)
    assert disk.syncs["wal"] == before


def test_steps_come_in_order_and_nobody_is_told_before_the_commit(open_store: Open) -> None:
    told: list[str] = []

    def step(name: str) -> None:
        told.append(name)

    store = open_store(steps=step)
    store.listen(lambda topics, at: told.append("listener"))
    future = store.begin(lambda tx: tx.wake("topic"))
    future.add_done_callback(lambda _: told.append("future"))
    future.result(WAIT_SECONDS)
    store.close()
    assert [name for name in told if name.startswith("store.")] == list(STEPS)
    assert told.index("future") > told.index("store.before_ack")
    assert told.index("listener") > told.index("store.before_ack")


@pytest.mark.parametrize("where", STEPS)
def test_a_writer_that_dies_tells_everybody_and_keeps_the_store_whole(
    open_store: Open, where: str
) -> None:
    armed = threading.Event()

    def step(name: str) -> None:
        if armed.is_set() and name == where:
            raise MemoryError("no memory")

    store = open_store(steps=step)
    store.write(filing(0))
    stop, started, go_on = blocker()
    first = store.begin(stop)
    assert started.wait(WAIT_SECONDS)
    futures = [store.begin(filing(number)) for number in (1, 2)]
    armed.set()
    go_on.set()
    if where == "store.use_case":
        # Inside a use case it is that use case's error, and the writer lives.
        assert isinstance(first.exception(WAIT_SECONDS), MemoryError)
        for future in futures:
            assert isinstance(future.exception(WAIT_SECONDS), MemoryError)
        armed.clear()
        store.write(filing(3))
        assert store.read(numbers) == [0, 3]
        return
    ends = [first, *futures]
    if where in ("store.begin", "store.before_commit"):
        # The blocker's own group may have begun before the step was armed.
        ends = futures
    for future in ends:
        error = future.exception(WAIT_SECONDS)
        assert isinstance(error, Unavailable)
        assert "not known" in str(error)
    with pytest.raises(Unavailable, match="start Handrail again"):
        store.write(filing(3))
    results = store.write_many([filing(4), filing(5)])
    assert all(isinstance(result, Unavailable) for result in results)
    stored = store.read(numbers)
    assert stored[0] == 0 and not {3, 4, 5} & set(stored)
    store.close()
    again = open_store()
    assert again.read(numbers) == stored
    again.write(filing(6))


def test_a_use_case_cannot_swallow_a_lost_transaction(open_store: Open) -> None:
    """SQLite may have rolled everything back; the group fails instead of committing a part."""
    store = open_store()

    def swallow(tx: Transaction) -> None:
        filing(1)(tx)
        store._connection.execute("ROLLBACK")

    def swallow_and_raise(tx: Transaction) -> None:
        swallow(tx)
        raise ValueError("something else")

    for bad in (swallow, swallow_and_raise):
        results = store.write_many([filing(0), bad, filing(2)])
        assert all(isinstance(result, Unavailable) for result in results)
        assert store.read(numbers) == []
    assert store.refusal is None
    store.write(filing(9))
    assert store.read(numbers) == [9]


def test_the_drivers_errors_do_not_leave_the_store(open_store: Open) -> None:
    store = open_store()

    def unknown_table(tx: Transaction) -> None:
        store._connection.execute("SELECT * FROM nowhere")

    with pytest.raises(Unavailable, match="nowhere"):
        store.write(unknown_table)
    store.write(filing(0))
