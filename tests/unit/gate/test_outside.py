"""What rules read besides the record: time, confidences, margin, checks; and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from handrail.gate.values import read_timestamp
from handrail.model.errors import BadInput
from handrail.model.policy import Record
from handrail.model.ruling import Checked

# -------------------------------------------------------------------------------------- times

TIMES = """\
fields:
  created: {type: timestamp, optional: true}
rules:
  - id: night
    when: hour(at, "Europe/Berlin") < 6 or weekday(at, "Europe/Berlin") in ["saturday", "sunday"]
  - id: stale
    when: has(created) and at - created > duration("48h")
    because: Made {created}, now {at}
  - id: new-year
    when: date(at, "Asia/Tokyo") == "2027-01-01"
  - id: month-end
    when: day(at, "UTC") >= 28 and month(at, "UTC") == 2
"""


@pytest.mark.parametrize(
    ("at", "fires"),
    [
        ("2026-11-30T04:59:59Z", ["night"]),  # a Monday, 05:59:59 in Berlin
        ("2026-11-30T05:00:00Z", []),
        ("2026-11-28T12:00:00Z", ["night"]),  # a Saturday
        ("2026-11-29T22:59:59Z", ["night"]),  # still Sunday in Berlin
        ("2026-12-31T15:00:00Z", ["new-year"]),
        ("2026-12-31T14:59:59Z", []),
        ("2028-02-29T12:00:00Z", ["month-end"]),
        ("2027-03-28T00:59:59Z", ["night"]),  # one second before summer time, a Sunday
    ],
)
def test_the_time_of_the_evaluation_in_a_zone(
    policy: Any, ruled: Any, at: str, fires: list[str]
) -> None:
    ruling = ruled(policy(TIMES), {}, evaluated_at=read_timestamp(at))
    assert [fired.rule for fired in ruling.fired] == fires
    assert ruling.evaluated_at == read_timestamp(at)


def test_times_and_durations_are_compared_and_shown(policy: Any, ruled: Any) -> None:
    at = read_timestamp("2026-11-30T12:00:01Z")
    ruling = ruled(policy(TIMES), {"created": "2026-11-28T12:00:00Z"}, evaluated_at=at)
    assert ruling.fired[0].because == "Made 2026-11-28 12:00 UTC, now 2026-11-30 12:00 UTC"


def test_a_name_of_the_policys_own_comes_before_a_built_in_one(policy: Any, ruled: Any) -> None:
    made = policy(
        "fields: {at: string, margin: {type: decimal, places: 2}}\n"
        'rules:\n  - id: r\n    when: at == "home" and margin < 0.2\n'
    )
    ruling = ruled(made, {"at": "home", "margin": 0.1})
    assert ruling.fired[0].terms[0].fields == {"at": "home"}
    assert ruling.margin is None


def test_a_case_says_when_it_happens(policy: Any) -> None:
    policy(
        TIMES
        + "cases:\n"
        + '  - {name: monday, at: "2026-11-30T12:00:00Z", facts: {}, fires: []}\n'
        + '  - {name: sunday, like: monday, at: "2026-11-29T12:00:00Z", fires: [night]}\n'
        + "  - {name: still sunday, like: sunday, fires: [night]}\n"
    )


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ('hour(at, "Europe/Berlim") > 1', "did you mean `Europe/Berlin`?"),
        ('hour(at, "../../etc/passwd") > 1', "there is no time zone"),
        ('hour(at, "Europe") > 1', "there is no time zone"),
        ("hour(at, zone) > 1", "a zone that is no quoted text"),
        ('hour(zone, "UTC") > 1', "`hour` of text"),
        ("hour(at) > 1", 'expected `hour(time, "zone")`'),
        ('weekday(at, "UTC") == "Sonntag"', "is no member"),
        ('getHours(at, "UTC") > 1', "write `hour("),
        ("now() > at", "read `at`"),
        ("at > 5", "the same type on both sides"),
    ],
)
def test_mistakes_about_times(mistakes: Any, condition: str, says: str) -> None:
    body = "fields: {zone: string}\nrules:\n  - id: r\n    when: "
    found = mistakes(body + condition + "\n")
    assert says in str(found[0]), [str(m) for m in found]


# ------------------------------------------------------------------------------- confidences

SURE = """\
fields:
  label: {enum: [spam, ham], from: proposal}
  amount: {type: decimal, places: 2, from: proposal}
