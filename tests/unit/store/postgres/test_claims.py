"""Claiming under contention: nobody waits in line for one review, and urgent ones go first."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from handrail.model.decision import Decision
from handrail.model.ids import new_id
from handrail.model.modes import Lane, Mode, ReviewKind, ReviewStatus, Severity
from handrail.model.review import Review, Round, Seat
from handrail.model.ruling import Ruling
from handrail.ports import Store, Transaction

from .conftest import Open

pytestmark = pytest.mark.needs("postgres")

WAIT_SECONDS = 300
LATER = 2**60
THREADS = 8


def opened(store: Store, number: int, to: tuple[str, ...] = ("team:a",)) -> str:
    """A review of which a smaller `number` is more urgent."""

    def use_case(tx: Transaction) -> str:
        decision = Decision(
            id=new_id("d", number),
            workflow=f"w{number % 3}",
            submitter="bot",
            submitted_at=number,
            body_digest="",
        )
        ruling = Ruling(
            decision_id=decision.id,
            lane=Lane.HOLD,
            mode=Mode.IN_THE_LOOP,
            policy="w@1",
            gate_digest="",
            evaluated_at=number,
        )
        tx.decisions.insert(decision, ruling, settled=False)
        review = Review(
            id=f"r_{number:026d}",
            kind=ReviewKind.HOLD,
            workflow=decision.workflow,
            subject=None,
            lead=decision.id,
            status=ReviewStatus.OPEN,
            severity=Severity.HIGH if number < 10 else Severity.LOW,
            to=to,
            due=number,
            opened_at=1,
        )
        tx.reviews.insert(
            review, Round(review=review.id, number=1, proposal={}, ruling=ruling, started_at=1)
        )
        return review.id

    return store.write(use_case)


def claim(tx: Transaction, holder: str, to: list[str], limit: int = 50) -> str | None:
    """As the verb does it: the first candidate that can be had."""
    for review in tx.reviews.claimable(workflow=None, to=to, now=tx.now(), limit=limit):
        tx.reviews.round(review.id, review.round)
        if tx.reviews.seats(review.id, 1, tx.now()):
            continue
        tx.reviews.put_seat(
            Seat(review=review.id, round=1, holder=holder, token="t", lease_until=LATER)
        )
        return review.id
    return None


def test_each_review_is_claimed_once_and_urgent_ones_first(open_store: Open) -> None:
    """A claimer passes over nothing but what somebody else is claiming at that moment."""
    stores = [open_store(), open_store()]
    wanted = [opened(stores[0], number, ("team:a", "team:b")) for number in range(80)]
    taken: list[tuple[str, int, int]] = []
    times = itertools.count()

    def work(number: int) -> None:
        to = [["team:a"], ["team:b"], ["team:b", "team:a"], ["role:x", "team:a"]][number % 4]
        while True:
            start = next(times)
            got = stores[number % 2].write(lambda tx: claim(tx, f"p{number}", to))
            if got is None:
                return
            taken.append((got, start, next(times)))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert sorted(review for review, _, _ in taken) == wanted
    passed_over = [
        (urgent, other)
        for urgent, start, _ in taken
        for other, _, end in taken
        if urgent < other and end < start
    ]
    assert passed_over == []


def test_a_claimer_passes_over_what_somebody_is_busy_with(open_store: Open) -> None:
    store = open_store()
    wanted = [opened(store, number) for number in range(3)]
    inside, go_on = threading.Event(), threading.Event()

    def busy(tx: Transaction) -> None:
        tx.reviews.get(wanted[0])
        inside.set()
        assert go_on.wait(WAIT_SECONDS)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(store.write, busy)
        assert inside.wait(WAIT_SECONDS)
        assert store.write(lambda tx: claim(tx, "p", ["team:a"])) == wanted[1]
        assert store.write(lambda tx: claim(tx, "p", ["team:a"], limit=1)) == wanted[2]
        go_on.set()
        future.result(WAIT_SECONDS)
    assert store.write(lambda tx: claim(tx, "p", ["team:a"])) == wanted[0]


def test_the_last_review_is_waited_for_rather_than_denied(open_store: Open) -> None:
    """Somebody looks at the only review there is: that is not an empty queue."""
    store = open_store()
    only = opened(store, 1)
    inside, go_on = threading.Event(), threading.Event()
    runs: list[int] = []

    def busy(tx: Transaction) -> None:
        tx.reviews.get(only)
        inside.set()
        assert go_on.wait(WAIT_SECONDS)

    def claiming(tx: Transaction) -> str | None:
        runs.append(1)
        return claim(tx, "p", ["team:a"])

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.write, busy)
        assert inside.wait(WAIT_SECONDS)
        second = pool.submit(store.write, claiming)
        while len(runs) < 2:  # it has waited, given up, and begun again
            assert not second.done()
        go_on.set()
        first.result(WAIT_SECONDS)
        assert second.result(WAIT_SECONDS) == only


def test_a_review_taken_while_it_was_waited_for_is_not_given(open_store: Open) -> None:
    store = open_store()
    only = opened(store, 1)
    inside, go_on = threading.Event(), threading.Event()

    def taking(tx: Transaction) -> str | None:
        got = claim(tx, "first", ["team:a"])
        inside.set()
        assert go_on.wait(WAIT_SECONDS)
        return got

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.write, taking)
        assert inside.wait(WAIT_SECONDS)
        second = pool.submit(store.write, lambda tx: claim(tx, "second", ["team:a"]))
        go_on.set()
        assert first.result(WAIT_SECONDS) == only
        assert second.result(WAIT_SECONDS) is None


def test_a_candidate_that_moved_before_it_is_used_starts_the_use_case_again(
    open_store: Open,
) -> None:
    """Only the first candidate is locked; the next ones are checked when somebody comes to them."""
    store, other = open_store(), open_store()
    wanted = [opened(store, number) for number in range(3)]
    offers: list[list[str]] = []

    def second_best(tx: Transaction) -> str:
        found = tx.reviews.claimable(workflow=None, to=["team:a"], now=tx.now(), limit=9)
        offers.append([review.id for review in found])
        if len(offers) == 1:
            mover = threading.Thread(
                target=other.write,
                args=(lambda tx: tx.reviews.replace(found[1], closed(found[1])),),
            )
            mover.start()
            mover.join(WAIT_SECONDS)
        tx.reviews.votes(found[1].id)
        return found[1].id

    from msgspec.structs import replace

    def closed(review: Review) -> Review:
        return replace(review, status=ReviewStatus.CLOSED)

    assert store.write(second_best) == wanted[2]
    assert offers == [wanted, [wanted[0], wanted[2]]]
