"""Every mistake of a policy at once, each with its line, column and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from handrail import gate
from handrail.model.errors import PolicyErrors
from tests.unit.gate.conftest import HEAD

TEN = """\
handrail: 1
workflow: Campaign Launch
tittle: Campaign launch
owners: [marketing]
fields:
  channel: {enum: [search, social]}
  budget: {type: decimal, unit: USD, from: proposal}
  median: {type: decimal, places: 2, optional: true}
  clicks: integer
rules:
  - id: cap
    when: budgte > 10000
    then: in_tthe_loop
    because: The budget is {budgett}
  - id: cap
    when: channel == "searrch"
  - id: normal
    when: median > 5
route:
  - {to: team:x, sla: soon, silence: block}
"""


def test_all_mistakes_at_once_with_line_and_column() -> None:
    with pytest.raises(PolicyErrors) as caught:
        gate.load(TEN, path="launch.yaml")
    found = [(m.line, m.column) for m in caught.value.mistakes]
    assert found == [
        (2, 11),  # workflow
        (3, 1),  # tittle
        (4, 10),  # marketing
        (7, 11),  # no places
        (9, 11),  # integer
        (12, 11),  # budgte: broken budget is no second mistake, a misspelt name is
        (13, 11),  # in_tthe_loop
        (14, 29),  # {budgett}
        (15, 5),  # cap twice
        (16, 22),  # searrch
        (18, 11),  # median without has
        (20, 23),  # sla: soon
    ]
    assert all(
        str(m).startswith(f"launch.yaml:{m.line}:{m.column}: ") for m in caught.value.mistakes
    )
    text = str(caught.value)
    for hint in (
        "`title`",
        "`team:marketing`",
        "`int`",
        "`in_the_loop`",
        "`search`",
        "has(median)",
    ):
        assert hint in text
    assert len(caught.value.details()["mistakes"]) == 12
    assert [str(m) for m in gate.check(TEN, path="launch.yaml")] == [
        str(m) for m in caught.value.mistakes
    ]


def test_reading_a_broken_name_is_no_second_mistake(mistakes: Any) -> None:
    found = mistakes(
        "fields: {n: integer}\nvalues:\n  v: n * 2\nlists: {l: storred}\n"
        "rules: [{id: r, when: v > n, because: '{n} {v}'}, {id: q, when: n in lists.l}]\n"
    )
    assert len(found) == 2 and "`int`" in str(found[0]) and "storred" in str(found[1])


TIERS = "tiers: {risk: "
N = "fields: {n: int, m: {type: int, optional: true}, p: {type: int, from: proposal}}\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("otherwise: automatic\n", "did you mean `auto`?"),
        ("review_by: soon\n", "YYYY-MM-DD"),
        ("if_open: wait\n", "replace, queue, refuse"),
        ("subject: x\n", "which is no field"),
        ("subject: m\n", "optional"),
        ("requester: n\n", "a person"),
        ("rules: {id: r}\n", "a list of rules"),
        ("rules: [5]\n", "a mapping of keys"),
        ("rules: [{id: 'a b', when: n > 1}]\n", "the rule id is `a b`"),
        ("rules: [{id: r, when: n > 1, then: refuse, approve: [role:x]}]\n", "only what is held"),
        ("rules: [{id: r, when: n > 1, approve: [{any: 0, of: team:x}]}]\n", "1 to 20"),
        ("rules: [{id: r, when: n > 1, approve: [{any: 2, of: person:x}]}]\n", "2 of 1 persons"),
        ("rules: [{id: r, when: n > 1, approve: [{any: 2}]}]\n", "`{all: [..]}`"),
        ("rules: [{id: r, when: n > 1, approve: [bob]}]\n", "`team:bob`"),
        ("rules: [{id: r, when: n > 1, then: in_command}]\n", "nothing to enter"),
        ("rules: [{id: r, when: n > 1, same_case: [n]}]\n", "`stakes: {reversible: true}`"),
        ("rules: [{id: r, when: n > 1, trial: maybe}]\n", "true or false"),
        ("rules: [{id: r, when: [n]}]\n", "an expression as text"),
        ("rules: [{id: r, when: n > 1, because: {n}}]\n", "quote it"),
        ("rules: [{matrix: x, columns: [n > 1], rows: [[1]]}]\n", "such as `amount >`"),
        ("rules: [{matrix: x, columns: [n >, then], rows: [[1]]}]\n", "2, one a column"),
        ("rules: [{matrix: x, columns: [n >], rows: 5}]\n", "a list of rows"),
        ("rules: [{matrix: x, columns: [q >], rows: [[5]]}]\n", "there is no `q`"),
        ("rules: [{matrix: x, columns: [m >], rows: [[5]]}]\n", "has(m)"),
        ("tiers: {risk: {a: else}, at_least: [0, none], a: [auto]}\n", "2, one a bound"),
        (TIERS + "{a: else, b: n > 1}, at_least: [0, none], a: [auto, auto], b: [auto, auto]}\n",
         "`else` last"),
        ("tiers: {risk: {a: else}, at_least: [1.5, 0, none], a: [auto, auto, auto]}\n", "0 to 1"),
        ("tiers: {risk: {a: else}, at_least: [0.5], a: [auto]}\n", "a gap"),
        ("tiers: {risk: {}, at_least: [0, none]}\n", "`{high: condition, low: else}`"),
        ("sampling: {spot_check: 200%}\n", "a share such as 2%"),
        ("sampling: {spot_check: often}\n", "a share such as 2%"),
        ("review: {edit: [n]}\n", "which is a fact"),
        ("review: {edit: [q]}\n", "which is no field"),
        ("review: {edit: {type: object}}\n", "describes no fields"),
        ("review: {choices: [a, a]}\n", "each choice once"),
        ("review: {reasons: [a]}\n", "`{code: Words}`"),
        ("review: {undo: -5s}\n", "longer than 0"),
        ("review: {valid: 0s}\n", "longer than 0"),
        ("stakes: {money: true}\n", "a number"),
        ("stakes: {reversible: 'yes'}\n", "true or false"),
        ("aggregates: {a: {sum: q, over: decisions:released, window: 1h}}\n", "no field"),
        ("aggregates: {a: {count: decisions, over: decisions:released}}\n", "`window` is missing"),
        ("aggregates: {a: {count: decisions, over: payments, window: 1h}}\n",
         "`decisions:submitted`, `decisions:released` or `events:STREAM`"),
        ("aggregates: {a: {count: events, over: 'events:Ad Spend', window: 1h}}\n",
         "such as `events:spend`"),
        ("aggregates: {a: {count: events, over: decisions:released, window: 1h}}\n",
         "expected `decisions`"),
        ("aggregates: {a: {count: events, over: events:x}}\n", "`window` is missing"),
        ("aggregates: {a: {count: events, window: 1h}}\n", "`over` is missing"),
        ("aggregates: {a: {sum: spend, over: events:x, window: 1h}}\n", "add `places: 2`"),
        ("aggregates: {a: {sum: n, places: 2, over: events:x, window: 1h}}\n",
         "a field with its own"),
        ("aggregates: {a: {max: n, over: events:x, window: 1h}}\n", "write `largest:`"),
        ("aggregates: {a: {smallest: n, min: n, over: events:x, window: 1h}}\n",
         "write `smallest: field`"),
        ("aggregates: {a: {mean: n, min: 0, over: events:x, window: 1h}}\n",
         "smallest number of samples"),
        ("aggregates: {a: {quantile: 0.95, over: events:x, window: 1h}}\n", "add `of: risk_score`"),
        ("aggregates: {a: {quantile: 95, of: n, between: [0, 9], over: events:x, window: 1h}}\n",
         "such as 0.95"),
        ("aggregates: {a: {quantile: 0.5, of: n, over: events:x, window: 1h}}\n",
         "has no `min` and `max`"),
        ("aggregates: {a: {quantile: 0.5, of: n, between: [9, 1], over: events:x, window: 1h}}\n",
         "the lower number first"),
        ("aggregates: {a: {quantile: 0.5, of: n, between: 3, over: events:x, window: 1h}}\n",
         "two numbers"),
        ("aggregates: {a: {mean: n, of: n, over: events:x, window: 1h}}\n", "`of` beside `mean`"),
        ("aggregates: {a: {like: b, offset: 1h}}\n", "no aggregate above it"),
        ("aggregates: {a: {count: events, over: events:x, window: 7d, complete: week}}\n",
         "one of day"),
        ("aggregates: {a: {count: events, over: events:x, window: 36h, complete: day}}\n",
         "whole days"),
        (("aggregates: {a: {count: events, over: events:x, window: 8d, complete: day, "
          "same: weekday}}\n"), "whole weeks"),
        ("aggregates: {a: {count: events, over: events:x, window: 8w, same: weekday}}\n",
         "add `complete: day`"),
        ("aggregates: {a: {mean: n, over: events:x, window: 8w, same: weekday, complete: day}}\n",
         "the median over these days"),
        (("aggregates: {a: {count: events, over: events:x, window: 7d, bucket: 1h, "
          "complete: day}}\n"),
         "days are its buckets"),
        ("aggregates: {a: {count: events, over: events:x, window: 7d, bucket: 1m}}\n",
         "1 to 1,000 of them"),
        ("aggregates: {a: {count: events, over: events:x, window: 7d, tz: Mars/Olympus}}\n",
         "such as Europe/Berlin"),
        (("aggregates: {a: {count: decisions, over: decisions:released, window: 7d, "
          "tz: Europe/Berlin}}\n"), "add `complete: day`, or delete it"),
        (("aggregates: {a: {count: decisions, over: decisions:released, window: 7d, "
          "lateness: 1h}}\n"),
         "decisions are counted as they come"),
        ("aggregates: {a: {stddev: n, over: events:x, window: 5000d}}\n", "at most 1000 days"),
        ("aggregates: {a: {count: decisions, over: decisions:release, window: 1h}}\n",
         "did you mean `decisions:released`?"),
        ("aggregates: {a: {count: decisions, over: decisions:released, window: 1h, by: [m]}}\n",
         "optional"),
        ("aggregates: {a: {over: decisions:released, window: 1h}}\n", "0 functions"),
        ("aggregates: {a: {sum: n, mean: n, over: decisions:released, window: 1h}}\n",
         "2 functions"),
        ("every: daily at seven\n", "`hour :15`, `day 07:00 Europe/Berlin`"),
        ("every: day 25:00 UTC\n", "`day 07:00 Europe/Berlin`"),
        ("every: week funday 07:00 UTC\n", "`week monday 07:00 Europe/Berlin`"),
        ("every: month 32 07:00 UTC\n", "`month 1 07:00 Europe/Berlin`"),
        ("every: day 07:00\n", "write `day 07:00 Europe/Berlin`"),
        ("every: day 07:00 Mars/Olympus\n", "is not known here"),
        ("every: {each: n}\n", "`at` is missing"),
        ("every: {at: 'hour :15', each: nobody}\n", "a field of facts"),
        ("every: {at: 'hour :15', each: n}\n", "no aggregate over events is `by: [n]`"),
        ("values: {n: 1}\n", "the name `n` is taken"),
        ("values: {and: 1}\n", "a word of the language"),
        ("values: {'a b': 1}\n", "such as `a_b`"),
        ("values: {v: [1]}\n", "an expression as text"),
        ("cases: [{name: a}]\n", "expects nothing"),
        ("cases: [{name: a, like: b, lane: pass}]\n", "an earlier case"),
        ("cases: [{name: a, facts: 5, lane: pass}]\n", "a mapping"),
        ("cases: [{name: a, lane: passed}]\n", "did you mean `pass`?"),
        ("cases: [{name: a, fires: [x], lane: hold}]\n", "fires names `x`"),
        ("cases: [{name: a, given: {aggregates: {x: 1}}, lane: hold}]\n", "no aggregate `x`"),
        ("cases: [{name: a, given: {lists: {x: [1]}}, lane: hold}]\n", "no list `x`"),
        ("cases: [{name: a, values: {x: 1}}]\n", "there is no value `x`"),
        ("title: ''\n", "a text"),
        ("title:\n", "has no value"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_sentence(mistakes: Any, body: str, says: str) -> None:
    found = mistakes(N + body)
    assert len(found) == 1, [str(m) for m in found]
    assert says in str(found[0]) and found[0].line >= 6


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("{}", "`name: type` lines"),
        ("{n: text}", "write `string`"),
        ("{n: enum}", "`{enum: …}`"),
        ("{n: {enum: []}}", "at least one"),
        ("{n: {enum: [a, a]}}", "in the enum twice"),
        ("{n: {type: int, enum: [a]}}", "one of `type`, `enum`, `list`, `object`"),
        ("{n: {optional: true}}", "no type"),
        ("{n: {type: decimal}}", "`places: 2`"),
        ("{n: {type: decimal, places: 13}}", "0 to 12"),
        ("{n: {type: int, places: 2}}", "of a decimal only"),
        ("{n: {type: int, optional: maybe}}", "true or false"),
        ("{n: {type: int, from: facts}}", "`proposal`"),
        ("{n: {type: int, min: 3, max: 2}}", "min ≤ max"),
        ("{n: {type: int, min: 1.5}}", "a whole number"),
        ("{n: {type: string, min: 1}}", "numbers and times only"),
        ("{n: {type: int, normal: lower}}", "a text"),
        ("{n: {type: string, normal: upper}}", "one of lower, url"),
        ("{n: {enum: [a, B], normal: lower}}", "`B` can never be read"),
        ("{n: {list: {list: int}}}", "a list of that"),
        ("{n: {list: decimal}}", "`places: 2`"),
        ("{n: {object: {}}}", "`name: type` lines"),
        ("{n: {object: {a: {type: int, from: proposal}}}}", "`from` of the whole object"),
        ("{confidence: double}", "a word of the language"),
        ("{a-b: int}", "such as `a_b`"),
        ("{n: {type: int, optiional: true}}", "did you mean `optional`?"),
        ("{n: [int]}", "a type or `{type: …}`"),
    ],
)
def test_field_mistakes(mistakes: Any, fields: str, says: str) -> None:
    found = mistakes(f"fields: {fields}\n")
    assert len(found) == 1 and says in str(found[0]), [str(m) for m in found]
    assert found[0].line == 5


@pytest.mark.ledger("M-007")
@pytest.mark.parametrize(
    ("rule", "head", "missing"),
    [
        ("{id: r, because: Too much}", HEAD, "`when` is missing"),
        ("{when: n > 1}", HEAD, "`id` is missing"),
        ("{id: r, when: n > 1}", HEAD.replace("route", "# route"), "`route` is missing"),
        ("{id: r, when: n > 1}", HEAD.replace("to: team:a, ", ""), "`to` is missing"),
    ],
)
def test_a_rule_says_when_and_the_policy_who(rule: str, head: str, missing: str) -> None:
    (mistake,) = gate.check(head + f"fields: {{n: int}}\nrules: [{rule}]\n")
    assert missing in str(mistake)


@pytest.mark.ledger("M-007")
def test_a_policy_names_the_data_a_person_needs() -> None:
    (mistake,) = gate.check(HEAD + "rules: []\n")
    assert "`fields` is missing" in str(mistake)


@pytest.mark.ledger("A-078")
def test_an_owner_is_required() -> None:
    (mistake,) = gate.check(HEAD.replace("owners: [team:a]\n", "") + "fields: {n: int}\n")
    assert "`owners` is missing" in str(mistake)
    (mistake,) = gate.check(HEAD.replace("[team:a]", "[]") + "fields: {n: int}\n")
    assert "no owner" in str(mistake)


@pytest.mark.ledger("M-150")
def test_what_silence_means_is_required() -> None:
    (mistake,) = gate.check(HEAD.replace(", silence: block", "") + "fields: {n: int}\n")
    assert "`silence` is missing" in str(mistake)


def test_silence_never_approves_what_is_irreversible() -> None:
    text = HEAD.replace("block", "approve") + "fields: {n: int}\n"
    (mistake,) = gate.check(text)
    assert "silence approves what is irreversible" in str(mistake)
    assert gate.check(text + "stakes: {reversible: true}\n") == []


@pytest.mark.parametrize(
    ("route", "says"),
    [
        ("[{severity: high, to: team:a, silence: block}]", "the last route has a condition"),
        ("[{to: team:a, silence: block}, {to: team:b, silence: block}]", "it last"),
        ("[{to: a, silence: block}]", "`team:a`"),
        ("[{to: team:a, silence: block, fallback: team:b}]", "a fallback without `sla`"),
        ("[{to: team:a, silence: block, clock: never}]", "always, business"),
        ("[{rule: x, to: team:a, silence: block}, {to: team:a, silence: block}]", "no rule `x`"),
        ("[]", "a list of lines"),
    ],
)
def test_route_mistakes(route: str, says: str) -> None:
    text = HEAD.replace("[{to: team:a, silence: block}]", route)
    (mistake,) = gate.check(text + "fields: {n: int}\nrules: [{id: r, when: n > 1}]\n")
    assert says in str(mistake)


@pytest.mark.ledger("M-076")
@pytest.mark.parametrize(
    "condition", ["budget", "'\"budget looks high\"'", "true", "budget is high", "1 > 0", "''"]
)
def test_vague_rules_are_refused_with_the_reason(mistakes: Any, condition: str) -> None:
    fields = "fields: {budget: {type: decimal, places: 2}}\n"
    found = mistakes(fields + f"rules: [{{id: vague, when: {condition}}}]\n")
    assert len(found) == 1 and found[0].line == 6 and found[0].what
    assert found[0].expected or found[0].fix
    assert mistakes(fields + "rules: [{id: clear, when: budget > 10000}]\n") == []


def test_case_mistakes_say_what_came_out(mistakes: Any) -> None:
    found = mistakes(
        """\
