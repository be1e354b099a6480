"""Columns against the exact evaluator: the same lane, mode, rules and reasons for every row."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from typing import Any

import pytest

from handrail import gate
from handrail.model.ruling import Ruling

pl = pytest.importorskip("polars")
from handrail.bulk.columns import Plan  # noqa: E402
from handrail.bulk.frames import FrameGate, Judgement  # noqa: E402

HEAD = """\
handrail: 1
workflow: columns
owners: [team:a]
route: [{to: team:a, silence: block}]
review: {choices: [a, b]}
otherwise: auto
fields:
  d1: {type: decimal, places: 2, optional: true}
  d2: {type: decimal, places: 3, min: -1000, optional: true}
  d9: {type: decimal, places: 9, optional: true}
  i1: {type: int, optional: true}
  i2: {type: int, max: 9007199254740991, optional: true}
  f1: {type: double, optional: true}
  f2: {type: double, optional: true}
  s1: {type: string, optional: true}
  s2: {type: string, normal: lower, optional: true}
  e1: {enum: [red, green, blue], optional: true}
  p1: {type: person, optional: true}
  b1: {type: bool, optional: true}
  t1: {type: timestamp, optional: true}
  t2: {type: timestamp, optional: true}
  u1: {type: duration, optional: true}
  l1: {list: string, optional: true}
  l2: {list: int, optional: true}
lists:
  some: [a, ab, Straße, "1"]
  numbers: [1, 2.5, 0.1, 300]
tables:
  limits:
    key: e1
    columns: {cap: {type: decimal, places: 2}, rate: double, ok: bool, words: {list: string}}
    rows: {red: {cap: 85, rate: 0.1, ok: true, words: [a, ab]}, blue: {cap: -3, words: [é]}}
values:
  capped: d1 * tables.limits.cap
  share: 1 - d1 / d2
  spread: abs(f1 - f2)
  both: b1 and d1 > 0
