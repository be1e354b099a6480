"""The evaluator against two others: a naive three-valued one written here, and Google's CEL.

Expressions are nested tuples, made at random; each side reads them in its own way. Division by
zero and overflow are ours to define (unknown), so CEL gets expressions without division.
"""

from __future__ import annotations

import json
import math
import random
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail import gate
from handrail.gate.language import WEEKDAYS

HEAD = """\
handrail: 1
workflow: oracle
owners: [team:a]
route: [{to: team:a, silence: block}]
fields:
  d1: {type: decimal, places: 2, optional: true}
  d2: {type: decimal, places: 3, optional: true}
  i1: {type: int, optional: true}
  i2: {type: int, optional: true}
  f1: {type: double, optional: true}
  f2: {type: double, optional: true}
  s1: {type: string, optional: true}
  s2: {type: string, optional: true}
  b1: {type: bool, optional: true}
  l1: {list: string, optional: true}
lists:
  some: [a, ab, c]
rules:
"""
SOME = {"a", "ab", "c"}
Expr = tuple[Any, ...]
Facts = dict[str, Any]


def compiled(expressions: list[Expr], write: Callable[[Expr], str]) -> gate.Policy:
    rules = "".join(
        f"  - id: r{n}\n    on_unknown: ignore\n    when: has(b1) or not has(b1)\n"
        if expression is None
        else f"  - id: r{n}\n    on_unknown: ignore\n    when: {write(expression)}\n"
        for n, expression in enumerate(expressions)
    )
    return gate.load(HEAD + rules)


def ours(policy: gate.Policy, facts: Facts) -> list[bool | None]:
    ruling = policy.evaluate(policy.ingest(facts), decision_id="d_x", evaluated_at=0)
    fired = {item.rule for item in ruling.fired}
    unknown = {item.rule for item in ruling.unknown}
    return [None if rule.id in unknown else rule.id in fired for rule in policy.rules]


# ------------------------------------------------------------------------- the naive evaluator


def text(e: Expr) -> str:
    op, *args = e
    if op in ("field", "num"):
        return str(args[0])
    if op == "str":
        return '"' + args[0] + '"'
    if op in ("not", "-1"):
        return f"({'not ' if op == 'not' else '-'}{text(args[0])})"
    if op == "?":
        return f"({text(args[0])} ? {text(args[1])} : {text(args[2])})"
    if op in ("has", "size", "abs"):
        return f"{op}({text(args[0])})"
    if op in ("contains", "startsWith", "endsWith"):
        return f"{op}({text(args[0])}, {text(args[1])})"
    if op in ("exists", "all"):
        return f"{op}({text(args[0])}, x, {text(args[1])})"
    if op == "in some":
        return f"({text(args[0])} in lists.some)"
    if op == "in array":
        return f"({text(args[0])} in [" + ", ".join(f'"{item}"' for item in args[1]) + "])"
    return f"({text(args[0])} {op} {text(args[1])})"


def naive(e: Expr, facts: Facts) -> Any:
    """Kleene over exact fractions; None is unknown."""
    op, *args = e
    if op == "field":
        value = facts.get(args[0])
        if value is None or isinstance(value, bool | str | list):
            return value
        return Fraction(str(value))
    if op == "num":
        return Fraction(args[0])
    if op == "str":
        return args[0]
    if op == "has":
        return facts.get(args[0][1]) is not None
    if op in ("and", "or"):
        sides = {naive(arg, facts) for arg in args}
        decisive = op == "or"
        return decisive if decisive in sides else None if None in sides else not decisive
    if op == "?":
        test = naive(args[0], facts)
        return None if test is None else naive(args[1] if test else args[2], facts)
    if op in ("exists", "all"):
        items = naive(args[0], facts)
        if items is None:
            return None
        found = {naive(args[1], {**facts, "x": item}) for item in items}
        decisive = op == "exists"
        return decisive if decisive in found else None if None in found else not decisive
    if op == "in array":
        value = naive(args[0], facts)
        return None if value is None else value in args[1]
    values = [naive(arg, facts) for arg in args]
    if None in values:
        return None
    a, b = values[0], values[-1]
    if op == "/":
        return None if b == 0 else a / b
    return {
        "not": lambda: not a,
        "-1": lambda: -a,
        "abs": lambda: abs(a),
        "size": lambda: Fraction(len(a)),
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "==": lambda: a == b,
        "!=": lambda: a != b,
        "<": lambda: a < b,
        "<=": lambda: a <= b,
        ">": lambda: a > b,
        ">=": lambda: a >= b,
        "in": lambda: a in b,
        "not in": lambda: a not in b,
        "in some": lambda: a in SOME,
        "contains": lambda: b in a,
        "startsWith": lambda: a.startswith(b),
        "endsWith": lambda: a.endswith(b),
    }[op]()


