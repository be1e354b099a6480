"""Reverse what passed or was approved: a grant taken back, or a decision that people take."""

from __future__ import annotations

from typing import Any

import pytest

from handrail.flow import against_state
from handrail.model import commands as c
from handrail.model.errors import BadInput, Conflict, NotFound, Refused
from handrail.model.modes import GrantState, Lane, Mode, Verdict
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.ruling import Ruling

from .access import Office
from .conftest import REFUND, World

RUN = "run-0123456789abcdef"
WATCHING = REFUND.replace(
    "  - id: large",
    """  - id: watched
    when: amount > 50
    then: on_the_loop
    because: Refund {amount} is watched
  - id: large""",
)
"""Refunds from 50 to 100 pass on the loop."""


def ran(world: World, ruling: Ruling) -> Outcome[Any]:
    """The outcome of a decision whose effect was run."""
    outcome = world.outcome(ruling)
    assert outcome is not None
    grant = outcome.grant_id or ""
    world.call(c.Redeem(grant_id=grant, digest=outcome.digest, run=RUN))
    world.call(c.Confirm(grant_id=grant, run=RUN, done=True))
    return outcome


def reverse(world: World, ruling: Ruling, who: str | None = "ann") -> c.Reversal:
    answer = world.call(c.Reverse(decision_id=ruling.decision_id, reason="wrong account"), who)
    assert isinstance(answer, c.Reversal)
    return answer


def test_what_has_not_run_never_will(world: World) -> None:
    ruling = world.submit(20)
    outcome = world.outcome(ruling)
    assert outcome is not None
    assert reverse(world, ruling).ruling is None
    with pytest.raises(Refused, match="taken back: reversed by ann"):
        world.call(c.Redeem(grant_id=outcome.grant_id or "", digest=outcome.digest, run=RUN))
    assert [entry["decision"] for entry in world.entries("decision.reversed")] == [
        ruling.decision_id
    ]
    assert world.entries("grant.voided")[0]["grant"] == outcome.grant_id
    with pytest.raises(Conflict, match="never ran"):
        reverse(world, ruling)
    assert against_state(world.ports) == []


@pytest.mark.ledger("A-077")
def test_what_has_run_is_undone_by_the_program_after_people_say_so(world: World) -> None:
    first = world.submit(20, callback="https://shop.example/hook")
    was = ran(world, first)
    asked = reverse(world, first).ruling
    assert asked is not None
    assert (asked.lane, asked.mode) == (Lane.HOLD, Mode.IN_THE_LOOP)
    card = world.card(asked, "bob")
    assert card.what == "Undo Refund o1: amount = 20.00"
    assert card.why == (f"ann asks to reverse {first.decision_id}: wrong account",)
    assert card.editable == ()
    assert world.vote(asked, "approve", "bob").verdict == "approved"
    world.after(20)
    outcome = world.outcome(asked)
    assert outcome is not None
    assert outcome.reverses == first.decision_id
    assert outcome.value == {"undo": was.value}
    assert outcome.digest != was.digest
    grant = world.call(
        c.Redeem(grant_id=outcome.grant_id or "", digest=outcome.digest, run=RUN + "-2")
    )
    world.call(c.Confirm(grant_id=grant.grant_id, run=RUN + "-2", done=True))
    view = world.call(c.GetDecision(decision_id=asked.decision_id))
    assert view.decision["callback"] == "https://shop.example/hook"
    assert view.grant.state is GrantState.DONE
    first_view = world.call(c.GetDecision(decision_id=first.decision_id))
    assert first_view.reversed_by == asked.decision_id
    said = world.entries("decision.reversed")[0]
    assert (said["decision"], said["by"]) == (first.decision_id, asked.decision_id)
    assert "wrong account" not in str(world.entries())
    assert against_state(world.ports) == []


def test_asking_again_answers_the_first_reversal(world: World) -> None:
    first = world.submit(20)
    ran(world, first)
    asked = reverse(world, first).ruling
    again = reverse(world, first, "bob").ruling
    assert asked is not None and again is not None
    assert again.decision_id == asked.decision_id
    assert len(world.entries("decision.reversed")) == 1


