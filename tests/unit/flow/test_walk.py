"""The walk of one decision, verb by verb, on an in-memory store."""

from __future__ import annotations

import pytest

from handrail.flow import against_state
from handrail.model import commands as c
from handrail.model.errors import (
    AlreadyRun,
    BadInput,
    Conflict,
    NotFound,
    Refused,
)
from handrail.model.modes import GrantState, Lane, Verdict

from .conftest import World

RUN = "run-0123456789abcdef"


def test_a_small_refund_passes_with_one_grant(world: World) -> None:
    ruling = world.submit(20)
    assert ruling.lane is Lane.PASS
    outcome = world.outcome(ruling)
    assert outcome is not None and outcome.verdict is Verdict.PASSED
    assert outcome.value == {"amount": "20.00"}
    assert outcome.by == "gate"
    redeemed = world.call(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run=RUN))
    assert redeemed.value == outcome.value
    receipt = world.call(c.Confirm(grant_id=outcome.grant_id, run=RUN, done=True))
    assert receipt.state is GrantState.DONE


@pytest.mark.ledger("M-003", "A-123")
def test_no_caller_reads_a_held_decision_as_final(world: World) -> None:
    ruling = world.submit(200)
    assert ruling.lane is Lane.HOLD
    assert world.outcome(ruling) is None
    world.vote(ruling, "approve")
    assert world.outcome(ruling) is None, "still within the undo time"
    world.after(10)
    outcome = world.outcome(ruling)
    assert outcome is not None and outcome.verdict is Verdict.APPROVED
    assert outcome.by == "ann"


@pytest.mark.ledger("M-052")
def test_accept_modify_and_reject_differ_in_outcome_and_feedback(world: World) -> None:
    one, two, three = (world.submit(200, order=f"o{n}") for n in range(3))
    world.vote(one, "approve")
    world.vote(two, "edit", edits={"amount": 150})
    world.vote(three, "reject")
    world.after(10)
    outcomes = [world.outcome(ruling) for ruling in (one, two, three)]
    assert [o.verdict.value for o in outcomes if o is not None] == [
        "approved",
        "edited",
        "rejected",
    ]
    assert outcomes[1] is not None and outcomes[1].value == {"amount": "150.00"}
    rows = {row.decision_id: row for row in world.call(c.ListFeedback())}
    assert rows[two.decision_id].recommendation == {"amount": "200.00"}
    assert rows[two.decision_id].human == {"amount": "150.00"}
    assert rows[three.decision_id].human is None
    assert rows[three.decision_id].reason == "wrong"


@pytest.mark.ledger("A-071", "R-074")
def test_a_rejection_or_edit_without_reason_code_is_refused(world: World) -> None:
    ruling = world.submit(200)
    with pytest.raises(BadInput, match="reason code, one of: policy, wrong"):
        world.vote(ruling, "reject", reason=None, comment="free text only")
    with pytest.raises(BadInput, match="no reason code"):
        world.vote(ruling, "edit", reason="because", edits={"amount": 1})
    assert world.card(ruling).status == "open"


def test_a_lost_race_names_winner_verdict_and_time(world: World) -> None:
    ruling = world.submit(200)
    seen = world.card(ruling).digest
    world.vote(ruling, "approve", "ann", card=seen)
    with pytest.raises(Conflict) as lost:
        world.vote(ruling, "reject", "bob", card=seen)
    assert lost.value.winner["by"] == "ann"
    assert lost.value.winner["verdict"] == "approved"
    assert lost.value.winner["at"].startswith("2026-")


def test_the_same_vote_twice_is_one_vote(world: World) -> None:
    ruling = world.submit(200)
    seen = world.card(ruling).digest
    first = world.vote(ruling, "approve", card=seen)
    assert world.vote(ruling, "approve", card=seen) == first
    assert len(world.entries("vote.cast")) == 1


