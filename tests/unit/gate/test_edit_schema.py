"""`review.edit` as a JSON Schema: what fits, what is said of what does not, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from handrail import gate
from handrail.gate.schema import MAX_PROBLEMS
from handrail.model.errors import PolicyErrors
from handrail.model.policy import BadRecord
from tests.unit.gate.conftest import HEAD

FIELDS = (
    HEAD
    + """\
fields:
  id: string
  budget: {type: decimal, places: 2, unit: USD, from: proposal, min: 0}
  share: {type: double, from: proposal, optional: true}
  days: {type: int, from: proposal, optional: true}
  paused: {type: bool, from: proposal, optional: true}
  channel: {enum: [search, social, display], from: proposal, optional: true}
  start: {type: string, from: proposal, optional: true}
  at: {type: timestamp, from: proposal, optional: true}
  tags: {list: string, from: proposal, optional: true}
  plan:
    from: proposal
    optional: true
    object:
      days: int
      note: {type: string, optional: true}
      rate: {type: decimal, places: 3, optional: true}
review:
  edit:
"""
)
LINE = FIELDS.count("\n") + 1
"""Line of the schema."""

WHOLE = """\
type: object
properties:
  budget: {type: number, minimum: 10, exclusiveMaximum: 20000, multipleOf: 0.05,
    title: Daily budget, description: What a day may cost}
  share: {maximum: 0.3}
  days: {type: [integer, "null"], enum: [1, 7, 30]}
  paused: {type: boolean}
  channel: {oneOf: [{const: search, title: Search ads}, {const: social, title: Social media}]}
  start: {type: string, format: date}
  at: {format: date-time, readOnly: true}
  tags: {type: array, items: {pattern: "^[a-z]+$"}, uniqueItems: true, maxItems: 3}
  plan: {properties: {days: {maximum: 30}, note: {$ref: "#/$defs/short"}}}
