"""The judge of the fault runs sees: good histories pass, and each broken promise is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.faults.checker import (
    PROMISES,
    DecisionRow,
    GrantRow,
    History,
    OutcomeRow,
    PersonRow,
    ReviewRow,
    State,
    VoteRow,
    check,
    rebuilt_root,
    time_text,
)
from tests.faults.journal import Effect, Op, effect_digest

D, R, G, V, W = "d_one", "r_one", "g_one", "v_ann", "v_bob"
ANN, BOB, CAT = "p_ann", "p_bob", "p_cat"
FACTS = {"account": "a1"}
VALUE = {"amount": "500.00"}
DIGEST = effect_digest("pay", "a1", FACTS, VALUE)
NOTHING = effect_digest("pay", "a1", FACTS, None)
RUN = "run-1"
SECOND = 1_000_000


class Told:
    """A history under construction, by hand. Starts as a good one: held, approved by two, run."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.ops: list[Op] = []
        self.effects = [
            Effect(grant=G, decision=D, run=RUN, digest=DIGEST, at=40 * SECOND, ended=True)
        ]
        self.decisions = {
            D: DecisionRow(
                id=D, subject="a1", key="k1", facts=FACTS, proposal=VALUE, fired=("big",)
            )
        }
        self.reviews = {
            R: ReviewRow(
                id=R,
                lead=D,
                status="decided",
                verdict="approved",
                by=BOB,
                at=20 * SECOND,
                needs=((("team:money",), 2),),
            )
        }
        self.votes = {
            V: VoteRow(id=V, review=R, round=1, person=ANN, said="approve"),
            W: VoteRow(id=W, review=R, round=1, person=BOB, said="approve"),
        }
        self.outcomes = {
            D: OutcomeRow(
                decision=D,
                verdict="approved",
                value=VALUE,
                digest=DIGEST,
                release_at=30 * SECOND,
                grant=G,
            )
        }
        self.grants = {
            G: GrantRow(
                id=G, decision=D, state="done", digest=DIGEST, lease_until=50 * SECOND, run=RUN
            )
        }
        self.state: dict[str, Any] = {"now": 100 * SECOND, "anchored": 3}
        self.decide(D, review=R, settled=True)
        self.entry("decision.submitted", 1, decision=D, lane="hold", review=R)
        self.entry("review.opened", 1, review=R, decision=D)
        self.entry("vote.cast", 10, ANN, vote=V, review=R, round=1, person=ANN, said="approve")
        self.entry("vote.cast", 20, BOB, vote=W, review=R, round=1, person=BOB, said="approve")
        self.entry("review.decided", 20, BOB, review=R, verdict="approved", round=1, decisions=[D])
        self.entry("outcome.set", 20, BOB, decision=D, verdict="approved", release_at=30 * SECOND)
        self.entry("outcome.released", 30, decision=D, verdict="approved", grant=G)
        self.entry("grant.redeemed", 35, "caller", grant=G, decision=D, lease_until=50 * SECOND)
        self.entry("grant.confirmed", 45, "caller", grant=G, decision=D, state="done")
        self.op(
            "Submit",
            "caller",
            {"workflow": "pay", "key": "k1"},
            {"decision_id": D, "lane": "hold", "fired": [{"rule": "big"}]},
        )
        self.vote(ANN, {"decided": False, "verdict": None})
        self.vote(BOB, {"decided": True, "verdict": "approved"})
        outcome = {"decision_id": D, "verdict": "approved", "digest": DIGEST, "value": VALUE}
        self.op("WaitOutcome", "caller", {"decision_id": D}, outcome)
        self.op("Redeem", "caller", {"grant_id": G, "run": RUN}, {"run": RUN})
        self.op("Confirm", "caller", {"grant_id": G, "run": RUN, "done": True}, {"state": "done"})

    def entry(self, type_: str, second: int, actor: str = "system", **fields: Any) -> None:
        self.log.append({"type": type_, "at": second * SECOND, "actor": actor, **fields})

    def op(self, name: str, actor: str, args: Any, answer: Any = None, error: Any = None) -> None:
        self.ops.append(
            Op(
                client="c",
                op=name,
                actor=actor,
                args=args,
                answer=answer,
                error=error,
                ended=1 if answer is not None or error is not None else None,
            )
        )

    def vote(
        self, person: str, answer: Any = None, error: Any = None, said: str = "approve"
    ) -> None:
        handle = person.removeprefix("p_") + "@x.org"
        self.op("CastVote", handle, {"review_id": R, "said": said}, answer, error)

    def last(self, type_: str) -> dict[str, Any]:
        return next(entry for entry in reversed(self.log) if entry["type"] == type_)

    def drop(self, type_: str) -> None:
        self.log.remove(self.last(type_))

    def again(self, type_: str, **fields: Any) -> None:
        self.log.append({**self.last(type_), **fields})

    def decide(self, name: str, **fields: Any) -> None:
        self.decisions[name] = msgspec.structs.replace(self.decisions[name], **fields)

    def review(self, **fields: Any) -> None:
        self.reviews[R] = msgspec.structs.replace(self.reviews[R], **fields)

    def outcome(self, **fields: Any) -> None:
        self.outcomes[D] = msgspec.structs.replace(self.outcomes[D], **fields)

    def grant(self, **fields: Any) -> None:
        self.grants[G] = msgspec.structs.replace(self.grants[G], **fields)

    def effect(self, **fields: Any) -> None:
        self.effects[0] = msgspec.structs.replace(self.effects[0], **fields)

    def history(self) -> History:
        entries = tuple(json.dumps(entry).encode() for entry in self.log)
        state: dict[str, Any] = {
            "decisions": tuple(self.decisions.values()),
            "reviews": tuple(self.reviews.values()),
            "votes": tuple(self.votes.values()),
            "outcomes": tuple(self.outcomes.values()),
            "grants": tuple(self.grants.values()),
            "people": (
                PersonRow(id=ANN, handle="Ann@x.org", holds=("team:money",)),
                PersonRow(id=BOB, handle="bob@x.org", holds=("team:money",)),
                PersonRow(id=CAT, handle="cat@x.org"),
            ),
            "entries": entries,
            "root": rebuilt_root(entries),
            **self.state,
        }
        return History(ops=tuple(self.ops), effects=tuple(self.effects), state=State(**state))

    def unreleased(self) -> None:
        """Nothing ran yet, and the undo time is not over."""
        for type_ in ("grant.confirmed", "grant.redeemed", "outcome.released"):
            self.drop(type_)
        self.effects.clear()
        self.grants.clear()
        self.ops = [op for op in self.ops if op.op in ("Submit", "CastVote")]
        self.outcome(released=False, grant=None)
        self.decide(D, settled=False)

    def undo(self) -> None:
        """Bob took his vote back before the release; the review is open again."""
        self.unreleased()
        self.entry("review.undone", 25, BOB, review=R, decisions=[D], votes=[W], round=1)
        del self.votes[W]
        self.outcomes.clear()
        self.review(status="open", verdict=None, by=None, at=None, round=2)

    def reject(self) -> None:
        """Ann rejected; the caller was told."""
        self.unreleased()
        self.log = self.log[:2]
        self.entry("vote.cast", 10, ANN, vote=V, review=R, round=1, person=ANN, said="reject")
        self.entry("review.decided", 10, ANN, review=R, verdict="rejected", round=1, decisions=[D])
        self.entry("outcome.released", 10, ANN, decision=D, verdict="rejected")
        self.votes = {V: VoteRow(id=V, review=R, round=1, person=ANN, said="reject")}
        self.review(verdict="rejected", by=ANN, at=10 * SECOND)
        self.outcome(verdict="rejected", value=None, digest=NOTHING, released=True)
        self.decide(D, settled=True)
        self.ops = self.ops[:1]
        self.vote(ANN, {"decided": True, "verdict": "rejected"}, said="reject")

    def interrupt(self) -> None:
        """The worker died inside the effect; its lease is over."""
        self.drop("grant.confirmed")
        self.ops = [op for op in self.ops if op.op != "Confirm"]
        self.effect(ended=False)
        self.grant(state="in_doubt")
        self.entry("grant.in_doubt", 51, grant=G, decision=D)
        self.state["doubts"] = (G,)