NUMBERS = ("d1", "d2", "i1", "i2")
TEXTS = ("s1", "s2")


Draw = Callable[[st.SearchStrategy[Any]], Any]


def number(draw: Draw, depth: int, whole: bool = False) -> Expr:
    """A number; with `whole` surely not an int, so that it may be divided."""
    kind = draw(st.sampled_from(["leaf", "leaf", "+", "-", "*", "/", "-1", "abs"]))
    if depth == 0 or kind == "leaf":
        fields = ("d1", "d2") if whole else NUMBERS
        numbers = ["0.0", "0.5", "2.25", "10.0"] + ([] if whole else ["0", "1", "3", "100"])
        if draw(st.booleans()):
            return ("field", draw(st.sampled_from(fields)))
        return ("num", draw(st.sampled_from(numbers)))
    if kind in ("-1", "abs"):
        return (kind, number(draw, depth - 1, whole))
    whole = whole or kind == "/"
    return (kind, number(draw, depth - 1, whole), number(draw, depth - 1, whole))


def string(draw: Draw) -> Expr:
    if draw(st.booleans()):
        return ("field", draw(st.sampled_from(TEXTS)))
    return ("str", draw(st.sampled_from(["", "a", "ab", "é"])))


ITEM = ("field", "x")
"""What `exists` and `all` bind."""


def boolean(draw: Draw, depth: int) -> Expr:
    kind = draw(st.sampled_from(["leaf", "and", "or", "and", "or", "not", "?"]))
    if depth and kind != "leaf":
        count = {"not": 1, "?": 3}.get(kind, 2)
        return (kind, *(boolean(draw, depth - 1) for _ in range(count)))
    compare = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
    named = ("field", draw(st.sampled_from(TEXTS)))
    leaves: list[Callable[[], Expr]] = [
        lambda: (compare, number(draw, 2), number(draw, 2)),
        lambda: (draw(st.sampled_from(["==", "!="])), named, string(draw)),
        lambda: ("field", "b1"),
        lambda: ("has", ("field", draw(st.sampled_from([*NUMBERS, "l1"])))),
        lambda: (draw(st.sampled_from(["in", "not in"])), string(draw), ("field", "l1")),
        lambda: ("in some", named),
        lambda: ("in array", named, ("a", "c", "")),
        lambda: (
            draw(st.sampled_from(["contains", "startsWith", "endsWith"])),
            named,
            string(draw),
        ),
        lambda: (compare, ("size", named), ("num", "1")),
        lambda: (
            draw(st.sampled_from(["exists", "all"])),
            ("field", "l1"),
            draw(
                st.sampled_from(
                    [
                        ("==", ITEM, named),
                        ("startsWith", ITEM, named),
                        (
                            "or",
                            ("==", ITEM, ("str", "a")),
                            (compare, number(draw, 1), ("num", "1")),
                        ),
                        ("and", ("field", "b1"), ("!=", ITEM, ("str", ""))),
                    ]
                )
            ),
        ),
    ]
    return draw(st.sampled_from(leaves))()


@st.composite
def conditions(draw: Draw) -> Expr:
    return boolean(draw, 3)


def reads_a_field(e: Any) -> bool:
    return isinstance(e, tuple) and (e[:1] == ("field",) or any(reads_a_field(part) for part in e))


def divides_numbers_by_zero(e: Any) -> bool:
    """Whether a division has no field below it: the type check refuses it when it is by 0."""
    return isinstance(e, tuple) and (
        (e[:1] == ("/",) and not reads_a_field(e[2]))
        or any(divides_numbers_by_zero(part) for part in e)
    )


