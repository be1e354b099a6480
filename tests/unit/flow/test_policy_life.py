"""The life of a policy: what rules, drafts beside it, what a change does, and its history."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from handrail.flow import against_state, take_file
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.errors import BadInput, NotFound
from handrail.model.people import Actor
from handrail.model.versions import DraftState, How, PolicyDraft

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
