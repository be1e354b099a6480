"""No accepted policy does more node visits than its declared cost, on any record.

The generated program is built with a counter around every node it evaluates. Adversarial policies
are as deep, long and repetitive as the limits of the language allow; their programs also have to
stay in proportion to the text.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from handrail import gate
from handrail.gate import emit
from handrail.gate.compile import Program
from handrail.gate.emit import Asked, Emitter, Piece
from handrail.gate.outside import Given
from handrail.gate.scope import Symbol
from handrail.gate.syntax import MAX_EXPR_NODES, Expr
from handrail.gate.values import MAX_ITEMS
from tests.gate_fuzz import Fuzz

NOT_COUNTED = ("lit", "name", "item")


class Counting(Emitter):
    """Emits the same program with `n(…)` around every node: names where they are read."""

    def load(self, symbol: Symbol) -> str:
        return f"n({super().load(symbol)})"

    def piece(self, node: Expr, sure: frozenset[str], form: str = "") -> Piece:
        made = super().piece(node, sure, form)
        if node.op in NOT_COUNTED or node.type.kind == "bool" or node.type.const is not None:
            return made
        return Piece(made.guards, f"n({made.text})")

    def test(self, node: Expr, sure: frozenset[str]) -> Asked:
        made = super().test(node, sure)
        if node.op in NOT_COUNTED:
            return made
        if not made.again:
            return Asked(f"n({made.true})", f"n({made.true})", "")
        return Asked(f"n({made.possible})", f"n({made.true})", made.again)


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit, "Emitter", Counting)
    monkeypatch.setattr("handrail.gate.compile.Emitter", Counting)


def visits(policy: gate.Policy, facts: dict[str, Any], **given: Any) -> int:
    """Nodes visited to decide all rules and named values once; exact as ever."""
    program: Program = policy._program
    count = 0

    def counted(value: Any) -> Any:
        nonlocal count
        count += 1
        return value

    program.table.names["n"] = counted
    record = policy.ingest(facts)
    policy.evaluate(record, decision_id="d_x", evaluated_at=0, **given)
    rest = policy._tail.copy()
    policy._fill(record.slots, rest, Given(0, given.get("confidence")), given.get("aggregates", {}))
    count = 0
    for slot in program.lazy:
        program.value(slot, record.slots, rest)
    found = sorted(program.judge(record.slots, rest))
    assert found == program.interpret(record.slots, rest)
    return count


@pytest.mark.parametrize("seed", range(6))
def test_random_policies_stay_within_their_cost(seed: int) -> None:
    fuzz = Fuzz(seed)
    policy = gate.load(fuzz.policy(rules=15))
    met = 0
    for _ in range(20):
        seen = visits(policy, fuzz.facts(), **fuzz.given())
        assert 0 < seen <= policy.cost
        met = max(met, seen)
    assert met * 20 > policy.cost / MAX_ITEMS


FIELDS = """\
fields:
  a: {type: double, optional: true}
  b: {type: double, optional: true}
  p: {type: bool, optional: true}
  d: {type: decimal, places: 2, optional: true}
  k: {type: string, optional: true}
  l: {list: double, optional: true}
"""


def nested(depth: int, inner: str, wrap: str) -> str:
    for _ in range(depth):
        inner = wrap.format(inner)
    return inner


DEEP = {
    "ternary in the question": nested(11, "p", "({} ? p : not p)"),
    "ternary in the answer": nested(11, "a", "(p ? {} : b)") + " > 1.0",
    "not": nested(18, "p", "not ({})"),
    "and or": nested(8, "p", "(a > 1.0 or (b < 2.0 and {}))"),
    "sum": nested(18, "a", "(b + {})") + " > 1.0",
    "exact": nested(16, "d", "({} + d)") + " > 1.0",
    "quotient": nested(12, "a", "(b / {})") + " > 1.0",
    "equal": nested(11, "p", "(p == {})"),
    "long and": " and ".join(["a > 1.0"] * (MAX_EXPR_NODES // 4)),
    "long or": " or ".join(["a > 1.0 and p"] * (MAX_EXPR_NODES // 8)),
    "items": "exists(l, x, x > 1.0 and x < 0.0) or all(l, x, x < 1.0 or p)",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_and_long_conditions_are_bounded(policy: Any, name: str) -> None:
    when = DEEP[name]
    made = policy(
        f"{FIELDS}values:\n  v: {when}\n  w: v or p\n"
        f"rules:\n  - id: r\n    when: {when}\n    on_unknown: ignore\n"
        f"  - id: s\n    when: 'v and (k == \"x\" or w)'\n    on_unknown: fire\n"
    )
    r = random.Random(1)
    whole = {"a": 0.5, "b": 1.5, "p": True, "d": 2, "k": "x", "l": [0.5] * MAX_ITEMS}
    for _ in range(60):
        facts = {field: value for field, value in whole.items() if r.random() > 0.2}
        facts["p"] = r.choice([True, False, None])
        facts["a"] = r.choice([0.5, 3.0, 1e308, None])
        assert visits(made, facts) <= made.cost
    assert len(made.generated_source()) < 1_000 * (made.cost if "l," not in when else 60)


@pytest.mark.slow
@pytest.mark.parametrize("same_kind", [True, False])
def test_a_thousand_rules_are_bounded(policy: Any, same_kind: bool) -> None:
    rules = "".join(
        f"  - id: r{at}\n    on_unknown: ignore\n    when: "
        f'k == "{"x" if same_kind else f"x{at}"}" and (a > {at}.0 or p) and b / a > 1.0\n'
        for at in range(900)
    )
    cells = ", ".join(f'["{at}", 1]' for at in range(100))
    matrix = (
        f"  - matrix: m\n    on_unknown: ignore\n    columns: [k ==, a >]\n    rows: [{cells}]\n"
    )
    made = policy(f"{FIELDS}rules:\n{rules}{matrix}")
    for facts in (
        {"k": "x", "a": 400.0, "b": 1e6, "p": False},
        {"k": "x7", "a": 9.0, "b": 10.0, "p": True},
        {"a": 5.0, "p": True},
        {"k": "99", "a": 2.0},
        {},
    ):
        assert visits(made, facts) <= made.cost
    if not same_kind:
        assert visits(made, {"k": "x7", "a": 9.0, "b": 10.0, "p": True}) < 10