"""

NUMBERS = ("d1", "d2", "d9", "i1", "i2", "f1", "f2", "share", "spread")
ROWS = ("tables.limits.cap", "tables.limits.rate", "capped")
TEXTS = ("s1", "s2", "e1", "p1")
KEYWORDS = ("lists.some", '["ab", "straße"]', '["a b"], "exact"')
COMPARE = ("==", "!=", "<", "<=", ">", ">=")
PATTERNS = ("^a", "b$", "[0-9]+", r"\\d", "a|é", "(?i)STRASSE", r"\\bab\\b", "^.{2,}$", r"\\pL", "")


def number(r: random.Random, depth: int) -> str:
    if depth == 0 or r.random() < 0.35:
        if r.random() < 0.6:
            return r.choice(NUMBERS + ROWS)
        return r.choice(("0", "1", "0.15", "2.5", "100", "3", "0.1", "9007199254740993", "1e12"))
    kind = r.choice(("+", "-", "*", "/", "neg", "abs", "?", "size"))
    if kind == "neg":
        return f"-({number(r, depth - 1)})"
    if kind == "abs":
        return f"abs({number(r, depth - 1)})"
    if kind == "size":
        return f"size({r.choice(('s1', 's2', 'l1', 'l2'))})"
    if kind == "?":
        return f"({boolean(r, 0)} ? {number(r, depth - 1)} : {number(r, depth - 1)})"
    return f"({number(r, depth - 1)} {kind} {number(r, depth - 1)})"


def moment(r: random.Random) -> str:
    return r.choice(("t1", "t2", "at", 't1 + duration("1h")', 'timestamp("2026-03-01T00:00:00Z")'))


def span(r: random.Random) -> str:
    return r.choice(("u1", "t1 - t2", 'duration("90m")', "u1 + u1", "abs(u1)"))


def text(r: random.Random) -> str:
    return r.choice((*TEXTS[:2], *TEXTS, '"a"', '"ab"', '""', '"é"'))


def boolean(r: random.Random, depth: int) -> str:
    if depth and r.random() < 0.65:
        kind = r.choice(("and", "or", "and", "or", "not", "?"))
        if kind == "not":
            return f"not ({boolean(r, depth - 1)})"
        if kind == "?":
            return " ".join(
                ("(", boolean(r, depth - 1), "?", boolean(r, depth - 1), ":",
                 boolean(r, depth - 1), ")")
            )  # fmt: skip
        return f"({boolean(r, depth - 1)} {kind} {boolean(r, depth - 1)})"
    name = r.choice(TEXTS)
    choices = (
        lambda: f"{number(r, 2)} {r.choice(COMPARE)} {number(r, 2)}",
        lambda: f"{number(r, 2)} {r.choice(COMPARE)} {number(r, 1)}",
        lambda: f"{number(r, 1)} {r.choice(COMPARE)} {number(r, 0)}",
        lambda: f"{moment(r)} {r.choice(COMPARE)} {moment(r)}",
        lambda: f"{span(r)} {r.choice(COMPARE)} {span(r)}",
        lambda: f"u1 / (t1 - t2) {r.choice(COMPARE)} 0.5",
        lambda: f"{name} {r.choice(('==', '!='))} {text(r)}",
        lambda: r.choice(("b1", "both", "b1 == both", "not b1")),
        lambda: f"has({r.choice((*NUMBERS, *TEXTS, 'b1', 'both', 'l1', 't1', 'confidence'))})",
        lambda: f"{text(r)} {r.choice(('in', 'not in'))} l1",
        lambda: f"i1 in l2 or {number(r, 0)} in l2",
        lambda: f"{r.choice(('s1', 's2', 'p1'))} {r.choice(('in', 'not in'))} lists.some",
        lambda: f"{r.choice(NUMBERS[:7])} in lists.numbers",
        lambda: f'{r.choice(("s1", "p1"))} in ["a", "ab", ""]',
        lambda: f"{r.choice(NUMBERS[:7])} in [1, 2.5, 0.1, -3]",
        lambda: f"{r.choice(('contains', 'startsWith', 'endsWith'))}({name}, {text(r)})",
        lambda: f'matches({name}, "{r.choice(PATTERNS)}")',
        lambda: f"confidence {r.choice(COMPARE)} 0.5",
        lambda: f"tables.limits.ok or {name} in tables.limits.words",
        lambda: f"mentions({name}, {r.choice(KEYWORDS)})",
        lambda: f'hour({r.choice(("t1", "at"))}, "Europe/Berlin") {r.choice(COMPARE)} 1',
        lambda: f'weekday(t2, "America/New_York") {r.choice(("==", "!="))} "sunday"',
        lambda: f"{r.choice(('exists', 'all'))}(l2, x, x {r.choice(COMPARE)} {number(r, 1)})",
        lambda: f"{r.choice(('exists', 'all'))}(l1, x, contains(x, {text(r)}) or x == s1)",
    )
    return r.choice(choices)()


def conditions(r: random.Random, count: int) -> list[str]:
    """Conditions that load; the type check throws out what mixes units of meaning."""
    found: list[str] = []
    while len(found) < count:
        made = boolean(r, 3)
        rule = f"rules: [{{id: r, on_unknown: ignore, when: {quoted(made)}}}]\n"
        if len(made) < 900 and not gate.check(HEAD + rule):
            found.append(made)
    return found


def quoted(condition: str) -> str:
    return "'" + condition.replace("'", "''") + "'"


def policy(r: random.Random, rules: int) -> gate.Policy:
    lines = ["rules:"]
    for at, when in enumerate(conditions(r, rules)):
        mode = r.choice(("auto", "on_the_loop", "in_the_loop", "in_command", "refuse"))
        lines += [
            f"  - id: r{at}",
            f"    when: {quoted(when)}",
            f"    then: {mode}",
            f"    on_unknown: {r.choice(('hold', 'ignore', 'ignore', 'fire'))}",
            f"    trial: {'true' if r.random() < 0.1 else 'false'}",
        ]
    for at in range(2):
        lines += [
            f"  - matrix: m{at}",
            "    columns: [d1 >, s1, then]",
            f"    on_unknown: {r.choice(('hold', 'ignore', 'fire'))}",
            "    rows: [[10, -, refuse], [0, ab, in_command], [-, a, on_the_loop], [-5, -, auto]]",
        ]
    if r.random() < 0.7:
        lines += [
            "tiers:",
            f"  risk: {{high: {quoted(conditions(r, 1)[0])}, middle: d1 > 5, low: else}}",
            "  at_least: [0.9, 0.5, 0, none]",
            "  high: [in_the_loop, in_the_loop, in_command, refuse]",
            "  middle: [auto, on_the_loop, in_the_loop, in_the_loop]",
            "  low: [auto, auto, on_the_loop, on_the_loop]",
        ]
    return gate.load(HEAD + "\n".join(lines) + "\n")


def decimals(r: random.Random, places: int) -> str:
    edge = r.choice(("0", "0.15", "1", "100", "2.5", "-3", "85", "170", "200", "0.85"))
    if r.random() < 0.5:
        return edge
    number = Decimal(r.randrange(-(10**6), 10**6)).scaleb(-places)
    if r.random() < 0.1:
        number = Decimal(r.randrange(-(10**17), 10**17)).scaleb(-places)
    return format(number, "f")


def value(r: random.Random, name: str) -> Any:
    if name in ("d1", "d2", "d9"):
        text = decimals(r, {"d1": 2, "d2": 3, "d9": 9}[name])
        return "5" if name == "d2" and Decimal(text) < -1000 else text
    if name in ("i1", "i2"):
        return r.choice((0, 1, 2, -3, 100, r.randrange(-50, 50), r.randrange(-(2**53), 2**53)))
    if name in ("f1", "f2"):
        edge = (0.0, 0.1, 0.2, 0.3, 2.5, 1e20, -1e-9, 1e-70, 1e200, -0.0, 0.15)
        return r.choice((*edge, r.uniform(-10, 10), r.uniform(-10, 10)))
    if name == "s1":
        return r.choice(
            ("a", "ab", "é", "Straße", "STRASSE", "b\n", "1", "\u0663", "x" * 40, "a b")
        )
    if name == "s2":
        return r.choice(("a", "AB", " ab ", "Straße", "É", "1"))
    if name == "e1":
        return r.choice(("red", "green", "blue"))
    if name == "p1":
        return r.choice(("ab", "ann@example.com", " bo@example.com", "Zoë"))
    if name == "b1":
        return r.random() < 0.5
    if name in ("t1", "t2"):
        return f"2026-0{r.randrange(1, 5)}-0{r.randrange(1, 3)}T00:00:00Z"
    if name == "u1":
        return r.choice((0, 3600, 5400, 86400 * 31, -3600))
    if name == "l1":
        return r.sample(("a", "ab", "", "é"), r.randrange(4))
    return r.sample((0, 1, 2, 300, -3), r.randrange(4))


NAMES = ("d1", "d2", "d9", "i1", "i2", "f1", "f2", "s1", "s2", "e1", "p1", "b1", "t1", "t2", "u1",
         "l1", "l2")  # fmt: skip


def records(r: random.Random, count: int) -> list[dict[str, Any]]:
    return [
        {
            "sure": r.choice((None, 0.0, 0.5, 0.9, 0.7, 1.0)),
            **{name: value(r, name) for name in NAMES if r.random() > 0.18},
        }
        for _ in range(count)
    ]


def frame(rows: list[dict[str, Any]]) -> Any:
    kinds = {
        "i1": pl.Int64, "i2": pl.Int64, "f1": pl.Float64, "f2": pl.Float64, "b1": pl.Boolean,
        "u1": pl.Int64, "l1": pl.List(pl.String), "l2": pl.List(pl.Int64), "sure": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(
        {
            name: pl.Series([row.get(name) for row in rows], dtype=kinds.get(name, pl.String))
            for name in ("sure", *NAMES)
        }
    )


def single(loaded: gate.Policy, row: dict[str, Any]) -> Ruling:
    facts = {name: value for name, value in row.items() if name != "sure"}
    return loaded.evaluate(
        loaded.ingest(facts), decision_id="d_x", evaluated_at=0, confidence=row["sure"]
    )


def same(judgement: Judgement, at: int, ruling: Ruling) -> None:
    found = {
        "lane": judgement.lanes[at],
        "mode": judgement.modes[at],
        "fired": [name for name, mask in judgement.fired.items() if mask[at]],
        "unknown": [name for name, mask in judgement.unknown.items() if mask[at]],
        "trials": [name for name, mask in judgement.trials.items() if mask[at]],
    }
    wanted = {
        "lane": str(ruling.lane),
        "mode": str(ruling.mode),
        "fired": [one.rule for one in ruling.fired],
        "unknown": list(dict.fromkeys(one.rule for one in ruling.unknown)),
        "trials": [one.rule for one in ruling.trials],
    }
    for name, was in wanted.items():
        got = found[name]
        assert sorted(got) == sorted(was) if isinstance(was, list) else got == was, (at, name)


@pytest.mark.parametrize("seed", range(6))
def test_columns_say_what_the_evaluator_says(seed: int) -> None:
    r = random.Random(seed)
    loaded = policy(r, 25)
    rows = records(r, 120)
    table = frame(rows)
    judged = FrameGate.of(loaded, table.columns, confidence="sure").judge(table, now=0)
    assert judged.gate.columns.rows_only is None
    assert not judged.bad
    whys = judged.whys()
    rules, unknowns = judged.rules(), judged.unknowns()
    for at, row in enumerate(rows):
        ruling = single(loaded, row)
        same(judged, at, ruling)
        assert whys[at] == ruling.why
        assert rules[at].to_list() == [one.rule for one in ruling.fired]
        wanted = dict.fromkeys(one.rule for one in ruling.unknown)
        assert unknowns[at].to_list() == list(wanted)


def test_most_rows_need_no_row_path() -> None:
    """The differential test would pass if everything went row by row: most of it must not."""
    r = random.Random(99)
    loaded = gate.load(
        HEAD
        + "rules:\n"
        + "".join(
            f"  - {{id: r{at}, on_unknown: ignore, when: {quoted(when)}}}\n"
            for at, when in enumerate(
                (
                    "share > 0.15", "d1 * 30.4 >= 100", "spread * 2 > f1 / 3.7", "i1 * 3 == d2",
                    "t1 - t2 > duration(\"1d\")", "d1 * d2 * d9 > 12.5", 'matches(s1, "^a")',
                    "s2 in lists.some", "both or size(l1) > 2", "f1 > d1",
                )
            )
        )
    )  # fmt: skip
    rows = [row for row in records(r, 400) if abs(row.get("f1", 1.0)) in (0.0, 0.2, 2.5, 0.15, 1.0)]
    rows = [row for row in rows if row.get("d9") != "0" and abs(Decimal(row.get("d9", 1))) < 10**5]
    table = frame(rows)
    made = FrameGate.of(loaded, table.columns)
    judged = made.judge(table, now=0)
    assert len(rows) > 80 and not made.columns._by_value and not made.columns.rows_only
    assert len(judged._alone) < 0.3 * len(rows)


def test_exactly_at_the_threshold() -> None:
    """`1 - 170/200 > 0.15` is false; in binary doubles it is true."""
    loaded = gate.load(
        """\
