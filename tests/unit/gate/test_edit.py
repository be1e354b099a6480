"""Edits: only what will run, typed; and whether earlier votes stand after one."""

from __future__ import annotations

from typing import Any

import pytest

from handrail import gate, packs
from handrail.model.policy import BadRecord
from handrail.model.ruling import Ruling
from tests.unit.gate.conftest import HEAD

NESTED = gate.load(
    HEAD
    + """\
fields:
  id: string
  price: {type: decimal, places: 2, unit: EUR, from: proposal, min: 1, max: 100}
  note: {type: string, from: proposal, optional: true}
  fixed: {type: int, from: proposal, optional: true}
  plan:
    from: proposal
    optional: true
    object: {days: int, place: {type: string, optional: true}, free: {type: bool, optional: true}}
  site:
    from: proposal
    optional: true
    object: {land: string, town: {type: string, optional: true}}
review:
  edit: [price, note, plan.days, plan.place, site]
"""
)


def record() -> Any:
    return NESTED.ingest(
        {"id": "x", "extra": 1},
        {"price": 5, "fixed": 3, "plan": {"days": 2, "free": True, "more": 1}, "other": "kept"},
    )


def test_an_edit_changes_only_what_it_names() -> None:
    edited = NESTED.edit(record(), {"price": "7.5", "note": "ok"})
    assert edited.proposal == {
        "price": "7.50",
        "note": "ok",
        "fixed": 3,
        "plan": {"days": 2, "free": True, "more": 1},
        "other": "kept",
    }
    assert edited.facts == record().facts
    assert record().proposal["price"] == "5.00", "the record itself is untouched"


def test_nested_edits_merge() -> None:
    edited = NESTED.edit(record(), {"plan": {"days": 9}})
    assert edited.proposal["plan"] == {"days": 9, "free": True, "more": 1}
    made = NESTED.edit(record(), {"site": {"land": "DE"}})
    assert made.proposal["site"] == {"land": "DE"}
    assert NESTED.edit(made, {"site": {"town": "Ulm"}}).proposal["site"] == {
        "land": "DE",
        "town": "Ulm",
    }


def test_null_takes_an_optional_value_away() -> None:
    noted = NESTED.edit(record(), {"note": "x"})
    assert "note" not in NESTED.edit(noted, {"note": None}).proposal


@pytest.mark.parametrize(
    ("changes", "pointer", "says"),
    [
        ({"price": 0.5}, "/price", "at least 1.00 EUR"),
        ({"price": 1.234}, "/price", "at most 2 digits"),
        ({"price": "dear"}, "/price", "expected a number"),
        ({"price": None}, "/price", "required"),
        ({"id": "y"}, "/id", "may not be edited; expected one of price, note"),
        ({"fixed": 4}, "/fixed", "may not be edited"),
        ({"other": 4}, "/other", "may not be edited"),
        ({"a/b": 4}, "/a~1b", "may not be edited"),
        ({"plan": {"free": False}}, "/plan/free", "`plan.free` may not be edited"),
        ({"plan": 5}, "/plan", "may not be edited"),
        ({"plan": {"days": "x"}}, "/plan/days", "expected a number"),
        ({"site": {"land": 1}}, "/site/land", "expected text"),
        ({}, "", "expected the changed fields"),
        ([], "", "expected the changed fields"),
    ],
)
def test_refused_edits(changes: Any, pointer: str, says: str) -> None:
    with pytest.raises(BadRecord) as caught:
        NESTED.edit(record(), changes)
    assert caught.value.pointer == pointer and says in str(caught.value)


def test_all_refusals_of_an_edit_at_once() -> None:
    with pytest.raises(BadRecord) as caught:
        NESTED.edit(record(), {"id": 1, "plan": {"free": 1}, "price": None})
    assert [pointer for pointer, _ in caught.value.problems] == ["/id", "/plan/free", "/price"]


def test_without_edit_nothing_may_be_edited() -> None:
    policy = gate.load(HEAD + "fields: {n: {type: int, from: proposal}}\n")
    with pytest.raises(BadRecord, match="has no `review.edit`"):
        policy.edit(policy.ingest({}, {"n": 1}), {"n": 2})