def test_a_card_that_moved_is_not_decided(world: World) -> None:
    ruling = world.submit(20, kind="service")
    seen = world.card(ruling).digest
    again = world.submit(30, kind="service", order="o2")
    assert again.review_id == ruling.review_id, "one case"
    with pytest.raises(Conflict, match="has moved since you saw it"):
        world.vote(ruling, "approve", card=seen)
    world.vote(ruling, "approve")
    world.after(10)
    for one in (ruling, again):
        outcome = world.outcome(one)
        assert outcome is not None and outcome.allowed
    first, second = world.outcome(ruling), world.outcome(again)
    assert first is not None and second is not None
    assert first.digest != second.digest, "each decision keeps its own digest"


def test_rules_without_same_case_keep_subjects_apart(world: World) -> None:
    one, two = world.submit(200, order="o1"), world.submit(200, order="o2")
    assert one.review_id != two.review_id


def test_a_repeat_gets_the_first_ruling_even_after_a_policy_change(world: World) -> None:
    first = world.submit(20, key="k1")
    from .conftest import REFUND

    stricter = REFUND.replace("amount > 100\n", "amount > 5\n")
    world.policy(stricter.replace("{amount: 20}", "{amount: 2}"))
    assert world.submit(20, key="k1") == first
    assert world.submit(20, key="k2", order="o9").lane is Lane.HOLD
    with pytest.raises(Conflict, match="used before"):
        world.submit(21, key="k1")


def test_a_key_is_one_decision_for_a_month_and_longer(world: World) -> None:
    first = world.submit(20, key="k")
    world.after(31 * 24 * 3600)
    assert world.submit(20, key="k") == first
    with pytest.raises(Conflict) as caught:
        world.submit(30, key="k")
    assert caught.value.winner == {"decision_id": first.decision_id}


def test_an_edit_past_the_next_rule_needs_its_approval(world: World) -> None:
    world.register(ann=("team:refunds",), dora=("role:director",))
    ruling = world.submit(200)
    answer = world.vote(ruling, "edit", edits={"amount": 5000})
    assert not answer.decided and answer.missing == ("role:director",)
    assert world.outcome(ruling) is None
    with pytest.raises(Refused):
        world.vote(ruling, "approve", "carl")
    assert world.vote(ruling, "approve", "dora").decided
    world.after(10)
    outcome = world.outcome(ruling)
    assert outcome is not None and outcome.value == {"amount": "5000.00"}
    assert outcome.verdict is Verdict.EDITED


def test_an_edit_the_policy_refuses_leaves_the_review_open(world: World) -> None:
    ruling = world.submit(200)
    with pytest.raises(BadInput, match="refuses this edit") as refused:
        world.vote(ruling, "edit", edits={"amount": 200000})
    assert refused.value.status == 422
    with pytest.raises(BadInput):
        world.vote(ruling, "edit", edits={"amount": "abc"})
    with pytest.raises(BadInput):
        world.vote(ruling, "edit", edits={"order": "other"})
    assert world.card(ruling).round == 1
    assert world.vote(ruling, "approve").decided


def test_undo_takes_back_the_act_and_nothing_was_released(world: World) -> None:
    ruling = world.submit(200)
    world.vote(ruling, "edit", edits={"amount": 150})
    with pytest.raises(Refused, match="only who closed"):
        world.call(c.Undo(review_id=ruling.review_id or ""), "bob")
    card = world.call(c.Undo(review_id=ruling.review_id or ""), "ann")
    assert card.status == "open" and card.proposal == {"amount": "200.00"}
    world.after(60)
    assert world.outcome(ruling) is None
    world.vote(ruling, "approve")
    world.after(10)
    outcome = world.outcome(ruling)
    assert outcome is not None and outcome.value == {"amount": "200.00"}
    assert len(world.call(c.ListFeedback())) == 1
    with pytest.raises(Conflict, match="undo time"):
        world.call(c.Undo(review_id=ruling.review_id or ""), "ann")


def test_a_newer_decision_replaces_the_one_under_review(world: World) -> None:
    old = world.submit(200)
    seen = world.card(old).digest
    new = world.submit(300)
    outcome = world.outcome(old)
    assert outcome is not None and outcome.verdict is Verdict.SUPERSEDED
    with pytest.raises(Conflict):
        world.vote(old, "approve", card=seen)
    assert world.card(new).status == "open"


