"""A blind seat learns nothing by any command, before its vote; and everything after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from handrail.access import COMMAND_RIGHTS
from handrail.model import commands as c
from handrail.model.errors import HandrailError, Refused
from handrail.model.people import Actor
from handrail.model.problem import problem_of
from handrail.model.ruling import Ruling

from .access import Office
from .test_rights import COMMANDS

CANARY = "CANARY"
POLICY = """
handrail: 1
workflow: refund
title: Refund
owners: [team:owners]
subject: order
fields:
  order: string
  kind: {enum: [goods, service]}
  amount: {type: decimal, places: 2, unit: EUR, min: 0, from: proposal}
  note: {type: string, optional: true, from: proposal}
  summary: {type: string, optional: true, derived_from: proposal}
  photo: {type: string, optional: true}
stakes: {money: amount, reversible: true}
values:
  twice: amount * 2
otherwise: auto
rules:
  - id: large
    when: amount > 100
    because: Refund {amount}, {note}, {summary}
  - id: enormous
    when: amount > 5000
    then: refuse
    because: Nobody refunds {amount} for {note}
route:
  - {to: team:refunds, sla: 4h, silence: block}
review:
  reasons: {policy: Against policy, wrong: Wrong amount}
  edit: [amount, note]
  if_approved: The customer gets {amount}, {note}
  if_rejected: The customer does not get {amount}, {note}
sampling: {blind: 100%}
cases:
  - name: small
    facts: {order: o1, kind: goods}
    proposal: {amount: 20}
    fires: []
    lane: pass