# --------------------------------------------------------------------------- do votes still stand

LAUNCH = gate.load(packs.read("marketing/campaign-launch"))


def launch(budget: float | str, **facts: Any) -> Ruling:
    given = {"campaign_id": "c", "channel": "search", "utm_source": "google", **facts}
    return LAUNCH.evaluate(
        LAUNCH.ingest(given, {"daily_budget": budget}),
        decision_id="d_x",
        evaluated_at=0,
        aggregates={"budget_today": 0},
    )


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        (14000, 14000, False),
        (14000, 13000, False),
        (14000, 9000, False),
        (14000, 14000.01, True),
        (9000, 10000.01, True),
        (14000, 100001, True),
        (100001, 14000, False),
        (100001, 200001, True),
    ],
)
def test_worse_is_further_past_a_threshold_or_newly_fired(
    before: float, after: float, worse: bool
) -> None:
    assert LAUNCH.got_worse(launch(before), launch(after)) is worse


def test_ratios_count_too() -> None:
    five = launch(5000, median_budget=1000)
    assert LAUNCH.got_worse(five, launch(5001, median_budget=1000))
    assert not LAUNCH.got_worse(five, launch(4999, median_budget=1000))


POLICY = gate.load(
    HEAD
    + """\
fields:
  label: {type: string, from: proposal}
  low: {type: int, from: proposal, optional: true}
  at: {type: timestamp, from: proposal, optional: true}
  span: {type: duration, from: proposal, optional: true}
  flag: {type: bool, from: proposal, optional: true}
  x: {type: double, from: proposal, optional: true}
lists: {good: [a]}
rules:
  - {id: listed, when: label not in lists.good}
  - {id: low, when: has(low) and low < 10}
  - {id: late, when: 'has(at) and at > timestamp("2026-01-01T00:00:00Z")'}
  - {id: long, when: 'has(span) and span >= duration("1h")'}
  - {id: flag, when: has(flag) and flag}
  - {id: ratio, when: 1.0 / x > 1, on_unknown: hold}
  - {id: either, when: has(x) and (x > 100 or x < -100)}
"""
)


def ruling(**proposal: Any) -> Ruling:
    record = POLICY.ingest({}, {"label": "a", "x": 50, **proposal})
    return POLICY.evaluate(record, decision_id="d_x", evaluated_at=0)


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        ({"label": "b"}, {"label": "b"}, False),
        ({"label": "b"}, {"label": "c"}, True),
        ({"label": "b"}, {"label": "a"}, False),
        ({"low": 5}, {"low": 6}, False),
        ({"low": 5}, {"low": 4}, True),
        ({"at": "2026-02-01T00:00:00Z"}, {"at": "2026-02-01T00:00:00.000001Z"}, True),
        ({"at": "2026-02-01T00:00:00Z"}, {"at": "2026-01-15T00:00:00Z"}, False),
        ({"span": "2h"}, {"span": "90m"}, False),
        ({"span": "2h"}, {"span": "121m"}, True),
        ({"flag": True}, {"flag": True}, False),
        ({"x": 50}, {"x": 0}, True),
        ({"x": 0}, {"x": 0, "low": 11}, False),
        ({"x": 0}, {"x": 50}, False),
        ({"x": 101}, {"x": -101}, True),
    ],
)
def test_worse_by_kind_of_value(before: dict[str, Any], after: dict[str, Any], worse: bool) -> None:
    assert POLICY.got_worse(ruling(**before), ruling(**after)) is worse


def test_the_state_before_is_read_like_the_proposal() -> None:
    given = {"price": 5, "plan": {"days": 2}, "fixed": 3.5, "id": "x", "other": [1]}
    assert NESTED.state(given) == {**given, "price": "5.00"}
    assert NESTED.state({"price": "5", "note": "a/b"}) == {"price": "5.00", "note": "a/b"}
    assert NESTED.state({"price": 1000}) == {"price": 1000}, "what does not fit stays as given"
    assert NESTED.state({"a/b": 1, "price": "7"}) == {"a/b": 1, "price": "7.00"}
    assert NESTED.state({}) == {}
