"""Edits under a JSON Schema, on both stores: refused whole, by a limit too, blind without hints."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handrail.model import commands as c
from handrail.model.errors import Refused
from handrail.model.people import Actor
from handrail.model.policy import BadRecord
from handrail.model.ruling import Ruling

from .access import Office
from .conftest import World

POLICY = """
handrail: 1
workflow: refund
title: Refund
owners: [team:owners]
subject: order
if_open: queue
fields:
  order: string
  kind: {enum: [goods, service]}
  amount: {type: decimal, places: 2, unit: EUR, min: 0, from: proposal}
  note: {type: string, optional: true, from: proposal}
stakes: {money: amount, reversible: true}
otherwise: auto
rules:
  - {id: large, when: amount > 100}
  - {id: enormous, when: amount > 5000, then: refuse}
route:
  - {to: team:refunds, sla: 4h, silence: block}
review:
  reasons: {wrong: Wrong amount}
  edit:
    properties:
      amount: {maximum: 2000, multipleOf: 0.5}
      note: {maxLength: 10, pattern: "^[a-z ]*$"}
    if: {properties: {amount: {minimum: 1000}}}
    then: {required: [note]}
  undo: 0s
cases:
  - {name: small, facts: {order: o1, kind: goods}, proposal: {amount: 20}, fires: [], lane: pass}
"""
BLIND = POLICY.replace("\nreview:", "\nsampling: {blind: 100%}\nreview:")


@pytest.fixture
def refunds(world: World) -> World:
    world.policy(POLICY)
    return world


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    made.policy(POLICY)
    yield made
    made.store.close()


def problems(world: World, ruling: Ruling, **edits: object) -> list[tuple[str, str]]:
    with pytest.raises(BadRecord) as caught:
        world.vote(ruling, "edit", edits=edits)
    assert caught.value.status == 422
    return caught.value.problems


def test_what_does_not_fit_is_refused_whole_and_the_review_stays_open(refunds: World) -> None:
    held = refunds.submit(200)
    assert problems(refunds, held, amount="90.25", note="far too long, and with 7") == [
        ("/edits/amount", "is 90.25; expected a multiple of 0.5"),
        ("/edits/note", "has 24 characters; expected at most 10"),
        (
            "/edits/note",
            "is the text 'far too long, and with 7'; expected text that matches ^[a-z ]*$",
        ),
    ]
    assert problems(refunds, held, amount=1500) == [
        ("/edits/note", "is missing; the schema requires it")
    ]
    assert problems(refunds, held, order="o2") == [
        ("/edits/order", "`order` may not be edited; expected one of amount, note")
    ]
    card = refunds.card(held, "ann")
    assert (card.status, card.round, card.proposal) == ("open", 1, {"amount": "200.00"})
    assert refunds.entries("vote.cast") == []
    assert refunds.vote(held, "edit", edits={"amount": 90.5, "note": "agreed"}).decided
    assert len(refunds.entries("vote.cast")) == 1
    outcome = refunds.outcome(held)
    assert outcome is not None and outcome.approved == {"amount": "90.50", "note": "agreed"}


def test_the_policy_still_judges_what_fits(refunds: World) -> None:
    wide = POLICY.replace("maximum: 2000", "maximum: 9000")
    refunds.policy(wide)
    held = refunds.submit(200)
    with pytest.raises(Exception, match="the policy refuses this edit"):
        refunds.vote(held, "edit", edits={"amount": 6000, "note": "x"})


def test_the_card_carries_the_schema_and_the_forms(refunds: World) -> None:
    card = refunds.card(refunds.submit(200), "ann")
    assert card.editable == ("amount", "note")
    assert card.edit_schema is not None
    assert card.edit_schema["properties"]["amount"] == {"maximum": 2000, "multipleOf": 0.5}
    assert [(one.name, one.shape, one.high) for one in card.inputs] == [
        ("amount", "number", "2000"),
        ("note", "text", None),
    ]


def test_a_limit_holds_for_what_was_edited(office: Office) -> None:
    small = office.join("small@example.org", "team:refunds", limits={"refund": "500"})
    held = office.submit(200)
    card = office.send(c.GetReview(review_id=held.review_id or ""), small)
    more = c.CastVote(
        review_id=held.review_id or "",
        said="edit",
        card=card.digest,
        reason="wrong",
        edits={"amount": 600},
    )
    with pytest.raises(Refused, match="up to 500"):
        office.send(more, small)
    fits = c.CastVote(**{**{f: getattr(more, f) for f in more.__struct_fields__},
                         "edits": {"amount": 499.5}})  # fmt: skip
    assert office.send(fits, small).decided


def test_who_may_not_vote_hears_of_that_first(office: Office) -> None:
    stranger = office.join("stranger@example.org", "team:other")
    held = office.submit(200)
    vote = c.CastVote(
        review_id=held.review_id or "", said="edit", card="x", reason="wrong", edits={"amount": 1.7}
    )
    with pytest.raises(Exception) as caught:
        office.send(vote, stranger)
    assert not isinstance(caught.value, BadRecord)


def test_a_blind_seat_hears_of_its_own_values_only(office: Office) -> None:
    office.policy(BLIND)
    ann = office.join("ann@example.org", "team:refunds")
    held = office.submit(999, order="o7")

    def say(actor: Actor, **edits: object) -> list[tuple[str, str]]:
        seat = office.send(c.GetReview(review_id=held.review_id or ""), actor)
        assert seat.blind and seat.proposal is None and seat.inputs
        with pytest.raises(BadRecord) as caught:
            office.send(
                c.CastVote(
                    review_id=held.review_id or "",
                    said="edit",
                    card=seat.digest,
                    reason="wrong",
                    edits=edits,
                ),
                actor,
            )
        return caught.value.problems

    assert say(ann, amount=1200.25) == [
        ("/edits/amount", "is 1200.25; expected a multiple of 0.5"),
        ("/edits", "does not fit together with what is proposed"),
    ]
