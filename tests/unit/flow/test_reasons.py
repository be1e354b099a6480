"""What needs a reason is not done without one; what needs a qualification, not without that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handrail.model import commands as c
from handrail.model.errors import BadInput, NotFound, Refused

from .access import Office
from .conftest import REFUND


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    made.policy()
    yield made
    made.store.close()


@pytest.mark.ledger("A-111")
@pytest.mark.parametrize("reason", ["", "   "])
def test_configured_actions_need_a_reason(office: Office, reason: str) -> None:
    """Verdicts but approve, handing on, taking back, settling a doubt, the stop button."""
    ann = office.join("ann@example.org", "team:refunds", "role:lead")
    ruling = office.submit(200)
    review = ruling.review_id or ""
    card = office.send(c.GetReview(review_id=review), ann).digest
    passed = office.outcome(office.submit(20, order="o2"))
    assert passed is not None and passed.grant_id is not None
    office.call(c.Redeem(grant_id=passed.grant_id, digest=passed.digest, run="r" * 32))
    office.after(301)
    before = len(office.entries())
    for command in (
        c.CastVote(review_id=review, said="reject", card=card, reason=reason),
        c.CastVote(review_id=review, said="reject", card=card),
        c.CastVote(review_id=review, said="edit", card=card, edits={"amount": 5}),
        c.Escalate(review_id=review, reason=reason),
        c.Escalate(review_id=review, reason="no such reason"),
        c.Resolve(grant_id=passed.grant_id, answer="happened", note=reason),
        c.SetStop(reason=reason),
        c.ClearStop(reason=reason),
    ):
        with pytest.raises(BadInput):
            office.send(command, ann)
    with pytest.raises(BadInput):
        office.call(c.Withdraw(decision_id=ruling.decision_id, reason=reason))
    assert len(office.entries()) == before


@pytest.mark.ledger("A-020")
def test_only_the_qualified_get_what_asks_for_a_qualification(office: Office) -> None:
    """Low-confidence items go to clinicians, and to nobody else whatever else they hold."""
    office.policy(
        REFUND.replace("  - {to: team:refunds, sla: 4h", "  - {to: role:clinician, sla: 4h")
    )
    doctor = office.join("doc@example.org", "role:clinician")
    others = [
        office.join(f"{name}@example.org", *holds)
        for name, holds in (
            ("clerk", ("team:refunds",)),
            ("lea", ("role:lead", "team:refunds")),
            ("root", ("role:admin",)),
            ("nurse", ("role:clinicians", "team:clinician")),
        )
    ]
    ruling = office.submit(200)
    card = office.card(ruling).digest
    vote = c.CastVote(review_id=ruling.review_id or "", said="approve", card=card)
    for other in others:
        assert office.send(c.ListReviews(mine=True), other) == []
        with pytest.raises(NotFound):
            office.send(c.Claim(), other)
        for command in (c.Claim(review_id=ruling.review_id), vote):
            with pytest.raises((Refused, NotFound)):
                office.send(command, other)
    assert [one.review for one in office.send(c.ListReviews(), doctor)] == [ruling.review_id]
    edit = c.CastVote(
        review_id=ruling.review_id or "",
        said="edit",
        card=card,
        reason="wrong",
        edits={"amount": 150},
    )
    assert office.send(edit, doctor).verdict == "edited", "they override it"