if: {properties: {budget: {minimum: 1000}}}
then: {required: [start]}
dependentRequired: {tags: [channel]}
$defs: {short: {type: string, maxLength: 5}}
"""


def policy(schema: str) -> gate.Policy:
    return gate.load(FIELDS + "".join(f"    {line}\n" for line in schema.strip().splitlines()))


POLICY = policy(WHOLE)


def edit(made: gate.Policy, changes: dict[str, Any], **before: Any) -> dict[str, Any]:
    record = made.ingest({"id": "x"}, {"budget": 50, **before})
    return made.edit(record, changes).proposal


def wrong(made: gate.Policy, changes: dict[str, Any], **before: Any) -> list[tuple[str, str]]:
    with pytest.raises(BadRecord) as caught:
        edit(made, changes, **before)
    return caught.value.problems


def test_what_fits_is_taken_and_exact() -> None:
    assert edit(POLICY, {"budget": "19999.95", "start": "2027-02-28"})["budget"] == "19999.95"
    assert edit(POLICY, {"share": 0.3, "days": 7, "paused": True}) == {
        "budget": "50.00",
        "share": 0.3,
        "days": 7,
        "paused": True,
    }
    found = edit(POLICY, {"plan": {"days": 30, "note": "short"}}, plan={"days": 1, "rate": "0.125"})
    assert found["plan"] == {"days": 30, "note": "short", "rate": "0.125"}


@pytest.mark.parametrize(
    ("changes", "pointer", "says"),
    [
        ({"budget": "9.95"}, "/budget", "is 9.95; expected at least 10"),
        ({"budget": 20000, "start": "2027-01-01"}, "/budget", "expected less than 20000"),
        ({"budget": "60.03"}, "/budget", "is 60.03; expected a multiple of 0.05"),
        ({"share": 0.31}, "/share", "is 0.31; expected at most 0.3"),
        ({"days": 2}, "/days", "is 2; expected one of 1, 7, 30"),
        ({"channel": "display"}, "/channel", "fits none of the ways the schema allows"),
        ({"start": "2027-02-29"}, "/start", "expected a day such as 2027-01-31"),
        ({"tags": ["a", "B"], "channel": "search"}, "/tags/1", "text that matches ^[a-z]+$"),
        ({"tags": ["a", "a"], "channel": "search"}, "/tags", "holds an item twice"),
        ({"tags": list("abcd"), "channel": "search"}, "/tags", "has 4 items; expected at most 3"),
        ({"tags": ["a"]}, "/channel", "is missing; tags requires it"),
        ({"plan": {"days": 31}}, "/plan/days", "is 31; expected at most 30"),
        ({"plan": {"days": 3, "note": "longer"}}, "/plan/note", "has 6 characters"),
        ({"budget": 1000}, "/start", "is missing; the schema requires it"),
        ({"at": "2027-01-01T00:00:00Z"}, "/at", "`at` may not be edited"),
        ({"plan": {"rate": 1}}, "/plan/rate", "`plan.rate` may not be edited"),
        ({"id": "y"}, "/id", "`id` may not be edited"),
        ({"budget": "dear"}, "/budget", "expected a number"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], pointer: str, says: str) -> None:
    problems = wrong(POLICY, changes, plan={"days": 1})
    assert [where for where, _ in problems] == [pointer] and says in problems[0][1]


def test_an_edit_is_refused_whole_with_everything_that_is_wrong() -> None:
    problems = wrong(POLICY, {"budget": "60.03", "days": 8, "start": "soon"})
    assert [where for where, _ in problems] == ["/budget", "/days", "/start"]


def test_what_was_proposed_has_to_fit_as_well() -> None:
    """What runs is the whole proposal, not only what was entered."""
    assert wrong(POLICY, {"budget": 60}, share=0.5) == [("/share", "is 0.5; expected at most 0.3")]


def test_the_fields_and_forms_come_from_the_schema() -> None:
    assert POLICY.edit_fields == (
        "budget", "share", "days", "paused", "channel", "start", "tags", "plan.days", "plan.note",
    )  # fmt: skip
    inputs = {one.name: one for one in POLICY.inputs}
    budget = inputs["budget"]
    assert (budget.shape, budget.low, budget.high, budget.step) == ("number", "10", "20000", "0.05")
    assert (budget.title, budget.help) == ("Daily budget", "What a day may cost")
    assert (inputs["days"].shape, inputs["days"].choices) == ("select", ("1", "7", "30"))
    assert inputs["channel"].titles == ("Search ads", "Social media")
    assert [inputs[name].shape for name in ("paused", "start", "tags", "plan.note")] == [
        "yes_no", "date", "lines", "text",
    ]  # fmt: skip
    assert inputs["plan.note"].most == 5 and inputs["share"].high == "0.3"


def test_a_list_of_fields_has_forms_too() -> None:
    made = gate.load(
        FIELDS.replace("  edit:\n", "  edit: [budget, channel, paused, days, start]\n")
    )
    assert made.edit_schema is None
    assert [(one.shape, one.low, one.step) for one in made.inputs] == [
        ("number", "0.00", "0.01"),
        ("select", None, None),
        ("yes_no", None, None),
        ("number", None, "1"),
        ("text", None, None),
    ]


@pytest.mark.parametrize(
    ("schema", "line", "column", "says"),
    [
        ("maximum: 5", 0, 5, "describes no fields"),
        ("type: array\nproperties: {budget: true}", 0, 5, "describes no fields"),
        ("properties: {budgett: true}", 0, 18, "`budgett`, which is no field"),
        ("properties: {id: true}", 0, 18, "`id`, which is a fact"),
        ("properties: {budget: {type: string}}", 0, 18, "declared as decimal"),
        ("properties: {channel: {enum: [tv]}}", 0, 18, "offers the text 'tv'"),
        ("properties: {plan: {properties: {nights: true}}}", 0, 38, "`plan.nights`"),
        ("properties:\n  budget:\n    maxmum: 5", 2, 9, "did you mean `maximum`?"),
        ("properties: {budget: {maximum: many}}", 0, 36, "expected number"),
        ("properties: {start: {minLength: -1}}", 0, 37, "expected at least 0"),
        ("properties: {start: {format: uri}}", 0, 34, "the format `uri` is not checked"),
        ("properties: {start: {pattern: '(?=a)'}}", 0, 35, "does not compile"),
        (r"properties: {start: {pattern: '(a)\1'}}", 0, 35, "RE2 syntax"),
        ("properties: {start: {$ref: 'https://example.com/s'}}", 0, 32, "nothing is fetched"),
        ("properties: {start: {$ref: '#/properties/budget'}}", 0, 32, "nothing is fetched"),
        ("properties: {start: {$dynamicRef: '#a'}}", 0, 26, "no keyword that is read here"),
        ("$id: https://example.com/s\nproperties: {start: true}", 0, 5, "no keyword"),
        ("$schema: https://example.com/s\nproperties: {start: true}", 0, 14, "2020-12"),
        ("properties: [start]", 0, 17, "expected object"),
        ("properties: {start: text}", 0, 25, "expected a mapping of keywords"),
    ],
)  # fmt: skip
def test_a_schema_with_a_mistake_is_refused_with_its_place(
    schema: str, line: int, column: int, says: str
) -> None:
    with pytest.raises(PolicyErrors) as caught:
        policy(schema)
    [mistake] = caught.value.mistakes
    assert (mistake.line, mistake.column) == (LINE + line, column), str(mistake)
    assert says in str(mistake)


def test_no_schema_runs_long() -> None:
    twice = "{allOf: [{$ref: '#/$defs/b'}, {$ref: '#/$defs/b'}]}"
    names = "abcdefghijklmno"
    doubling = ", ".join(
        f"{one}: {twice.replace('/b', '/' + other)}" for one, other in pairwise(names)
    )
    for schema, says in (
        ("properties: {start: {$ref: '#/$defs/a'}}\n$defs: {a: {not: {$ref: '#/$defs/a'}}}",
         "refers to itself"),
        (f"properties: {{start: {{$ref: '#/$defs/a'}}}}\n$defs: {{{doubling}, o: true}}",
         "visits of the schema's parts"),
        ("properties: {tags: {items: {anyOf: [" + "{minLength: 1}, " * 30 + "true]}}}",
         "say `maxItems` of lists"),
    ):  # fmt: skip
        with pytest.raises(PolicyErrors) as caught:
            policy(schema)
        assert says in str(caught.value), str(caught.value)
    # RE2 takes no longer for this than for any other pattern.
    slow = policy("properties: {start: {pattern: '^(a+)+$'}}")
    assert wrong(slow, {"start": "a" * 5_000 + "b"})[0][0] == "/start"


def test_nothing_loads_the_library_but_a_schema() -> None:
    program = """
