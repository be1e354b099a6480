"""What every store must do, as tests: subclass `StoreContract` and say how your store is made.

    class TestMyStore(StoreContract):
        def make_store(self, clock):
            return MyStore(..., clock=clock)

Each test gets a new, empty store. Races are part of it: what two threads may not both win, they
may not both win here. A test that an implementation cannot answer (a store in memory cannot be
opened again) raises `unittest.SkipTest`, which pytest shows as skipped.
"""

from __future__ import annotations

import random
import threading
import time
import unittest
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from handrail.audit.entry import decode, encode
from handrail.audit.tree import EMPTY_ROOT, Frontier, leaf_hash, tree_nodes
from handrail.model.access import Identity, Invitation, Password, Session, Token
from handrail.model.decision import Decision
from handrail.model.decoding import decoder
from handrail.model.errors import Conflict, NotFound, Unavailable
from handrail.model.feedback import Label, Notice, PolicyVersion, Stop
from handrail.model.ids import new_id
from handrail.model.modes import (
    GrantState,
    Lane,
    Mode,
    ReviewKind,
    ReviewStatus,
    Said,
    Severity,
    Verdict,
)
from handrail.model.observation import Observation
from handrail.model.outcome import Grant, Outcome
from handrail.model.people import Person, SubjectKey
from handrail.model.review import Act, Review, Round, Seat, Vote
from handrail.model.ruling import Approval, Coin, Fired, Route, Ruling, Term
from handrail.model.versions import Activation, Evidence, How, ListEntry
from handrail.ports import Ahead, Checkpoint, Filed, Foreseen, StateRow, Store, Transaction
from handrail.testing.clock import FakeClock

T = TypeVar("T")

THREADS = 8
WAIT_SECONDS = 300
"""A thread that has not ended by then hangs; no test measures time."""


class Caught:
    """The error that `raises` caught."""

    error: BaseException


@contextmanager
def raises(kind: type[BaseException], *words: str) -> Iterator[Caught]:
    """Hold the block to raising `kind` with all `words` in its message."""
    caught = Caught()
    try:
        yield caught
    except kind as error:
        caught.error = error
        for word in words:
            assert word in str(error), f"{error!r} does not say {word!r}"
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


class Oops(Exception):
    """What the use cases of these tests raise."""