def test_a_replaced_approval_cannot_run(world: World) -> None:
    old = world.submit(200)
    world.vote(old, "approve")
    world.after(10)
    outcome = world.outcome(old)
    assert outcome is not None
    world.submit(20, order="o1", supersedes=old.decision_id)
    with pytest.raises(Refused, match="taken back"):
        world.call(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run=RUN))


def test_redeem_once_and_only_what_was_approved(world: World) -> None:
    outcome = world.outcome(world.submit(20))
    assert outcome is not None
    with pytest.raises(Conflict, match="not what was approved"):
        world.call(c.Redeem(grant_id=outcome.grant_id, digest="sha256:0", run=RUN))
    redeem = c.Redeem(grant_id=outcome.grant_id or "", digest=outcome.digest, run=RUN)
    assert world.call(redeem) == world.call(redeem), "the same run's redeem, sent twice"
    with pytest.raises(AlreadyRun) as before:
        world.call(c.Redeem(grant_id=outcome.grant_id or "", digest=outcome.digest, run=RUN + "2"))
    assert before.value.receipt.state is GrantState.REDEEMED


def test_a_lapsed_lease_is_in_doubt_until_a_person_settles_it(world: World) -> None:
    ruling = world.submit(20)
    outcome = world.outcome(ruling)
    assert outcome is not None and outcome.grant_id is not None
    world.call(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run=RUN))
    world.after(301)
    (doubt,) = world.call(c.ListDoubts())
    assert doubt.grant.state is GrantState.IN_DOUBT
    with pytest.raises(AlreadyRun):
        world.call(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run=RUN + "2"))
    with pytest.raises(Refused, match="program"):
        world.call(c.Resolve(grant_id=outcome.grant_id, answer="again", note="looked"))
    grant = world.call(
        c.Resolve(grant_id=outcome.grant_id, answer="again", note="not in the bank log"), "ann"
    )
    renewed = world.outcome(ruling)
    assert renewed is not None and renewed.grant_id == grant.id
    world.call(c.Redeem(grant_id=grant.id, digest=outcome.digest, run=RUN + "3"))
    with pytest.raises(Conflict):
        world.call(c.Confirm(grant_id=outcome.grant_id, run=RUN, done=True))
    assert world.call(c.ListDoubts()) == []


def test_a_run_that_confirms_late_settles_its_own_doubt(world: World) -> None:
    outcome = world.outcome(world.submit(20))
    assert outcome is not None and outcome.grant_id is not None
    world.call(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run=RUN))
    world.after(301)
    receipt = world.call(c.Confirm(grant_id=outcome.grant_id, run=RUN, done=True))
    assert receipt.state is GrantState.DONE
    assert world.call(c.ListDoubts()) == []


def test_an_unused_approval_lapses(world: World) -> None:
    ruling = world.submit(200)
    world.vote(ruling, "approve")
    world.after(10)
    outcome = world.outcome(ruling)
    assert outcome is not None
    world.after(24 * 3600)
    with pytest.raises(Refused, match="lapsed"):
        world.call(c.Redeem(grant_id=outcome.grant_id or "", digest=outcome.digest, run=RUN))


def test_withdraw_and_expiry(world: World) -> None:
    one = world.submit(200, order="a")
    world.call(c.Withdraw(decision_id=one.decision_id, reason="changed my mind"))
    outcome = world.outcome(one)
    assert outcome is not None and outcome.verdict is Verdict.WITHDRAWN
    assert (
        world.call(c.Withdraw(decision_id=one.decision_id, reason="again")).verdict == "withdrawn"
    )
    two = world.submit(200, order="b", expires_at="2026-09-21T20:00:00Z")
    world.after(3600 * 24)
    expired = world.outcome(two)
    assert expired is not None and expired.verdict is Verdict.EXPIRED
    passed = world.submit(5, order="c")
    with pytest.raises(Conflict, match="no longer be withdrawn"):
        world.call(c.Withdraw(decision_id=passed.decision_id, reason="late"))