def lost_to(by: str, verdict: str, second: int) -> dict[str, Any]:
    """The problem document of a lost race."""
    winner = {"by": by, "verdict": verdict, "at": time_text(second * SECOND)}
    return {"type": "urn:handrail:problem:conflict", "detail": "decided already", "winner": winner}


UNAVAILABLE = {"type": "urn:handrail:problem:unavailable", "detail": "the owner is gone"}

# ------------------------------------------------------------------------------ good ones


def in_flight_and_absent(told: Told) -> None:
    told.op("Submit", "caller", {"workflow": "pay", "key": "never-arrived"})
    told.vote(CAT)
    told.op("Submit", "caller", {"workflow": "pay", "key": "unanswered"}, error=UNAVAILABLE)


def in_flight_and_there(told: Told) -> None:
    told.ops = [
        msgspec.structs.replace(op, answer=None, ended=None) if op.op == "Confirm" else op
        for op in told.ops
    ]


def told_who_won(told: Told) -> None:
    told.vote(CAT, error=lost_to("bob@x.org", "approved", 20), said="reject")


def run_again_after_a_doubt(told: Told) -> None:
    told.interrupt()
    told.grant(state="void", replaced_by="g_two")
    told.grants["g_two"] = GrantRow(
        id="g_two", decision=D, state="done", digest=DIGEST, run="run-2", lease_until=90 * SECOND
    )
    told.entry("grant.resolved", 60, ANN, grant=G, decision=D, state="void", replaced_by="g_two")
    told.entry("grant.redeemed", 65, "caller", grant="g_two", decision=D, lease_until=90 * SECOND)
    told.effects.append(
        Effect(grant="g_two", decision=D, run="run-2", digest=DIGEST, at=70 * SECOND, ended=True)
    )
    told.op("Redeem", "caller", {"grant_id": "g_two", "run": "run-2"}, {"run": "run-2"})
    told.state["doubts"] = ()