fields: {n: int, m: {type: decimal, places: 1, optional: true}}
otherwise: auto
values:
  half: m / 2
rules:
  - {id: big, when: n > 5}
  - {id: odd, when: half > 1, on_unknown: hold}
  - {id: try, when: n > 1, trial: true}
cases:
  - {name: a, facts: {n: 6, m: 1}, fires: [], lane: pass}
  - {name: b, like: a, facts: {n: 3}, fires: [big]}
  - {name: c, facts: {n: 3}, unknown: [], mode: refuse}
  - {name: d, like: a, facts: {n: x}, lane: pass}
  - {name: e, like: a, confidence: 3, lane: hold}
  - {name: f, like: a, trials: [], values: {half: 0.6}}
  - {name: g, like: a, facts: {m: null, n: 1}, unknown: [odd], values: {half: null}, fires: []}
"""
    )
    assert [(m.line, m.column) for m in found] == [
        (14, 43),
        (14, 53),
        (15, 46),
        (16, 39),
        (16, 49),
        (17, 5),
        (18, 5),
        (19, 32),
        (19, 44),
    ]
    text = "\n".join(str(m) for m in found)
    assert (
        "fires came out as [big]; expected []; correct the rule or the case; the gate says: N (6)"
        in text
    )
    assert "case 'a': lane came out as hold; expected pass" in text
    assert "case 'b': fires came out as []; expected [big]" in text
    assert "odd cannot be known: m is missing" in text
    assert "case 'd': /facts/n: n is the text 'x'; expected a number" in text
    assert "case 'e': /confidence: confidence is 3.0" in text
    assert "values came out as {half: 0.5}; expected {half: 0.6}" in text


def test_cases_can_be_left_unrun_and_can_be_required() -> None:
    text = HEAD + "fields: {n: int}\ncases: [{name: a, facts: {n: 1}, lane: pass}]\n"
    assert gate.load(text, run_cases=False).workflow == "example"
    with pytest.raises(PolicyErrors, match="lane came out as hold"):
        gate.load(text)
    bare = HEAD + "fields: {n: int}\n"
    assert gate.load(bare)
    with pytest.raises(PolicyErrors, match="the policy has no cases"):
        gate.load(bare, require_cases=True)