FACTS = st.fixed_dictionaries(
    {},
    optional={
        "d1": st.decimals(-50, 50, places=2, allow_nan=False),
        "d2": st.decimals(-5, 5, places=3, allow_nan=False),
        "i1": st.integers(-5, 5),
        "i2": st.integers(-100, 100),
        "s1": st.sampled_from(["", "a", "ab", "c", "é"]),
        "s2": st.sampled_from(["a", "b", "ab"]),
        "b1": st.booleans(),
        "l1": st.lists(st.sampled_from(["a", "b", ""]), max_size=3),
    },
)


@settings(max_examples=settings().max_examples * 3 // 2, deadline=None)
@given(
    st.lists(
        conditions().filter(lambda e: reads_a_field(e) and not divides_numbers_by_zero(e)),
        min_size=1,
        max_size=6,
    ),
    st.lists(FACTS, min_size=1, max_size=6),
)
def test_agrees_with_a_naive_three_valued_evaluator(
    expressions: list[Expr], records: list[Facts]
) -> None:
    policy = compiled(expressions, text)
    for facts in records:
        assert ours(policy, facts) == [naive(e, facts) for e in expressions], facts


@settings(max_examples=settings().max_examples * 3 // 5, deadline=None)
@given(conditions().filter(lambda e: reads_a_field(e) and not divides_numbers_by_zero(e)), FACTS)
def test_a_fired_rule_names_comparisons_that_hold(expression: Expr, facts: Facts) -> None:
    policy = compiled([expression], text)
    ruling = policy.evaluate(policy.ingest(facts), decision_id="d_x", evaluated_at=0)
    for fired in ruling.fired:
        assert fired.terms and fired.because
        for term in fired.terms:
            assert_holds(term)


def assert_holds(term: Any) -> None:
    def exact(value: Any) -> Any:
        try:
            return Fraction(str(value)) if not isinstance(value, bool) else value
        except ValueError:
            return value

    if term.op in ("is", "in", "not in"):
        return
    a, b = exact(term.left), exact(term.right)
    # A quotient that does not end is kept with 20 digits: near ties say nothing.
    if isinstance(a, Fraction) and isinstance(b, Fraction) and abs(a - b) < Fraction(1, 10**12):
        return
    assert {
        "==": lambda: a == b,
        "!=": lambda: a != b,
        "<": lambda: a < b,
        "<=": lambda: a <= b,
        ">": lambda: a > b,
        ">=": lambda: a >= b,
    }[term.op](), term


# ---------------------------------------------------------------------------------- Google's CEL

DOUBLES = ("f1", "f2")


def random_number(r: random.Random, depth: int) -> Expr:
    if depth == 0 or r.random() < 0.3:
        return (
            ("field", r.choice(DOUBLES))
            if r.random() < 0.6
            else ("num", r.choice(["0.0", "0.1", "0.5", "2.0", "3.7", "100.0"]))
        )
    if r.random() < 0.15:
        return ("-1", random_number(r, depth - 1))
    return (r.choice("+-*"), random_number(r, depth - 1), random_number(r, depth - 1))


def random_boolean(r: random.Random, depth: int) -> Expr:
    if depth and r.random() < 0.7:
        kind = r.choice(["and", "or", "and", "or", "not", "?"])
        count = {"not": 1, "?": 3}.get(kind, 2)
        return (kind, *(random_boolean(r, depth - 1) for _ in range(count)))
    s = ("field", r.choice(TEXTS))
    other = r.choice([("field", r.choice(TEXTS)), ("str", r.choice(["a", "ab", "", "é"]))])
    return r.choice(
        [
            (r.choice(["==", "!=", "<", "<=", ">", ">="]), random_number(r, 2), ("field", "f1")),
            (r.choice(["==", "!="]), s, other),
            ("field", "b1"),
            ("has", ("field", r.choice([*DOUBLES, *TEXTS, "b1", "l1"]))),
            ("in", s, ("field", "l1")),
            ("in array", s, ("a", "c", "")),
            (r.choice(["contains", "startsWith", "endsWith"]), s, other),
            (r.choice(["==", ">"]), ("size", s), ("num", "1")),
            (
                r.choice(["exists", "all"]),
                ("field", "l1"),
                r.choice(
                    [
                        ("==", ITEM, s),
                        ("or", ("startsWith", ITEM, ("str", "a")), ("field", "b1")),
                        ("and", ("==", s, ITEM), (">", random_number(r, 1), ("field", "f2"))),
                        ("not", ("in", ITEM, ("field", "l1"))),
                    ]
                ),
            ),
        ]
    )


def cel_text(e: Expr) -> str:
    op, *args = e
    if op == "field":
        return args[0] if args[0] == "x" else f"r.{args[0]}"
    if op in ("exists", "all"):
        return f"{cel_text(args[0])}.{op}(x, {cel_text(args[1])})"
    if op in ("num", "str"):
        return text(e)
    if op == "not":
        return f"(!{cel_text(args[0])})"
    if op == "-1":
        return f"(-{cel_text(args[0])})"
    if op == "?":
        return f"({cel_text(args[0])} ? {cel_text(args[1])} : {cel_text(args[2])})"
    if op in ("has", "size"):
        return f"{op}({cel_text(args[0])})"
    if op in ("contains", "startsWith", "endsWith"):
        return f"{cel_text(args[0])}.{op}({cel_text(args[1])})"
    if op == "in array":
        return f"({cel_text(args[0])} in [" + ", ".join(f'"{i}"' for i in args[1]) + "])"
    sign = {"and": "&&", "or": "||"}.get(op, op)
    return f"({cel_text(args[0])} {sign} {cel_text(args[1])})"


def random_facts(r: random.Random) -> Facts:
    whole: Facts = {
        "f1": r.choice([0.0, 0.1, 0.5, -2.0, 3.7, r.uniform(-10, 10)]),
        "f2": r.choice([0.0, 0.2, 1.0, 100.0, r.uniform(-10, 10)]),
        "s1": r.choice(["", "a", "ab", "é"]),
        "s2": r.choice(["a", "b", "ab"]),
        "b1": r.random() < 0.5,
        "l1": r.sample(["a", "b", ""], r.randrange(3)),
    }
    return {name: value for name, value in whole.items() if r.random() > 0.18}


def google() -> Any:
    """Google's CEL, or a skip that says what is missing."""
    try:
        from cel_expr_python import cel
    except ImportError:
        warnings.warn(
            "Google's CEL is not installed: the differential check did not run "
            "(pip install cel-expr-python)",
            stacklevel=1,
        )
        pytest.skip("needs cel-expr-python")
    return cel


def test_agrees_with_googles_cel() -> None:
    cel = google()
    r = random.Random(20261121)
    env = cel.NewEnv(variables={"r": cel.Type.DYN})
    cells = unknown = 0
    for _ in range(20):
        expressions = []
        while len(expressions) < 20:
            expression = random_boolean(r, 3)
            if reads_a_field(expression) and len(text(expression)) < 1_500:
                expressions.append(expression)
        policy = compiled(expressions, text)
        theirs = [env.compile(cel_text(expression)) for expression in expressions]
        for _ in range(15):
            facts = random_facts(r)
            mine = ours(policy, facts)
            for expression, value, program in zip(expressions, mine, theirs, strict=True):
                answer = program.eval(data={"r": facts}).value()
                wanted = answer if isinstance(answer, bool) else None
                assert value is wanted, (text(expression), facts)
                cells += 1
                unknown += wanted is None
    assert cells == 6_000 and unknown > 300


TRAPS = [
    ("size(s1) == 2", "size(r.s1) == 2", {"s1": "é😀"}, True),
    ('matches(s1, "x$")', 'r.s1.matches("x$")', {"s1": "x\n"}, False),
    ('matches(s1, "^[\\\\d]$")', 'r.s1.matches("^[\\\\d]$")', {"s1": "\u0661"}, False),
    ('matches(s1, "^\\\\w+$")', 'r.s1.matches("^\\\\w+$")', {"s1": "é"}, False),
    ('matches(s1, "b")', 'r.s1.matches("b")', {"s1": "abc"}, True),
    ('matches(s1, "(?i)É")', 'r.s1.matches("(?i)É")', {"s1": "é"}, True),
    ('contains(s1, "")', 'r.s1.contains("")', {"s1": "a"}, True),
    ('startsWith(s1, "e\u0301")', 'r.s1.startsWith("e\u0301")', {"s1": "é"}, False),
    ('s1 == "A"', 'r.s1 == "A"', {"s1": "a"}, False),
    ("b1 or d1 > 1", "r.b1 || r.d1 > 1.0", {"b1": True}, True),
    ("b1 and d1 > 1", "r.b1 && r.d1 > 1.0", {"b1": False}, False),
    ("b1 and d1 > 1", "r.b1 && r.d1 > 1.0", {"b1": True}, None),
    ("(b1 ? d1 : f1) > 1", "(r.b1 ? r.d1 : r.f1) > 1.0", {"f1": 2.0}, None),
    ("(b1 ? d1 : f1) > 1", "(r.b1 ? r.d1 : r.f1) > 1.0", {"b1": False, "f1": 2.0}, True),
    ("l1.all(x, x == s1)", "r.l1.all(x, x == r.s1)", {"l1": []}, True),
    ("l1.exists(x, x == s1)", "r.l1.exists(x, x == r.s1)", {"l1": []}, False),
    ("l1.exists(x, x == s1)", "r.l1.exists(x, x == r.s1)", {"s1": "a"}, None),
]
"""What engines disagree about (ours, CEL's spelling, facts, answer)."""


@pytest.mark.parametrize(("mine", "theirs", "facts", "answer"), TRAPS)
def test_traps_of_meaning(mine: str, theirs: str, facts: Facts, answer: bool | None) -> None:
    policy = gate.load(HEAD + f"  - id: r\n    on_unknown: ignore\n    when: {mine}\n")
    assert ours(policy, facts) == [answer]
    cel = google()
    program = cel.NewEnv(variables={"r": cel.Type.DYN}).compile(theirs)
    said = program.eval(data={"r": facts}).value()
    assert (said if isinstance(said, bool) else None) is answer


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Tokyo"])
def test_parts_of_times_agree_with_googles_cel(zone: str) -> None:
    cel = google()
    env = cel.NewEnv(variables={"r": cel.Type.DYN})
    r = random.Random(zone)
    for _ in range(25):
        moment = datetime.fromtimestamp(r.randrange(0, 2_000_000_000), UTC)
        written = moment.strftime("%Y-%m-%dT%H:%M:%SZ")

        def theirs(part: str, written: str = written) -> int:
            program = env.compile(f'timestamp("{written}").{part}("{zone}")')
            return int(program.eval(data={"r": {}}).value())

        expected = {
            "hour": theirs("getHours"),
            "day": theirs("getDate"),
            "month": theirs("getMonth") + 1,
            "weekday": WEEKDAYS[theirs("getDayOfWeek") - 1],
        }
        lines = "".join(
            f'  - id: {name}\n    when: {name}(at, "{zone}") == {json.dumps(value)}\n'
            for name, value in expected.items()
        )
        policy = gate.load(HEAD + lines)
        record = policy.ingest({})
        at = int(moment.timestamp()) * 1_000_000
        ruling = policy.evaluate(record, decision_id="d", evaluated_at=at)
        assert {fired.rule for fired in ruling.fired} == set(expected), (written, zone)


def test_doubles_follow_ieee_and_overflow_is_unknown() -> None:
    policy = compiled(
        [
            ("==", ("+", ("field", "f1"), ("field", "f2")), ("num", "0.3")),
            (">", ("*", ("field", "f1"), ("num", "1e99")), ("num", "0")),
        ],
        text,
    )
    assert 0.1 + 0.2 != 0.3
    assert ours(policy, {"f1": 0.1, "f2": 0.2})[0] is False
    assert ours(policy, {"f1": 1e300, "f2": 0.2}) == [False, None]
    assert math.isinf(1e300 * 1e99)


def test_a_float_for_a_decimal_field_is_its_shortest_text() -> None:
    policy = compiled([("==", ("field", "d1"), ("num", "10000.01"))], text)
    assert Decimal.from_float(10000.01) != Decimal("10000.01")
    assert ours(policy, {"d1": 10000.01}) == [True]