def asked_twice_by_one_person(told: Told) -> None:
    told.vote(BOB, {"decided": True, "verdict": "approved"})


GOOD: dict[str, Callable[[Told], None]] = {
    "approved by two and run": lambda told: None,
    "undone": Told.undo,
    "rejected": Told.reject,
    "waiting for the undo time": Told.unreleased,
    "interrupted and in doubt": Told.interrupt,
    "in flight, absent": in_flight_and_absent,
    "in flight, there": in_flight_and_there,
    "the loser is told who won": told_who_won,
    "a person said: try again": run_again_after_a_doubt,
    "one vote sent twice": asked_twice_by_one_person,
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_passes(name: str) -> None:
    told = Told()
    GOOD[name](told)
    assert check(told.history()) == []


# ------------------------------------------------------------------------------ broken ones

BROKEN: dict[str, list[Callable[[Told], None]]] = {}


def breaks(promise: str) -> Callable[[Callable[[Told], None]], Callable[[Told], None]]:
    def keep(function: Callable[[Told], None]) -> Callable[[Told], None]:
        BROKEN.setdefault(promise, []).append(function)
        return function

    return keep


@breaks("lost")
def a_submit_is_gone(told: Told) -> None:
    told.op(
        "Submit", "caller", {"workflow": "pay", "key": "k2"}, {"decision_id": "d_2", "lane": "hold"}
    )


@breaks("lost")
def a_row_of_a_batch_is_gone(told: Told) -> None:
    told.op(
        "SubmitBatch",
        "caller",
        {"rows": [{"workflow": "pay", "key": "k2"}]},
        [{"ruling": {"decision_id": "d_2", "lane": "hold"}}],
    )


@breaks("lost")
def a_ruling_changed_afterwards(told: Told) -> None:
    told.decide(D, fired=("big", "another"))


@breaks("lost")
def a_vote_is_gone(told: Told) -> None:
    told.vote(CAT, {"decided": False, "verdict": None})


@breaks("lost")
def a_logged_vote_is_not_stored(told: Told) -> None:
    del told.votes[V]


@breaks("lost")
def a_withdrawal_is_gone(told: Told) -> None:
    answer = {"decision_id": D, "verdict": "approved", "digest": DIGEST, "value": VALUE}
    told.op("Withdraw", "caller", {"decision_id": D}, answer)


@breaks("lost")
def a_redeem_is_gone(told: Told) -> None:
    told.op("Redeem", "caller", {"grant_id": "g_two", "run": "run-2"}, {"run": "run-2"})


@breaks("lost")
def a_confirm_is_gone(told: Told) -> None:
    told.grant(state="in_doubt")
    told.state["doubts"] = (G,)


@breaks("lost")
def an_undo_is_gone(told: Told) -> None:
    told.op("Undo", "bob@x.org", {"review_id": R}, {"review": R})


@breaks("lost")
def an_answer_to_a_doubt_is_gone(told: Told) -> None:
    told.op("Resolve", "ann@x.org", {"grant_id": G, "answer": "happened"}, {"id": G})


@breaks("lost")
def a_stop_is_gone(told: Told) -> None:
    told.op("SetStop", "ann@x.org", {"workflow": "*", "reason": "fire"}, {"workflow": "*"})


@breaks("decided-twice")
def released_twice(told: Told) -> None:
    told.again("outcome.released")


@breaks("decided-twice")
def decided_by_two_people(told: Told) -> None:
    told.again("review.decided", actor=ANN, verdict="rejected")


@breaks("decided-twice")
def a_vote_after_the_end(told: Told) -> None:
    told.again("vote.cast", vote="v_cat", person=CAT, actor=CAT, said="reject")
    told.votes["v_cat"] = VoteRow(id="v_cat", review=R, round=1, person=CAT, said="reject")


@breaks("decided-twice")
def one_person_votes_twice(told: Told) -> None:
    told.undo()
    told.entry("vote.cast", 60, ANN, vote="v_2", review=R, round=1, person=ANN, said="reject")
    told.votes["v_2"] = VoteRow(id="v_2", review=R, round=1, person=ANN, said="reject")


@breaks("decided-twice")
def two_callers_see_two_outcomes(told: Told) -> None:
    answer = {"decision_id": D, "verdict": "rejected", "digest": NOTHING, "value": None}
    told.op("WaitOutcome", "caller", {"decision_id": D}, answer)


@breaks("decided-twice")
def a_seen_outcome_changed(told: Told) -> None:
    told.outcome(verdict="edited")


@breaks("decided-twice")
def one_key_two_decisions(told: Told) -> None:
    told.decisions["d_2"] = msgspec.structs.replace(told.decisions[D], id="d_2")


@breaks("decided-twice")
def two_people_are_told_that_they_won(told: Told) -> None:
    told.vote(ANN, {"decided": True, "verdict": "rejected"}, said="reject")


@breaks("undone-too-late")
def taken_back_after_its_release(told: Told) -> None:
    told.entry("review.undone", 60, BOB, review=R, decisions=[D], votes=[W], round=1)


@breaks("unbacked-verdict")
def one_vote_instead_of_two(told: Told) -> None:
    told.review(needs=((("team:money",), 3),))


@breaks("unbacked-verdict")
def approved_by_one_who_may_not(told: Told) -> None:
    told.review(needs=((("role:director",), 1),))


@breaks("unbacked-verdict")
def approved_over_a_rejection(told: Told) -> None:
    told.log[2] = {**told.log[2], "said": "reject"}


@breaks("unbacked-verdict")
def rejected_by_one_who_approved(told: Told) -> None:
    told.reject()
    told.log[2] = {**told.log[2], "said": "approve"}


@breaks("unbacked-verdict")
def silence_approves(told: Told) -> None:
    told.last("review.decided")["actor"] = "system"


@breaks("loser-misled")
def the_loser_is_told_nothing(told: Told) -> None:
    told.vote(CAT, error={"type": "urn:handrail:problem:conflict", "detail": "no"})


@breaks("loser-misled")
def the_loser_is_told_another_winner(told: Told) -> None:
    told.vote(CAT, error=lost_to("ann@x.org", "approved", 20))


@breaks("loser-misled")
def the_loser_is_told_another_verdict(told: Told) -> None:
    told.vote(CAT, error=lost_to("bob@x.org", "rejected", 20))


@breaks("loser-misled")
def the_loser_is_told_another_time(told: Told) -> None:
    told.vote(CAT, error=lost_to("bob@x.org", "approved", 21))


@breaks("loser-misled")
def the_loser_is_told_success(told: Told) -> None:
    told.vote(CAT, {"decided": True, "verdict": "approved"})


@breaks("before-permission")
def it_ran_before_the_redeem(told: Told) -> None:
    told.effect(at=34 * SECOND)


@breaks("before-permission")
def it_ran_without_a_redeem(told: Told) -> None:
    told.drop("grant.redeemed")


@breaks("before-permission")
def it_was_released_before_the_undo_time_ended(told: Told) -> None:
    told.last("outcome.released")["at"] = 29 * SECOND


@breaks("before-permission")
def it_was_redeemed_before_the_release(told: Told) -> None:
    released = told.last("outcome.released")
    told.log.remove(released)
    told.log.append(released)


@breaks("before-permission")
def a_lapsed_approval_ran(told: Told) -> None:
    told.grant(valid_until=35 * SECOND)


@breaks("before-permission")
def an_expired_decision_ran(told: Told) -> None:
    told.decide(D, expires_at=32 * SECOND)


@breaks("ran-twice")
def the_effect_ran_twice(told: Told) -> None:
    told.effects.append(told.effects[0])


@breaks("ran-twice")
def the_effect_ran_under_a_second_grant(told: Told) -> None:
    run_again_after_a_doubt(told)
    told.last("grant.resolved").pop("replaced_by")


@breaks("ran-twice")
def two_runs_may_start(told: Told) -> None:
    told.op("Redeem", "caller", {"grant_id": G, "run": "run-2"}, {"run": "run-2"})


@breaks("ran-twice")
def redeemed_twice(told: Told) -> None:
    told.again("grant.redeemed")


@breaks("ran-twice")
def two_good_grants(told: Told) -> None:
    told.grants["g_two"] = GrantRow(id="g_two", decision=D, digest=DIGEST)


@breaks("hidden-doubt")
def an_interrupted_run_is_free_again(told: Told) -> None:
    told.interrupt()
    told.grant(state="granted", run=None, lease_until=None)


@breaks("hidden-doubt")
def an_interrupted_run_counts_as_done(told: Told) -> None:
    told.effect(ended=False)


@breaks("hidden-doubt")
def a_lease_ends_and_nothing_happens(told: Told) -> None:
    told.interrupt()
    told.drop("grant.in_doubt")
    told.grant(state="redeemed")


@breaks("hidden-doubt")
def nobody_is_asked_about_a_doubt(told: Told) -> None:
    told.interrupt()
    told.state["doubts"] = ()


@breaks("forbidden-run")
def a_rejected_one_ran(told: Told) -> None:
    told.reject()
    told.effects.append(
        Effect(grant=G, decision=D, run=RUN, digest=DIGEST, at=40 * SECOND, ended=True)
    )


@breaks("forbidden-run")
def one_without_an_outcome_ran(told: Told) -> None:
    told.outcomes.clear()


@breaks("wrong-effect")
def something_else_ran(told: Told) -> None:
    told.effect(digest=effect_digest("pay", "a1", FACTS, {"amount": "900.00"}))


@breaks("wrong-effect")
def the_stored_value_changed(told: Told) -> None:
    told.outcome(value={"amount": "900.00"})


@breaks("wrong-effect")
def the_stored_facts_changed(told: Told) -> None:
    told.decide(D, facts={"account": "a2"})


@breaks("wrong-effect")
def another_value_was_approved_than_was_proposed(told: Told) -> None:
    told.decide(D, proposal={"amount": "100.00"})


@breaks("wrong-effect")
def a_value_was_edited_by_nobody(told: Told) -> None:
    told.decide(D, review=R, proposal={"amount": "100.00"})
    told.outcome(verdict="edited")


@breaks("unlogged")
def a_vote_without_an_entry(told: Told) -> None:
    told.log.pop(2)


@breaks("unlogged")
def an_outcome_without_an_entry(told: Told) -> None:
    told.drop("outcome.released")
    told.drop("outcome.set")


@breaks("unlogged")
def a_redeem_without_an_entry(told: Told) -> None:
    told.drop("grant.redeemed")


@breaks("unstored")
def an_entry_without_a_vote(told: Told) -> None:
    told.entry("vote.cast", 5, CAT, vote="v_cat", review=R, round=1, person=CAT, said="approve")


@breaks("unstored")
def an_entry_without_a_decision(told: Told) -> None:
    told.entry("decision.submitted", 5, decision="d_2", lane="hold")


@breaks("unstored")
def an_undone_vote_is_still_in_force(told: Told) -> None:
    told.undo()
    told.votes[W] = VoteRow(id=W, review=R, round=1, person=BOB, said="approve")


@breaks("unstored")
def a_column_was_changed_in_silence(told: Told) -> None:
    told.state["differences"] = (("grants", G, "state is 'granted', the log says 'done'"),)


@breaks("broken-log")
def an_index_is_missing(told: Told) -> None:
    told.state["indexes"] = (0, 1, 2, 4, 5, 6, 7, 8, 9)


@breaks("broken-log")
def the_root_is_another(told: Told) -> None:
    told.state["root"] = b"\x00" * 32


@breaks("broken-log")
def the_product_says_it_is_damaged(told: Told) -> None:
    told.state["damage"] = ("node row (level 1, index 0): changed",)


@breaks("cried-wolf")
def the_anchor_is_ahead_of_the_log(told: Told) -> None:
    told.state["anchored"] = 10


@breaks("cried-wolf")
def a_crash_looks_like_a_restore(told: Told) -> None:
    told.state["rolled_back"] = True


@breaks("half")
def held_without_a_review(told: Told) -> None:
    told.decide(D, review=None)


@breaks("half")
def passed_without_an_outcome(told: Told) -> None:
    told.decisions["d_2"] = DecisionRow(id="d_2", lane="pass", key="k2")


@breaks("half")
def a_review_that_is_not_there(told: Told) -> None:
    told.reviews.clear()


@breaks("half")
def decided_without_an_outcome(told: Told) -> None:
    told.outcomes.clear()


@breaks("half")
def open_with_an_outcome(told: Told) -> None:
    told.review(status="open")


@breaks("half")
def released_without_a_grant(told: Told) -> None:
    told.grants.clear()


@breaks("half")
def rejected_with_a_grant(told: Told) -> None:
    told.reject()
    told.outcome(grant=G)


@breaks("half")
def redeemed_without_a_run(told: Told) -> None:
    told.grant(run=None)


@breaks("half")
def granted_with_a_run(told: Told) -> None:
    told.grant(state="granted")


@breaks("half")
def settled_without_an_outcome(told: Told) -> None:
    told.decide(D, settled=False)


@breaks("invented")
def a_decision_nobody_submitted(told: Told) -> None:
    told.decide(D, key="k9")


@breaks("invented")
def a_vote_nobody_cast(told: Told) -> None:
    told.ops = [op for op in told.ops if op.actor != "ann@x.org"]


@breaks("invented")
def a_run_nobody_started(told: Told) -> None:
    told.grant(run="run-9")


@breaks("fired-twice")
def reminded_twice(told: Told) -> None:
    for second in (5, 6):
        told.entry("review.reminded", second, review=R, stage=1)


@breaks("fired-twice")
def in_doubt_twice(told: Told) -> None:
    told.interrupt()
    told.again("grant.in_doubt")


@breaks("fired-twice")
def in_doubt_before_the_lease_was_over(told: Told) -> None:
    told.interrupt()
    told.last("grant.in_doubt")["at"] = 49 * SECOND


@pytest.mark.parametrize(
    ("promise", "breaking"),
    [
        pytest.param(promise, breaking, id=f"{promise}-{breaking.__name__}")
        for promise, found in BROKEN.items()
        for breaking in found
    ],
)
def test_a_broken_promise_is_named(promise: str, breaking: Callable[[Told], None]) -> None:
    told = Told()
    breaking(told)
    assert promise in {finding.promise for finding in check(told.history())}


def test_every_promise_has_a_history_that_breaks_it() -> None:
    assert set(BROKEN) == set(PROMISES)


def test_journals_that_do_not_know_all_clients_accuse_nobody_of_inventing() -> None:
    told = Told()
    told.decide(D, key="k9")
    told.ops.clear()
    history = msgspec.structs.replace(told.history(), whole=False)
    assert check(history) == []


def test_the_root_is_that_of_the_audit_room() -> None:
    from handrail.audit.tree import Frontier, leaf_hash

    entries = tuple(f"entry {n}".encode() for n in range(21))
    for size in range(len(entries) + 1):
        frontier = Frontier().extend([leaf_hash(entry) for entry in entries[:size]])
        assert rebuilt_root(entries[:size]) == frontier.root()