handrail: 1
workflow: discount
owners: [team:a]
route: [{to: team:a, silence: block}]
fields:
  list_price: {type: decimal, places: 2}
  price: {type: decimal, places: 2}
otherwise: auto
rules: [{id: deep, on_unknown: hold, when: 1 - price / list_price > 0.15}]
"""
    )
    assert 1 - 170 / 200 > 0.15
    table = pl.DataFrame(
        {"list_price": ["200", "200", "0", "200"], "price": ["170", "169.99", "1", "-1e3"]}
    )
    judged = FrameGate.of(loaded, table.columns).judge(table, now=0)
    assert judged.lanes.to_list() == ["pass", "hold", "hold", "hold"]
    assert judged.unknowns().to_list() == [[], [], ["deep"], []]
    assert len(judged._alone) == 0


def test_bad_rows_have_the_reasons_of_the_row_path() -> None:
    loaded = gate.load(
        HEAD.replace("s1: {type: string, optional: true}", "s1: string")
        + "rules: [{id: a, on_unknown: hold, when: d1 > 3}]\n"
    )
    table = pl.DataFrame(
        {
            "d1": ["1.001", "1", "4", "x", "5.10", None],
            "d2": ["-1001", "1", "2", "3", "4", "n/a"],
            "s1": ["a", "  ", "a", "a", "\u00a0", "b"],
            "e1": ["red", "red", "pink", "blue", "blue", ""],
            "i1": ["1", "2.0", "2", "9007199254740993", "5", "-"],
            "sure": [0.5, 1.5, 0.5, 0.1, None, float("nan")],
        }
    )
    made = FrameGate.of(loaded, table.columns, confidence="sure")
    judged = made.judge(table, now=0)
    assert judged.lanes.to_list() == ["bad", "bad", "bad", "bad", "bad", "hold"]
    said = {at: [reason["pointer"] for reason in bad.reasons] for at, bad in judged.bad.items()}
    assert said == {
        0: ["/facts/d1", "/facts/d2"],
        1: ["/confidence", "/facts/s1"],
        2: ["/facts/e1"],
        3: ["/facts/d1", "/facts/i1"],
        4: ["/facts/s1"],
    }
    assert judged.tally().bad == 5 and judged.tally().lanes["hold"] == 1


def test_a_part_of_the_language_unknown_here_is_judged_row_by_row() -> None:
    loaded = gate.load(HEAD + "rules: [{id: a, on_unknown: hold, when: d1 > 3}]\n")
    loaded.draft.rules[0].rows[0].when.op = "a later invention"
    assert Plan(loaded).rows_only == "`a later invention` is evaluated row by row"


def test_doubles_divide_as_ieee_says() -> None:
    """Polars divides by a scalar as a product with its inverse, which rounds twice."""
    loaded = gate.load(
        HEAD + "rules: [{id: a, on_unknown: ignore, when: f1 / 3.7 == f2 or f1 / 49.0 == f2}]\n"
    )
    r = random.Random(5)
    values = [r.uniform(-1e6, 1e6) for _ in range(4_000)]
    table = pl.DataFrame(
        {"f1": values, "f2": [v / (3.7 if at % 2 else 49.0) for at, v in enumerate(values)]}
    )
    judged = FrameGate.of(loaded, table.columns).judge(table, now=0)
    assert judged.fired["a"].all() and not judged._alone
    inverse = (table["f1"] * (1 / 49.0) == table["f2"]).to_list()[::2]
    assert not all(inverse) and math.isfinite(sum(values))