"""
AMOUNT = "4321.09"
# Ids, digests and commitments are random: four digits in a row turn up inside them by chance.
DIGITS = re.compile(r"(?<![0-9A-Za-z_])(4,?321|8,?642)(?![0-9A-Za-z_])")
NAMES = (
    "note",
    "summary",
    "undeclared",
    "alternative",
    "model",
    "context",
    "current",
    "link",
    "key",
)


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    made.policy(POLICY)
    yield made
    made.store.close()


def submit(office: Office, by: Actor, order: str = "o1") -> Ruling:
    def bird(name: str) -> str:
        return f"{CANARY}-{name}"

    return office.send(  # type: ignore[no-any-return]
        c.Submit(
            workflow="refund",
            facts={
                "order": order,
                "kind": "goods",
                "photo": "broken-vase",
                "summary": bird("summary"),
                "score": bird("undeclared"),
            },
            proposal={"amount": AMOUNT, "note": bird("note")},
            alternatives=({"note": bird("alternative")},),
            model=bird("model") + "@1",
            context={"why": bird("context")},
            current={"note": bird("current")},
            links={"trace": "https://x.example/" + bird("link")},
            confidence=0.4321,
            key=bird("key"),
        ),
        by,
    )


def told(office: Office, command: c.Command, actor: Actor) -> str:
    """All that an answer carries, as it travels. Nothing stays."""
    try:
        answer = office.send(command, actor, office.trial())
    except HandrailError as error:
        answer = problem_of(error)
    return msgspec.json.encode(answer).decode()


def leaks(text: str) -> bool:
    return CANARY in text or AMOUNT in text or DIGITS.search(text) is not None


class It:
    """The ids that `COMMANDS` asks for."""

    def __init__(self, ruling: Ruling) -> None:
        self.decision, self.review = ruling.decision_id, ruling.review_id
        self.decided, self.granted, self.doubt = self.review, "g_none", "g_none"


class Passed:
    digest = "sha256:0"


class Scene:
    passed = Passed


def everything(ruling: Ruling, card: str) -> list[c.Command]:
    """Every command there is, about this decision and review, and some that are made to pry."""
    it = It(ruling)
    commands = [make(Scene(), it) for kind, make in COMMANDS.items()]  # type: ignore[arg-type]
    assert {type(command) for command in commands} == set(COMMAND_RIGHTS) - {c.WaitOutcomes}
    review = it.review or ""
    return [
        *commands,
        c.ListDecisions(state="open", workflow="refund", subject="o1"),
        c.ListDecisions(key=f"{CANARY}-key".replace(CANARY, "C")),
        c.ListReviews(mine=True),
        c.ListReviews(status=None),
        c.Claim(),
        c.Assign(review_id=review, to="team:other"),
        c.CastVote(review_id=review, said="edit", card=card, reason="wrong", edits={"amount": "x"}),
        c.CastVote(
            review_id=review, said="edit", card=card, reason="wrong", edits={"amount": 9999}
        ),
        c.CastVote(review_id=review, said="edit", card=card, reason="none", edits={"amount": 5}),
        c.CastVote(review_id=review, said="edit", card=card, reason="wrong", edits={"order": "o"}),
        c.CastVote(review_id=review, said="reject", card=card),
        c.CastVote(review_id=review, said="approve", card="card:old"),
        c.CastVote(review_id=review, said="approve", card=card, token="k_none"),
    ]


@pytest.mark.ledger("A-102")
@pytest.mark.parametrize("roles", [(), ("role:lead",), ("role:auditor",), ("role:admin",)])
@pytest.mark.parametrize("when", ["before the claim", "seated", "lease over", "local"])
def test_no_command_tells_a_blind_seat(office: Office, roles: tuple[str, ...], when: str) -> None:
    ann = office.join("ann@example.org", "team:refunds", *roles)
    bot = office.token("bot", "decisions:submit")
    ruling = submit(office, bot)
    if when == "local":
        ann = Actor(name="ann@example.org", program=False)
    if when in ("seated", "lease over"):
        office.send(c.Claim(review_id=ruling.review_id, lease_seconds=60), ann)
    if when == "lease over":
        office.clock.advance(61)
    card = office.send(c.GetReview(review_id=ruling.review_id or ""), ann)
    assert card.blind and card.facts == {"order": "o1", "kind": "goods", "photo": "broken-vase"}
    for command in everything(ruling, card.digest):
        text = told(office, command, ann)
        assert not leaks(text), f"{command}: {text}"
    # The positive control: who may know is told, of all of it.
    seen = told(office, c.GetDecision(decision_id=ruling.decision_id), bot)
    assert all(f"{CANARY}-{name}" in seen for name in NAMES) and AMOUNT in seen
    # And so is she, once she has said what she thinks.
    office.send(c.CastVote(review_id=ruling.review_id or "", said="approve", card=card.digest), ann)
    after = told(office, c.GetReview(review_id=ruling.review_id or ""), ann)
    assert f"{CANARY}-note" in after and f"{CANARY}-context" in after


def test_feedback_on_other_votes_waits_for_ones_own(office: Office) -> None:
    large = "    because: Refund {amount}, {note}, {summary}\n"
    two = "    approve: [{any: 2, of: team:refunds}]\n"
    office.policy(POLICY.replace(large, large + two))
    ann = office.join("ann@example.org", "team:refunds", "role:lead")
    bob = office.join("bob@example.org", "team:refunds")
    ruling = submit(office, office.token("bot", "decisions:submit"))
    office.send(c.Claim(review_id=ruling.review_id), ann)
    seat = office.send(c.Claim(review_id=ruling.review_id), bob)
    vote = c.CastVote(
        review_id=ruling.review_id or "", said="approve", card=seat.card.digest, comment=CANARY
    )
    assert not office.send(vote, bob).decided
    for command in everything(ruling, seat.card.digest):
        assert not leaks(told(office, command, ann)), command
    office.send(
        c.CastVote(review_id=ruling.review_id or "", said="approve", card=seat.card.digest), ann
    )
    assert leaks(told(office, c.ListFeedback(), ann))


def test_whoever_could_be_seated_is_blind_until_the_first_vote(office: Office) -> None:
    """Else one could look first and be seated afterwards, or be given it by a lead."""
    ann, bob = (office.join(f"{name}@example.org", "team:refunds") for name in ("ann", "bob"))
    lead = office.join("lea@example.org", "role:lead")
    ruling = submit(office, office.token("bot", "decisions:submit"))
    look = c.GetReview(review_id=ruling.review_id or "")
    seat = office.send(c.Claim(review_id=ruling.review_id), ann)
    assert seat.card.blind and office.send(look, bob).blind and office.send(look, lead).blind
    assign = c.Assign(review_id=ruling.review_id or "", to="lea@example.org")
    assert office.send(assign, lead).blind
    assert not office.send(look).blind, "a program judges nothing"


def test_the_requester_who_never_decides_it_sees_what_they_asked_for(office: Office) -> None:
    rita = office.join("rita@example.org", "team:refunds")
    ruling = office.send(
        c.Submit(
            workflow="refund",
            facts={"order": "o1", "kind": "goods"},
            proposal={"amount": AMOUNT},
            requester="rita@example.org",
        ),
        office.token("bot", "decisions:submit"),
    )
    assert not office.send(c.GetReview(review_id=ruling.review_id or ""), rita).blind
    with pytest.raises(Refused, match="may not decide it"):
        office.send(c.Claim(review_id=ruling.review_id or ""), rita)


def test_the_notice_of_a_blind_review_tells_nothing(office: Office) -> None:
    ruling = submit(office, office.token("bot", "decisions:submit"))
    office.after(2 * 3600 + 1)
    notices = office.store.read(lambda tx: tx.outbox.undelivered(10))
    assert [notice.topic for notice in notices] == ["review.opened", "review.reminded"]
    for notice in notices:
        assert notice.review == ruling.review_id and not leaks(repr(notice))


def test_a_card_digest_is_no_oracle(office: Office) -> None:
    """It is keyed: the same card in another installation has another digest."""
    ann = office.join("ann@example.org", "team:refunds")
    ruling = submit(office, office.token("bot", "decisions:submit"))
    mine = office.send(c.GetReview(review_id=ruling.review_id or ""), ann).digest
    other = msgspec.structs.replace(office.ports, secret=b"t" * 32)
    theirs: Any = office.send(c.GetReview(review_id=ruling.review_id or ""), ann, other)
    assert mine != theirs.digest