import sys
from handrail import gate
gate.load({text!r})
print("jsonschema" in sys.modules)
"""
    listed = FIELDS.replace("  edit:\n", "  edit: [budget]\n")
    for text, loaded in ((listed, "False"), (FIELDS + "    properties: {budget: true}\n", "True")):
        done = subprocess.run(
            [sys.executable, "-c", program.format(text=text)], capture_output=True, text=True
        )
        assert done.stdout.strip() == loaded, done.stderr


def test_a_changed_schema_is_a_difference() -> None:
    other = policy(WHOLE.replace("minimum: 10,", "minimum: 20,"))
    found = gate.compare(POLICY, other)
    assert [change.part for change in found.changes] == ["edit schema"]
    assert not found.gate_changed


def test_the_schema_of_a_card_is_json() -> None:
    assert json.loads(json.dumps(POLICY.edit_schema))["properties"]["budget"]["multipleOf"] == 0.05


_NUMBERS = st.decimals(-50, 50, places=2)
_RULES = st.dictionaries(
    st.sampled_from(
        ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const"]
    ),
    _NUMBERS,
    max_size=3,
)


@settings(max_examples=settings().max_examples * 3 // 2)
@given(rules=_RULES, value=_NUMBERS.filter(lambda value: value >= 0))
def test_it_says_what_the_library_says_of_exact_numbers(
    rules: dict[str, Decimal], value: Decimal
) -> None:
    """An oracle: the library as it comes, over whole cents."""
    said = {key: [bound] if key == "enum" else bound for key, bound in rules.items()}
    text = ", ".join(
        f"{key}: [{rules[key]}]" if key == "enum" else f"{key}: {rules[key]}" for key in said
    )
    made = policy(f"properties: {{budget: {{{text}}}}}")
    cents = {
        key: [int(bound[0] * 100)] if isinstance(bound, list) else int(bound * 100)
        for key, bound in said.items()
    }
    fits = Draft202012Validator(cents).is_valid(int(value * 100))
    record = made.ingest({"id": "x"}, {"budget": 1})
    try:
        made.edit(record, {"budget": str(value)})
    except BadRecord:
        assert not fits
    else:
        assert fits


def test_an_edit_with_many_mistakes_names_the_first_of_them() -> None:
    made = policy('properties: {tags: {items: {pattern: "^[a-z]+$"}, maxItems: 1000}}')
    found = wrong(made, {"tags": [f"N{n}" for n in range(200)]})
    assert len(found) == MAX_PROBLEMS