class StoreContract:
    """The suite. Override `make_store`; override `reopen` and `small_store` where you can."""

    clock: FakeClock
    _store: Store | None = None

    # ------------------------------------------------------------------ what you say

    def make_store(self, clock: Callable[[], int]) -> Store:
        """A new, empty store whose clock is `clock` (µs since 1970 UTC)."""
        raise NotImplementedError("say how your store is made")

    def reopen(self, store: Store) -> Store:
        """Close `store` and open what it kept, with the same clock."""
        raise unittest.SkipTest("what this store keeps dies with it")

    def small_store(self, clock: Callable[[], int]) -> Store:
        """A store whose room is used up after some dozens of decisions of 20 KB."""
        raise unittest.SkipTest("this store cannot be made to run full")

    # ------------------------------------------------------------------ set-up

    def setup_method(self) -> None:
        self.clock = FakeClock()
        self._store = None
        self._making = threading.Lock()

    def teardown_method(self) -> None:
        if self._store is not None:
            self._store.close()

    @property
    def store(self) -> Store:
        """The store under test, made when first asked for."""
        with self._making:
            if self._store is None:
                self._store = self.make_store(self.clock)
            return self._store

    def write(self, use_case: Callable[[Transaction], T]) -> T:
        return self.store.write(use_case)

    def read(self, query: Callable[[Transaction], T]) -> T:
        return self.store.read(query)

    def race(self, task: Callable[[int], T], times: int = THREADS) -> list[T | BaseException]:
        """Run `task(0)` … `task(times - 1)` at once; results or errors in that order."""
        barrier = threading.Barrier(times)

        def run(number: int) -> T | BaseException:
            barrier.wait(WAIT_SECONDS)
            try:
                return task(number)
            except Exception as error:
                return error

        with ThreadPoolExecutor(times) as pool:
            futures = [pool.submit(run, number) for number in range(times)]
            return [future.result(WAIT_SECONDS) for future in futures]

    # ------------------------------------------------------------------ things to store

    def decision(self, **given: Any) -> Decision:
        """A decision; the clock moves on by a millisecond, so that ids and times are in order."""
        now = self.clock.advance(0.001)
        given = {
            "id": new_id("d", now),
            "workflow": "refunds",
            "submitter": "bot",
            "facts": {"amount": "14.20", "name": "Zoë \u2028 “x”", "n": 3, "share": 0.1},
            "submitted_at": now,
            "body_digest": "sha256:" + "0" * 64,
            **given,
        }
        return Decision(**given)

    def ruling(self, decision: Decision, **given: Any) -> Ruling:
        given = {
            "decision_id": decision.id,
            "lane": Lane.HOLD,
            "mode": Mode.IN_THE_LOOP,
            "policy": f"{decision.workflow}@1",
            "gate_digest": "sha256:" + "1" * 64,
            "evaluated_at": decision.submitted_at,
            **given,
        }
        return Ruling(**given)

    def file(self, *, settled: bool = False, lane: Lane = Lane.HOLD, **given: Any) -> Decision:
        """A stored decision."""
        decision = self.decision(**given)
        mode = {Lane.PASS: Mode.AUTO, Lane.HOLD: Mode.IN_THE_LOOP, Lane.REFUSE: Mode.REFUSE}[lane]
        ruling = self.ruling(decision, lane=lane, mode=mode)
        self.write(lambda tx: tx.decisions.insert(decision, ruling, settled=settled))
        return decision

    def review(self, **given: Any) -> Review:
        """A stored open review of a new decision."""
        workflow = given.get("workflow", "refunds")
        lead = given.pop("lead", None) or self.file(workflow=workflow).id
        now = self.clock.advance(0.001)
        given = {
            "id": new_id("r", now),
            "kind": ReviewKind.HOLD,
            "workflow": workflow,
            "subject": None,
            "lead": lead,
            "status": ReviewStatus.OPEN,
            "to": ("team:desk",),
            "opened_at": now,
            **given,
        }
        review = Review(**given)
        first = Round(
            review=review.id,
            number=1,
            proposal={"send": True},
            ruling=self.ruling(self.decision(id=lead)),
            started_at=now,
        )
        self.write(lambda tx: tx.reviews.insert(review, first))
        return review

    def change(self, old: Review, **fields: Any) -> Review:
        """Replace a review, which has to succeed."""
        new = replace(old, **fields)
        assert self.write(lambda tx: tx.reviews.replace(old, new)) is True
        return new

    def vote(self, review: Review, **given: Any) -> Vote:
        now = self.clock.advance(0.001)
        given = {
            "id": new_id("v", now),
            "review": review.id,
            "round": review.round,
            "person": new_id("p", now),
            "said": Said.APPROVE,
            "card": "sha256:" + "2" * 64,
            "at": now,
            **given,
        }
        return Vote(**given)

    def outcome(self, decision: Decision, **given: Any) -> Outcome[Any]:
        now = self.clock.advance(0.001)
        given = {
            "decision_id": decision.id,
            "verdict": Verdict.APPROVED,
            "approved": {"send": True, "share": 0.25},
            "why": "Fine",
            "by": "ana",
            "at": now,
            "digest": "sha256:" + "3" * 64,
            "release_at": now,
            **given,
        }
        return Outcome(**given)

    def grant(self, decision: Decision, **given: Any) -> Grant:
        now = self.clock.advance(0.001)
        given = {
            "id": new_id("g", now),
            "decision_id": decision.id,
            "state": GrantState.GRANTED,
            "digest": "sha256:" + "3" * 64,
            "minted_at": now,
            **given,
        }
        return Grant(**given)

    def person(self, handle: str, **given: Any) -> Person:
        now = self.clock.advance(0.001)
        return Person(**{"id": new_id("p", now), "handle": handle, "added_at": now, **given})

    def notice(self, **given: Any) -> Notice:
        now = self.clock.advance(0.001)
        given = {
            "id": new_id("n", now),
            "topic": "review.opened",
            "to": ("team:desk",),
            "made_at": now,
            "next_at": now,
            **given,
        }
        return Notice(**given)

    def grow_log(self, count: int) -> None:
        """Append entries in one use case."""

        def use_case(tx: Transaction) -> None:
            for _ in range(count):
                tx.audit.append({"type": "test", "size": tx.audit.size()})

        self.write(use_case)

    def check_log(self) -> list[bytes]:
        """Hold the log to its tree, built anew from its entries; returns the entries."""
        self.store.settle_log()

        def query(tx: Transaction) -> tuple[int, bytes, list[bytes]]:
            return tx.audit.size(), tx.audit.root(), list(tx.audit.entries())

        size, root, entries = self.read(query)
        assert size == len(entries)
        leaves = [leaf_hash(entry) for entry in entries]
        assert root == Frontier().extend(leaves).root()
        wanted = tree_nodes(leaves)
        levels = size.bit_length()

        def nodes(tx: Transaction) -> dict[tuple[int, int], bytes]:
            return {
                (level, index): node
                for level in range(levels)
                for index, node in tx.audit.nodes(level)
            }

        assert self.read(nodes) == wanted
        return entries

    # ------------------------------------------------------------------ decisions

    def test_a_decision_comes_back_as_it_was_stored(self) -> None:
        decision = self.decision(
            subject="order-1",
            requester="kim@example.org",
            key="k1",
            proposal={"refund": "14.20", "deep": [{"a": [None, True, 1.5]}]},
            confidence={"refund": 0.75},
            alternatives=({"refund": "0.00"}, [1, 2], "no"),
            model="m@1",
            current={"refund": None},
            context={"text": "naïve \U0001f600", "rows": [1, 2.5]},
            links={"order": "https://example.org/1"},
            occurred_at=5,
            expires_at=2**53,
            supersedes="d_" + "0" * 26,
            test=True,
        )
        term = Term(text="amount > 10", op=">", left="14.20", right=10, fields={"amount": "14.20"})
        ruling = self.ruling(
            decision,
            severity=Severity.HIGH,
            fired=(
                Fired(
                    rule="big",
                    mode=Mode.IN_THE_LOOP,
                    severity=Severity.HIGH,
                    because="14.20 is more than 10",
                    terms=(term,),
                    approvals=(Approval(of=("role:lead",), count=2),),
                ),
            ),
            route=Route(to=("team:desk",), sla_seconds=60),
            coins=(Coin(kind="uniform", probability=0.01, drawn=False),),
            values={"ratio": None, "x": 1.25},
        )
        self.write(lambda tx: tx.decisions.insert(decision, ruling, settled=False))
        filed = Filed(decision=decision, ruling=ruling, review_id=None, settled=False)
        assert self.read(lambda tx: tx.decisions.get(decision.id)) == filed
        assert self.read(lambda tx: tx.decisions.by_key("refunds", "bot", "k1")) == filed
        assert self.read(lambda tx: tx.decisions.get("d_" + "9" * 26)) is None
        assert self.read(lambda tx: tx.decisions.by_key("refunds", "bot", "k2")) is None
        assert self.read(lambda tx: tx.decisions.by_key("refunds", "other", "k1")) is None

    def test_a_ruling_with_a_review_hangs_on_it_from_the_start(self) -> None:
        decision = self.decision()
        ruling = self.ruling(decision, review_id="r_" + "1" * 26)
        self.write(lambda tx: tx.decisions.insert(decision, ruling, settled=False))
        filed = self.read(lambda tx: tx.decisions.get(decision.id))
        assert filed is not None
        assert filed.review_id == "r_" + "1" * 26

    def test_a_key_is_used_once_a_workflow_and_submitter(self) -> None:
        first = self.file(key="k1")
        self.file(key="k1", workflow="other")
        self.file(key="k1", submitter="other")
        self.file(key=None)
        self.file(key=None)
        with raises(Conflict, "k1", first.id) as caught:
            self.file(key="k1")
        assert isinstance(caught.error, Conflict)
        assert caught.error.winner == {"decision_id": first.id}

    def test_what_is_known_of_a_conflict_can_be_used_in_the_same_use_case(self) -> None:
        first = self.file(key="k1")
        second = self.decision(key="k1")

        def use_case(tx: Transaction) -> str:
            tx.audit.append({"type": "before"})
            try:
                tx.decisions.insert(second, self.ruling(second), settled=False)
            except Conflict as error:
                tx.audit.append({"type": "after"})
                return str(error.winner["decision_id"])
            return ""

        assert self.write(use_case) == first.id
        assert len(self.check_log()) == 2

    def test_decisions_are_attached_and_settled(self) -> None:
        decision = self.file()
        review = self.review(lead=decision.id)
        self.write(lambda tx: tx.decisions.attach(decision.id, review.id))
        filed = self.read(lambda tx: tx.decisions.get(decision.id))
        assert filed is not None and filed.review_id == review.id and not filed.settled
        self.write(lambda tx: tx.decisions.settle(decision.id))
        self.write(lambda tx: tx.decisions.attach(decision.id, None))
        filed = self.read(lambda tx: tx.decisions.get(decision.id))
        assert filed is not None and filed.review_id is None and filed.settled

    def test_decisions_of_a_review_and_subject_come_oldest_first(self) -> None:
        mine = [self.file(subject="s") for _ in range(4)]
        self.file(subject="s", workflow="other")
        self.file(subject="other")
        self.file(subject="s", settled=True)
        review = self.review(lead=mine[0].id)

        def attach(tx: Transaction) -> None:
            for decision in reversed(mine):
                tx.decisions.attach(decision.id, review.id)

        self.write(attach)
        ids = [decision.id for decision in mine]
        of_review = self.read(lambda tx: tx.decisions.of_review(review.id))
        assert [filed.decision.id for filed in of_review] == ids
        first_two = self.read(lambda tx: tx.decisions.of_review(review.id, 2))
        assert [filed.decision.id for filed in first_two] == ids[:2]
        unsettled = self.read(lambda tx: tx.decisions.unsettled_of("refunds", "s"))
        assert [filed.decision.id for filed in unsettled] == ids
        self.write(lambda tx: tx.decisions.settle(ids[1]))
        unsettled = self.read(lambda tx: tx.decisions.unsettled_of("refunds", "s"))
        assert [filed.decision.id for filed in unsettled] == [ids[0], *ids[2:]]

    def test_expiring_decisions_come_in_order_of_their_expiry(self) -> None:
        late = self.file(expires_at=300)
        early = self.file(expires_at=100)
        self.file(expires_at=100, settled=True)
        self.file()

        def expiring(now: int, limit: int) -> list[str]:
            found = self.read(lambda tx: tx.decisions.expiring(now, limit))
            return [filed.decision.id for filed in found]

        assert expiring(99, 9) == []
        assert expiring(100, 9) == [early.id]
        assert expiring(300, 9) == [early.id, late.id]
        assert expiring(300, 1) == [early.id]

    def test_decisions_are_found_newest_first_by_any_part(self) -> None:
        made = [
            self.file(
                workflow=f"w{number % 2}",
                subject=f"s{number % 3}",
                key=f"k{number % 4}",
                submitter=f"bot{number}",
                lane=Lane.PASS if number % 5 == 0 else Lane.HOLD,
                settled=number % 3 == 0,
            )
            for number in range(30)
        ]
        doubtful = {made[4].id, made[11].id}
        for decision in made:
            state = GrantState.IN_DOUBT if decision.id in doubtful else GrantState.DONE
            grant = self.grant(decision, state=state)
            self.write(lambda tx, grant=grant: tx.grants.insert(grant))  # type: ignore[misc]

        def find(**asked: Any) -> list[int]:
            full: dict[str, Any] = dict.fromkeys(
                ("workflow", "lane", "state", "subject", "key", "before")
            )
            full |= {"limit": 100, **asked}
            found = self.read(lambda tx: tx.decisions.find(**full))
            return [made.index(filed.decision) for filed in found]

        def wanted(test: Callable[[int], bool]) -> list[int]:
            return [number for number in range(29, -1, -1) if test(number)]

        assert find() == wanted(lambda n: True)
        assert find(limit=3) == [29, 28, 27]
        assert find(before=made[10].id) == wanted(lambda n: n < 10)
        assert find(workflow="w1") == wanted(lambda n: n % 2 == 1)
        assert find(workflow="w1", lane="pass") == wanted(lambda n: n % 2 == 1 and n % 5 == 0)
        assert find(lane="pass") == wanted(lambda n: n % 5 == 0)
        ended = wanted(lambda n: n % 2 == 1 and n % 3 == 0 and n % 5 != 0)
        assert find(workflow="w1", lane="hold", state="done") == ended
        assert find(workflow="w1", lane="hold", state="done", limit=2) == ended[:2]
        assert find(workflow="w1", lane="hold", state="done", submitter="bot9") == [9]
        assert find(workflow="w1", lane="hold", state="done", before=made[9].id) == [3]
        assert find(state="done") == wanted(lambda n: n % 3 == 0)
        assert find(state="open") == wanted(lambda n: n % 3 != 0)
        assert find(state="open", workflow="w0", lane="hold", before=made[20].id) == wanted(
            lambda n: n % 3 != 0 and n % 2 == 0 and n % 5 != 0 and n < 20
        )
        assert find(subject="s1") == wanted(lambda n: n % 3 == 1)
        assert find(subject="s1", workflow="w0", state="open") == wanted(
            lambda n: n % 3 == 1 and n % 2 == 0
        )
        assert find(key="k3") == wanted(lambda n: n % 4 == 3)
        assert find(key="k3", subject="s0", state="done") == wanted(
            lambda n: n % 4 == 3 and n % 3 == 0
        )
        assert find(state="in_doubt") == [11, 4]
        assert find(state="in_doubt", workflow="w0") == [4]
        assert find(state="in_doubt", subject="s2", key="k3") == [11]
        assert find(workflow="nowhere") == []
        assert find(submitter="bot7") == [7]
        assert find(submitter="bot7", workflow="w0") == []
        assert find(requester="rita") == find(requester="Rita") == []

    def test_decisions_are_found_by_who_handed_them_in_or_asked(self) -> None:
        """The requester as names are compared: without case, blanks around and `person:`."""
        spellings = ("Ann@Example.org", " ann@example.org ", "person:ANN@example.org", "bob", None)
        made = [
            self.file(
                workflow=f"w{number % 2}",
                subject=f"s{number % 4}",
                key=f"k{number}",
                submitter=f"bot{number % 3}",
                requester=spellings[number % 5],
                settled=number % 2 == 0,
            )
            for number in range(20)
        ]
        doubt = self.grant(made[11], state=GrantState.IN_DOUBT)
        self.write(lambda tx: tx.grants.insert(doubt))

        def find(**asked: Any) -> list[int]:
            full: dict[str, Any] = dict.fromkeys(
                ("workflow", "lane", "state", "subject", "key", "before")
            )
            full |= {"limit": 100, **asked}
            found = self.read(lambda tx: tx.decisions.find(**full))
            return [made.index(filed.decision) for filed in found]

        def wanted(test: Callable[[int], bool]) -> list[int]:
            return [n for n in range(19, -1, -1) if n % 5 < 3 and test(n)]

        ann = "ann@example.org"
        assert find(requester=ann) == wanted(lambda n: True)
        assert find(requester=ann, limit=2) == wanted(lambda n: True)[:2]
        assert find(requester=ann, before=made[11].id) == wanted(lambda n: n < 11)
        assert find(requester=ann, workflow="w1") == wanted(lambda n: n % 2 == 1)
        assert find(requester=ann, state="open") == wanted(lambda n: n % 2 == 1)
        assert find(requester=ann, state="in_doubt") == [11]
        assert find(requester="bob", state="in_doubt") == []
        assert find(requester=ann, subject="s1") == wanted(lambda n: n % 4 == 1)
        assert find(requester=ann, key="k5") == [5]
        assert find(requester="bob", key="k5") == []
        assert find(requester=ann, submitter="bot1") == wanted(lambda n: n % 3 == 1)
        assert find(submitter="bot1", state="done") == [16, 10, 4]
        assert find(submitter="bot1", workflow="w0", subject="s0") == [16, 4]
        with raises(NotFound):
            find(before="d_" + "9" * 26)

    # ------------------------------------------------------------------ reviews

    def test_a_review_comes_back_with_every_field(self) -> None:
        plain = self.review()
        assert self.read(lambda tx: tx.reviews.get(plain.id)) == plain
        full = self.review(
            kind=ReviewKind.SPOT_CHECK,
            subject="s",
            attached=3,
            severity=Severity.MEDIUM,
            to=("team:desk", "person:p_" + "1" * 26),
            stage=2,
            next_at=5,
            due=6,
            case_key="c",
            behind=plain.id,
            snoozed_until=7,
        )
        assert self.read(lambda tx: tx.reviews.get(full.id)) == full
        closed = self.change(
            full,
            status=ReviewStatus.DECIDED,
            round=2,
            verdict=Verdict.EDITED,
            decided_by="p_" + "1" * 26,
            decided_at=8,
            closed_why="edited",
            undo_until=9,
            behind=None,
        )
        assert self.read(lambda tx: tx.reviews.get(full.id)) == closed
        assert self.read(lambda tx: tx.reviews.get("r_" + "9" * 26)) is None

    def test_a_review_is_replaced_only_where_it_has_not_moved(self) -> None:
        old = self.review()
        self.change(old, status=ReviewStatus.DECIDED)
        for stale in (old, replace(old, status=ReviewStatus.DECIDED, round=2)):
            new = replace(stale, verdict=Verdict.REJECTED)
            assert self.write(lambda tx, a=stale, b=new: tx.reviews.replace(a, b)) is False  # type: ignore[misc]
        moved = replace(old, status=ReviewStatus.DECIDED, stage=1)
        assert self.write(lambda tx: tx.reviews.replace(moved, moved)) is False
        stored = self.read(lambda tx: tx.reviews.get(old.id))
        assert stored is not None and stored.verdict is None

    def test_rounds_come_back_and_stand_once(self) -> None:
        review = self.review()
        first = self.read(lambda tx: tx.reviews.round(review.id, 1))
        assert first.proposal == {"send": True}
        second = replace(first, number=2, proposal={"send": False}, editor="p_" + "1" * 26)
        self.write(lambda tx: tx.reviews.add_round(second))
        assert self.read(lambda tx: tx.reviews.round(review.id, 2)) == second
        with raises(Conflict):
            self.write(lambda tx: tx.reviews.add_round(second))
        with raises(NotFound):
            self.read(lambda tx: tx.reviews.round(review.id, 3))

    def test_votes_stand_once_a_person_and_round_in_order(self) -> None:
        review = self.review()
        first = self.vote(review, edits={"send": False}, reason="tone", comment="ü", seconds=1.5)
        second = self.vote(review, said=Said.REJECT)
        later = self.vote(review, round=2, person=first.person)
        bodies = [
            self.write(lambda tx, vote=vote: tx.reviews.add_vote(vote))  # type: ignore[misc]
            for vote in (second, first, later)
        ]
        assert all(bodies)
        again = self.vote(review, person=first.person)
        assert self.write(lambda tx: tx.reviews.add_vote(again)) is None
        assert self.read(lambda tx: tx.reviews.votes(review.id, 1)) == [second, first]
        assert self.read(lambda tx: tx.reviews.votes(review.id)) == [second, first, later]
        self.write(lambda tx: tx.reviews.drop_vote(first.id))
        assert self.read(lambda tx: tx.reviews.votes(review.id)) == [second, later]
        assert self.write(lambda tx: tx.reviews.add_vote(again)) is not None

    def test_seats_are_put_and_lapse(self) -> None:
        review = self.review()
        seat = Seat(review=review.id, round=1, holder="p1", token="k1", lease_until=100, blind=True)
        other = replace(seat, holder="p2", token="k2", lease_until=50, blind=False)
        self.write(lambda tx: tx.reviews.put_seat(seat))
        self.write(lambda tx: tx.reviews.put_seat(other))
        assert self.read(lambda tx: tx.reviews.seat(review.id, 1, "p1")) == seat
        assert self.read(lambda tx: tx.reviews.seat(review.id, 2, "p1")) is None
        held = self.read(lambda tx: tx.reviews.seats(review.id, 1, 49))
        assert sorted(held, key=lambda one: one.holder) == [seat, other]
        assert self.read(lambda tx: tx.reviews.seats(review.id, 1, 50)) == [seat]
        assert self.read(lambda tx: tx.reviews.seats(review.id, 1, 100)) == []
        renewed = replace(seat, token="k3", lease_until=200, blind=False)
        self.write(lambda tx: tx.reviews.put_seat(renewed))
        assert self.read(lambda tx: tx.reviews.seats(review.id, 1, 100)) == [renewed]

    def test_acts_come_in_order(self) -> None:
        review = self.review()
        acts = [
            Act(review=review.id, kind="ask", by="p1", at=2, comment="why?"),
            Act(review=review.id, kind="escalate", by=None, at=1, to=("team:x",), until=5),
        ]
        for act in acts:
            self.write(lambda tx, act=act: tx.reviews.add_act(act))  # type: ignore[misc]
        assert self.read(lambda tx: tx.reviews.acts(review.id)) == acts
        assert self.read(lambda tx: tx.reviews.acts("r_" + "9" * 26)) == []

    def listed(self, **asked: Any) -> list[str]:
        full: dict[str, Any] = {"workflow": None, "status": "open", "to": None, "limit": 100}
        found = self.read(lambda tx: tx.reviews.open_list(**(full | asked)))
        return [review.id for review in found]

    def claimable(self, now: int = 0, *, writing: bool = False, **asked: Any) -> list[str]:
        full: dict[str, Any] = {"workflow": None, "to": None, "limit": 100, "now": now}

        def query(tx: Transaction) -> list[Review]:
            return tx.reviews.claimable(**(full | asked))

        found = self.write(query) if writing else self.read(query)
        return [review.id for review in found]

    def test_reviews_come_most_urgent_first(self) -> None:
        """Severity, then due (none last), then age, whatever the order of insertion."""
        places = [
            (severity, due, workflow)
            for severity in (Severity.HIGH, Severity.MEDIUM, Severity.LOW, None)
            for due in (10, 20, None)
            for workflow in ("a", "b")
        ]
        wanted: dict[tuple[Any, ...], str] = {}
        age = {"a": 1, "b": 2}
        for place in random.Random(7).sample(places, len(places)):
            severity, due, workflow = place
            review = self.review(
                severity=severity, due=due, workflow=workflow, opened_at=age[workflow]
            )
            wanted[place] = review.id
        ordered = [wanted[place] for place in places]
        only_a = [wanted[place] for place in places if place[2] == "a"]
        for listed in (self.listed, self.claimable):
            assert listed() == ordered
            assert listed(limit=5) == ordered[:5]
            assert listed(to=["team:desk"]) == ordered
            assert listed(workflow="a") == only_a
            assert listed(workflow="a", to=["team:desk"], limit=3) == only_a[:3]
            assert listed(workflow="nowhere") == []
        assert self.claimable(writing=True) == ordered

    def test_lists_show_who_is_asked_each_review_once(self) -> None:
        both = self.review(to=("team:a", "team:b"), opened_at=1)
        only_a = self.review(to=("team:a",), opened_at=2)
        only_b = self.review(to=("team:b", "person:p1"), opened_at=3)
        nobody = self.review(to=(), opened_at=4)
        for listed in (self.listed, self.claimable):
            assert listed(to=["team:a"]) == [both.id, only_a.id]
            assert listed(to=["team:b", "team:a", "person:p1"]) == [both.id, only_a.id, only_b.id]
            assert listed(to=["person:p1"]) == [only_b.id]
            assert listed(to=["team:none"]) == []
            assert listed(to=[]) == []
            assert listed(to=None) == [both.id, only_a.id, only_b.id, nobody.id]
        self.change(only_a, to=("team:b",), stage=1)
        for listed in (self.listed, self.claimable):
            assert listed(to=["team:a"]) == [both.id]
            assert listed(to=["team:b"]) == [both.id, only_a.id, only_b.id]

    def test_lists_follow_status_severity_and_due(self) -> None:
        first = self.review(severity=Severity.HIGH, opened_at=1)
        second = self.review(severity=Severity.LOW, opened_at=2)
        assert self.listed() == [first.id, second.id]
        first = self.change(first, severity=None)
        assert self.listed() == self.claimable() == [second.id, first.id]
        second = self.change(second, severity=None, due=5)
        first = self.change(first, due=4)
        assert self.listed() == self.claimable() == [first.id, second.id]
        decided = self.change(first, status=ReviewStatus.DECIDED)
        assert self.listed() == self.claimable() == [second.id]
        assert self.listed(status="decided") == [first.id]
        assert self.listed(status="closed") == []
        assert self.listed(status=None) == [first.id, second.id]
        assert self.listed(status=None, limit=1) == [first.id]
        assert self.listed(status="decided", to=["team:desk"]) == [first.id]
        assert self.listed(status="decided", to=["team:other"]) == []
        assert self.listed(status="decided", workflow="other") == []
        self.change(decided, status=ReviewStatus.OPEN)
        assert self.listed() == self.claimable() == [first.id, second.id]

    def test_what_rests_or_is_taken_cannot_be_claimed(self) -> None:
        review = self.review()
        other = self.review()
        seat = Seat(review=review.id, round=1, holder="p1", token="k1", lease_until=100)
        self.write(lambda tx: tx.reviews.put_seat(seat))
        for writing in (False, True):
            assert self.claimable(99, writing=writing) == [other.id]
            assert self.claimable(99, writing=writing, to=["team:desk"]) == [other.id]
        assert self.claimable(100) == [review.id, other.id]
        assert self.claimable(100, writing=True) == [review.id, other.id]
        assert self.claimable(100, to=["team:desk"]) == [review.id, other.id]
        assert self.listed() == [review.id, other.id]
        # Taken again after it lapsed, given back, and taken by a second person.
        self.write(lambda tx: tx.reviews.put_seat(replace(seat, lease_until=300)))
        assert self.claimable(200) == [other.id]
        self.write(lambda tx: tx.reviews.put_seat(replace(seat, lease_until=150)))
        assert self.claimable(200) == [review.id, other.id]
        self.write(lambda tx: tx.reviews.put_seat(replace(seat, holder="p2", lease_until=400)))
        assert self.claimable(200, writing=True) == [other.id]
        # The next round has seats of its own.
        review = self.change(review, round=2)
        assert self.claimable(200) == [review.id, other.id]
        review = self.change(review, snoozed_until=500)
        assert self.claimable(499, writing=True) == [other.id]
        assert self.claimable(500) == [review.id, other.id]
        assert self.claimable(500, workflow="refunds", writing=True) == [review.id, other.id]
        review = self.change(review, snoozed_until=None, behind=other.id)
        assert self.claimable(10**15, writing=True) == [other.id]
        self.change(review, behind=None)
        assert self.claimable(10**15) == [review.id, other.id]

    def test_due_reviews_come_in_order_of_next_at(self) -> None:
        late = self.review(next_at=300)
        early = self.review(next_at=100)
        self.review(next_at=None)
        gone = self.review(next_at=50)
        self.change(gone, status=ReviewStatus.CLOSED)

        def due(now: int, limit: int = 9) -> list[str]:
            return [review.id for review in self.read(lambda tx: tx.reviews.due(now, limit))]

        assert due(99) == []
        assert due(100) == [early.id]
        assert due(300) == [early.id, late.id]
        assert due(300, 1) == [early.id]

    def test_an_open_case_takes_repeats_until_it_ends(self) -> None:
        review = self.review(case_key="c1")
        self.review(case_key="c2")
        assert self.read(lambda tx: tx.reviews.open_case("c1")) == review
        assert self.read(lambda tx: tx.reviews.open_case("c3")) is None
        self.change(review, status=ReviewStatus.DECIDED)
        assert self.read(lambda tx: tx.reviews.open_case("c1")) is None

    def test_reviews_behind_another_are_found(self) -> None:
        first = self.review()
        waiting = [self.review(behind=first.id) for _ in range(2)]
        gone = self.review(behind=first.id)
        self.change(gone, status=ReviewStatus.CLOSED)
        assert self.read(lambda tx: tx.reviews.behind(first.id)) == waiting

    # ------------------------------------------------------------------ outcomes, grants, labels

    def test_an_outcome_is_released_once(self) -> None:
        decision = self.file()
        outcome = self.outcome(decision, reason="ok", edited=True)
        body = self.write(lambda tx: tx.outcomes.insert(outcome))
        assert self.read(lambda tx: tx.outcomes.get(decision.id)) == outcome
        with raises(Conflict, "approved", decision.id):
            self.write(lambda tx: tx.outcomes.insert(outcome))
        grant_id = "g_" + "1" * 26
        assert self.write(lambda tx: tx.outcomes.release(decision.id, grant_id)) is True
        assert self.write(lambda tx: tx.outcomes.release(decision.id, None)) is False
        assert self.write(lambda tx: tx.outcomes.take_back(decision.id)) is False
        released = replace(outcome, released=True, grant_id=grant_id)
        assert self.read(lambda tx: tx.outcomes.get(decision.id)) == released
        assert self.read(lambda tx: tx.outcomes.body(decision.id)) == body

    def test_an_outcome_stored_as_released_is_so(self) -> None:
        decision = self.file()
        outcome = self.outcome(decision, released=True, grant_id="g_" + "1" * 26)
        body = self.write(lambda tx: tx.outcomes.insert(outcome))
        assert self.read(lambda tx: tx.outcomes.get(decision.id)) == outcome
        assert self.write(lambda tx: tx.outcomes.release(decision.id, None)) is False
        assert self.read(lambda tx: tx.outcomes.body(decision.id)) == body
        assert self.read(lambda tx: tx.outcomes.due(2**60, 9)) == []

    def test_an_unreleased_outcome_can_be_taken_back(self) -> None:
        decision = self.file()
        self.write(lambda tx: tx.outcomes.insert(self.outcome(decision)))
        assert self.write(lambda tx: tx.outcomes.take_back(decision.id)) is True
        assert self.write(lambda tx: tx.outcomes.take_back(decision.id)) is False
        assert self.write(lambda tx: tx.outcomes.release(decision.id, None)) is False
        assert self.read(lambda tx: tx.outcomes.get(decision.id)) is None
        with raises(NotFound):
            self.read(lambda tx: tx.outcomes.body(decision.id))
        self.write(lambda tx: tx.outcomes.insert(self.outcome(decision)))

    def test_outcomes_fall_due_in_order(self) -> None:
        late, early, out = self.file(), self.file(), self.file()
        outcomes = {
            late.id: self.outcome(late, release_at=300),
            early.id: self.outcome(early, release_at=100),
            out.id: self.outcome(out, release_at=50),
        }
        for outcome in outcomes.values():
            self.write(lambda tx, o=outcome: tx.outcomes.insert(o))  # type: ignore[misc]
        self.write(lambda tx: tx.outcomes.release(out.id, None))
        assert self.read(lambda tx: tx.outcomes.due(99, 9)) == []
        assert self.read(lambda tx: tx.outcomes.due(300, 9)) == [
            outcomes[early.id],
            outcomes[late.id],
        ]
        assert self.read(lambda tx: tx.outcomes.due(300, 1)) == [outcomes[early.id]]

    def test_grants_change_by_compare_and_set_on_state_and_run(self) -> None:
        decision = self.file()
        granted = self.grant(decision, valid_until=10)
        self.write(lambda tx: tx.grants.insert(granted))
        assert self.read(lambda tx: tx.grants.get(granted.id)) == granted
        redeemed = replace(
            granted, state=GrantState.REDEEMED, run="run-1", by="bot", redeemed_at=5, lease_until=9
        )
        assert self.write(lambda tx: tx.grants.replace(granted, redeemed)) is True
        assert self.write(lambda tx: tx.grants.replace(granted, redeemed)) is False
        other = replace(redeemed, run="run-2")
        assert self.write(lambda tx: tx.grants.replace(other, other)) is False
        done = replace(
            redeemed,
            state=GrantState.VOID,
            finished_at=7,
            error="E",
            resolved_by="p1",
            note="n",
            replaced_by="g_" + "1" * 26,
        )
        assert self.write(lambda tx: tx.grants.replace(redeemed, done)) is True
        assert self.read(lambda tx: tx.grants.get(granted.id)) == done
        assert self.read(lambda tx: tx.grants.get("g_" + "9" * 26)) is None

    def test_the_latest_grant_of_a_decision_is_current(self) -> None:
        decision = self.file()
        assert self.read(lambda tx: tx.grants.current(decision.id)) is None
        for _ in range(2):
            latest = self.grant(decision)
            self.write(lambda tx, grant=latest: tx.grants.insert(grant))  # type: ignore[misc]
        assert self.read(lambda tx: tx.grants.current(decision.id)) == latest

    def test_grants_become_overdue_by_lease_and_validity(self) -> None:
        decision = self.file()
        by_lease = self.grant(decision, state=GrantState.REDEEMED, run="r", lease_until=200)
        by_validity = self.grant(decision, valid_until=100)
        others = [
            self.grant(
                decision, state=GrantState.REDEEMED, run="r", lease_until=900, valid_until=1
            ),
            self.grant(decision, state=GrantState.DONE, run="r", lease_until=1, valid_until=1),
            self.grant(decision),
        ]
        for grant in (by_lease, by_validity, *others):
            self.write(lambda tx, grant=grant: tx.grants.insert(grant))  # type: ignore[misc]
        assert self.read(lambda tx: tx.grants.overdue(99, 9)) == []
        assert self.read(lambda tx: tx.grants.overdue(200, 9)) == [by_validity, by_lease]
        assert self.read(lambda tx: tx.grants.overdue(200, 1)) == [by_validity]

    def test_grants_in_states_come_oldest_first(self) -> None:
        decision = self.file()
        states = [GrantState.FAILED, GrantState.DONE, GrantState.IN_DOUBT, GrantState.FAILED]
        grants = [self.grant(decision, state=state) for state in states]
        for grant in grants:
            self.write(lambda tx, grant=grant: tx.grants.insert(grant))  # type: ignore[misc]
        wanted = [GrantState.IN_DOUBT, GrantState.FAILED]
        found = self.read(lambda tx: tx.grants.in_state(wanted, 9))
        assert found == [grants[0], grants[2], grants[3]]
        assert self.read(lambda tx: tx.grants.in_state(wanted, 2)) == [grants[0], grants[2]]
        assert self.read(lambda tx: tx.grants.in_state([], 2)) == []

    def test_labels_come_in_order(self) -> None:
        decision = self.file()
        labels = [
            Label(
                id=new_id("l", number),
                decision_id=decision.id,
                truth={"fraud": True},
                wrong=True,
                loss="12.50",
                source="chargeback",
                at=9 - number,
                added_at=number,
            )
            for number in range(3)
        ]
        for label in labels:
            self.write(lambda tx, label=label: tx.labels.insert(label))  # type: ignore[misc]
        assert self.read(lambda tx: tx.labels.of(decision.id)) == labels
        assert self.read(lambda tx: tx.labels.of("d_" + "9" * 26)) == []

    def test_the_past_of_a_workflow_comes_with_what_became_known(self) -> None:
        held, passed = self.file(), self.file(lane=Lane.PASS, settled=True)
        self.file(workflow="other")
        asked = self.review(lead=held.id)
        spot = self.review(lead=passed.id, kind=ReviewKind.SPOT_CHECK)
        self.write(lambda tx: tx.decisions.attach(held.id, asked.id))
        self.write(lambda tx: tx.decisions.attach(passed.id, spot.id))

        def past() -> list[tuple[str, str | None, bool | None]]:
            def query(tx: Transaction) -> list[tuple[str, str | None, bool | None]]:
                found = []
                for one in tx.decisions.past("refunds"):
                    decision = decoder(Decision).decode(one.body)
                    ruling = decoder(Ruling).decode(one.ruling)
                    assert ruling.decision_id == decision.id
                    label = one.label and decoder(Label).decode(one.label)
                    found.append((decision.id, one.said, label.wrong if label else None))
                return found

            return self.read(query)

        assert past() == [(held.id, None, None), (passed.id, None, None)]
        for review, by in ((asked, None), (spot, "p_" + "1" * 26)):
            decided = replace(
                review,
                status=ReviewStatus.DECIDED,
                verdict=Verdict.REJECTED,
                decided_by=by,
                decided_at=5,
            )
            change = self.write(lambda tx, a=review, b=decided: tx.reviews.replace(a, b))  # type: ignore[misc]
            assert change is True
        for number, wrong in ((1, True), (2, False)):
            label = Label(
                id=new_id("l", number),
                decision_id=held.id,
                wrong=wrong,
                source="chargeback",
                at=number,
                added_at=number,
            )
            self.write(lambda tx, label=label: tx.labels.insert(label))  # type: ignore[misc]
        # Silence said nothing; a person did.
        assert past() == [(held.id, None, False), (passed.id, "rejected", None)]
        assert self.read(lambda tx: list(tx.decisions.past("nothing"))) == []

    # ------------------------------------------------------------------ the rest of the nouns

    def test_people_are_known_by_id_and_by_handle_without_case(self) -> None:
        ana = self.person("Ana@Example.org", holds=("team:desk", "role:lead"))
        zoe = self.person("ZOË", active=False)
        for person in (ana, zoe):
            self.write(lambda tx, person=person: tx.people.put(person))  # type: ignore[misc]
        assert self.read(lambda tx: tx.people.get(ana.id)) == ana
        assert self.read(lambda tx: tx.people.by_handle("aNA@EXAMPLE.ORG")) == ana
        assert self.read(lambda tx: tx.people.by_handle("zoë")) == zoe
        assert self.read(lambda tx: tx.people.by_handle("bob")) is None
        assert self.read(lambda tx: tx.people.all()) == [ana, zoe]
        moved = replace(ana, handle="ana", holds=())
        self.write(lambda tx: tx.people.put(moved))
        assert self.read(lambda tx: tx.people.by_handle("ANA")) == moved
        assert self.read(lambda tx: tx.people.by_handle("Ana@Example.org")) is None
        with raises(Conflict, "ZOË", zoe.id):
            self.write(lambda tx: tx.people.put(self.person("zoË")))

    def test_a_use_case_changes_what_it_made_itself(self) -> None:
        person = self.person("ana")
        decision = self.decision(key="k1")
        key = SubjectKey(workflow="refunds", subject="s", key=bytes(32), made_at=5)

        def use_case(tx: Transaction) -> list[str]:
            assert tx.people.by_handle("ana") is None
            tx.people.put(person)
            tx.people.put(replace(person, holds=("team:desk",)))
            tx.people.put(replace(person, handle="Anna", holds=()))
            assert tx.decisions.by_key("refunds", "bot", "k1") is None
            assert tx.subjects.key_of("refunds", "s") is None
            refused = []
            for _ in range(2):
                try:
                    tx.decisions.insert(decision, self.ruling(decision), settled=False)
                except Conflict:
                    refused.append("key")
                try:
                    tx.subjects.insert(key)
                except Conflict:
                    refused.append("subject")
            return refused

        assert self.write(use_case) == ["key", "subject"]
        found = self.read(lambda tx: tx.people.all())
        assert found == [replace(person, handle="Anna")]
        assert self.read(lambda tx: tx.subjects.key_of("refunds", "s")) == key

    def test_somebody_is_registered_who_holds_something(self) -> None:
        assert self.read(lambda tx: tx.people.registered()) is False
        self.write(lambda tx: tx.people.put(self.person("solo")))
        assert self.read(lambda tx: tx.people.registered()) is False
        held = self.person("ana", holds=("team:desk",))
        self.write(lambda tx: tx.people.put(held))
        assert self.read(lambda tx: tx.people.registered()) is True
        # Who was put out of office does not make the workspace nobody's again.
        self.write(lambda tx: tx.people.put(replace(held, active=False)))
        assert self.read(lambda tx: tx.people.registered()) is True

    def test_limits_come_back_and_are_replaced(self) -> None:
        ana = self.person("ana", limits={"*": "500", "refunds": "12.50"})
        self.write(lambda tx: tx.people.put(ana))
        assert self.read(lambda tx: tx.people.get(ana.id)) == ana
        free = replace(ana, limits={})
        self.write(lambda tx: tx.people.put(free))
        assert self.read(lambda tx: tx.people.by_handle("ANA")) == free
        assert self.read(lambda tx: tx.people.registered()) is False

    # ------------------------------------------------------------------ ways in

    def registered(self, handle: str) -> Person:
        """A stored person."""
        person = self.person(handle)
        self.write(lambda tx: tx.people.put(person))
        return person

    def token(self, **given: Any) -> Token:
        now = self.clock.advance(0.001)
        given = {
            "id": new_id("t", now),
            "name": "bot",
            "prefix": "hrt_abcdef",
            "scopes": ("decisions:submit", "labels:write"),
            "workflows": ("refunds", "*"),
            "made_by": "local",
            "made_at": now,
            **given,
        }
        return Token(**given)

    def session(self, person: Person, number: int, **given: Any) -> Session:
        given = {
            "hash": f"{number:064x}",
            "person": person.id,
            "made_at": 10,
            "seen_at": 10,
            "until": 100,
            "last": 1_000,
            **given,
        }
        return Session(**given)

    def invitation(self, number: int, handle: str | None, **given: Any) -> Invitation:
        now = self.clock.advance(0.001)
        given = {
            "id": new_id("i", now),
            "hash": f"{number:064x}",
            "handle": handle,
            "made_by": "local",
            "until": now + 1,
            **given,
        }
        return Invitation(**given)

    def test_tokens_are_known_by_id_and_by_hash_in_order(self) -> None:
        plain = self.token()
        full = self.token(name="Zoë’s", workflows=(), expires_at=5, last_used_at=6, revoked_at=7)
        for number, token in enumerate((plain, full)):
            self.write(lambda tx, n=number, t=token: tx.access.add_token(t, f"{n:064x}"))  # type: ignore[misc]
        assert self.read(lambda tx: tx.access.tokens()) == [plain, full]
        assert self.read(lambda tx: tx.access.token(full.id)) == full
        assert self.read(lambda tx: tx.access.token_by_hash("0" * 64)) == plain
        assert self.read(lambda tx: tx.access.token_by_hash("f" * 64)) is None
        assert self.read(lambda tx: tx.access.token("t_none")) is None
        used = replace(plain, last_used_at=8)
        self.write(lambda tx: tx.access.put_token(used))
        revoked = replace(used, revoked_at=9)
        self.write(lambda tx: tx.access.put_token(revoked))
        assert self.read(lambda tx: tx.access.tokens()) == [revoked, full]
        assert self.read(lambda tx: tx.access.token_by_hash("0" * 64)) == revoked

    def test_sessions_move_on_and_end(self) -> None:
        ana, bob = self.registered("ana"), self.registered("bob")
        mine = [self.session(ana, number) for number in (3, 1, 2)]
        other = self.session(bob, 4, until=50, local=True)
        for session in (*mine, other):
            self.write(lambda tx, session=session: tx.access.put_session(session))  # type: ignore[misc]
        assert self.read(lambda tx: tx.access.sessions_of(ana.id)) == mine
        assert self.read(lambda tx: tx.access.session(other.hash)) == other
        assert self.read(lambda tx: tx.access.session("f" * 64)) is None
        moved = replace(mine[0], seen_at=20, until=120)
        self.write(lambda tx: tx.access.put_session(moved))
        assert self.read(lambda tx: tx.access.sessions_of(ana.id)) == [moved, *mine[1:]]
        assert self.write(lambda tx: tx.access.drop_sessions(49)) == 0
        assert self.write(lambda tx: tx.access.drop_sessions(50)) == 1
        assert self.read(lambda tx: tx.access.session(other.hash)) is None
        assert self.write(lambda tx: tx.access.end_sessions_of(ana.id, keep=moved.hash)) == 2
        assert self.read(lambda tx: tx.access.sessions_of(ana.id)) == [moved]
        assert self.write(lambda tx: tx.access.end_session(moved.hash)) is True
        assert self.write(lambda tx: tx.access.end_session(moved.hash)) is False
        assert self.write(lambda tx: tx.access.end_sessions_of(ana.id)) == 0

    def test_a_person_has_one_password(self) -> None:
        ana = self.registered("ana")
        assert self.read(lambda tx: tx.access.password(ana.id)) is None
        first = Password(person=ana.id, hash="$argon2id$a", changed_at=1)
        self.write(lambda tx: tx.access.put_password(first))
        assert self.read(lambda tx: tx.access.password(ana.id)) == first
        second = Password(
            person=ana.id, hash="$argon2id$b", changed_at=2, failures=5, locked_until=9
        )
        self.write(lambda tx: tx.access.put_password(second))
        assert self.read(lambda tx: tx.access.password(ana.id)) == second

    def test_an_identity_is_linked_once_and_exactly(self) -> None:
        ana, bob = self.registered("ana"), self.registered("bob")
        links = [
            Identity(issuer="https://id.example", subject=subject, person=ana.id, linked_at=1)
            for subject in ("u1", "U1", "u1 ")
        ]
        for link in links:
            self.write(lambda tx, link=link: tx.access.add_identity(link))  # type: ignore[misc]
        assert self.read(lambda tx: tx.access.identities_of(ana.id)) == links
        assert self.read(lambda tx: tx.access.identities_of(bob.id)) == []
        for link in links:
            found = self.read(
                lambda tx, link=link: tx.access.identity(link.issuer, link.subject)  # type: ignore[misc]
            )
            assert found == link
        assert self.read(lambda tx: tx.access.identity("https://id.example/", "u1")) is None
        stolen = replace(links[0], person=bob.id)

        def take(tx: Transaction) -> None:
            with raises(Conflict, "linked"):
                tx.access.add_identity(stolen)
            assert tx.access.identity(stolen.issuer, stolen.subject) == links[0]

        self.write(take)

    def test_an_invitation_is_used_once_or_ended(self) -> None:
        plain = self.invitation(1, "Ana@Example.org")
        full = self.invitation(2, "bob", holds=("team:a", "role:b"), limits={"*": "5"}, until=2**50)
        empty = self.invitation(3, "cleo", holds=(), limits={}, local=True)
        first = self.invitation(4, None)
        for invitation in (plain, full, empty, first):
            self.write(
                lambda tx, invitation=invitation: tx.access.add_invitation(invitation)  # type: ignore[misc]
            )
        for invitation in (plain, full, empty, first):
            found = self.read(
                lambda tx, invitation=invitation: tx.access.invitation(invitation.hash)  # type: ignore[misc]
            )
            assert found == invitation
        assert self.read(lambda tx: tx.access.invitation("f" * 64)) is None
        assert self.write(lambda tx: tx.access.use_invitation(full.hash, 7)) is True
        assert self.write(lambda tx: tx.access.use_invitation(full.hash, 8)) is False
        assert self.write(lambda tx: tx.access.use_invitation("f" * 64, 8)) is False
        assert self.read(lambda tx: tx.access.invitation(full.hash)) == replace(full, used_at=7)
        assert self.write(lambda tx: tx.access.end_invitations("bob")) == 0, "it is used"
        assert self.write(lambda tx: tx.access.end_invitations("ANA@example.org")) == 1
        assert self.read(lambda tx: tx.access.invitation(plain.hash)) is None
        assert self.write(lambda tx: tx.access.end_invitations(None)) == 1
        assert self.read(lambda tx: tx.access.invitation(first.hash)) is None
        assert self.read(lambda tx: tx.access.invitation(empty.hash)) == empty

    def test_one_policy_version_is_active(self) -> None:
        first = PolicyVersion(
            workflow="refunds",
            version="v1",
            gate_digest="sha256:" + "1" * 64,
            text="a: ü\n",
            files={"lists/x.txt": "a\nb\n"},
            path="refunds.yaml",
            activated_at=1,
            activated_by="ana",
            active=True,
        )
        second = replace(first, version="v2", text="b", activated_at=2)
        assert self.read(lambda tx: tx.policies.active("refunds")) is None
        assert self.read(lambda tx: tx.policies.workflows()) == []
        self.write(lambda tx: tx.policies.activate(first))
        assert self.read(lambda tx: tx.policies.active("refunds")) == "v1"
        assert self.read(lambda tx: tx.policies.get("refunds", "v1")) == first
        self.write(lambda tx: tx.policies.activate(second))
        self.write(lambda tx: tx.policies.activate(replace(first, workflow="a")))
        assert self.read(lambda tx: tx.policies.active("refunds")) == "v2"
        old = self.read(lambda tx: tx.policies.get("refunds", "v1"))
        assert old == replace(first, active=False)
        assert self.read(lambda tx: tx.policies.get("refunds", "v3")) is None
        assert self.read(lambda tx: tx.policies.workflows()) == ["a", "refunds"]
        again = replace(first, activated_at=3, activated_by="bob")
        self.write(lambda tx: tx.policies.activate(again))
        assert self.read(lambda tx: tx.policies.get("refunds", "v1")) == again
        found = self.read(lambda tx: tx.policies.get("refunds", "v2"))
        assert found is not None and found.active is False

    def test_a_version_waits_without_ruling(self) -> None:
        waiting = PolicyVersion(
            workflow="refunds", version="v1", gate_digest="sha256:1", text="a", path="refunds.yaml"
        )
        self.write(lambda tx: tx.policies.put(waiting))
        assert self.read(lambda tx: tx.policies.active("refunds")) is None
        assert self.read(lambda tx: tx.policies.get("refunds", "v1")) == waiting
        assert self.read(lambda tx: tx.policies.workflows()) == []
        other = replace(waiting, version="v0", text="b")
        self.write(lambda tx: tx.policies.put(other))
        self.write(lambda tx: tx.policies.put(replace(other, version="v1", workflow="a")))
        assert self.read(lambda tx: tx.policies.versions("refunds")) == ["v0", "v1"]
        ruling = replace(waiting, activated_at=5, activated_by="ana", active=True)
        self.write(lambda tx: tx.policies.activate(ruling))
        self.write(lambda tx: tx.policies.put(replace(ruling, path="other.yaml")))
        assert self.read(lambda tx: tx.policies.active("refunds")) == "v1", "put took it away"
        assert self.read(lambda tx: tx.policies.versions("refunds")) == ["v0", "v1"]
        assert self.read(lambda tx: tx.policies.versions("nothing")) == []
        rows = [row for row in self.read(lambda tx: list(tx.state_rows())) if row.id == "refunds"]
        assert [(row.table, row.columns) for row in rows] == [
            ("policies", {"policy": "refunds@v1"})
        ]

    def test_the_history_of_a_policy_only_grows(self) -> None:
        first = Activation(
            workflow="refunds", version="v1", previous=None, gate_digest="sha256:1",
            gate_changed=True, how=How.FILE, at=1, by="workspace", single_person=True,
        )  # fmt: skip
        second = replace(
            first, version="v2", previous="v1", gate_changed=False, how=How.PROPOSAL, at=2,
            by="p_1", proposed_by="p_2", approved_by=("p_1",), decision_id="d_1", reason="typo",
            evidence=Evidence(kind="backtest", summary="same", figures={"held": [0.1, 0.2]}),
        )  # fmt: skip
        lines = (first, replace(first, workflow="a"), second, replace(first, at=3))

        def grow(tx: Transaction) -> None:
            for line in lines:
                tx.policies.add_activation(line)

        self.write(grow)
        assert self.read(lambda tx: tx.policies.activations("refunds", 10)) == [
            replace(first, at=3),
            second,
            first,
        ]
        assert self.read(lambda tx: tx.policies.activations("refunds", 1)) == [replace(first, at=3)]
        assert self.read(lambda tx: tx.policies.activations("nothing", 1)) == []

    def test_a_stored_list_is_what_each_of_its_versions_held(self) -> None:
        def entry(value: str, since: int, **more: Any) -> ListEntry:
            return ListEntry(
                workflow="refunds", list="known", value=value, since=since, added_at=since,
                added_by="p_1", **more,
            )  # fmt: skip

        a, b = entry("ä", 1), entry("b", 2, expires_at=9, decision_id="d_1")
        assert self.read(lambda tx: tx.lists.version("refunds", "known")) == 0
        assert self.read(lambda tx: tx.lists.at("refunds", "known", 0)) == []
        for made, version in ((a, 1), (b, 2)):

            def grow(tx: Transaction, made: ListEntry = made, version: int = version) -> None:
                tx.lists.add(made)
                tx.lists.put_version("refunds", "known", version)

            self.write(grow)
        ended = replace(a, until=3, removed_at=7, removed_by="p_2")

        def shrink(tx: Transaction) -> int:
            tx.lists.end(ended)
            tx.lists.put_version("refunds", "known", 3)
            return tx.lists.version("refunds", "known")

        assert self.write(shrink) == 3
        assert self.read(lambda tx: tx.lists.at("refunds", "known", 1)) == [ended]
        assert self.read(lambda tx: tx.lists.at("refunds", "known", 2)) == [ended, b]
        assert self.read(lambda tx: tx.lists.at("refunds", "known", 3)) == [b]
        with raises(Conflict):
            self.write(lambda tx: tx.lists.end(replace(a, until=4)))
        back = entry("ä", 4)
        self.write(lambda tx: tx.lists.add(back))
        assert self.read(lambda tx: tx.lists.at("refunds", "known", 4)) == [b, back]
        assert self.read(lambda tx: tx.lists.at("other", "known", 4)) == []
        assert self.read(lambda tx: tx.lists.at("refunds", "other", 4)) == []
        rows = [row for row in self.read(lambda tx: list(tx.state_rows())) if row.table == "lists"]
        assert [(row.id, row.columns) for row in rows] == [("refunds/known", {"version": 3})]
        assert rows[0].body == b'[["b",9]]'

    def test_subject_keys_stand_once(self) -> None:
        key = SubjectKey(workflow="refunds", subject="s", key=bytes(range(32)), made_at=5)
        assert self.read(lambda tx: tx.subjects.key_of("refunds", "s")) is None
        self.write(lambda tx: tx.subjects.insert(key))
        assert self.read(lambda tx: tx.subjects.key_of("refunds", "s")) == key
        assert self.read(lambda tx: tx.subjects.key_of("other", "s")) is None
        with raises(Conflict):
            self.write(lambda tx: tx.subjects.insert(replace(key, key=bytes(32))))
        assert self.read(lambda tx: tx.subjects.key_of("refunds", "s")) == key

    def test_what_holds_for_all_is_seen_at_once_and_not_after_a_rollback(self) -> None:
        """Stops and active policies are read by every submit, so a store may keep them."""
        first = PolicyVersion(
            workflow="refunds",
            version="v1",
            gate_digest="sha256:" + "a" * 64,
            text="a",
            files={},
            path="refunds.yaml",
            activated_at=1,
            activated_by="ana",
            active=True,
        )
        stop = Stop(workflow="refunds", reason="a test", by="ana", at=1)

        def seen(tx: Transaction) -> tuple[str | None, Stop | None]:
            return tx.policies.active("refunds"), tx.stops.get("refunds")

        def change(tx: Transaction) -> None:
            tx.policies.activate(replace(first, version="v2"))
            tx.stops.put(stop)
            assert seen(tx) == ("v2", stop)
            raise Conflict("changed its mind")

        assert self.write(seen) == (None, None)
        self.write(lambda tx: tx.policies.activate(first))
        assert self.write(seen) == ("v1", None)
        with raises(Conflict):
            self.write(change)
        assert self.write(seen) == ("v1", None)
        cleared: list[Any] = [
            seen,
            lambda tx: tx.stops.put(stop),
            seen,
            lambda tx: tx.stops.clear("refunds"),
            seen,
        ]
        found = self.store.write_many(cleared)
        assert [found[0], found[2], found[4]] == [("v1", None), ("v1", stop), ("v1", None)]

    def test_a_workflows_own_stop_goes_before_the_one_for_all(self) -> None:
        own = Stop(workflow="refunds", reason="bad model", by="ana", at=1)
        every = Stop(workflow="*", reason="fire", by="bob", at=2)
        assert self.read(lambda tx: tx.stops.get("refunds")) is None
        self.write(lambda tx: tx.stops.put(every))
        assert self.read(lambda tx: tx.stops.get("refunds")) == every
        self.write(lambda tx: tx.stops.put(own))
        assert self.read(lambda tx: tx.stops.get("refunds")) == own
        assert self.read(lambda tx: tx.stops.get("other")) == every
        assert self.read(lambda tx: tx.stops.get("*")) == every
        again = replace(own, reason="still bad", at=3)
        self.write(lambda tx: tx.stops.put(again))
        assert self.read(lambda tx: tx.stops.all()) == [every, again]
        assert self.write(lambda tx: tx.stops.clear("refunds")) is True
        assert self.write(lambda tx: tx.stops.clear("refunds")) is False
        assert self.read(lambda tx: tx.stops.get("refunds")) == every

    def test_notices_wait_are_tried_again_and_end(self) -> None:
        late = self.notice(next_at=300, review="r1", decision_id="d1", text="hello ü")
        early = self.notice(next_at=100, to=("person:p1", "team:x"))
        for notice in (late, early):
            self.write(lambda tx, notice=notice: tx.outbox.add(notice))  # type: ignore[misc]
        assert self.read(lambda tx: tx.outbox.due(99, 9)) == []
        assert self.read(lambda tx: tx.outbox.due(300, 9)) == [early, late]
        assert self.read(lambda tx: tx.outbox.due(300, 1)) == [early]
        tried = replace(early, attempts=1, next_at=400, error="refused")
        self.write(lambda tx: tx.outbox.put(tried))
        assert self.read(lambda tx: tx.outbox.due(300, 9)) == [late]
        assert self.read(lambda tx: tx.outbox.undelivered(9)) == [late, tried]
        parked = replace(tried, attempts=9, next_at=None)
        done = replace(late, attempts=1, next_at=None, delivered_at=301)
        self.write(lambda tx: tx.outbox.put(parked))
        self.write(lambda tx: tx.outbox.put(done))
        assert self.read(lambda tx: tx.outbox.due(10**15, 9)) == []
        assert self.read(lambda tx: tx.outbox.undelivered(9)) == [parked]

    def test_counters_add_up_by_bucket(self) -> None:
        def use_case(tx: Transaction) -> None:
            tx.counters.add("w/spend", "a", 0, 1, 1420)
            tx.counters.add("w/spend", "a", 0, 1, -20)
            tx.counters.add("w/spend", "a", 60, 1, 10**15)
            tx.counters.add("w/spend", "b", 60, 5, 5)
            tx.counters.add("w/count", "a", 60, 7, 7)

        self.write(use_case)

        def count(start: int, end: int, key: str = "a") -> tuple[int, int]:
            return self.read(lambda tx: tx.counters.read("w/spend", key, start, end))

        assert count(0, 61) == (3, 10**15 + 1400)
        assert count(0, 60) == (2, 1400)
        assert count(1, 61) == (1, 10**15)
        assert count(61, 99) == (0, 0)
        assert count(0, 99, "c") == (0, 0)

    # ------------------------------------------------------------------ series and observations

    def test_buckets_add_up_exactly(self) -> None:
        large = 2**90

        def use_case(tx: Transaction) -> None:
            tx.buckets.start("s1", "events:spend", 500)
            tx.buckets.start("s2", "events:spend", 0)
            tx.buckets.add("s1", '["a"]', 0, 1, 1420, None)
            tx.buckets.add("s1", '["a"]', 0, 2, -1421, None)
            tx.buckets.add("s1", '["a"]', 60, 1, large, None)
            tx.buckets.add("s1", '["a"]', 120, 1, -large - 5, None)
            tx.buckets.add("s1", '["b"]', 60, 7, 5, None)
            tx.buckets.add("s2", '["a"]', 60, 9, 9, None)

        self.write(use_case)

        def total(start: int, end: int, key: str = '["a"]') -> tuple[int | None, int, int]:
            found = self.read(lambda tx: tx.buckets.total("s1", key, start, end))
            return found.since, found.count, found.total

        assert total(0, 61) == (500, 4, large - 1)
        assert total(0, 60) == (500, 3, -1)
        assert total(0, 121) == (500, 5, -6)
        assert total(1, 60) == (500, 0, 0)
        assert total(0, 99, '["c"]') == (500, 0, 0)
        gone = self.read(lambda tx: tx.buckets.total("s3", '["a"]', 0, 99))
        assert (gone.since, gone.count, gone.total) == (None, 0, 0)
        rows = self.read(lambda tx: tx.buckets.rows("s1", '["a"]', 1, 121))
        assert [(row.bucket, row.count, row.total, row.body) for row in rows] == [
            (60, 1, large, None),
            (120, 1, -large - 5, None),
        ]
        assert self.read(lambda tx: tx.buckets.keys("s1", 60, 9)) == ['["a"]', '["b"]']
        assert self.read(lambda tx: tx.buckets.keys("s1", 61, 9)) == ['["a"]']
        assert self.read(lambda tx: tx.buckets.keys("s1", 0, 1)) == ['["a"]']

    def test_bodies_are_folded_and_a_series_begins_again(self) -> None:
        long = '["' + "ü" * 900 + '"]'

        def grow(tx: Transaction) -> None:
            for letter in (b"x", b"y"):
                tx.buckets.add("s", long, 60, 1, 0, lambda body, one=letter: (body or b"") + one)  # type: ignore[misc]

        self.write(lambda tx: tx.buckets.start("s", "submitted:w", 7))
        self.write(grow)
        self.write(grow)
        self.write(lambda tx: tx.buckets.late("s", 3))
        self.write(lambda tx: tx.buckets.cover("s", 5))
        assert self.read(lambda tx: tx.buckets.all()) == [("s", "submitted:w", 7, 3)]
        self.write(lambda tx: tx.buckets.cover("s", 60))
        (row,) = self.read(lambda tx: tx.buckets.rows("s", long, 0, 99))
        assert (row.count, row.body) == (4, b"xyxy")
        ((_, same),) = self.read(lambda tx: list(tx.buckets.whole("s")))
        assert same == row
        assert self.write(lambda tx: tx.buckets.prune("s", 60)) == 0
        assert self.write(lambda tx: tx.buckets.prune("s", 61)) == 1
        self.write(grow)
        self.write(lambda tx: tx.buckets.start("s", "submitted:w", 9))
        assert self.read(lambda tx: tx.buckets.all()) == [("s", "submitted:w", 9, 0)]
        assert self.read(lambda tx: tx.buckets.since("s")) == 9
        assert self.read(lambda tx: list(tx.buckets.whole("s"))) == []
        self.write(grow)
        self.write(lambda tx: tx.buckets.drop("s"))
        assert self.read(lambda tx: tx.buckets.all()) == []
        assert self.read(lambda tx: tx.buckets.since("s")) is None
        assert self.read(lambda tx: list(tx.buckets.whole("s"))) == []

    def test_a_whole_series_is_read_in_order(self) -> None:
        def use_case(tx: Transaction) -> None:
            tx.buckets.start("s", "events:x", 0)
            for number in range(2_300):
                tx.buckets.add("s", f'["{number % 7}"]', number, 1, number, None)

        self.write(use_case)
        found = self.read(lambda tx: list(tx.buckets.whole("s")))
        assert [(key, row.bucket, row.total) for key, row in found] == sorted(
            (f'["{number % 7}"]', number, number) for number in range(2_300)
        )

    def test_what_one_use_case_added_is_taken_back_with_it(self) -> None:
        def fails(tx: Transaction) -> None:
            tx.buckets.add("s", "[]", 0, 1, 1, lambda body: b"new")
            tx.observations.insert(self.observation("k1"))
            raise Oops

        self.write(lambda tx: tx.buckets.start("s", "events:x", 0))
        self.write(lambda tx: tx.buckets.add("s", "[]", 0, 1, 5, lambda body: b"old"))
        with raises(Oops):
            self.write(fails)
        (row,) = self.read(lambda tx: tx.buckets.rows("s", "[]", 0, 1))
        assert (row.count, row.total, row.body) == (1, 5, b"old")
        assert self.read(lambda tx: tx.observations.get("spend", "bot", "k1")) is None

    def test_nobody_counts_past_a_limit_they_read(self) -> None:
        """Two decisions never both see nine of ten."""
        self.write(lambda tx: tx.buckets.start("s", "submitted:w", 0))

        def one(tx: Transaction, key: str) -> bool:
            if tx.buckets.total("s", key, 0, 99).count >= 10:
                return False
            tx.buckets.add("s", key, 3, 1, 100, lambda body: (body or b"") + b".")
            return True

        def task(number: int) -> int:
            key = f'["{number % 2}"]'
            return sum(self.store.write(lambda tx: one(tx, key)) for _ in range(5))

        for result in (results := self.race(task)):
            assert not isinstance(result, BaseException), result
        assert sum(int(result) for result in results if isinstance(result, int)) == 20
        for key in ('["0"]', '["1"]'):
            (row,) = self.read(lambda tx, key=key: tx.buckets.rows("s", key, 0, 99))  # type: ignore[misc]
            assert (row.count, row.total, row.body) == (10, 1000, b"." * 10)

    def observation(self, key: str, **more: Any) -> Observation:
        given: dict[str, Any] = {
            "stream": "spend",
            "submitter": "bot",
            "batch": "b1",
            "at": 100,
            "day": False,
            "recorded_at": 200,
            "facts": {"spend": "1.50", "tags": ["ü", None], "n": 7},
        }
        return Observation(key=key, **{**given, **more})

    def test_observations_are_kept_by_stream_submitter_and_key(self) -> None:
        one = self.observation("k")
        for other in (
            one,
            self.observation("k", stream="leads"),
            self.observation("k", submitter="bot2"),
            self.observation("k2", day=True, at=50),
        ):
            assert self.write(lambda tx, other=other: tx.observations.insert(other))  # type: ignore[misc]
            assert not self.write(
                lambda tx, other=other: tx.observations.insert(replace(other, at=7))  # type: ignore[misc]
            )
        assert self.read(lambda tx: tx.observations.get("spend", "bot", "k")) == one
        assert self.read(lambda tx: tx.observations.get("spend", "bot", "k3")) is None
        found = self.read(lambda tx: tx.observations.since("spend", 0, 9))
        assert [(f.submitter, f.key) for f in found] == [("bot", "k"), ("bot2", "k"), ("bot", "k2")]
        assert [f.key for f in self.read(lambda tx: tx.observations.since("spend", 51, 9))] == [
            "k",
            "k",
        ]
        assert [
            f.submitter for f in self.read(lambda tx: tx.observations.since("spend", 0, 1))
        ] == ["bot2"]
        assert len(self.read(lambda tx: tx.observations.of_batch("b1"))) == 4
        assert self.read(lambda tx: tx.observations.of_batch("b2")) == []

    def test_a_stream_forgets_from_its_start(self) -> None:
        def fill(tx: Transaction) -> None:
            tx.observations.begin("spend")
            tx.observations.begin("spend")
            tx.observations.begin("leads")
            for number in range(9):
                tx.observations.insert(self.observation(f"k{number}", at=number))

        self.write(fill)
        assert self.read(lambda tx: tx.observations.streams()) == [("leads", 0), ("spend", 0)]
        assert self.write(lambda tx: tx.observations.prune("spend", 6, 4)) == 4
        assert self.write(lambda tx: tx.observations.prune("spend", 6, 4)) == 2
        assert self.write(lambda tx: tx.observations.prune("spend", 3, 4)) == 0
        assert self.read(lambda tx: tx.observations.kept_from("spend")) == 6
        assert self.read(lambda tx: tx.observations.kept_from("leads")) == 0
        assert self.read(lambda tx: tx.observations.kept_from("other")) == 0
        assert len(self.read(lambda tx: tx.observations.since("spend", 0, 99))) == 3

    def test_one_of_many_records_an_observation(self) -> None:
        def task(number: int) -> list[bool]:
            rows = [self.observation(f"k{n}") for n in range(5)]
            return self.store.write(lambda tx: [tx.observations.insert(row) for row in rows])

        won = [result for result in self.race(task) if isinstance(result, list)]
        assert len(won) == THREADS
        assert [sum(one[n] for one in won) for n in range(5)] == [1] * 5

    def test_decisions_are_walked_back_in_time(self) -> None:
        first, second, third, fourth = (
            self.file(submitted_at=at, workflow=workflow)
            for at, workflow in ((10, "a"), (20, "b"), (30, "a"), (40, "a"))
        )
        walk = self.read(lambda tx: tx.decisions.submitted("a", 11, 9))
        assert walk == [(40, fourth), (30, third)]
        assert self.read(lambda tx: tx.decisions.submitted("a", 0, 1)) == [(40, fourth)]
        assert self.read(lambda tx: tx.decisions.submitted("b", 0, 9)) == [(20, second)]

        def release(tx: Transaction, decision: Decision, at: int) -> None:
            grant = self.grant(decision, minted_at=at)
            tx.grants.insert(grant)
            tx.outcomes.insert(
                self.outcome(decision, approved={"n": at}, released=True, grant_id=grant.id)
            )

        self.write(lambda tx: release(tx, first, 50))
        self.write(lambda tx: release(tx, third, 60))
        # Granted once more, it is not released once more.
        self.write(lambda tx: tx.grants.insert(self.grant(third, minted_at=70)))
        late = (60, replace(third, proposal={"n": 60}))
        early = (50, replace(first, proposal={"n": 50}))
        assert self.read(lambda tx: tx.decisions.released("a", 0, 9)) == [late, early]
        assert self.read(lambda tx: tx.decisions.released("a", 51, 9)) == [late]
        assert self.read(lambda tx: tx.decisions.released("a", 0, 1)) == [late]
        assert self.read(lambda tx: tx.decisions.released("b", 0, 9)) == []

    # ------------------------------------------------------------------ the log

    def test_the_log_is_a_tree_over_its_entries(self) -> None:
        assert self.read(lambda tx: (tx.audit.size(), tx.audit.root())) == (0, EMPTY_ROOT)
        entries = [{"type": "t", "n": n, "text": "ü" * n, "at": n} for n in range(21)]
        for start in range(0, 21, 7):
            part = entries[start : start + 7]
            self.write(lambda tx, part=part: [tx.audit.append(e) for e in part])  # type: ignore[misc]
        assert self.check_log() == [encode(entry) for entry in entries]
        some = self.read(lambda tx: list(tx.audit.entries(3, 5)))
        assert some == [encode(entry) for entry in entries[3:5]]
        rest = self.read(lambda tx: list(tx.audit.entries(19)))
        assert rest == [encode(entry) for entry in entries[19:]]
        assert self.read(lambda tx: list(tx.audit.entries(21))) == []
        with raises(LookupError):
            self.read(lambda tx: tx.audit.node(0, 21))
        with raises(LookupError):
            self.read(lambda tx: tx.audit.node(4, 1))

    def test_a_use_case_counts_what_it_and_earlier_ones_appended(self) -> None:
        def use_case(tx: Transaction) -> tuple[int, int]:
            before = tx.audit.size()
            tx.audit.append({"n": before})
            return before, tx.audit.size()

        results = self.store.write_many([use_case] * 9)
        results += [self.write(use_case) for _ in range(3)]
        assert results == [(number, number + 1) for number in range(12)]
        assert self.check_log() == [encode({"n": number}) for number in range(12)]

    def test_what_is_not_numbered_yet_waits_in_order(self) -> None:
        """Numbered entries and those that wait are all that is committed, on any snapshot."""
        for number in range(40):
            self.write(lambda tx, n=number: tx.audit.append({"n": n}))  # type: ignore[misc]
            found = self.read(lambda tx: [*tx.audit.entries(), *tx.audit.waiting()])
            assert found == [encode({"n": n}) for n in range(number + 1)]
        self.store.settle_log()
        assert self.read(lambda tx: (tx.audit.size(), list(tx.audit.waiting()))) == (40, [])

    def test_an_entry_outside_the_profile_is_refused_and_leaves_nothing(self) -> None:
        self.grow_log(3)
        with raises(Exception, "float"):
            self.write(lambda tx: tx.audit.append({"amount": 1.5}))
        assert len(self.check_log()) == 3

    def test_checkpoints_are_kept_by_size(self) -> None:
        first = Checkpoint(size=1, text="a\n1\nx\n\n— a sig\n", at=5)
        second = Checkpoint(size=4, text="b", at=6, anchored=True)
        for checkpoint in (second, first):
            self.write(lambda tx, c=checkpoint: tx.audit.add_checkpoint(c))  # type: ignore[misc]
        assert self.read(lambda tx: tx.audit.checkpoints()) == [first, second]
        anchored = replace(first, anchored=True)
        self.write(lambda tx: tx.audit.add_checkpoint(anchored))
        assert self.read(lambda tx: tx.audit.checkpoints()) == [anchored, second]
        assert self.read(lambda tx: tx.audit.last_checkpoint()) == second

    def test_without_a_checkpoint_there_is_no_last(self) -> None:
        assert self.read(lambda tx: tx.audit.last_checkpoint()) is None

    def test_a_new_store_tallies_nothing(self) -> None:
        tallies = self.read(lambda tx: tx.tallies())
        assert set(msgspec.structs.asdict(tallies).values()) == {0}
        stop = Stop(workflow="*", reason="a test", by="ann", at=1)
        self.write(lambda tx: tx.stops.put(stop))
        assert self.read(lambda tx: tx.tallies()).stops == 1

    # ------------------------------------------------------------------ all or nothing

    def test_a_use_case_that_raises_leaves_nothing(self) -> None:
        self.grow_log(5)
        self.store.settle_log()
        before = self.read(lambda tx: tx.audit.root())
        woken: list[Any] = []
        self.store.listen(lambda *news: woken.append(news))
        decision = self.decision(key="k1")
        person = self.person("ana")

        def use_case(tx: Transaction) -> None:
            tx.decisions.insert(decision, self.ruling(decision), settled=False)
            tx.people.put(person)
            tx.counters.add("s", "k", 0, 1, 1)
            tx.audit.append({"type": "lost"})
            list(tx.audit.entries())
            tx.audit.append({"type": "lost too"})
            tx.wake("topic")
            tx.wake_at(5)
            raise Oops

        with raises(Oops):
            self.write(use_case)
        assert woken == []
        assert self.read(lambda tx: tx.decisions.get(decision.id)) is None
        assert self.read(lambda tx: tx.people.all()) == []
        assert self.read(lambda tx: tx.counters.read("s", "k", 0, 9)) == (0, 0)
        assert self.read(lambda tx: tx.audit.root()) == before
        assert self.read(lambda tx: list(tx.state_rows())) == []
        # The same use case may be run again, and its key is free.
        self.write(lambda tx: tx.decisions.insert(decision, self.ruling(decision), settled=False))
        self.grow_log(1)
        assert len(self.check_log()) == 6

    def test_of_many_each_succeeds_or_fails_alone_in_order(self) -> None:
        decisions = [self.decision(key=f"k{number}") for number in range(300)]

        def case(number: int) -> Callable[[Transaction], int]:
            def use_case(tx: Transaction) -> int:
                decision = decisions[number]
                if number % 7 == 3:
                    tx.audit.append({"lost": number})
                    if number % 2:
                        list(tx.audit.entries())
                tx.decisions.insert(decision, self.ruling(decision), settled=False)
                tx.audit.append({"n": number})
                size = tx.audit.size()
                if number % 7 == 3:
                    raise Oops(number)
                return size

            return use_case

        results = self.store.write_many([case(number) for number in range(300)])
        kept = [number for number in range(300) if number % 7 != 3]
        assert len(results) == 300
        for number, result in enumerate(results):
            if number % 7 == 3:
                assert isinstance(result, Oops) and result.args == (number,)
            else:
                assert result == kept.index(number) + 1
        assert self.check_log() == [encode({"n": number}) for number in kept]
        stored = self.read(
            lambda tx: [n for n in range(300) if tx.decisions.get(decisions[n].id) is not None]
        )
        assert stored == kept

    def test_what_a_use_case_foresees_changes_nothing_of_what_it_finds(self) -> None:
        """Foreseen rightly, wrongly or not at all, alone or after others that make the same."""
        dice = random.Random(7)
        keys: dict[str, str] = {}
        unsettled: dict[str, list[str]] = {}
        owners: dict[str, bytes] = {}
        cases: list[Foreseen[list[Any]]] = []
        expected: list[list[Any] | None] = []
        logged: list[int] = []

        def case(number: int) -> None:
            key, subject = f"k{dice.randrange(90)}", f"s{dice.randrange(9)}"
            hold, looks_back = dice.random() < 0.3, dice.random() < 0.1
            fails = dice.choice([""] * 18 + ["early", "late"])
            decision = self.decision(key=key, subject=subject)
            lane = Lane.HOLD if hold else Lane.PASS
            ruling = self.ruling(decision, lane=lane)
            grant = self.grant(decision)
            outcome = self.outcome(decision, released=True, grant_id=grant.id)
            secret = number.to_bytes(32)

            def use_case(tx: Transaction) -> list[Any]:
                earlier = tx.decisions.by_key("refunds", "bot", key)
                if earlier is not None:
                    return [earlier.decision.id]
                waiting = tx.decisions.unsettled_of("refunds", subject)
                owner = tx.subjects.key_of("refunds", subject)
                found = [[one.decision.id for one in waiting], owner and owner.key]
                if fails == "early":
                    raise Oops(number)
                tx.decisions.insert(decision, ruling, settled=not hold)
                assert tx.subjects.key_of("refunds", decision.id) is None
                if owner is None:
                    owner = SubjectKey(workflow="refunds", subject=subject, key=secret, made_at=1)
                    tx.subjects.insert(owner)
                assert tx.subjects.key_of("refunds", subject) == owner
                tx.audit.append({"n": number})
                if not hold:
                    tx.grants.insert(grant)
                    tx.outcomes.insert(outcome)
                if looks_back:
                    assert tx.outcomes.get(decision.id) == (None if hold else outcome)
                    assert tx.grants.current(decision.id) == (None if hold else grant)
                    filed = tx.decisions.by_key("refunds", "bot", key)
                    assert filed is not None and filed.decision == decision
                if fails == "late":
                    raise Oops(number)
                return found

            ahead = Ahead(
                workflow=dice.choice(["refunds"] * 9 + ["other"]),
                submitter=dice.choice(["bot"] * 8 + ["other", None]),
                key=dice.choice([key] * 8 + ["k0", None]),
                subject=dice.choice([subject] * 8 + ["s0", None]),
            )
            cases.append(Foreseen(ahead, use_case))
            if key in keys:
                expected.append([keys[key]])
            elif fails:
                expected.append(None)
            else:
                expected.append([list(unsettled.get(subject, [])), owners.get(subject)])
                logged.append(number)
                keys[key] = decision.id
                owners.setdefault(subject, secret)
                if hold:
                    unsettled.setdefault(subject, []).append(decision.id)

        for number in range(240):
            case(number)
        results = self.store.write_many(cases[:100])
        for use_case in cases[100:140]:
            results += self.store.write_many([use_case])
        results += self.store.write_many(cases[140:])
        found = [None if isinstance(result, Oops) else result for result in results]
        assert found == expected
        assert self.check_log() == [encode({"n": number}) for number in logged]
        stored = self.read(
            lambda tx: {key: tx.decisions.by_key("refunds", "bot", key) for key in keys}
        )
        assert {key: filed and filed.decision.id for key, filed in stored.items()} == keys

    def test_of_many_that_foresee_the_same_one_comes_first(self) -> None:
        """A key is used once, and a subject has one decision that is open, whoever asks."""

        def task(number: int) -> list[tuple[str, bool]]:
            return [self.store.write(case(place, number)) for place in range(20)]

        decisions = {
            (place, number): self.decision(
                key=f"k{place}.{number if place % 2 else 0}", subject=f"s{place}"
            )
            for place in range(20)
            for number in range(THREADS)
        }

        def case(place: int, number: int) -> Foreseen[tuple[str, bool]]:
            decision = decisions[place, number]
            subject, key = decision.subject or "", decision.key or ""

            def use_case(tx: Transaction) -> tuple[str, bool]:
                earlier = tx.decisions.by_key("refunds", "bot", key)
                if earlier is not None:
                    return earlier.decision.id, False
                for waiting in tx.decisions.unsettled_of("refunds", subject):
                    return waiting.decision.id, False
                tx.decisions.insert(decision, self.ruling(decision), settled=False)
                tx.audit.append({"place": place})
                tx.wake(f"place:{place}")
                return decision.id, True

            ahead = Ahead(workflow="refunds", submitter="bot", key=key, subject=subject)
            return Foreseen(ahead, use_case)

        heard: list[str] = []
        stop = self.store.listen(lambda topics, due: heard.extend(topics))
        results = self.race(task)
        stop()
        rows = [result for result in results if isinstance(result, list)]
        assert len(rows) == THREADS, results
        for place in range(20):
            found = [row[place] for row in rows]
            assert len({decision_id for decision_id, _ in found}) == 1
            assert [made for _, made in found].count(True) == 1
        assert sorted(heard) == sorted(f"place:{place}" for place in range(20))
        assert len(self.check_log()) == 20

    def test_many_of_none_is_none(self) -> None:
        assert self.store.write_many([]) == []

    def test_one_of_many_sees_what_earlier_ones_did(self) -> None:
        """Two decisions must not both see 9 of 10."""

        def use_case(tx: Transaction) -> int:
            count, _ = tx.counters.read("s", "k", 0, 1)
            if count >= 10:
                raise Oops
            tx.counters.add("s", "k", 0, 1, 0)
            return count

        results = self.store.write_many([use_case] * 40)
        assert results[:10] == list(range(10))
        assert all(isinstance(result, Oops) for result in results[10:])

    def test_what_is_written_while_many_are_written_keeps_its_order(self) -> None:
        def case(number: int, place: int) -> Callable[[Transaction], None]:
            return lambda tx: tx.audit.append({"task": number, "place": place})

        def task(number: int) -> None:
            cases = [case(number, place) for place in range(50)]
            if number % 2:
                assert self.store.write_many(cases) == [None] * 50
            else:
                for use_case in cases:
                    self.store.write(use_case)

        assert self.race(task) == [None] * THREADS
        entries = [decode(entry) for entry in self.check_log()]
        assert len(entries) == 50 * THREADS
        for number in range(THREADS):
            mine = [entry["place"] for entry in entries if entry["task"] == number]
            assert mine == list(range(50))

    def test_who_saw_a_commit_comes_after_it_in_the_log(self) -> None:
        """Each reads what another wrote and writes on: the log tells it in that order."""
        decision = self.file()
        label = Label(
            id=new_id("l", 0), decision_id=decision.id, wrong=False, source="x", at=0, added_at=0
        )

        def task(number: int) -> None:
            def use_case(tx: Transaction) -> None:
                count = len(tx.labels.of(decision.id))
                tx.audit.append({"count": count})
                tx.labels.insert(replace(label, id=new_id("l", 1)))

            for _ in range(20):
                self.store.write(use_case)

        assert self.race(task) == [None] * THREADS
        assert [decode(entry)["count"] for entry in self.check_log()] == list(range(20 * THREADS))

    def test_random_work_with_failures_leaves_the_tree_of_what_was_kept(self) -> None:
        dice = random.Random(11)
        kept: list[bytes] = []
        for _ in range(60):
            group: list[Callable[[Transaction], None]] = []
            for _ in range(dice.randrange(1, 6)):
                entries = [{"n": dice.randrange(2**40)} for _ in range(dice.randrange(5))]
                fails, looks = dice.random() < 0.4, dice.random() < 0.3

                def use_case(
                    tx: Transaction,
                    entries: list[dict[str, int]] = entries,
                    fails: bool = fails,
                    looks: bool = looks,
                ) -> None:
                    for entry in entries:
                        tx.audit.append(entry)
                    if looks:
                        list(tx.audit.entries())
                    if fails:
                        raise Oops

                group.append(use_case)
                if not fails:
                    kept += [encode(entry) for entry in entries]
            self.store.write_many(group)
        assert self.check_log() == kept

    # ------------------------------------------------------------------ time, waking, reading

    def test_time_stands_still_in_a_unit_of_work(self) -> None:
        def look(tx: Transaction) -> tuple[int, int]:
            first = tx.now()
            self.clock.advance(1)
            return first, tx.now()

        for run in (self.write, self.read):
            start = self.clock()
            assert run(look) == (start, start)
            assert run(lambda tx: tx.now()) == start + 1_000_000

    def test_each_of_many_has_its_own_time(self) -> None:
        def look(tx: Transaction) -> int:
            self.clock.advance(1)
            return tx.now()

        start = self.clock()
        assert self.store.write_many([look] * 3) == [start, start + 10**6, start + 2 * 10**6]

    def test_listeners_are_told_after_the_commit(self) -> None:
        decision = self.decision()
        seen: list[tuple[frozenset[str], int | None]] = []
        heard = threading.Event()
        inside = threading.Event()

        def listener(topics: frozenset[str], at: int | None) -> None:
            seen.append((topics, at))
            heard.set()

        stop = self.store.listen(listener)

        def use_case(tx: Transaction) -> None:
            tx.decisions.insert(decision, self.ruling(decision), settled=False)
            tx.wake("b")
            tx.wake("a")
            tx.wake("b")
            tx.wake_at(20)
            tx.wake_at(10)
            tx.wake_at(30)
            assert seen == []
            inside.set()

        self.write(use_case)
        assert inside.is_set() and heard.wait(WAIT_SECONDS)
        assert seen == [(frozenset("ab"), 10)]
        heard.clear()
        self.write(lambda tx: tx.wake_at(7))
        assert heard.wait(WAIT_SECONDS)
        assert seen[1:] == [(frozenset(), 7)]
        self.write(lambda tx: None)
        stop()
        self.write(lambda tx: tx.wake("c"))
        self.write(lambda tx: None)
        assert len(seen) == 2

    def test_what_a_listener_hears_of_can_be_read(self) -> None:
        """Whoever is woken finds what he was woken for."""
        decisions = [self.decision() for _ in range(50)]
        woken: list[str] = []
        ready = threading.Semaphore(0)

        def listener(topics: frozenset[str], at: int | None) -> None:
            woken.extend(topics)
            for _ in topics:
                ready.release()

        self.store.listen(listener)

        def case(decision: Decision) -> Callable[[Transaction], Any]:
            def use_case(tx: Transaction) -> None:
                tx.decisions.insert(decision, self.ruling(decision), settled=False)
                tx.wake(decision.id)

            return use_case

        futures = [self.store.begin(case(decision)) for decision in decisions]
        missed = []
        for _ in decisions:
            assert ready.acquire(timeout=WAIT_SECONDS)
            name = woken.pop(0)
            if self.read(lambda tx, name=name: tx.decisions.get(name)) is None:  # type: ignore[misc]
                missed.append(name)
        assert missed == []
        for future in futures:
            future.result(WAIT_SECONDS)

    def test_a_listener_that_raises_harms_nobody(self) -> None:
        heard = threading.Event()

        def broken(topics: frozenset[str], at: int | None) -> None:
            raise Oops

        self.store.listen(broken)
        self.store.listen(lambda topics, at: heard.set())
        self.write(lambda tx: tx.wake("a"))
        assert heard.wait(WAIT_SECONDS)
        self.grow_log(1)

    def test_a_query_stays_on_its_snapshot(self) -> None:
        first = self.file()
        second = self.decision()
        futures: list[Future[bytes]] = []

        def query(tx: Transaction) -> tuple[int, int]:
            before = tx.audit.size()
            assert tx.decisions.get(second.id) is None
            futures.append(writer.submit(write).result(WAIT_SECONDS))
            # A store with connections to spare has committed by now; one without waits for us.
            time.sleep(0.05)
            assert tx.decisions.get(second.id) is None
            assert tx.decisions.get(first.id) is not None
            return before, tx.audit.size()

        def write() -> Future[bytes]:
            def use_case(tx: Transaction) -> bytes:
                tx.audit.append({"n": 1})
                return tx.decisions.insert(second, self.ruling(second), settled=False)

            return self.store.begin(use_case)

        with ThreadPoolExecutor(1) as writer:
            assert self.read(query) == (0, 0)
            futures[0].result(WAIT_SECONDS)
        self.store.settle_log()
        assert self.read(lambda tx: tx.decisions.get(second.id)) is not None
        assert self.read(lambda tx: tx.audit.size()) == 1

    def test_a_query_cannot_write(self) -> None:
        decision = self.file()
        grant = self.grant(decision)
        for query in (
            lambda tx: tx.decisions.settle(decision.id),
            lambda tx: tx.grants.insert(grant),
            lambda tx: tx.audit.append({"n": 1}),
            lambda tx: tx.wake("a"),
            lambda tx: tx.wake_at(1),
            lambda tx: tx.counters.add("s", "k", 0, 1, 1),
            lambda tx: tx.access.end_session("f" * 64),
        ):
            with raises(RuntimeError, "query"):
                self.read(query)
        filed = self.read(lambda tx: tx.decisions.get(decision.id))
        assert filed is not None and not filed.settled
        assert self.read(lambda tx: tx.grants.get(grant.id)) is None
        assert self.check_log() == []
        self.write(lambda tx: tx.decisions.settle(decision.id))

    def test_a_query_that_raises_gives_its_connection_back(self) -> None:
        def query(tx: Transaction) -> None:
            raise Oops

        for _ in range(20):
            with raises(Oops):
                self.read(query)
        assert self.read(lambda tx: tx.audit.size()) == 0

    def test_the_store_cannot_be_called_from_inside(self) -> None:
        store = self.store
        for inner in (
            lambda: store.write(lambda tx: None),
            lambda: store.begin(lambda tx: None),
            lambda: store.write_many([lambda tx: None]),
            lambda: store.read(lambda tx: None),
        ):
            for outer in (store.write, store.read):
                with raises(RuntimeError, "use the transaction"):
                    outer(lambda tx, inner=inner: inner())  # type: ignore[misc]
        self.grow_log(1)

    def test_many_read_while_many_write(self) -> None:
        def append(tx: Transaction) -> None:
            tx.audit.append({"n": tx.audit.size()})
            tx.counters.add("s", "k", 0, 1, 2)

        def look(tx: Transaction) -> tuple[int, int, int, int]:
            entries = len([*tx.audit.entries(), *tx.audit.waiting()])
            return tx.audit.size(), entries, *tx.counters.read("s", "k", 0, 1)

        def task(number: int) -> list[tuple[int, int, int, int]]:
            if number % 2:
                for _ in range(30):
                    self.store.write(append)
                return []
            return [self.store.read(look) for _ in range(30)]

        for result in self.race(task):
            assert isinstance(result, list), result
            for size, entries, count, total in result:
                assert size <= entries == count == total / 2
            assert result == sorted(result)

    # ------------------------------------------------------------------ futures and the end

    def test_begin_gives_a_future(self) -> None:
        future = self.store.begin(lambda tx: tx.audit.size())
        assert future.result(WAIT_SECONDS) == 0
        failing: Future[int] = self.store.begin(lambda tx: list[int]()[0])
        assert isinstance(failing.exception(WAIT_SECONDS), IndexError)

    def test_what_was_given_up_while_waiting_is_not_run(self) -> None:
        started, go_on = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            started.set()
            assert go_on.wait(WAIT_SECONDS)

        first = self.store.begin(slow)
        assert started.wait(WAIT_SECONDS)
        ran: list[int] = []
        second = self.store.begin(lambda tx: ran.append(2))
        third = self.store.begin(lambda tx: ran.append(3))
        given_up = first.cancel(), second.cancel()
        go_on.set()
        third.result(WAIT_SECONDS)
        assert given_up == (False, True)
        assert ran == [3]

    def test_closing_finishes_what_was_accepted(self) -> None:
        store = self.make_store(self.clock)
        started, go_on = threading.Event(), threading.Event()

        def append(tx: Transaction) -> str:
            tx.audit.append({"n": 1})
            return "done"

        def slow(tx: Transaction) -> str:
            started.set()
            assert go_on.wait(WAIT_SECONDS)
            return append(tx)

        with ThreadPoolExecutor(1) as pool:
            many = pool.submit(store.write_many, [slow, *[append] * 600])
            assert started.wait(WAIT_SECONDS)
            futures = [store.begin(append) for _ in range(9)]
            closing = threading.Thread(target=store.close)
            closing.start()
            go_on.set()
            closing.join(WAIT_SECONDS)
            assert not closing.is_alive()
            assert [future.result(0) for future in futures] == ["done"] * 9
            assert many.result(WAIT_SECONDS) == ["done"] * 601
        with raises(Unavailable, "closed"):
            store.write(append)
        with raises(Unavailable, "closed"):
            store.read(lambda tx: None)
        store.close()

    def test_everything_is_there_after_reopening(self) -> None:
        decision = self.file(key="k1", subject="s", expires_at=50)
        review = self.review(lead=decision.id, severity=Severity.HIGH, due=5, next_at=3)
        vote = self.vote(review)
        outcome = self.outcome(decision)
        grant = self.grant(decision)
        person = self.person("ana", holds=("team:desk",))
        notice = self.notice()
        seat = Seat(review=review.id, round=1, holder=person.id, token="k", lease_until=9)
        stop = Stop(workflow="*", reason="x", by="ana", at=1)

        def use_case(tx: Transaction) -> None:
            tx.reviews.add_vote(vote)
            tx.reviews.put_seat(seat)
            tx.outcomes.insert(outcome)
            tx.grants.insert(grant)
            tx.people.put(person)
            tx.outbox.add(notice)
            tx.stops.put(stop)
            tx.counters.add("s", "k", 0, 1, 2)
            for number in range(13):
                tx.audit.append({"n": number})

        self.write(use_case)

        def everything(tx: Transaction) -> list[Any]:
            return [
                tx.decisions.by_key("refunds", "bot", "k1"),
                tx.decisions.expiring(99, 9),
                tx.reviews.get(review.id),
                tx.reviews.votes(review.id),
                tx.reviews.seat(review.id, 1, person.id),
                tx.reviews.claimable(workflow=None, to=["team:desk"], now=9, limit=9),
                tx.outcomes.get(decision.id),
                tx.grants.current(decision.id),
                tx.people.by_handle("ANA"),
                tx.outbox.due(2**60, 9),
                tx.stops.all(),
                tx.counters.read("s", "k", 0, 1),
                tx.audit.size(),
                tx.audit.root(),
                list(tx.state_rows()),
            ]

        self.store.settle_log()
        before = self.read(everything)
        self._store = self.reopen(self.store)
        assert self.read(everything) == before
        self.grow_log(4)
        assert len(self.check_log()) == 17

    # ------------------------------------------------------------------ races

    def wins(self, results: Sequence[Any]) -> list[int]:
        """Which of a race won: those that returned something true."""
        for result in results:
            assert not isinstance(result, BaseException) or isinstance(result, Conflict), result
        return [
            number
            for number, result in enumerate(results)
            if result and not isinstance(result, BaseException)
        ]

    def test_one_of_many_verdicts_closes_a_review(self) -> None:
        for _ in range(10):
            review = self.review()

            def task(number: int, review: Review = review) -> bool:
                def use_case(tx: Transaction) -> bool:
                    now = tx.reviews.get(review.id)
                    assert now is not None
                    if now.status is not ReviewStatus.OPEN:
                        return False
                    verdict = Verdict.APPROVED if number % 2 else Verdict.REJECTED
                    new = replace(
                        now,
                        status=ReviewStatus.DECIDED,
                        verdict=verdict,
                        decided_by=f"p{number}",
                    )
                    return tx.reviews.replace(now, new)

                return self.store.write(use_case)

            winners = self.wins(self.race(task))
            assert len(winners) == 1
            stored = self.read(lambda tx, id_=review.id: tx.reviews.get(id_))  # type: ignore[misc]
            assert stored is not None and stored.decided_by == f"p{winners[0]}"

    def test_of_stale_replacements_one_wins(self) -> None:
        """Read outside the transaction, as a careless use case would."""
        for _ in range(10):
            review = self.review()

            def task(number: int, review: Review = review) -> bool:
                new = replace(review, status=ReviewStatus.DECIDED, decided_by=f"p{number}")
                return self.store.write(lambda tx: tx.reviews.replace(review, new))

            assert len(self.wins(self.race(task))) == 1

    def test_one_of_many_votes_of_a_person_counts(self) -> None:
        review = self.review()
        votes = [self.vote(review, person="p1") for _ in range(THREADS)]
        results = self.race(lambda n: self.store.write(lambda tx: tx.reviews.add_vote(votes[n])))
        winners = self.wins(results)
        assert len(winners) == 1
        assert self.read(lambda tx: tx.reviews.votes(review.id)) == [votes[winners[0]]]

    def test_one_of_many_redeems_a_grant(self) -> None:
        for _ in range(10):
            grant = self.grant(self.file())
            self.write(lambda tx, grant=grant: tx.grants.insert(grant))  # type: ignore[misc]

            def task(number: int, grant: Grant = grant) -> bool:
                new = replace(grant, state=GrantState.REDEEMED, run=f"run-{number}")
                return self.store.write(lambda tx: tx.grants.replace(grant, new))

            winners = self.wins(self.race(task))
            assert len(winners) == 1
            stored = self.read(lambda tx, id_=grant.id: tx.grants.get(id_))  # type: ignore[misc]
            assert stored is not None and stored.run == f"run-{winners[0]}"

    def test_one_of_many_outcomes_stands(self) -> None:
        decision = self.file()
        outcomes = [self.outcome(decision, by=f"p{number}") for number in range(THREADS)]
        results = self.race(lambda n: self.store.write(lambda tx: tx.outcomes.insert(outcomes[n])))
        winners = self.wins(results)
        assert len(winners) == 1
        assert self.read(lambda tx: tx.outcomes.get(decision.id)) == outcomes[winners[0]]
        released = self.race(
            lambda n: self.store.write(lambda tx: tx.outcomes.release(decision.id, f"g{n}"))
        )
        winners = self.wins(released)
        assert len(winners) == 1
        stored = self.read(lambda tx: tx.outcomes.get(decision.id))
        assert stored is not None and stored.grant_id == f"g{winners[0]}"

    def test_undo_and_release_do_not_both_win(self) -> None:
        for _ in range(10):
            decision = self.file()
            outcome = self.outcome(decision)
            self.write(lambda tx, o=outcome: tx.outcomes.insert(o))  # type: ignore[misc]

            def task(number: int, id_: str = decision.id) -> bool:
                if number % 2:
                    return self.store.write(lambda tx: tx.outcomes.take_back(id_))
                return self.store.write(lambda tx: tx.outcomes.release(id_, None))

            assert len(self.wins(self.race(task))) == 1

    def test_of_competing_keys_one_is_stored(self) -> None:
        decisions = [self.decision(key="k1") for _ in range(THREADS)]

        def task(number: int) -> bytes:
            decision = decisions[number]
            return self.store.write(
                lambda tx: tx.decisions.insert(decision, self.ruling(decision), settled=False)
            )

        results = self.race(task)
        winners = self.wins(results)
        assert len(winners) == 1
        for number, result in enumerate(results):
            if number != winners[0]:
                assert isinstance(result, Conflict)
                assert result.winner == {"decision_id": decisions[winners[0]].id}

    def test_one_of_many_uses_an_invitation(self) -> None:
        invitation = self.invitation(1, "ana")
        self.write(lambda tx: tx.access.add_invitation(invitation))

        def task(number: int) -> bool:
            def use_case(tx: Transaction) -> bool:
                found = tx.access.invitation(invitation.hash)
                assert found is not None
                return found.used_at is None and tx.access.use_invitation(found.hash, number + 1)

            return self.store.write(use_case)

        results = self.race(task)
        assert sorted(results, key=str) == [False] * (THREADS - 1) + [True]
        stored = self.read(lambda tx: tx.access.invitation(invitation.hash))
        assert stored is not None and stored.used_at == results.index(True) + 1

    def test_of_competing_links_of_an_identity_one_stands(self) -> None:
        people = [self.registered(f"p{number}") for number in range(THREADS)]

        def task(number: int) -> bool:
            def use_case(tx: Transaction) -> bool:
                if tx.access.identity("https://id.example", "u1") is not None:
                    return False
                tx.access.add_identity(
                    Identity(
                        issuer="https://id.example",
                        subject="u1",
                        person=people[number].id,
                        linked_at=1,
                    )
                )
                return True

            return self.store.write(use_case)

        results = self.race(task)
        assert sorted(results, key=str) == [False] * (THREADS - 1) + [True]

    def test_no_wrong_password_goes_uncounted(self) -> None:
        ana = self.registered("ana")
        self.write(
            lambda tx: tx.access.put_password(Password(person=ana.id, hash="h", changed_at=1))
        )

        def fail(tx: Transaction) -> None:
            stored = tx.access.password(ana.id)
            assert stored is not None
            tx.access.put_password(replace(stored, failures=stored.failures + 1))

        assert self.race(lambda number: self.store.write(fail)) == [None] * THREADS
        stored = self.read(lambda tx: tx.access.password(ana.id))
        assert stored is not None and stored.failures == THREADS

    def test_what_acts_under_a_session_comes_before_its_end_or_not_at_all(self) -> None:
        """Whoever still found the session has committed before its end is acknowledged."""
        for turn in range(6):
            ana = self.registered(f"ana{turn}")
            session = self.session(ana, turn + 1)
            self.write(lambda tx, session=session: tx.access.put_session(session))  # type: ignore[misc]
            ended = threading.Event()

            def task(
                number: int, session: Session = session, ended: threading.Event = ended
            ) -> tuple[bool, bool] | None:
                if number == 0:
                    self.store.write(lambda tx: tx.access.end_session(session.hash))
                    ended.set()
                    return None
                late = ended.is_set()

                def act(tx: Transaction) -> bool:
                    if tx.access.session(session.hash) is None:
                        return False
                    tx.counters.add("acts", session.hash, 0, 1, 0)
                    return True

                return late, self.store.write(act)

            for result in self.race(task):
                assert not isinstance(result, BaseException), result
                assert result is None or result != (True, True), "it acted after the end"
            assert self.read(lambda tx, session=session: tx.access.session(session.hash)) is None  # type: ignore[misc]

    def test_no_review_is_claimed_twice(self) -> None:
        reviews = [self.review() for _ in range(40)]

        def claim(number: int) -> list[str]:
            def use_case(tx: Transaction) -> str | None:
                free = tx.reviews.claimable(workflow=None, to=["team:desk"], now=tx.now(), limit=1)
                if not free:
                    return None
                seat = Seat(
                    review=free[0].id,
                    round=1,
                    holder=f"p{number}",
                    token=f"k{number}",
                    lease_until=tx.now() + 10**9,
                )
                tx.reviews.put_seat(seat)
                return free[0].id

            mine = []
            while (taken := self.store.write(use_case)) is not None:
                mine.append(taken)
            return mine

        results = self.race(claim)
        taken: list[str] = []
        for result in results:
            assert isinstance(result, list), result
            taken += result
        assert sorted(taken) == sorted(review.id for review in reviews)

    def test_concurrent_counts_add_up(self) -> None:
        def task(number: int) -> None:
            for _ in range(25):
                self.store.write(lambda tx: tx.counters.add("s", "k", 0, 1, number))

        assert self.race(task) == [None] * THREADS
        total = 25 * sum(range(THREADS))
        assert self.read(lambda tx: tx.counters.read("s", "k", 0, 1)) == (25 * THREADS, total)

    # ------------------------------------------------------------------ state rows

    def test_state_rows_give_columns_and_the_bytes_the_log_commits_to(self) -> None:
        decision = self.decision()
        ruling = self.ruling(decision)
        bodies: dict[str, bytes | None] = {}

        def submit(tx: Transaction) -> bytes:
            return tx.decisions.insert(decision, ruling, settled=False)

        bodies[decision.id] = self.write(submit)
        review = self.review(lead=decision.id)
        vote = self.vote(review, said=Said.REJECT, comment="no")
        outcome = self.outcome(decision)
        grant = self.grant(decision, state=GrantState.REDEEMED, run="r")
        label = Label(
            id=new_id("l", 1), decision_id=decision.id, wrong=False, source="x", at=1, added_at=2
        )
        bodies[vote.id] = self.write(lambda tx: tx.reviews.add_vote(vote))
        outcome_body = self.write(lambda tx: tx.outcomes.insert(outcome))
        self.write(lambda tx: tx.grants.insert(grant))
        bodies[label.id] = self.write(lambda tx: tx.labels.insert(label))
        self.write(lambda tx: tx.outcomes.release(decision.id, grant.id))
        self.change(review, status=ReviewStatus.CLOSED, verdict=Verdict.REJECTED, round=2)
        rows = self.read(lambda tx: list(tx.state_rows()))
        assert all(isinstance(row, StateRow) for row in rows)
        found = {(row.table, row.id): row for row in rows}
        assert len(found) == len(rows)
        rounds = [row.body for row in rows if row.table == "rounds" and row.body is not None]

        def expect(table: str, id_: str, body: bytes | None, **columns: Any) -> None:
            row = found.pop((table, id_))
            assert row.columns == columns
            assert row.body == body
            assert row.decision_id == decision.id

        expect(
            "decisions",
            decision.id,
            bodies[decision.id],
            workflow="refunds",
            lane="hold",
            mode="in_the_loop",
        )
        expect("reviews", review.id, None, status="closed", round=2, verdict="rejected")
        first = self.read(lambda tx: tx.reviews.round(review.id, 1))
        expect("rounds", f"{review.id}/1", found["rounds", f"{review.id}/1"].body)
        assert decoder(Round).decode(rounds[0]) == first
        expect(
            "votes",
            vote.id,
            bodies[vote.id],
            review=review.id,
            round=1,
            person=vote.person,
            said="reject",
        )
        expect("outcomes", decision.id, outcome_body, verdict="approved", released=1)
        expect("grants", grant.id, None, decision=decision.id, state="redeemed")
        expect("labels", label.id, bodies[label.id], decision=decision.id)
        assert found == {}

    def test_state_rows_give_who_may_do_what_and_what_is_stopped(self) -> None:
        ana = replace(self.person("Ana", holds=("team:desk",)), limits={"refund": "500"})
        bob = self.person("bob", active=False)
        token = Token(
            id="t_1",
            name="shop",
            prefix="hrt_x",
            scopes=("decisions:submit",),
            workflows=("refund", "quote"),
            made_by=ana.id,
            made_at=1,
            revoked_at=2,
        )
        for person in (ana, bob):
            self.write(lambda tx, person=person: tx.people.put(person))  # type: ignore[misc]
        self.write(lambda tx: tx.access.add_token(token, "0" * 64))
        self.write(lambda tx: tx.stops.put(Stop(workflow="*", reason="why", by=ana.id, at=3)))
        rows = self.read(lambda tx: list(tx.state_rows()))
        assert [(row.table, row.id, row.columns, row.body) for row in rows] == [
            ("people", ana.id, {"holds": ana.holds, "limits": ana.limits, "active": True}, b"Ana"),
            ("people", bob.id, {"holds": (), "limits": {}, "active": False}, b"bob"),
            (
                "tokens",
                "t_1",
                {
                    "name": "shop",
                    "scopes": token.scopes,
                    "workflows": token.workflows,
                    "expires_at": None,
                    "revoked": 1,
                },
                None,
            ),
            ("stops", "*", {}, b"why"),
        ]

    # ------------------------------------------------------------------ out of room

    def test_a_full_disk_stops_writing_and_loses_nothing(self) -> None:
        store = self._store = self.small_store(self.clock)
        text = "x" * 20_000
        acknowledged: list[str] = []
        refused: list[str] = []
        reasons: list[str] = []

        def filing(decision: Decision) -> Callable[[Transaction], None]:
            ruling = self.ruling(decision)

            def use_case(tx: Transaction) -> None:
                tx.decisions.insert(decision, ruling, settled=False)
                tx.audit.append({"decision": decision.id})

            return use_case

        def task(number: int) -> None:
            """Five at a time, so that what runs full carries others with it."""
            for _ in range(100):
                made = [self.decision(context=text) for _ in range(5)]
                futures = [store.begin(filing(decision)) for decision in made]
                for decision, future in zip(made, futures, strict=True):
                    error = future.exception(WAIT_SECONDS)
                    if error is None:
                        acknowledged.append(decision.id)
                    else:
                        assert isinstance(error, Unavailable), error
                        refused.append(decision.id)
                        reasons.append(str(error))
                if refused:
                    return

        assert self.race(task) == [None] * THREADS
        assert len(acknowledged) > THREADS, "the store was full from the start"
        assert refused, "the store never ran full"
        assert all("full" in reason for reason in reasons), reasons
        with raises(Unavailable, "full", "free"):
            self.grow_log(1)
        results = store.write_many([lambda tx: tx.audit.append({"n": 1})] * 3)
        assert all(isinstance(result, Unavailable) for result in results)
        stored = self.read(
            lambda tx: [id_ for id_ in acknowledged if tx.decisions.get(id_) is not None]
        )
        assert stored == acknowledged
        assert not self.read(
            lambda tx: [id_ for id_ in refused if tx.decisions.get(id_) is not None]
        )
        logged = {entry.decode() for entry in self.check_log()}
        assert logged == {f'{{"decision":"{id_}"}}' for id_ in acknowledged}


__all__ = ["StoreContract"]