def test_an_approved_one_can_be_reversed_too_and_a_rejected_reversal_changes_nothing(
    world: World,
) -> None:
    first = world.submit(200)
    world.vote(first, "approve", "ann")
    with pytest.raises(Conflict, match="no outcome yet"):
        reverse(world, first)
    world.after(20)
    ran(world, first)
    asked = reverse(world, first).ruling
    assert asked is not None
    world.vote(asked, "reject", "bob")
    world.after(20)
    outcome = world.outcome(asked)
    assert outcome is not None and outcome.verdict is Verdict.REJECTED
    assert against_state(world.ports) == []


def test_what_was_refused_or_is_a_reversal_itself_cannot_be_reversed(world: World) -> None:
    refused = world.submit(200_000)
    with pytest.raises(Conflict, match="nothing to reverse"):
        reverse(world, refused)
    first = world.submit(20, order="o2")
    ran(world, first)
    asked = reverse(world, first).ruling
    assert asked is not None
    world.vote(asked, "approve", "bob")
    world.after(20)
    with pytest.raises(Conflict, match="a reversal itself"):
        reverse(world, asked)
    with pytest.raises(NotFound):
        world.call(c.Reverse(decision_id="d_" + "0" * 26, reason="x"))
    with pytest.raises(BadInput, match="say why"):
        world.call(c.Reverse(decision_id=first.decision_id, reason=" "))


def test_a_reversal_is_approved_or_rejected_and_counts_in_no_aggregate(world: World) -> None:
    first = world.submit(20)
    ran(world, first)
    asked = reverse(world, first).ruling
    assert asked is not None
    with pytest.raises(BadInput, match="undoes all of what ran"):
        world.vote(asked, "edit", "bob", edits={"amount": 5})
    world.vote(asked, "approve", "bob")
    world.after(20)
    assert world.call(c.ListFeedback()) == []


def test_a_new_decision_about_the_subject_leaves_the_reversal_open(world: World) -> None:
    first = world.submit(20)
    ran(world, first)
    asked = reverse(world, first).ruling
    assert asked is not None
    world.submit(300)
    assert world.card(asked, "bob").status == "open"
    world.vote(asked, "approve", "bob")


def test_those_a_policy_sends_reviews_to_watch_what_passes_on_the_loop() -> None:
    office = Office()
    office.policy(WATCHING)
    ann = office.join("ann@example.org", "team:refunds")
    eve = office.join("eve@example.org", "team:other")
    watched = office.submit(60)
    assert (watched.lane, watched.mode) == (Lane.PASS, Mode.ON_THE_LOOP)
    plain = office.submit(20, order="o2")
    assert plain.mode is Mode.AUTO

    def seen(actor: Actor) -> list[str]:
        views = office.send(c.ListDecisions(lane="pass"), actor)
        return [view.decision["id"] for view in views]

    assert seen(ann) == [watched.decision_id]
    assert seen(eve) == []
    command = c.Reverse(decision_id=watched.decision_id, reason="no such order")
    with pytest.raises(NotFound):
        office.send(command, eve)
    assert office.send(command, ann).ruling is None
    office.store.close()


def test_one_lists_only_what_is_ones_own_where_asked(world: World) -> None:
    own = world.submit(200, requester="ann")
    world.submit(200, order="o2", requester="bob")
    found = world.call(c.ListDecisions(mine=True), "ann")
    assert [view.decision["id"] for view in found] == [own.decision_id]


def test_a_card_says_what_may_be_done_and_what_was_done() -> None:
    office = Office()
    office.policy()
    ann, bob = (office.join(f"{name}@example.org", "team:refunds") for name in ("ann", "bob"))
    eve = office.join("eve@example.org")
    ruling = office.submit(200, requester="eve@example.org")
    look = c.GetReview(review_id=ruling.review_id or "")
    office.send(c.Ask(review_id=look.review_id, comment="which account?"), ann)
    office.send(c.Comment(review_id=look.review_id, comment="looks odd"), bob)
    card = office.send(look, bob)
    assert "CastVote" in card.may
    assert [(act["kind"], act["by"]) for act in card.history] == [
        ("ask", "ann@example.org"),
        ("comment", "bob@example.org"),
    ]
    own = office.send(look, eve)
    assert own.may == ("Comment",)
    assert [act["comment"] for act in own.history] == ["which account?"]
    vote = c.CastVote(review_id=look.review_id, said="approve", card=card.digest)
    office.send(vote, ann)
    assert office.send(look, bob).may == ()
    office.store.close()
