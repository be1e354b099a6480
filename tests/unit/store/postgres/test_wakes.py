"""News of other processes: told soon, never in place of looking."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from handrail.ports import Transaction
from handrail.store.postgres.sequencer import MAX_PAYLOAD, payloads

from .conftest import Connect, Open

pytestmark = pytest.mark.needs("postgres")

WAIT_SECONDS = 300

News = tuple[frozenset[str], int | None]


def hearing(store: Any) -> queue.Queue[News]:
    """What a store's listeners are told."""
    assert store._hearing.ready.wait(WAIT_SECONDS)
    told: queue.Queue[News] = queue.Queue()
    store.listen(lambda topics, due: told.put((topics, due)))
    return told


def wake(*topics: str, due: int | None = None) -> Any:
    def use_case(tx: Transaction) -> None:
        for topic in topics:
            tx.wake(topic)
        if due is not None:
            tx.wake_at(due)

    return use_case


def test_other_processes_are_told_and_the_own_one_once(open_store: Open) -> None:
    first, second = open_store(), open_store()
    mine, theirs = hearing(first), hearing(second)
    first.write(wake("b", "a", due=7))
    assert theirs.get(timeout=WAIT_SECONDS) == (frozenset("ab"), 7)
    second.write(wake("c"))
    assert mine.get(timeout=WAIT_SECONDS) == (frozenset("ab"), 7)
    assert mine.get(timeout=WAIT_SECONDS) == (frozenset("c"), None)
    first.write(wake(due=5))
    assert mine.get(timeout=WAIT_SECONDS) == (frozenset(), 5)
    assert theirs.get(timeout=WAIT_SECONDS) == (frozenset("c"), None)
    assert theirs.get(timeout=WAIT_SECONDS) == (frozenset(), 5)
    assert mine.empty() and theirs.empty()


def test_other_schemas_hear_nothing(open_store: Open) -> None:
    from tests import postgres

    elsewhere = postgres.new_schema()
    try:
        first, second = open_store(), open_store()
        other = open_store(schema=elsewhere)
        told, wrong = hearing(second), hearing(other)
        first.write(wake("a"))
        assert told.get(timeout=WAIT_SECONDS) == (frozenset("a"), None)
        other.write(wake("b"))
        assert wrong.get(timeout=WAIT_SECONDS) == (frozenset("b"), None)
        assert told.empty() and wrong.empty()
        other.close()
    finally:
        postgres.drop(elsewhere)


def test_more_news_than_a_notification_holds(open_store: Open) -> None:
    first, second = open_store(), open_store()
    told = hearing(second)
    names = {f"outcome:{number:030d} “ü”" for number in range(2_000)}
    first.write(wake(*names))
    heard: set[str] = set()
    while heard != names:
        heard |= told.get(timeout=WAIT_SECONDS)[0]


def test_payloads_stay_in_size_and_keep_the_earliest_due() -> None:
    made = payloads([("p", ["a", "b"], 5), ("q", [], None), ("p", ["b"], 3), ("p", [], None)])
    assert made == ['["p", ["a", "b"], 3]']
    large = payloads([("p", ["ü" * 400] * 3 + [f"{n}" * 90 for n in range(500)], None)])
    assert len(large) > 5
    assert all(len(payload.encode()) < MAX_PAYLOAD for payload in large)


def test_after_a_cut_the_listeners_look_at_everything(open_store: Open, connect: Connect) -> None:
    first, second = open_store(), open_store()
    told = hearing(second)
    second._hearing.ready.clear()
    connect().execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN %' AND pid <> pg_backend_pid()"
    )
    assert told.get(timeout=WAIT_SECONDS) == (frozenset("*"), None)
    first.write(wake("a"))
    while told.get(timeout=WAIT_SECONDS) != (frozenset("a"), None):
        pass


def test_strange_notifications_are_left_alone(open_store: Open, connect: Connect) -> None:
    store = open_store()
    told = hearing(store)
    connection = connect()
    channel = store._hearing._channel
    for payload in ("", "{}", "[1]", '["x", 5, 7]'):
        connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))
    connection.execute("SELECT pg_notify(%s, %s)", (channel, '["x", ["a"], null]'))
    assert told.get(timeout=WAIT_SECONDS) == (frozenset("a"), None)


def test_a_listener_hears_of_what_it_can_read(open_store: Open) -> None:
    first, second = open_store(), open_store()
    assert second._hearing.ready.wait(WAIT_SECONDS)
    missed: list[str] = []
    seen = threading.Semaphore(0)
    names: queue.Queue[str] = queue.Queue()
    second.listen(lambda topics, due: [names.put(name) for name in topics] and None)

    def look() -> None:
        for _ in range(30):
            name = names.get(timeout=WAIT_SECONDS)
            if second.read(lambda tx, name=name: tx.stops.get(name)) is None:  # type: ignore[misc]
                missed.append(name)
            seen.release()

    looker = threading.Thread(target=look)
    looker.start()
    from handrail.model.feedback import Stop

    for number in range(30):

        def use_case(tx: Transaction, name: str = f"w{number}") -> None:
            tx.stops.put(Stop(workflow=name, reason="r", by="p", at=1))
            tx.wake(name)

        first.write(use_case)
    looker.join(WAIT_SECONDS)
    assert not looker.is_alive()
    assert missed == []
