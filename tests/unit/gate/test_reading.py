"""The generated reading of records against the readers of the fields, which are its reference."""

from __future__ import annotations

import ast
import random
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from handrail import gate
from handrail.gate.values import MAX_TEXT
from handrail.model.policy import BadRecord
from tests.gate_fuzz import Fuzz

BODY = """\
fields:
  name: {type: string, from: proposal}
  cap: {type: double, min: 0.1, max: 10, from: proposal}
  deep: {object: {level: {type: int, min: 1}, low: {type: string, normal: lower}}, from: proposal}
rules:
  - id: r
    when: has(f1) or cap > 1.0
"""


class Colour(Enum):
    A = "a"


class Text(str):
    __slots__ = ()


ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    -1,
    2**53,
    2**60,
    1.5,
    float("nan"),
    float("inf"),
    -0.0,
    1e308,
    "",
    "a",
    " A ",
    "é",
    "\ud800",
    "x" * (MAX_TEXT + 1),
    Text("a"),
    Colour.A,
    Decimal("1.5"),
    Decimal("NaN"),
    [],
    ["a"],
    (0, 1),
    [None],
    {},
    {"b": True},
    {"f": 1.0, "extra": 2},
    {"deep": {"b": 1}},
    {"level": 3, "low": "B"},
    {1: 2},
    "2026-11-21T08:00:00Z",
    "30m",
    object(),
    b"a",
)


def outcome(read: Any, *given: Any) -> Any:
    try:
        return read(*given)
    except BadRecord as error:
        return error.problems


@pytest.mark.parametrize("seed", range(4))
def test_quick_and_thorough_reading_agree(seed: int) -> None:
    fuzz, r = Fuzz(seed), random.Random(seed)
    head = fuzz.head().partition("aggregates:")[0]
    fields, _, lists = head.partition("lists:")
    policy = gate.load(fields + BODY.removeprefix("fields:\n").replace(
        "rules:", f"lists:{lists.partition('tables:')[0]}rules:"
    ))  # fmt: skip
    good = bad = 0
    for _ in range(100):
        facts: dict[Any, Any] = fuzz.facts()
        proposal: dict[Any, Any] = {
            "name": "n", "cap": 2.5, "deep": {"level": 2, "low": " B "}
        }  # fmt: skip
        for given in (facts, proposal):
            for _ in range(r.randrange(3)):
                name = r.choice([*given, "undeclared", "cap", "f1", 7])
                given[name] = r.choice(ODD)
            if r.random() < 0.3 and given:
                del given[r.choice(list(given))]
        quick = outcome(policy.ingest, facts, proposal)
        thorough = outcome(policy._reading.thorough, facts, proposal)
        assert repr(quick) == repr(thorough), (facts, proposal)
        good += not isinstance(quick, list)
        bad += isinstance(quick, list)
    assert good > 5 and bad > 20


def test_what_is_read_quickly_was_not_read_thoroughly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fuzz = Fuzz(3)
    policy = gate.load(fuzz.policy(rules=3))
    monkeypatch.setattr(policy._reading, "thorough", None)
    for _ in range(50):
        facts = fuzz.facts()
        facts.pop("l5", None)  # lists of objects are read thoroughly
        policy.ingest({**facts, "undeclared": 1})


def test_the_generated_reading_holds_nothing_of_the_policys_text(policy: Any) -> None:
    made = policy(
        "fields:\n  import_os: string\n  __class__: {enum: [\"__import__('os')\"]}\n"
        "  o: {object: {eval: {type: int, max: 7}}}\nrules:\n  - id: r\n    when: o.eval > 3\n"
    )
    made.ingest({"import_os": "x", "__class__": "__import__('os')", "o": {"eval": 4}})
    source = made._reading.source
    for word in ("import", "class", "eval", "'", '"'):
        assert word not in source
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            assert node.attr in ("get", "append", "isascii", "lower", "strip")
        assert not isinstance(node, ast.Import | ast.Lambda | ast.Global | ast.ClassDef)


def test_a_decimal_keeps_all_of_its_34_digits(policy: Any) -> None:
    made = policy("fields:\n  d: {type: decimal, places: 2}\nrules:\n  - id: r\n    when: d > 1\n")
    text = "12345678901234567890123456789012.34"
    record = made.ingest({"d": text})
    assert record.facts == {"d": text} and record.slots == (Decimal(text),)
    with pytest.raises(BadRecord, match="at most 34 digits"):
        made.ingest({"d": "1" + text})
    assert made.ingest({"d": "-0.00"}).facts == {"d": "0.00"}
