"""The policy language of the page that fixes the public surface: every word of it, checked.

Its block is loaded in `tests/unit/gate/test_language.py`; here are the paragraphs behind it.
"""

from __future__ import annotations

import re

import pytest

from handrail import gate
from handrail.packs.checks import CHECKS
from tests.acceptance.interfaces import LATER, section, spans

pytestmark = pytest.mark.needs("shared")

HEAD = """\
handrail: 1
workflow: page
owners: [team:a]
route: [{to: team:a, silence: block}]
subject: account
"""
FIELDS = """\
fields:
  account: string
  source: string
  risk: {type: double, min: 0, max: 1, optional: true}
  amount: {type: decimal, places: 2, unit: EUR, from: proposal}
"""
ADS = "{sum: spend, places: 2, unit: EUR, over: events:ads, by: [account], window: 7d"


def figures(*lines: str) -> str:
    return FIELDS + "aggregates:\n" + "".join(f"  {line}\n" for line in lines)


WRITTEN: dict[str, str] = {
    "tables:": FIELDS
    + """\
tables:
  limits: {key: account, columns: {most: {type: decimal, places: 2}}, rows: {a: {most: 100}}}
rules:
  - {id: over, when: amount > tables.limits.most, on_unknown: hold}
""",
    "offset": figures(f"now: {ADS}}}", f"before: {ADS}, offset: 7d}}"),
    "like": figures(f"now: {ADS}}}", "before: {like: now, offset: 7d}"),
    "complete: day": figures(f"now: {ADS}, complete: day}}"),
    "tz": figures(f"now: {ADS}, complete: day, tz: Europe/Berlin}}"),
    "same: weekday": figures(
        "leads: {sum: leads, places: 0, over: events:ads, by: [account], window: 8w, "
        "complete: day, tz: Europe/Berlin, same: weekday}"
    ),
    "min": figures(f"now: {ADS}, min: 10}}"),
    "quantile": figures(
        "mark: {quantile: 0.95, of: risk, between: [0, 1], over: events:orders, window: 7d}"
    ),
    "top: 5%": figures("mark: {top: 5%, of: risk, over: decisions:submitted, window: 7d}"),
    "checks:": """\
fields: {account: string, reply: {type: string, from: proposal}}
checks:
  pii: {run: support.pii, reads: [reply], gives: {list: {enum: [email, iban, card, ssn, ip]}}}
rules:
  - {id: pii, when: size(checks.pii) > 0, on_unknown: hold}
""",
    "every: day 07:00 ZONE": "every: {at: day 07:00 Europe/Berlin, each: account}\n"
    "fields: {account: string}\naggregates: {seen: {count: events, over: events:visits, "
    "by: [account], window: 8w}}\n",
    "remember:": FIELDS
    + """\
lists: {known: {stored: true}}
rules:
  - id: new
    when: not (source in lists.known)
    remember: {list: known, field: source, for: 90d}
""",
    "approve: [role:manager, {all: [role:director, role:finance]}, {any: 2, of: team:x}]": FIELDS
    + "rules:\n  - {id: large, when: amount > 1, APPROVE}\n",
}
"""What the page names and where it would stand in a file. The approvals are put in as they are."""
IN_BLOCK_STYLE = {"when:", "because:", "values:", "{…}"}
"""Keys of the paragraph's last sentence, which have tests of their own below."""


def _named() -> list[str]:
    try:
        whole = section("Policy file")
    except FileNotFoundError:
        return []
    [paragraph] = re.findall(r"^Also in the language.*$", whole, re.M)
    return [one for one in spans(paragraph) if one not in IN_BLOCK_STYLE]


@pytest.mark.parametrize("name", _named())
def test_what_the_page_adds_to_the_language_is_in_it(name: str) -> None:
    text = HEAD + WRITTEN[name].replace("APPROVE", name)
    mistakes = gate.check(text, checks=CHECKS)
    if name in LATER:
        assert mistakes, f"{name} works by now; take it out of LATER"
        assert name.split(":")[0] in str(mistakes[0]), "refused for something else"
        return
    assert mistakes == []
    assert name.split(":")[0] in text


def test_fields_are_nested() -> None:
    assert "nested fields" in section("Policy file")
    text = HEAD + (
        "fields:\n  account: string\n  plan: {object: {days: int}, from: proposal}\n"
        "rules:\n  - {id: long, when: plan.days > 30}\n"
    )
    assert gate.check(text) == []


def test_an_edit_takes_names_or_a_json_schema_and_choices_are_labels() -> None:
    names = HEAD + FIELDS + "review: {edit: [amount], choices: [spam, fine]}\n"
    assert gate.check(names) == []
    assert "or a full JSON Schema" in section("Policy file")
    schema = names.replace("[amount]", "{type: object, properties: {amount: {type: number}}}")
    assert gate.check(schema) == []


@pytest.mark.parametrize(
    ("line", "fires"),
    [
        ('    when: source == "a # b"\n', True),  # raw to the end of the line
        ("    when: 'source == \"a # b\"'\n", True),  # wholly quoted, as YAML
        ('    when: |\n      source == "a # b"\n', True),  # a block scalar
        ('    when: source == "a"\n', False),
    ],
)
def test_in_block_style_the_text_is_taken_as_it_stands(line: str, fires: bool) -> None:
    text = HEAD + FIELDS + "rules:\n  - id: odd\n" + line
    policy = gate.load(text, path="page.yaml", run_cases=False)
    record = policy.ingest({"account": "x", "source": "a # b"}, {"amount": 1})
    ruling = policy.evaluate(record, decision_id="d", evaluated_at=0)
    assert [fired.rule for fired in ruling.fired] == (["odd"] if fires else [])
