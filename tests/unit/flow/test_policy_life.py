"""The life of a policy: what rules, drafts beside it, what a change does, and its history."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from handrail.flow import against_state, sweep, take_file
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.errors import BadInput, Conflict, HandrailError, NotFound
from handrail.model.modes import GrantState, Mode
from handrail.model.people import Actor
from handrail.model.review import Card
from handrail.model.versions import (
    BUILT_IN,
    DraftState,
    Evidence,
    HistoryLine,
    How,
    PolicyDraft,
    Proposal,
)

from .conftest import REFUND, World

WORKSPACE = Actor(name="workspace")
OTHER = REFUND.replace("amount > 100\n", "amount > 200\n").replace("over 100\n", "over 200\n")
WORDS = REFUND.replace("Services are seldom refunded", "Services are refunded seldom")
assert len({REFUND, OTHER, WORDS}) == 3


class Folder:
    """Drafts as a test lays them out."""

    def __init__(self, *drafts: PolicyDraft) -> None:
        self.drafts = drafts

    def look(self) -> Sequence[PolicyDraft]:
        return self.drafts


def draft(text: str) -> PolicyDraft:
    policy = load(text, path="policies/refund.yaml")
    return PolicyDraft(
        path="policies/refund.yaml",
        workflow=policy.workflow,
        title=policy.title,
        version=policy.version,
        gate_digest=policy.gate_digest,
        text=text,
    )


def lay(world: World, *drafts: PolicyDraft) -> None:
    world.ports = msgspec.structs.replace(world.ports, drafts=Folder(*drafts))


def take(world: World, text: str) -> str | None:
    """What the workspace does when it finds this text in the folder: the active version, if any."""
    made = take_file(load(text, path="policies/refund.yaml"), {}, WORKSPACE, world.ports)
    return None if made is None else made.version


def lines(world: World) -> list[c.PolicyLine]:
    return world.call(c.ListPolicies(), "ann")  # type: ignore[no-any-return]


def test_one_person_activates_a_changed_file(world: World) -> None:
    first = take(world, REFUND)
    second = take(world, OTHER)
    assert first and second and first != second
    past = world.call(c.PolicyHistory(workflow="refund"), "ann")
    assert [(line.version, line.state, line.how, line.single_person) for line in past] == [
        (second, "active", How.FILE, True),
        (first, "replaced", How.FILE, True),
    ]
    assert [line.gate_changed for line in past] == [True, True]
    assert take(world, WORDS) is not None
    last = world.call(c.PolicyHistory(workflow="refund", limit=1), "ann")
    assert len(last) == 1 and last[0].gate_changed is True, "a threshold went back"
    world.policy(WORDS.replace("Nobody refunds", "No one refunds"))
    [typo] = world.call(c.PolicyHistory(workflow="refund", limit=1), "ann")
    assert typo.gate_changed is False
    assert against_state(world.ports) == []


def test_where_there_are_more_people_a_changed_file_is_a_draft(world: World) -> None:
    first = take(world, REFUND)
    world.register(ann=("team:owners",))
    assert take(world, OTHER) is not None, "one person alone still may"
    world.register(bob=("team:owners",))
    assert take(world, REFUND) is None
    lay(world, draft(REFUND))
    [line] = lines(world)
    assert (line.state, line.draft) == (DraftState.DRAFT, first)
    assert line.version != first
    found = world.call(c.GetPolicy(workflow="refund", version="draft"), "ann")
    assert (found.version, found.active, found.activated_at) == (first, False, None)


def test_the_list_shows_files_beside_what_rules(world: World) -> None:
    rules = take(world, OTHER)
    lay(world, draft(OTHER))
    assert [(line.state, line.version, line.draft) for line in lines(world)] == [
        (DraftState.ACTIVE, rules, None)
    ]
    broken = PolicyDraft(path="policies/refund.yaml", mistakes=("policies/refund.yaml:3:1: no",))
    other = PolicyDraft(path="policies/new.yaml", mistakes=("policies/new.yaml:1:1: no",))
    lay(world, other, broken)
    refund, new = lines(world)
    assert (refund.workflow, refund.state, refund.version) == ("refund", DraftState.BROKEN, rules)
    assert (new.workflow, new.state, new.version) == (None, DraftState.BROKEN, None)


def test_a_version_is_named_by_six_digits(world: World) -> None:
    first = world.policy()
    second = world.policy(OTHER)
    for name in (first, first[:6], first[:20]):
        assert world.call(c.GetPolicy(workflow="refund", version=name), "ann").version == first
    for name in (None, "active"):
        assert world.call(c.GetPolicy(workflow="refund", version=name), "ann").version == second
    for name in (first[:5], "0" * 64, "draft"):
        with pytest.raises(NotFound):
            world.call(c.GetPolicy(workflow="refund", version=name), "ann")


def test_two_versions_are_compared(world: World) -> None:
    first, second = world.policy(), world.policy(OTHER)
    found = world.call(c.DiffPolicies(workflow="refund", old=first, new="active"), "ann")
    assert (found.old, found.new, found.gate_changed) == (first, second, True)
    assert "rule large: threshold 100 → 200" in found.changes[0].sentence
    lay(world, draft(WORDS))
    found = world.call(c.DiffPolicies(workflow="refund"), "ann")
    assert found.old == second and any("odd-kind" in change.name for change in found.changes)
    with pytest.raises(BadInput):
        world.call(c.PolicyHistory(workflow="refund", limit=0), "ann")


def test_a_changed_text_in_the_tables_is_named(world: World) -> None:
    version = world.policy()
    stored = world.store.read(lambda tx: tx.policies.get("refund", version))
    assert stored is not None
    forged = msgspec.structs.replace(stored, text=OTHER)
    world.store.write(lambda tx: tx.policies.put(forged))
    [found] = against_state(world.ports)
    assert (found.table, found.row, found.column) == ("policies", "refund", "policy")
    assert found.log == f"refund@{version}"


# ------------------------------------------------------------------------- a change is a decision


@pytest.fixture
def team(world: World) -> World:
    """Refunds ruled by REFUND, its owners ann, bob and cyd, and OTHER lying there as the draft."""
    world.register(
        ann=("team:owners", "role:owner", "team:refunds"),
        bob=("team:owners", "team:refunds", "team:leads"),
        cyd=("team:owners", "role:director"),
        dan=("role:director",),
    )
    lay(world, draft(OTHER))
    return world


def propose(world: World, who: str = "ann", **more: Any) -> Proposal:
    world.after(1)
    more.setdefault("reason", "half of the holds were approved as they were")
    return world.call(c.ProposePolicy(workflow="refund", **more), who)  # type: ignore[no-any-return]


def card(world: World, made: Proposal, who: str = "bob") -> Card:
    assert made.review_id is not None
    return world.call(c.GetReview(review_id=made.review_id), who)  # type: ignore[no-any-return]


def decide(world: World, made: Proposal, who: str = "bob", said: str = "approve") -> c.Voted:
    command = c.CastVote(
        review_id=made.review_id or "",
        said=said,  # type: ignore[arg-type]
        card=card(world, made, who).digest,
        reason=None if said == "approve" else "untested",
    )
    return world.call(command, who)  # type: ignore[no-any-return]


def rules(world: World) -> str | None:
    return world.store.read(lambda tx: tx.policies.active("refund"))


def past(world: World, who: str = "ann") -> list[HistoryLine]:
    return world.call(c.PolicyHistory(workflow="refund"), who)  # type: ignore[no-any-return]


def receipts(world: World, made: Proposal) -> list[GrantState]:
    grant = world.store.read(lambda tx: tx.grants.current(made.decision_id or ""))
    return [] if grant is None else [grant.state]


@pytest.mark.ledger("A-086")
def test_a_change_waits_for_an_owner_who_did_not_propose_it(team: World) -> None:
    before = rules(team)
    made = propose(team)
    assert (made.active, made.base, made.approvers) == (False, before, ("team:owners",))
    [line] = [one for one in lines(team) if one.workflow == "refund"]
    assert (line.state, line.review_id) == (DraftState.PROPOSED, made.review_id)
    for who in ("ann", "dan"):
        with pytest.raises(HandrailError):
            decide(team, made, who)
    assert decide(team, made).decided
    assert rules(team) == before, "it may be undone for a while"
    team.after(11)
    assert rules(team) == made.version
    [last, first] = past(team)
    assert (last.version, last.how, last.proposed_by, last.approved_by) == (
        made.version,
        How.PROPOSAL,
        "ann",
        ("bob",),
    )
    assert (last.reason, last.decision_id, last.single_person, last.gate_changed) == (
        "half of the holds were approved as they were",
        made.decision_id,
        False,
        True,
    )
    assert first.state == "replaced"
    assert receipts(team, made) == [GrantState.DONE]
    assert against_state(team.ports) == []
    [entry] = [
        one for one in team.entries("policy.activated") if one.get("decision") == made.decision_id
    ]
    assert entry["how"] == "proposal" and "half" not in str(entry)


@pytest.mark.ledger("A-053", "A-120")
def test_the_card_says_what_changes_and_what_comes_out_otherwise(team: World) -> None:
    more = """\
  - {name: at 150, like: small, proposal: {amount: 150}, fires: [], lane: pass}
