"""`exists` and `all` over lists, and lists of objects."""

from __future__ import annotations

from typing import Any

import pytest

from handrail.model.policy import BadRecord

QUOTE = """\
fields:
  total: {type: decimal, places: 2, unit: USD}
  tags: {list: string, optional: true}
  scores: {list: {type: decimal, places: 2}}
  lines:
    list:
      object:
        product: {enum: [seat, support]}
        discount: {type: decimal, places: 2, min: 0, max: 1}
        margin: {type: decimal, places: 2, optional: true}
rules:
  - id: any-line
    when: lines.exists(l, l.discount > 0.15 and l.product == "seat")
  - id: thin
    when: exists(lines, l, has(l.margin) and l.margin < 0.2)
  - id: all-high
    when: size(scores) > 0 and all(scores, s, s >= 0.5)
  - id: vip
    when: has(tags) and tags.exists(x, x == "vip" or startsWith(x, "gold"))
  - id: margins
    when: lines.all(l, l.margin > 0.1)
    on_unknown: ignore
"""


def facts(**more: Any) -> dict[str, Any]:
    base = {"total": 1, "scores": [], "lines": [{"product": "seat", "discount": 0.1}]}
    return {**base, **more}


@pytest.mark.parametrize(
    ("given", "fires"),
    [
        ({}, []),
        ({"lines": []}, ["margins"]),
        ({"lines": [{"product": "seat", "discount": 0.16}]}, ["any-line"]),
        ({"lines": [{"product": "support", "discount": 0.5}]}, []),
        ({"lines": [{"product": "support", "discount": 0, "margin": 0.19}]}, ["thin", "margins"]),
        ({"scores": [0.5, 0.7]}, ["all-high"]),
        ({"scores": [0.5, 0.49]}, []),
        ({"tags": ["new", "goldish"]}, ["vip"]),
        ({"tags": []}, []),
    ],
)
def test_over_the_items(policy: Any, ruled: Any, given: Any, fires: list[str]) -> None:
    ruling = ruled(policy(QUOTE), facts(**given))
    assert [fired.rule for fired in ruling.fired] == fires


def test_an_unknown_item_leaves_it_open_unless_another_decides(policy: Any, ruled: Any) -> None:
    made = policy(QUOTE)
    known = {"product": "seat", "discount": 0, "margin": 0.5}
    open_ = {"product": "seat", "discount": 0}
    bad = {"product": "seat", "discount": 0, "margin": 0.05}
    unknown = ruled(made, facts(lines=[open_, known]))
    assert [item.rule for item in unknown.unknown] == ["margins"]
    assert unknown.unknown[0].why == "an item of lines leaves it open"
    decided = ruled(made, facts(lines=[open_, bad]))
    assert decided.unknown == ()


def test_items_are_typed_and_stored(policy: Any) -> None:
    made = policy(QUOTE)
    record = made.ingest(facts(lines=[{"product": "seat", "discount": "0.1", "note": "x"}]))
    assert record.facts["lines"] == [{"product": "seat", "discount": "0.10", "note": "x"}]
    assert record.undeclared == ("lines.note",)
    assert made.ingest(record.facts).facts == record.facts
    with pytest.raises(BadRecord) as caught:
        made.ingest(facts(lines=[{"product": "goat", "discount": 2}, 7]))
    assert [pointer for pointer, _ in caught.value.problems] == [
        "/facts/lines/0/product",
        "/facts/lines/0/discount",
        "/facts/lines/1",
    ]


def test_a_required_part_that_is_missing_is_named(policy: Any, ruled: Any) -> None:
    made = policy(QUOTE)
    record = made.ingest(facts(lines=[{"discount": 0.5}]))
    assert record.missing == ("/facts/lines/0/product",)


@pytest.mark.parametrize("what", [{"a": 1}, "x", 5])
def test_a_list_of_objects_takes_a_list(policy: Any, what: Any) -> None:
    with pytest.raises(BadRecord, match="expected a list"):
        policy(QUOTE).ingest(facts(lines=what))


def test_more_items_than_a_list_may_have_are_refused(policy: Any) -> None:
    with pytest.raises(BadRecord, match="1,001 items"):
        policy(QUOTE).ingest(facts(lines=[{"product": "seat", "discount": 0}] * 1_001))


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("scores.exists(x, scores.exists(y, x > y))", "inside another"),
        ("exists(total, x, x > 1)", "`exists` over a decimal"),
        ("scores.exists(total, total > 1)", "the name `total` is taken"),
        ("scores.exists(x.y, x > 1)", "no name for an item"),
        ("scores.exists(x, x + 1)", "asks a decimal"),
        ("lines.exists(l, l.prize > 1)", "an item `l` has no `prize`"),
        ('lines.exists(l, l.produkt == "seat")', "did you mean `l.product`?"),
        ("lines.exists(l, l.margin > 1)", "`l.margin` is optional"),
        ('lines.exists(l, l.product == "goat")', "no member"),
        ("l.discount > 1", "there is no `l.discount`"),
        ("scores.exists(x, x > 1) and x > 2", "there is no `x`"),
        ('tags.exists(x, x == "vip")', "`tags` is optional"),
        ("lines.map(x, x.discount) > 1", "there is no function `map`"),
        ("map(lines, x, x.discount) > 1", "there is no function `map`"),
    ],
)
def test_mistakes_about_items(mistakes: Any, condition: str, says: str) -> None:
    found = mistakes(QUOTE + f"  - id: more\n    when: {condition}\n")
    assert [says in str(mistake) for mistake in found] == [True], [str(m) for m in found]


def test_the_declared_cost_counts_every_item(policy: Any) -> None:
    one = policy("fields: {s: {list: int}}\nrules:\n  - id: r\n    when: s.exists(x, x > 1)\n")
    assert one.cost == 2 + 1_000 * 3