@pytest.mark.ledger("M-111", "A-089", "M-149")
def test_silence_reminds_hands_on_and_blocks(world: World) -> None:
    ruling = world.submit(2000)
    world.after(15 * 60)
    assert world.card(ruling).to == ("team:refunds", "role:director", "team:leads")
    world.after(15 * 60)
    assert world.card(ruling).to == ("team:leads",)
    told = world.store.read(lambda tx: tx.outbox.due(tx.now(), 100))
    [handed] = [notice for notice in told if notice.topic == "review.escalated"]
    assert handed.review == ruling.review_id and handed.to == ("team:leads",)
    world.after(30 * 60)
    outcome = world.outcome(ruling)
    assert outcome is not None and outcome.verdict is Verdict.EXPIRED and outcome.by == "silence"
    assert [e["type"] for e in world.entries() if e["type"].startswith("review.")] == [
        "review.opened",
        "review.reminded",
        "review.escalated",
        "review.decided",
    ]


@pytest.mark.ledger("A-031")
def test_the_stop_button_holds_what_would_pass_and_what_has_not_run(world: World) -> None:
    before = world.outcome(world.submit(5, order="before"))
    assert before is not None
    world.call(c.SetStop(workflow="refund", reason="fraud wave"), "ann")
    held = world.submit(5, order="during")
    assert held.lane is Lane.HOLD and held.stopped == "fraud wave"
    with pytest.raises(Refused, match="stopped: fraud wave"):
        world.call(c.Redeem(grant_id=before.grant_id or "", digest=before.digest, run=RUN))
    with pytest.raises(NotFound):
        world.call(c.SetStop(workflow="nonsense", reason="x"), "ann")
    world.call(c.ClearStop(workflow="refund", reason="over"), "ann")
    assert world.submit(5, order="after").lane is Lane.PASS
    world.call(c.Redeem(grant_id=before.grant_id or "", digest=before.digest, run=RUN))


def test_the_requester_never_decides_their_own_request(world: World) -> None:
    ruling = world.submit(200, requester="Ann")
    with pytest.raises(Refused, match="may not decide it"):
        world.vote(ruling, "approve", "ann")
    assert world.vote(ruling, "approve", "bob").decided


@pytest.mark.ledger("M-077")
def test_where_persons_are_registered_only_those_asked_decide(world: World) -> None:
    world.register(ann=("team:refunds",), eve=("team:other",))
    ruling = world.submit(200)
    with pytest.raises(Refused, match="none of team:refunds"):
        world.vote(ruling, "approve", "eve")
    assert world.vote(ruling, "approve", "ann").decided


def test_a_claim_keeps_others_out_until_it_lapses(world: World) -> None:
    ruling = world.submit(200)
    seat = world.call(c.Claim(review_id=ruling.review_id), "ann")
    with pytest.raises(Conflict, match="ann has"):
        world.vote(ruling, "approve", "bob")
    with pytest.raises(NotFound, match="free for you"):
        world.call(c.Claim(), "bob")
    world.clock.advance(601)
    with pytest.raises(Conflict, match="claim on"):
        world.vote(ruling, "approve", "ann", token=seat.token)
    assert world.call(c.Claim(), "bob").card.review == ruling.review_id


@pytest.mark.ledger("A-033", "R-026")
def test_every_step_is_in_the_log_and_the_log_folds_into_the_tables(world: World) -> None:
    world.register(ann=("team:refunds",), dora=("role:director", "team:refunds"))
    one = world.submit(2000, order="a")
    world.vote(one, "approve", "ann")
    world.vote(one, "approve", "dora")
    two = world.submit(300, order="b")
    world.vote(two, "edit", "ann", edits={"amount": 250})
    world.call(c.Undo(review_id=two.review_id or ""), "ann")
    world.vote(two, "reject", "ann")
    three = world.submit(200, order="c")
    world.call(c.Escalate(review_id=three.review_id or "", reason="policy"), "ann")
    world.call(c.Withdraw(decision_id=three.decision_id, reason="no"))
    world.submit(40, order="d", kind="service")
    world.submit(60, order="e", kind="service")
    world.after(20)
    outcome = world.outcome(one)
    assert outcome is not None and outcome.grant_id is not None
    world.call(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run=RUN))
    world.after(301)
    world.call(c.Resolve(grant_id=outcome.grant_id, answer="happened", note="seen"), "ann")
    world.call(c.AddLabel(decision_id=one.decision_id, wrong=False, source="audit"))

    assert against_state(world.ports) == []
