"""Stored lists: filled when a decision is gated, frozen in its ruling, growing by approvals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handrail.flow import Replayed, against_state, replay
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.errors import BadInput, HandrailError, PolicyErrors
from handrail.model.ruling import Ruling
from handrail.model.versions import ListEntry, StoredList
from handrail.ports import Transaction

from .conftest import World

LAUNCH = """
handrail: 1
workflow: refund
title: Launch
owners: [team:owners]
subject: order
fields:
  order: string
  source: {type: string, normal: lower}
  budget: {type: decimal, places: 2, min: 0, from: proposal}
stakes: {money: budget, reversible: true}
lists:
  sources: {stored: true}
  brands: [acme, Umbrella]
otherwise: auto
rules:
  - id: unlisted
    when: not (source in lists.sources)
    because: "{source} is not known"
    remember: {list: sources, field: source, for: 90d}
  - id: large
    when: budget > 1000
  - id: brand
    when: source in lists.brands
route:
  - {to: team:refunds, silence: block}
review: {edit: [budget], undo: 10s}
cases:
  - name: not known
    facts: {order: a, source: google}
    proposal: {budget: 5}
    fires: [unlisted]
  - name: known
    like: not known
    given: {lists: {sources: [Google]}}
    fires: []
    lane: pass
"""
DAY = 86_400


@pytest.fixture
def launches(world: World) -> Iterator[World]:
    world.policy(LAUNCH)
    return world


def launch(world: World, source: str, budget: float = 5, order: str = "o1") -> Ruling:
    return world.call(  # type: ignore[no-any-return]
        c.Submit(
            workflow="refund",
            facts={"order": order, "source": source},
            proposal={"budget": budget},
        )
    )


def sources(world: World) -> StoredList:
    [found] = world.call(c.ListLists(workflow="refund"), "ann")
    return found  # type: ignore[no-any-return]


def values(world: World) -> list[str]:
    return [entry.value for entry in sources(world).entries]


def test_what_a_person_approves_joins_the_list_for_its_time(launches: World) -> None:
    held = launch(launches, "Google")
    assert [fired.rule for fired in held.fired] == ["unlisted"]
    assert held.list_versions == {"sources": 0} and set(held.lists) == {"sources", "brands"}
    launches.vote(held, "approve", "ann")
    assert values(launches) == [], "it may be undone for a while"
    launches.after(11)
    found = sources(launches)
    [entry] = found.entries
    assert (entry.value, entry.added_by, entry.decision_id) == ("google", "ann", held.decision_id)
    assert entry.expires_at == entry.added_at + 90 * DAY * 1_000_000
    passed = launch(launches, "GOOGLE", order="o2")
    assert passed.passed and passed.list_versions == {"sources": 1}
    assert passed.lists["sources"] == found.digest != held.lists["sources"]
    assert passed.gate_digest == held.gate_digest, "a list that grows is no other gate"
    launches.after(90 * DAY)
    assert values(launches) == []
    assert not launch(launches, "google", order="o3").passed, "its time is over"
    assert against_state(launches.ports) == []


def test_what_is_rejected_undone_or_decided_by_nobody_joins_nothing(launches: World) -> None:
    launches.vote(launch(launches, "bing"), "reject", "ann")
    undone = launch(launches, "brave", order="o2")
    launches.vote(undone, "approve", "ann")
    launches.call(c.Undo(review_id=undone.review_id or ""), "ann")
    passed = launch(launches, "acme", order="o3")
    assert "brand" in [fired.rule for fired in passed.fired]
    launches.after(60)
    assert sources(launches).version == 0


def test_only_the_rules_that_held_it_are_remembered(launches: World) -> None:
    launches.call(
        c.ProposeList(workflow="refund", list="sources", add=("google",), reason="r"), "ann"
    )
    held = launch(launches, "google", 5000)
    assert [fired.rule for fired in held.fired] == ["large"]
    launches.vote(held, "approve", "ann")
    launches.after(11)
    assert sources(launches).version == 1


def test_what_joins_later_does_not_change_an_open_review(launches: World) -> None:
    """An edit is gated again with what the list held when the review was opened."""
    held = launch(launches, "google", 500)
    for order, source in (("o2", "google"), ("o3", "bing")):
        launches.vote(launch(launches, source, order=order), "approve", "ann")
    launches.after(11)
    assert values(launches) == ["google", "bing"]
    launches.vote(held, "edit", "ann", edits={"budget": 400}, reason=None)
    [opened] = launches.call(c.ListDecisions(subject="o1"))
    card = launches.card(held, "ann")
    assert card.why == ("google is not known",), "the list of now would have let it pass"
    assert opened.ruling.list_versions == {"sources": 0}


def test_an_approval_again_makes_it_stay_longer(launches: World) -> None:
    first, second = launch(launches, "google"), launch(launches, "google", order="o2")
    launches.vote(first, "approve", "ann")
    launches.after(11)
    before = sources(launches).entries[0].expires_at or 0
    launches.after(DAY)
    launches.vote(second, "approve", "bob")
    launches.after(11)
    found = sources(launches)
    [entry] = found.entries
    assert (entry.expires_at or 0) > before + (DAY - 1) * 1_000_000
    assert (found.version, entry.added_by) == (2, "bob")


def test_one_person_changes_a_list_at_once(launches: World) -> None:
    change = c.ProposeList(
        workflow="refund", list="sources", add=("google", "bing"), days=30, reason="partners"
    )
    assert launches.call(change, "ann").done
    assert launch(launches, "bing").passed
    again = c.ProposeList(workflow="refund", list="sources", add=("bing",), reason="for good")
    launches.call(again, "ann")
    assert {entry.value: entry.expires_at is None for entry in sources(launches).entries} == {
        "google": False,
        "bing": True,
    }
    gone = c.ProposeList(
        workflow="refund", list="sources", remove=("google", "nobody"), reason="left"
    )
    launches.call(gone, "ann")
    assert values(launches) == ["bing"]
    launches.call(gone, "ann")
    assert sources(launches).version == 3, "nothing changed the second time"
    [*_, entry] = launches.entries("list.changed")
    assert (entry["list"], entry["removed"], entry["single_person"]) == ("refund/sources", 1, True)
    assert "google" not in str(launches.entries("list.changed")), "the log holds no values"
    assert against_state(launches.ports) == []


def test_where_there_are_more_a_list_changes_by_a_decision(launches: World) -> None:
    launches.register(ann=("team:owners",), bob=("team:owners",))
    made = launches.call(
        c.ProposeList(workflow="refund", list="sources", add=("bing",), days=9, reason="new"), "ann"
    )
    assert (made.done, made.approvers) == (False, ("team:owners",))
    card = launches.call(c.GetReview(review_id=made.review_id), "bob")
    assert card.why[0] == "bing would join sources, which holds 0 values"
    vote = c.CastVote(review_id=made.review_id, said="approve", card=card.digest)
    with pytest.raises(HandrailError, match="may not decide"):
        launches.call(vote, "ann")
    launches.call(vote, "bob")
    assert values(launches) == []
    launches.after(11)
    [entry] = sources(launches).entries
    assert (entry.value, entry.added_by, entry.decision_id) == ("bing", "bob", made.decision_id)
    grant = launches.store.read(lambda tx: tx.grants.current(made.decision_id))
    assert grant is not None and grant.state == "done"
    two = [
        launches.call(
            c.ProposeList(workflow="refund", list="sources", add=(one,), reason="new"), "ann"
        )
        for one in ("a", "b")
    ]
    assert two[0].review_id != two[1].review_id
    assert against_state(launches.ports) == []


def test_a_value_put_into_the_table_is_named(launches: World) -> None:
    launches.call(
        c.ProposeList(workflow="refund", list="sources", add=("google",), reason="r"), "ann"
    )
    forged = ListEntry(
        workflow="refund", list="sources", value="evil", since=1, added_at=1, added_by="p_x"
    )
    launches.store.write(lambda tx: tx.lists.add(forged))
    [found] = against_state(launches.ports)
    assert (found.table, found.row, found.column) == ("lists", "refund/sources", "commit")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "at least one value"),
        ({"add": ("a",), "remove": ("a",)}, "to join and to leave"),
        ({"add": (" a",)}, "space around"),
        ({"add": ("",)}, "has 0 characters"),
        ({"add": ("a",) * 501}, "at most 500"),
        ({"add": ("a",), "days": 0}, "1 to 36,500"),
        ({"add": ("a",), "reason": " "}, "say why"),
    ],
)
def test_what_is_no_change_is_refused(
    launches: World, fields: dict[str, object], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        launches.call(
            c.ProposeList(**{"workflow": "refund", "list": "sources", "reason": "r", **fields}),  # type: ignore[arg-type]
            "ann",
        )
    for name in ("brands", "nothing"):
        with pytest.raises(BadInput, match="it has: sources"):
            launches.call(
                c.ProposeList(workflow="refund", list=name, add=("a",), reason="r"), "ann"
            )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("list: sources, field", "list: brands, field", "remember names the text 'brands'|brands"),
        ("field: source,", "field: budget,", "remember takes budget, a decimal"),
        ("field: source,", "field: sauce,", "sauce"),
        ("for: 90d", "for: never", "for"),
        ("{stored: true}", "{stored: false}", "stored is false"),
        ("{stored: true}", "{stored: true, file: a.csv}", "stored and has a file"),
        ("{stored: true}", "{column: a}", "says not where its items are"),
    ],
)
def test_a_list_that_cannot_grow_is_a_mistake(old: str, new: str, says: str) -> None:
    from handrail.gate import load

    with pytest.raises(PolicyErrors, match=says):
        load(LAUNCH.replace(old, new))


def test_a_replay_takes_the_lists_as_they_were(launches: World) -> None:
    """What joined later does not change what a replay says of what came before it."""
    held = launch(launches, "google")
    launches.vote(held, "approve", "ann")
    launches.after(11)
    passed = launch(launches, "google", order="o2")
    launches.after(91 * DAY)
    late = launch(launches, "google", order="o3")
    assert [one.passed for one in (held, passed, late)] == [False, True, False]
    other = load(LAUNCH.replace("budget > 1000", "budget > 4"), run_cases=False)

    def query(tx: Transaction) -> tuple[list[Replayed], list[Replayed]]:
        return list(replay(tx, launches.ports)), list(replay(tx, launches.ports, under=other))

    launches.ports.store.settle_log()
    same, under = launches.ports.store.read(query)
    for found, ruled in zip(same, (held, passed, late), strict=True):
        assert found.again.fired == found.stored.fired == ruled.fired
        assert found.again.lists == ruled.lists and found.again.list_versions == ruled.list_versions
    fired = [[one.rule for one in two.again.fired] for two in under]
    assert fired == [["unlisted", "large"], ["large"], ["unlisted", "large"]]