rules:
  - id: doubtful-amount
    when: has(confidence.amount) and confidence.amount < 0.8
  - id: torn
    when: margin < 0.15
    on_unknown: ignore
    because: The two best answers are {margin} apart
  - id: unsure
    when: has(confidence) and confidence < 0.5
"""
PROPOSAL = {"label": "spam", "amount": 1}


@pytest.mark.parametrize(
    ("confidence", "alternatives", "fires", "margin"),
    [
        (None, [], [], None),
        (0.9, [], [], None),
        ({"amount": 0.79, "label": 0.9}, [], ["doubtful-amount"], None),
        ({"label": 0.4}, [], ["unsure"], None),
        (0.55, [{"value": "ham", "confidence": 0.45}], ["torn"], 0.1),
        (0.65, [{"value": "ham", "confidence": 0.5}], [], 0.15),
        (0.65, ["ham", {"value": "eggs"}], [], None),
        (None, [{"confidence": 0.5}, {"confidence": 0.4}, {"confidence": 0.45}], ["torn"], 0.05),
        (0.2, [{"confidence": 0.9}], ["unsure"], 0.7),
    ],
)
def test_confidences_and_the_margin(
    policy: Any, ruled: Any, confidence: Any, alternatives: Any, fires: list[str], margin: Any
) -> None:
    ruling = ruled(
        policy(SURE), {}, PROPOSAL, confidence=confidence, alternatives=tuple(alternatives)
    )
    assert [fired.rule for fired in ruling.fired] == fires
    assert ruling.margin == margin


def test_a_wrong_confidence_of_an_alternative_is_named(policy: Any, ruled: Any) -> None:
    with pytest.raises(BadInput, match="from 0 to 1") as caught:
        ruled(policy(SURE), {}, PROPOSAL, alternatives=("x", {"confidence": 2}))
    assert caught.value.pointer == "/alternatives/1/confidence"


def test_a_confidence_is_that_of_a_proposed_field(mistakes: Any) -> None:
    found = mistakes(SURE + "  - id: more\n    when: confidence.amuont < 1\n")
    assert "did you mean `amount`?" in str(found[0])
    found = mistakes("fields: {a: int}\nrules:\n  - id: r\n    when: confidence.a < 1\n")
    assert "`confidence.FIELD` of a proposed field" in str(found[0])


def test_cases_give_alternatives_and_a_confidence_a_field(policy: Any) -> None:
    policy(
        SURE
        + "cases:\n"
        + "  - {name: torn, proposal: {label: spam, amount: 1}, confidence: 0.5,\n"
        + "     alternatives: [{confidence: 0.4}], fires: [torn]}\n"
        + "  - {name: by field, like: torn, alternatives: [], confidence: {amount: 0.7},\n"
        + "     fires: [doubtful-amount]}\n"
    )


# ------------------------------------------------------------------------------------ checks

CHECKED = """\
fields:
  body: {type: string, from: proposal}
  note: {type: string, optional: true}
checks:
  pii: {run: support.pii, reads: [body, note], gives: {list: {enum: [email, card]}}}
  score: {run: support.tone, reads: [body], gives: {type: decimal, places: 2, min: 0, max: 1}}
rules:
  - id: leak
    when: size(checks.pii) > 0
    on_unknown: hold
    because: The draft holds {checks.pii}
  - id: harsh
    when: checks.score > 0.8
    on_unknown: ignore
