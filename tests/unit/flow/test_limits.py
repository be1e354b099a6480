"""Up to how much somebody may decide, and what happens when rights go while work is under way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handrail.model import commands as c
from handrail.model.errors import BadInput, NotFound, Refused, Unknown
from handrail.model.people import Actor
from handrail.model.ruling import Ruling

from .access import Office
from .conftest import REFUND


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    made.policy()
    yield made
    made.store.close()


def vote(
    office: Office, ruling: Ruling, actor: Actor, said: str = "approve", **edits: object
) -> c.Voted:
    card = office.send(c.GetReview(review_id=ruling.review_id or ""), actor)
    return office.send(  # type: ignore[no-any-return]
        c.CastVote(
            review_id=ruling.review_id or "",
            said=said,  # type: ignore[arg-type]
            card=card.digest,
            reason=None if said == "approve" else "wrong",
            edits=edits,
        ),
        actor,
    )


@pytest.mark.ledger("M-077")
def test_what_is_above_a_limit_is_never_offered_claimed_or_decided(office: Office) -> None:
    small = office.join("small@example.org", "team:refunds", limits={"refund": "500"})
    large = office.join("large@example.org", "team:refunds", limits={"*": "900.00"})
    above, at = office.submit(500.01, order="a"), office.submit(500, order="b")

    def offered(actor: Actor) -> set[str]:
        return {card.review for card in office.send(c.ListReviews(mine=True), actor)}

    assert offered(small) == {at.review_id}
    assert offered(large) == {above.review_id, at.review_id}
    assert {card.review for card in office.send(c.ListReviews(), small)} == {at.review_id}
    with pytest.raises(Refused, match=r"500.01 is at stake.*up to 500 in refund"):
        office.send(c.Claim(review_id=above.review_id), small)
    with pytest.raises(Refused, match="up to 500"):
        vote(office, above, small)
    assert office.send(c.Claim(), small).card.review == at.review_id
    assert vote(office, above, large).decided


def test_the_next_claim_looks_past_what_is_above_the_limit(office: Office) -> None:
    small = office.join("small@example.org", "team:refunds", limits={"refund": "500"})
    for number in range(60):
        office.submit(900, order=f"above-{number}")
    fits = office.submit(200, order="fits")
    assert office.send(c.Claim(), small).card.review == fits.review_id
    with pytest.raises(NotFound, match="free for you"):
        office.send(c.Claim(), small)


def test_limits_hold_on_this_machine_too(office: Office) -> None:
    office.send(c.SetPerson(handle="ann", holds=("team:refunds",), limits={"refund": "150"}))
    ruling = office.submit(200)
    with pytest.raises(Refused, match="up to 150"):
        office.vote(ruling, "approve", "ann")


def test_one_verdict_on_a_case_is_one_sum(office: Office) -> None:
    """Many small ones that are decided together are as much as one large one."""
    ann = office.join("ann@example.org", "team:refunds", limits={"refund": "100"})
    rulings = [office.submit(40, order=f"o{n}", kind="service") for n in range(3)]
    assert len({ruling.review_id for ruling in rulings}) == 1
    with pytest.raises(Refused, match=r"120.00 is at stake"):
        office.send(c.Claim(review_id=rulings[0].review_id), ann)


def test_what_is_not_known_is_above_every_limit(office: Office) -> None:
    unknown = REFUND.replace("money: amount,", "money: amount / divisor,").replace(
        "  note: {type", "  divisor: {type: decimal, places: 2, optional: true}\n  note: {type"
    )
    office.policy(unknown)
    ann = office.join("ann@example.org", "team:refunds", limits={"*": "1000000"})
    bob = office.join("bob@example.org", "team:refunds")
    ruling = office.submit(200)
    assert ruling.stakes.money is None
    with pytest.raises(Refused, match="not known"):
        office.send(c.Claim(review_id=ruling.review_id), ann)
    assert vote(office, ruling, bob).decided


def test_a_policy_without_money_has_no_limits(office: Office) -> None:
    office.policy(
        REFUND.replace("stakes: {money: amount, reversible: true}", "stakes: {reversible: true}")
    )
    ann = office.join("ann@example.org", "team:refunds", limits={"*": "0"})
    assert vote(office, office.submit(200), ann).decided


def test_an_edit_above_ones_limit_is_refused_and_changes_nothing(office: Office) -> None:
    ann = office.join("ann@example.org", "team:refunds", limits={"refund": "500"})
    ruling = office.submit(400)
    with pytest.raises(Refused, match=r"600.00 is at stake"):
        vote(office, ruling, ann, "edit", amount=600)
    card = office.send(c.GetReview(review_id=ruling.review_id or ""), ann)
    assert (card.round, card.proposal) == (1, {"amount": "400.00"})
    assert vote(office, ruling, ann, "edit", amount=450).decided


def test_a_vote_counts_while_its_voter_may_decide_it(office: Office) -> None:
    """Limits, teams and being active are read when the votes are counted."""
    two = REFUND.replace(
        "    approve: [role:director]\n", "    approve: [{any: 2, of: team:refunds}]\n"
    )
    changes = [
        c.SetPerson(handle="ann@example.org", holds=("team:refunds",), limits={"*": "5"}),
        c.SetPerson(handle="ann@example.org", holds=("team:other",)),
        c.SetPerson(handle="ann@example.org", holds=("team:refunds",), active=False),
    ]
    office.policy(two)
    for number, change in enumerate(changes):
        back = c.SetPerson(handle="ann@example.org", holds=("team:refunds",), limits={})
        office.send(back)
        ruling = office.submit(2000, order=f"o{number}")
        office.vote(ruling, "approve", "ann@example.org")
        office.send(change)
        for name in ("bob@example.org", "cleo@example.org"):
            office.send(c.SetPerson(handle=name, holds=("team:refunds",)))
        assert not office.vote(ruling, "approve", "bob@example.org").decided
        assert office.vote(ruling, "approve", "cleo@example.org").decided


def test_nobody_is_given_what_is_above_their_limit(office: Office) -> None:
    lead = office.join("lea@example.org", "role:lead")
    office.join("ann@example.org", "team:refunds", limits={"refund": "150"})
    office.join("bob@example.org", "team:refunds")
    ruling = office.submit(200)
    review = ruling.review_id or ""
    with pytest.raises(BadInput, match="may not decide what is at stake") as caught:
        office.send(c.Assign(review_id=review, to="ann@example.org"), lead)
    assert (caught.value.status, caught.value.pointer) == (422, "/to")
    escalate = c.Escalate(review_id=review, reason="policy", to=("person:ann@example.org",))
    with pytest.raises(BadInput, match="nobody to escalate to"):
        office.send(escalate, lead)
    with pytest.raises(BadInput, match="nobody here is known"):
        office.send(c.Assign(review_id=review, to="mallory@example.org"), lead)
    card = office.send(c.Assign(review_id=review, to="bob@example.org"), lead)
    assert card.to == ("bob@example.org",)
    named = REFUND.replace(
        "{to: team:refunds, sla: 4h", "{to: [person:ann@example.org, team:refunds], sla: 4h"
    )
    office.policy(named)
    assert office.card(office.submit(200, order="b")).to == ("team:refunds",)
    assert office.card(office.submit(120, order="c")).to == ("ann@example.org", "team:refunds")
    office.policy(
        REFUND.replace("{to: team:refunds, sla: 4h", "{to: person:ann@example.org, sla: 4h")
    )
    assert office.card(office.submit(200, order="d")).to == ("team:owners",)


# ------------------------------------------------------------------------------ under way


def test_a_claim_ends_with_the_rights_of_its_holder(office: Office) -> None:
    ann, bob = (office.join(f"{name}@example.org", "team:refunds") for name in ("ann", "bob"))
    for change, error in (
        (c.SetPerson(handle="ann@example.org", holds=("team:refunds",), active=False), Unknown),
        (c.SetPerson(handle="ann@example.org", holds=("team:other",)), Unknown),
    ):
        ruling = office.submit(200, order=str(change.active))
        seat = office.send(c.Claim(review_id=ruling.review_id), ann)
        office.send(change)
        held = c.CastVote(
            review_id=ruling.review_id or "",
            said="approve",
            card=seat.card.digest,
            token=seat.token,
        )
        with pytest.raises(error):
            office.send(held, ann)
        if change.active:
            again = office.sign_in("ann@example.org")
            with pytest.raises(NotFound, match="no review"):
                office.send(held, again)
        else:
            assert vote(office, ruling, bob).decided, "who is switched off keeps nobody out"
        office.send(c.SetPerson(handle="ann@example.org", holds=("team:refunds",)))
        ann = office.sign_in("ann@example.org")


def test_a_token_revoked_between_redeem_and_confirm_says_no_more(office: Office) -> None:
    bot = office.token("bot", "decisions:submit")
    facts = {"order": "o1", "kind": "goods"}
    submit = c.Submit(workflow="refund", facts=facts, proposal={"amount": 1}, key="k")
    ruling = office.send(submit, bot)
    outcome = office.send(c.WaitOutcome(decision_id=ruling.decision_id), bot)
    redeem = c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run="r" * 32)
    office.send(redeem, bot)
    office.send(c.RevokeToken(token_id=bot.credential or ""))
    for command in (
        redeem,
        c.Confirm(grant_id=outcome.grant_id, run="r" * 32, done=True),
        c.WaitOutcome(decision_id=ruling.decision_id),
        submit,
    ):
        with pytest.raises(Unknown):
            office.send(command, bot)
    successor = office.token("bot", "decisions:submit")
    confirm = c.Confirm(grant_id=outcome.grant_id, run="r" * 32, done=True)
    assert office.send(confirm, successor).state == "done"


def test_a_program_replaces_only_what_it_handed_in(office: Office) -> None:
    ours, theirs = (office.token(name, "decisions:submit") for name in ("ours", "theirs"))
    facts = {"order": "o1", "kind": "goods"}
    mine = office.send(c.Submit(workflow="refund", facts=facts, proposal={"amount": 200}), ours)
    take = c.Submit(
        workflow="refund",
        facts=facts | {"order": "o2"},
        proposal={"amount": 1},
        supersedes=mine.decision_id,
    )
    with pytest.raises(NotFound, match="is no decision of refund"):
        office.send(take, theirs)
    assert office.send(take, ours).passed


def test_who_handed_it_in_does_not_decide_it(office: Office) -> None:
    """Where people are registered, whoever submits is not the one who approves."""
    office.register(ann=("team:refunds",), bob=("team:refunds",))
    facts = {"order": "o1", "kind": "goods"}
    ruling = office.call(c.Submit(workflow="refund", facts=facts, proposal={"amount": 200}), "ann")
    with pytest.raises(Refused, match="handed this in"):
        office.vote(ruling, "approve", "ann")
    assert office.vote(ruling, "approve", "bob").decided


@pytest.mark.parametrize(
    "spelling",
    ["ann@example.org", " ANN@Example.org", "person:ann@example.org", "PERSON: ann@example.org"],
)
def test_the_requester_is_known_however_they_are_written(office: Office, spelling: str) -> None:
    ann = office.join("ann@example.org", "team:refunds")
    ruling = office.submit(200, requester=spelling)
    with pytest.raises(Refused, match="may not decide it"):
        office.send(c.Claim(review_id=ruling.review_id), ann)
    views = office.send(c.ListDecisions(), ann)
    assert [view.decision["id"] for view in views] == [ruling.decision_id]


def test_the_requester_named_by_id_is_known_too(office: Office) -> None:
    ann = office.join("ann@example.org", "team:refunds")
    ruling = office.submit(200, requester=office.send(c.WhoAmI(), ann).person)
    with pytest.raises(Refused, match="may not decide it"):
        office.send(c.Claim(review_id=ruling.review_id), ann)


def test_a_deadline_hands_on_only_to_who_may_decide_it(office: Office) -> None:
    office.join("ann@example.org", "team:refunds", limits={"refund": "500"})
    office.policy(
        REFUND.replace("fallback: [team:leads]", "fallback: [person:ann@example.org]").replace(
            "severity: high, to: team:refunds", "severity: high, to: role:director"
        )
    )
    ruling = office.submit(2000)
    office.after(30 * 60)
    assert office.card(ruling).to == ("team:owners",)


def test_an_edit_asks_only_who_may_decide_what_it_makes(office: Office) -> None:
    office.join("small@example.org", limits={"refund": "1000"})
    office.join("large@example.org")
    clerk = office.join("clerk@example.org", "team:refunds")
    office.policy(
        REFUND.replace(
            "    approve: [role:director]\n",
            "    approve: [{any: 1, of: [person:small@example.org, person:large@example.org]}]\n",
        )
    )
    ruling = office.submit(400)
    assert not vote(office, ruling, clerk, "edit", amount=5000).decided
    assert office.card(ruling).to == ("team:refunds", "large@example.org")
