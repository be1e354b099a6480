"""The activation check, approvals made elsewhere, and rules on trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from handrail.access import Denied
from handrail.flow import against_state
from handrail.model import commands as c
from handrail.model.errors import BadInput, Conflict, HandrailError
from handrail.model.modes import GrantState
from handrail.model.people import Actor
from handrail.model.versions import How, Proposal

from .access import Office
from .conftest import REFUND, World

OTHER = REFUND.replace("amount > 100\n", "amount > 200\n").replace("over 100\n", "over 200\n")


@pytest.fixture
def staffed(world: World) -> World:
    """A workspace in which everything that REFUND asks for can be given."""
    world.register(
        ann=("team:owners", "team:refunds"),
        bob=("team:owners", "team:refunds"),
        cyd=("role:director", "team:leads"),
        dan=("role:director",),
    )
    return world


def propose(world: World, text: str, who: str = "ann") -> Proposal:
    return world.call(  # type: ignore[no-any-return]
        c.ProposePolicy(workflow="refund", text=text, reason="better"), who
    )


def test_what_everybody_can_carry_has_no_remarks(staffed: World) -> None:
    assert propose(staffed, OTHER).warnings == ()


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("approve: [role:director]", "approve: [role:cfo]", ":26:9",
         "the rule huge asks for role:cfo, and nobody there is can give that"),
        ("approve: [role:director]", "approve: [{any: 3, of: role:director}]", ":26:9",
         "the rule huge asks for role:director, and nobody there is can give that"),
        ("to: team:refunds, sla: 4h", "to: team:nobody", ":37:10",
         "no active person is team:nobody: such reviews lead nowhere"),
        ("[team:owners]", "[team:later]", ":5:1",
         "nobody could ever change it again: no active person is team:later"),
        ("subject: order", "review_by: 2020-01-01\nsubject: order", ":6:1",
         "it was to be looked at again by 2020-01-01"),
    ],
)  # fmt: skip
def test_what_nobody_could_carry_is_refused(
    staffed: World, old: str, new: str, place: str, says: str
) -> None:
    assert old in OTHER
    with pytest.raises(BadInput) as caught:
        propose(staffed, OTHER.replace(old, new))
    assert says in str(caught.value)
    assert f"policies/refund.yaml{place}: " in str(caught.value)
    assert staffed.call(c.ListReviews(), "bob") == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("fallback: [team:leads]", "fallback: [team:nobody]",
         "no active person is team:nobody, the fallback"),
        ("to: team:refunds, sla: 4h", "to: team:nobody, sla: 4h",
         "wait until their time is over and team:owners is asked"),
        ("sla: 30m,", "sla: 30m, clock: business,",
         "outside Monday to Friday, 9:00 to 17:00 UTC"),
        ("  reasons: {policy: Against policy, wrong: Wrong amount}\n", "", "no reason codes"),
        (OTHER[OTHER.index("cases:") :], "", "no cases"),
        ("approve: [role:director]", "approve: [team:leads]",
         "only cyd can approve for the rule huge as team:leads"),
    ],
)  # fmt: skip
def test_what_is_hard_to_carry_is_a_warning_on_the_card(
    staffed: World, old: str, new: str, says: str
) -> None:
    assert old in OTHER
    made = propose(staffed, OTHER.replace(old, new))
    [warning] = made.warnings
    assert says in warning and warning.startswith("policies/refund.yaml:")
    card = staffed.call(c.GetReview(review_id=made.review_id), "bob")
    assert any(says[:20] in line for line in card.why)


def test_above_which_amount_nobody_may_decide_is_said(staffed: World) -> None:
    for who, limit in (("ann", "500"), ("bob", "5000"), ("cyd", "20000")):
        held = next(one.holds for one in staffed.call(c.ListPeople()) if one.handle == who)
        staffed.call(c.SetPerson(handle=who, holds=held, limits={"*": limit}))
    made = propose(staffed, OTHER)
    assert [warning.split(": ", 1)[1].split(" nobody")[0] for warning in made.warnings] == [
        "above 20,000",  # refunds, then leads, then the owners
        "above 5,000",  # refunds, then the owners
    ]
    staffed.call(c.SetPerson(handle="bob", holds=("team:owners", "team:refunds"), limits={}))
    assert propose(staffed, OTHER.replace("200\n", "300\n")).warnings == ()


def test_who_proposes_alone_owns_it_is_told_so(staffed: World) -> None:
    staffed.call(c.SetPerson(handle="bob", holds=("team:refunds",)))
    with pytest.raises(BadInput, match="nobody but who proposes can approve this change"):
        propose(staffed, OTHER, "ann")
    assert propose(staffed, OTHER, "bob").approvers == ("team:owners",)
    staffed.policy(REFUND.replace("[team:owners]", "{any: 2, of: team:owners}"))
    with pytest.raises(BadInput, match="as team:owners|as 2 of team:owners"):
        propose(staffed, OTHER, "bob")


def approve(world: World, made: Proposal, who: str = "bob") -> None:
    card = world.call(c.GetReview(review_id=made.review_id or ""), who)
    world.call(c.CastVote(review_id=card.review, said="approve", card=card.digest), who)


@pytest.mark.parametrize("fixed", [False, True], ids=["still so", "mended in time"])
def test_what_nobody_can_carry_any_more_is_not_activated(staffed: World, fixed: bool) -> None:
    """The world is looked at again where the approval is released, not only where it was asked."""
    before = staffed.store.read(lambda tx: tx.policies.active("refund"))
    made = propose(staffed, OTHER)
    approve(staffed, made)
    staffed.register(cyd=("team:leads",), dan=())  # no director is left
    if fixed:
        staffed.register(eve=("role:director", "team:owners"))
    staffed.after(11)
    active = staffed.store.read(lambda tx: tx.policies.active("refund"))
    card = staffed.call(c.GetReview(review_id=made.review_id or ""), "bob")
    line = next(
        one
        for one in staffed.call(c.PolicyHistory(workflow="refund"), "ann")
        if one.version == made.version
    )
    found = staffed.call(c.GetDecision(decision_id=made.decision_id or ""), "ann")
    assert against_state(staffed.ports) == []
    if fixed:
        assert active == made.version and line.state == "active"
        assert card.taken_back is None and found.run is GrantState.DONE
        return
    assert active == before
    assert line.state == "void" and found.run is GrantState.VOID
    for said in (card.taken_back, line.note, found.grant.note):
        assert "no longer be given; mend that, and propose it again" in (said or "")
        assert "policies/refund.yaml:26:9: the rule huge asks for role:director" in (said or "")
    assert not staffed.entries("policy.activated")[-1]["policy"].endswith(made.version)
    [voided] = staffed.entries("grant.voided")
    assert voided["decision"] == made.decision_id
    assert staffed.call(c.ListDoubts(), "bob") == [], "nothing ran, so nothing is in doubt"

    staffed.register(dan=("role:director",))
    again = propose(staffed, OTHER)
    assert again.decision_id != made.decision_id
    approve(staffed, again)
    staffed.after(11)
    assert staffed.store.read(lambda tx: tx.policies.active("refund")) == made.version


def test_a_policy_whose_time_ran_out_under_review_is_not_activated(staffed: World) -> None:
    made = propose(
        staffed, OTHER.replace("subject: order", "review_by: 2026-09-24\nsubject: order")
    )
    staffed.after(5 * 24 * 3600)
    approve(staffed, made)
    staffed.after(11)
    assert staffed.store.read(lambda tx: tx.policies.active("refund")) == made.base
    card = staffed.call(c.GetReview(review_id=made.review_id or ""), "bob")
    assert "it was to be looked at again by 2026-09-24" in (card.taken_back or "")


# ------------------------------------------------------------------------- approved elsewhere


def apply(office: Office, actor: Actor, **more: Any) -> Any:
    fields = {
        "workflow": "refund",
        "text": OTHER,
        "author": "ann@example.org",
        "approved_by": "bob@example.org",
        "reference": "merge 418",
        "reason": "fewer holds",
        **more,
    }
    return office.send(c.ApplyPolicy(**fields), actor)


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    made.policy()
    yield made
    made.store.close()


@pytest.fixture
def ci(office: Office) -> Actor:
    for handle, holds in (
        ("ann@example.org", ("team:owners", "team:refunds")),
        ("bob@example.org", ("team:owners", "team:refunds", "role:director")),
        ("cyd@example.org", ("team:leads", "role:director")),
    ):
        office.join(handle, *holds)
    return office.token("ci", "policies:apply")


def test_a_ci_applies_what_was_approved_elsewhere(office: Office, ci: Actor) -> None:
    made = apply(office, ci)
    assert made.active
    last = office.send(c.PolicyHistory(workflow="refund"))[0]
    assert (last.version, last.state, last.how) == (made.version, "active", How.APPLIED)
    assert (last.proposed_by, last.approved_by, last.reference, last.reason) == (
        "ann@example.org",
        ("bob@example.org",),
        "merge 418",
        "fewer holds",
    )
    assert not last.single_person
    [entry] = [one for one in office.entries("policy.activated") if one.get("how") == "applied"]
    assert entry["actor"] == "ci" and "@" not in str({**entry, "policy": "", "previous": ""})
    assert against_state(office.ports) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"approved_by": " ANN@example.org"}, "the author approved it"),
        ({"reference": " "}, "expected 1 to"),
        ({"base": "0" * 64}, "is ruled by"),
        ({"text": OTHER.replace("[team:owners]", "[team:refunds]")}, "takes the old ones"),
        ({"text": OTHER.replace("amount: 20", "amount: 2000")}, "fires came out as"),
        ({"text": OTHER.replace("[role:director]", "[role:cfo]")}, "role:cfo"),
        ({"text": REFUND}, "rules already"),
        ({"text": OTHER, "workflow": "payout"}, "not of payout|is for refund"),
    ],
)
def test_what_a_ci_may_not_apply(
    office: Office, ci: Actor, more: dict[str, Any], says: str
) -> None:
    before = office.store.read(lambda tx: tx.policies.active("refund"))
    with pytest.raises(HandrailError, match=says):
        apply(office, ci, **more)
    assert office.store.read(lambda tx: tx.policies.active("refund")) == before


def test_only_a_token_with_that_right_applies(office: Office, ci: Actor) -> None:
    ann = office.sign_in("ann@example.org")
    other = office.token("other", "policies:propose", "decisions:submit", "audit:read")
    elsewhere = office.token("elsewhere", "policies:apply", workflows=("payout",))
    local = Actor(name="ann@example.org", program=False)
    for actor in (ann, other, elsewhere, local, Actor(name="handrail-cli")):
        with pytest.raises(Denied):
            apply(office, actor)


def test_what_is_applied_ends_the_proposal_under_review(office: Office, ci: Actor) -> None:
    boss = office.join("own@example.org", "team:owners", "role:owner")
    made = office.send(
        c.ProposePolicy(workflow="refund", text=OTHER.replace("200\n", "300\n"), reason="r"), boss
    )
    apply(office, ci)
    card = office.send(c.GetReview(review_id=made.review_id), office.sign_in("bob@example.org"))
    assert card.status == "closed"
    states = [line.state for line in office.send(c.PolicyHistory(workflow="refund"))]
    assert sorted(states) == ["active", "replaced", "superseded"]


# ------------------------------------------------------------------------------- on trial

TRIAL = REFUND.replace(
    "  - id: absurd\n",
    "  - {id: cautious, when: amount > 50, trial: true}\n  - id: absurd\n",
)


def trials(world: World) -> list[tuple[str, int, int]]:
    found = world.call(c.ListTrials(workflow="refund"), "ann")
    return [(one.rule, one.fired, one.of) for one in found]


def test_a_rule_on_trial_is_counted_and_never_acts(world: World) -> None:
    assert trials(world) == []
    world.policy(TRIAL)
    assert trials(world) == [("cautious", 0, 0)]
    for number, amount in enumerate((10, 60, 70, 20, 30)):
        assert world.submit(amount, order=f"o{number}").passed
    world.submit(60, order="test", test=True)
    assert trials(world) == [("cautious", 2, 5)]
    [one] = world.call(c.ListTrials(workflow="refund"), "ann")
    assert one.share == 0.4 and 0.1 < one.low < 0.4 < one.high < 0.8
    world.policy(TRIAL.replace("Nobody refunds", "No one refunds"))
    assert trials(world) == [("cautious", 2, 5)], "a typo elsewhere keeps the count"
    world.policy(TRIAL.replace("amount > 50,", "amount > 55,"))
    assert trials(world) == [("cautious", 0, 0)], "another condition begins anew"


def test_what_is_refused_is_counted_too(world: World) -> None:
    world.policy(TRIAL)
    with pytest.raises(Conflict):
        world.submit(1, order="a", key="k")
        world.submit(2, order="a", key="k")
    world.submit(1, order="a", key="k")
    assert trials(world) == [("cautious", 0, 1)], "a repeat is one decision"
