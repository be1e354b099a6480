"""Numbering: gapless, one at a time, safe against death at any step, in the order of commits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from handrail.audit.entry import decode, encode
from handrail.audit.tree import Frontier, leaf_hash
from handrail.model.errors import Unavailable
from handrail.ports import Store, Transaction

from .conftest import Connect, Open

pytestmark = pytest.mark.needs("postgres")

WAIT_SECONDS = 300


def append(number: int, many: int = 1) -> Callable[[Transaction], None]:
    def use_case(tx: Transaction) -> None:
        for place in range(many):
            tx.audit.append({"unit": number, "place": place})

    return use_case


def whole(store: Store) -> list[tuple[int, int]]:
    """(unit, place) of each entry, held to the tree."""

    def query(tx: Transaction) -> list[bytes]:
        entries = list(tx.audit.entries())
        leaves = [leaf_hash(entry) for entry in entries]
        assert tx.audit.size() == len(entries)
        assert tx.audit.root() == Frontier().extend(leaves).root()
        for level in range(len(leaves).bit_length()):
            for index, node in tx.audit.nodes(level):
                assert node == tx.audit.node(level, index)
        return entries

    store.settle_log()
    return [(e["unit"], e["place"]) for e in map(decode, store.read(query))]


def test_many_stores_number_one_log(open_store: Open) -> None:
    stores = [open_store() for _ in range(3)]

    def work(number: int) -> None:
        stores[number % 3].write(append(number, number % 4))

    with ThreadPoolExecutor(9) as pool:
        list(pool.map(work, range(300)))
    found = whole(stores[0])
    assert sorted(found) == [(n, place) for n in range(300) for place in range(n % 4)]
    for unit in range(300):
        places = [at for at, (other, _) in enumerate(found) if other == unit]
        assert places == list(range(places[0], places[0] + unit % 4)) if places else unit % 4 == 0


def test_a_large_unit_of_work_is_numbered_whole(open_store: Open) -> None:
    store = open_store()
    store.write(append(1, 1_700))
    store.write_many([append(number, 20) for number in range(2, 80)])
    assert len(whole(store)) == 1_700 + 78 * 20


@pytest.mark.parametrize("step", ["log.begin", "log.numbered", "log.committed"])
def test_a_sequencer_that_dies_is_followed_by_another(open_store: Open, step: str) -> None:
    """Died before its commit it has done nothing, after it everything."""

    class Died(BaseException):
        pass

    deaths: list[str] = []

    def steps(name: str) -> None:
        if name == step and len(deaths) < 3:
            deaths.append(name)
            raise Died

    first = open_store(steps=steps)
    first._numbering.close()
    for number in range(20):
        first.write(append(number))
    for _ in range(3):
        with pytest.raises(Died):
            first.settle_log()
        if step == "log.committed":
            break
    second = open_store()
    second.write(append(20))
    assert whole(second) == [(number, 0) for number in range(21)]
    assert whole(first) == whole(second)


def test_what_a_dead_process_left_is_numbered_without_being_asked(open_store: Open) -> None:
    first = open_store()
    first._numbering.close()
    first.write(append(1))
    second = open_store()
    until = time.monotonic() + WAIT_SECONDS
    while second.read(lambda tx: tx.audit.size()) == 0:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert whole(second) == [(1, 0)]


def test_closing_numbers_what_is_staged(open_store: Open) -> None:
    first = open_store()
    first._numbering.close()
    first.write(append(1, 3))
    first.close()
    second = open_store()
    assert second.read(lambda tx: tx.audit.size()) == 3


def test_a_ticket_drawn_first_may_be_numbered_second(open_store: Open) -> None:
    """Two that share nothing: one draws its ticket and dawdles, the other goes before it."""
    drawn, go_on = threading.Event(), threading.Event()

    def steps(name: str) -> None:
        if name == "store.before_commit" and threading.current_thread().name == "slow":
            drawn.set()
            assert go_on.wait(WAIT_SECONDS)

    store = open_store(steps=steps)
    slow = threading.Thread(target=store.write, args=(append(1),), name="slow")
    slow.start()
    assert drawn.wait(WAIT_SECONDS)
    store.write(append(2))
    store.settle_log()
    assert [decode(e)["unit"] for e in store.read(lambda tx: list(tx.audit.entries()))] == [2]
    go_on.set()
    slow.join(WAIT_SECONDS)
    assert whole(store) == [(2, 0), (1, 0)]


def test_what_waits_completes_a_snapshot(open_store: Open) -> None:
    store = open_store()
    store._numbering.close()
    for number in range(5):
        store.write(append(number, 2))
    found = store.read(
        lambda tx: (tx.audit.size(), list(tx.audit.entries()), list(tx.audit.waiting()))
    )
    wanted = [encode({"unit": n, "place": place}) for n in range(5) for place in range(2)]
    assert found == (0, [], wanted)


def test_a_log_is_begun_once_by_processes_that_start_together(open_store: Open) -> None:
    """Whoever asks for the size in order to write sees what others who asked have written."""
    stores = [open_store() for _ in range(4)]

    def begin(store: Store) -> None:
        def use_case(tx: Transaction) -> None:
            if tx.audit.size() == 0:
                tx.audit.append({"unit": 0, "place": 0})

        store.write(use_case)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, stores))
    assert whole(stores[0]) == [(0, 0)]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM audit_entries WHERE idx = 8", "holds 8"),
        ("UPDATE audit_head SET root = sha256(root)", "do not give the root"),
        ("UPDATE audit_entries SET body = 'x' WHERE idx = 8", "entry 8 does not fit"),
        ("UPDATE audit_entries SET nodes = '' WHERE idx = 7", "no node 0 of level 3"),
    ],
)
def test_a_damaged_log_is_found_and_nothing_is_written_on_it(
    open_store: Open, connect: Connect, damage: str, words: str
) -> None:
    store = open_store()
    store.write(append(1, 9))
    store.settle_log()
    store.close()
    connect().execute(damage)
    opened = open_store()
    assert opened.refusal is not None and words in opened.refusal
    with pytest.raises(Unavailable, match=r"damaged.*handrail audit verify"):
        opened.write(append(2))
    results = opened.write_many([append(2)] * 2)
    assert all(isinstance(result, Unavailable) for result in results)
    with pytest.raises(Unavailable, match="damaged"):
        opened.begin(append(2)).result(WAIT_SECONDS)
    assert opened.read(lambda tx: tx.audit.checkpoints()) == []


def test_damage_is_found_while_running(open_store: Open, connect: Connect) -> None:
    store = open_store()
    store.write(append(1, 9))
    store.settle_log()
    connect().execute("UPDATE audit_head SET root = sha256(root)")
    store._numbering.close()
    store.write(append(2))
    with pytest.raises(Unavailable, match="damaged"):
        store.settle_log()
    with pytest.raises(Unavailable, match="damaged"):
        store.write(append(3))