"""


def answers(**more: Any) -> Mapping[str, Any]:
    return {"support.pii": lambda given: ["email"] * ("@" in given["body"]), **more}


def test_a_check_is_run_once_and_its_answer_kept(policy: Any, ruled: Any) -> None:
    seen: list[Any] = []

    def tone(given: Mapping[str, Any]) -> float:
        seen.append(dict(given))
        return 0.9

    made = policy(CHECKED, checks=answers(**{"support.tone": tone}))
    record = made.ingest({}, {"body": "write to ann@example.com"})
    ran = made.run_checks(record)
    ruling = ruled(made, {}, {"body": "write to ann@example.com"}, checks=ran)
    assert seen == [{"body": "write to ann@example.com"}]
    assert ruling.fired[0].because == "The draft holds email"
    assert [fired.rule for fired in ruling.fired] == ["leak", "harsh"]
    assert ruling.checks == {"pii": Checked(value=["email"]), "score": Checked(value="0.90")}
    again = ruled(made, {}, {"body": "write to ann@example.com"}, checks=ruling.checks)
    assert again.fired == ruling.fired


def broken(given: Mapping[str, Any]) -> Any:
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ({}, "the check support.pii is not installed"),
        ({"support.pii": broken}, "the check support.pii failed (RuntimeError)"),
        ({"support.pii": lambda given: None}, "the check support.pii gives no answer"),
        ({"support.pii": lambda given: ["ssn"]}, "gives an answer that is the text 'ssn'"),
        ({"support.pii": lambda given: "email"}, "expected a list"),
    ],
)
def test_a_check_without_an_answer_is_unknown_and_says_why(
    policy: Any, ruled: Any, code: Any, why: str
) -> None:
    made = policy(CHECKED, checks=code)
    record = made.ingest({}, {"body": "x"})
    ruling = ruled(made, {}, {"body": "x"}, checks=made.run_checks(record))
    assert ruling.lane == "hold"
    assert why in ruling.unknown[0].why
    assert ruling.unknown[0].missing == ("checks.pii",)


def test_a_check_that_was_not_run_is_unknown(policy: Any, ruled: Any) -> None:
    ruling = ruled(policy(CHECKED), {}, {"body": "x"})
    assert ruling.unknown[0].why == "the check support.pii was not run"


def test_cases_give_answers_or_run_the_checks(policy: Any) -> None:
    policy(
        CHECKED
        + "cases:\n"
        + "  - {name: given, proposal: {body: x}, given: {checks: {pii: [card], score: 0.1}},\n"
        + "     fires: [leak]}\n"
        + "  - {name: run, proposal: {body: a@b}, fires: [leak], unknown: [harsh]}\n"
        + "  - {name: none, like: given, given: {checks: {pii: null}}, unknown: [leak]}\n",
        checks=answers(),
    )


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("{reads: [body], gives: bool}", "`run` is missing"),
        ("{run: pii, reads: [body], gives: bool}", "expected `PACK.NAME`"),
        ("{run: os.system(1), reads: [body], gives: bool}", "expected `PACK.NAME`"),
        ("{run: a.b, reads: [bodi], gives: bool}", "did you mean `body`?"),
        ("{run: a.b, reads: [], gives: bool}", "reads nothing"),
        ("{run: a.b, reads: [body], gives: {object: {a: int}}}", "no key of a column"),
        ("{run: a.b, reads: [body], gives: {list: {object: {a: int}}}}", "lists objects"),
        ("{run: a.b, reads: [body], gives: yes}", "is no type"),
    ],
)
def test_mistakes_about_checks(mistakes: Any, check: str, says: str) -> None:
    body = f"fields: {{body: string}}\nchecks:\n  c: {check}\nrules: []\n"
    found = mistakes(body)
    assert says in str(found[0]), [str(m) for m in found]


def test_a_check_that_is_not_declared_is_named(mistakes: Any) -> None:
    found = mistakes(CHECKED + "  - id: more\n    when: checks.pi > 1\n")
    assert "did you mean `pii`?" in str(found[0])


# ------------------------------------------------------------------------------------ groups

BANDS = """\
fields:
  age_band: {enum: [young, old], optional: true}
  region: string
  income: double
  grade: {type: string, from: proposal}
groups: [age_band, region]
tiers:
  risk: {weaker: 'age_band == "old"', low: else}
  at_least: [0.99, 0.9, 0, none]
  weaker: [auto, in_the_loop, in_the_loop, in_the_loop]
  low: [auto, auto, in_the_loop, in_the_loop]
"""


@pytest.mark.ledger("A-043")
def test_a_weaker_group_needs_more_confidence(policy: Any, ruled: Any) -> None:
    made = policy(BANDS)
    assert made.groups == ("age_band", "region")
    facts = {"region": "north", "income": 1.0}
    lanes = {
        band: ruled(made, {**facts, "age_band": band}, {"grade": "a"}, confidence=0.95).lane
        for band in ("young", "old", None)
    }
    # A group that cannot be known counts as the weaker one.
    assert lanes == {"young": "pass", "old": "hold", None: "hold"}


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ("[grade]", "part of the proposal"),
        ("[income]", "a double"),
        ("[nation]", "which is no field"),
        ("age_band", "a list"),
    ],
)
def test_mistakes_about_groups(mistakes: Any, groups: str, says: str) -> None:
    found = mistakes(BANDS.replace("groups: [age_band, region]", f"groups: {groups}"))
    assert says in str(found[0])


def test_what_a_rule_does_not_read_costs_no_slot(policy: Any) -> None:
    record: Record = policy("fields: {a: int}\nrules: []\n").ingest({"a": 1})
    assert len(record.slots) == 1