"""
    lay(team, draft(OTHER + more))
    made = propose(
        team,
        evidence=Evidence(
            kind="backtest", summary="1,000 decisions: 31 fewer holds", figures={"held": 53}
        ),
    )
    shown = card(team, made)
    assert shown.why[0] == (
        "rule large: threshold 100 → 200 in amount > 200; says “Refund {amount} is over 200” "
        "instead of “Refund {amount} is over 100”; case at 150 added: "
        "facts {order: o1, kind: goods}; proposal {amount: 150}; fires []; lane pass"
    )
    assert shown.why[1].startswith("Asked for because: half")
    assert shown.why[2] == (
        "1 of 2 cases come out otherwise: at 150: hold, in_the_loop (large) → pass, auto"
    )
    assert shown.why[3] == "backtest: 1,000 decisions: 31 fewer holds"
    assert shown.diff == (("version", made.base, made.version),)
    assert shown.context["evidence"]["figures"] == {"held": 53}
    assert "refund" in shown.if_approved and "refund" in shown.if_rejected
    assert shown.requester == "ann" and shown.facts["reason"].startswith("half")
    decide(team, made)
    team.after(11)
    evidence = past(team)[0].evidence
    assert evidence is not None and evidence.kind == "backtest"


def test_what_is_refused_stays_a_draft(team: World) -> None:
    before = rules(team)
    made = propose(team)
    decide(team, made, said="reject")
    team.after(11)
    assert rules(team) == before and receipts(team, made) == []
    [no, first] = past(team)
    assert (no.state, no.version, no.how, first.state) == ("rejected", made.version, None, "active")
    again = propose(team)
    assert again.decision_id != made.decision_id


def test_an_approval_that_is_undone_changes_nothing(team: World) -> None:
    before = rules(team)
    made = propose(team)
    decide(team, made)
    team.call(c.Undo(review_id=made.review_id or ""), "bob")
    team.after(11)
    assert rules(team) == before
    decide(team, made, "cyd")
    team.after(11)
    assert rules(team) == made.version and past(team)[0].approved_by == ("cyd",)


def test_asking_again_is_the_same_review_and_another_draft_takes_its_place(team: World) -> None:
    made = propose(team)
    assert propose(team, "ann").review_id == made.review_id
    lay(team, draft(WORDS))
    newer = propose(team)
    assert newer.review_id != made.review_id
    assert [line.state for line in past(team)][:2] == ["open", "superseded"]
    with pytest.raises(HandrailError):
        decide(team, made)
    decide(team, newer)
    team.after(11)
    assert rules(team) == newer.version
    assert past(team)[0].gate_changed is False, "a sentence is no other gate"


def test_what_is_approved_against_another_base_is_not_activated(team: World) -> None:
    made = propose(team)
    decide(team, made)
    other = team.policy(WORDS)
    team.after(11)
    assert rules(team) == other
    assert receipts(team, made) == [GrantState.VOID]
    void = next(line for line in past(team) if line.version == made.version)
    assert void.state == "void" and f"is ruled by {other} by now" in (void.note or "")
    assert against_state(team.ports) == []
    with pytest.raises(Conflict, match="is ruled by"):
        propose(team, base=made.base)


def test_what_was_changed_in_the_table_is_not_activated(team: World) -> None:
    before = rules(team)
    made = propose(team)
    decide(team, made)
    stored = team.store.read(lambda tx: tx.policies.get("refund", made.version))
    assert stored is not None
    loose = msgspec.structs.replace(stored, text=OTHER.replace("> 200", "> 90000"))
    team.store.write(lambda tx: tx.policies.put(loose))
    team.after(11)
    assert rules(team) == before and receipts(team, made) == [GrantState.VOID]
    void = next(line for line in past(team) if line.version == made.version)
    assert "is not what was approved" in (void.note or "")


def test_changing_the_owners_takes_the_old_ones(team: World) -> None:
    team.register(eve=("team:new", "role:owner"))
    lay(team, draft(REFUND.replace("[team:owners]", "[team:new]")))
    made = propose(team, "ann")
    assert "the owners change" in " ".join(card(team, made).why).casefold()
    with pytest.raises(HandrailError):
        decide(team, made, "eve")
    decide(team, made, "bob")
    team.after(11)
    lay(team, draft(OTHER.replace("[team:owners]", "[team:new]")))
    made = propose(team, "ann")
    assert made.approvers == ("team:new",)


@pytest.mark.ledger("M-128")
def test_owners_may_ask_for_two_persons(team: World) -> None:
    team.policy(REFUND.replace("[team:owners]", "{any: 2, of: team:owners}"))
    made = propose(team)
    assert made.approvers == ("2 of team:owners",)
    assert not decide(team, made, "bob").decided
    team.after(11)
    assert rules(team) == made.base
    assert decide(team, made, "cyd").decided
    team.after(11)
    assert rules(team) == made.version
    assert past(team)[0].approved_by == ("bob", "cyd")


def test_rolling_back_is_proposing_an_earlier_version(team: World) -> None:
    first = rules(team) or ""
    made = propose(team)
    decide(team, made)
    team.after(11)
    lay(team)
    back = propose(team, version=first[:8], reason="too many refunds")
    assert back.version == first
    assert "This version has ruled before" in card(team, back).why
    decide(team, back)
    team.after(11)
    assert rules(team) == first
    assert [(line.version, line.state) for line in past(team)] == [
        (first, "active"),
        (made.version, "replaced"),
        (first, "replaced"),
    ]
    with pytest.raises(Conflict, match="made by a new decision|propose the version"):
        team.call(c.Reverse(decision_id=back.decision_id or "", reason="no"), "bob")


def test_alone_one_rolls_back_at_once_and_the_file_does_not_come_back(world: World) -> None:
    first = take(world, REFUND) or ""
    second = take(world, OTHER)
    made = propose(world, version=first)
    assert made.active and rules(world) == first
    assert past(world)[0].single_person and past(world)[0].how is How.PROPOSAL
    assert take(world, OTHER) is None, "it was left on purpose"
    assert rules(world) == first
    lay(world, draft(OTHER))
    assert propose(world).version == second == rules(world)
    assert take(world, WORDS) is not None, "another text is another matter"


def test_a_first_version_is_decided_by_its_own_owners(team: World) -> None:
    text = REFUND.replace("workflow: refund", "workflow: payout")
    made = team.call(c.ProposePolicy(workflow="payout", text=text, reason="new"), "ann")
    assert made.base is None and made.approvers == ("team:owners",)
    with pytest.raises(NotFound):
        team.call(c.Preview(workflow="payout", facts={"order": "o", "kind": "goods"}))
    decide(team, made)
    team.after(11)
    ruling = team.call(
        c.Submit(workflow="payout", facts={"order": "o", "kind": "goods"}, proposal={"amount": 1})
    )
    assert ruling.passed


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"text": OTHER.replace("amount: 20", "amount: 2000")}, "fires came out as"),
        ({"text": OTHER.replace("amount > 200", "price > 200")}, "price"),
        ({"text": REFUND}, "rules already"),
        ({"text": REFUND.replace("workflow: refund", "workflow: x")}, "a policy of x"),
        ({"text": OTHER, "version": "abcdef"}, "send one of them"),
        ({"files": {"a": "b"}}, "send both"),
        ({"reason": "  "}, "say why"),
        ({"base": "0" * 64}, "is ruled by"),
        ({"evidence": Evidence(kind="backtest", summary="s", version="1")}, "test what is to rule"),
    ],
)
def test_what_cannot_rule_is_refused_and_nothing_is_asked(
    team: World, fields: dict[str, Any], says: str
) -> None:
    before = rules(team)
    with pytest.raises(HandrailError, match=says):
        propose(team, **fields)
    assert rules(team) == before
    assert team.call(c.ListReviews(), "bob") == []


def test_nobody_hands_in_a_change_of_policy(team: World) -> None:
    with pytest.raises(BadInput, match="never handed"):
        team.call(c.Submit(workflow="policy-change", facts={"policy": "refund"}, proposal={}))


def test_open_reviews_keep_the_version_they_were_held_by(team: World) -> None:
    held = team.submit(150)
    assert held.review_id is not None
    made = propose(team)
    decide(team, made)
    team.after(11)
    assert team.submit(150, order="o2").passed
    shown = team.card(held, "ann")
    assert shown.why == ("Refund 150 EUR is over 100",)


@pytest.mark.parametrize("workflow", BUILT_IN)
def test_the_shipped_policies_come_out_as_their_cases_say(workflow: str) -> None:
    text = files("handrail.flow").joinpath(f"{workflow}.yaml").read_text("utf-8")
    policy = load(text, path=f"{workflow}.yaml", require_cases=True)
    assert policy.workflow == workflow and not policy.edit_fields
    assert policy.otherwise is Mode.IN_THE_LOOP, "nothing of it ever passes by itself"
    assert all(rule.then == "in_the_loop" for rule in policy.rules)


def test_many_at_once_activate_once(team: World) -> None:
    """Approvals, sweeps and undo races end in one activation of what was approved."""
    made = propose(team)
    seen = card(team, made).digest
    ready = threading.Barrier(8)
    said: list[str] = []

    def vote(who: str) -> None:
        ready.wait()
        command = c.CastVote(review_id=made.review_id or "", said="approve", card=seen)
        try:
            team.call(command, who)
            said.append("yes")
        except HandrailError:
            said.append("no")

    threads = [threading.Thread(target=vote, args=(who,)) for who in ("bob", "cyd") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    team.clock.advance(11)
    sweeps = [threading.Thread(target=sweep, args=(team.ports,)) for _ in range(4)]
    for thread in sweeps:
        thread.start()
    for thread in sweeps:
        thread.join()
    activated = [
        entry for entry in team.entries("policy.activated")
        if entry.get("decision") == made.decision_id
    ]  # fmt: skip
    assert len(activated) == 1 and rules(team) == made.version
    assert len(team.entries("outcome.released")) == 1
    assert "yes" in said and against_state(team.ports) == []
