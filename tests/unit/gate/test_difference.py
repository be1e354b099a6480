"""What changes between two versions of a policy, in words and in effects."""

from __future__ import annotations

import pytest

from handrail.gate import Policy, compare, load
from handrail.model.versions import Change, PolicyDiff

BASE = """\
handrail: 1
workflow: launch
title: Launch
owners: [team:ops]
subject: id
fields:
  id: string
  source: string
  budget: {type: decimal, places: 2, unit: USD, min: 0, from: proposal}
stakes: {money: budget, reversible: true}
values:
  year: budget * 365
lists:
  sources: [google, linkedin]
otherwise: auto
rules:
  - id: cap
    when: budget > 10000
    because: "{budget} is over the cap"
  - id: unlisted
    when: not (source in lists.sources)
    severity: low
  - {id: huge, when: year > 9000000, trial: true}
  - matrix: size
    columns: [budget >, then]
    rows: [[200000, refuse], [100000, in_command]]
tiers:
  risk: {high: budget > 50000, low: else}
  at_least: [0.9, 0, none]
  low: [auto, auto, auto]
  high: [in_the_loop, in_the_loop, in_the_loop]
route:
  - {to: team:ops, sla: 4h, silence: block}
review:
  reasons: {wrong: Wrong}
  edit: [budget]
  if_approved: It starts
cases:
  - {name: over, facts: {id: a, source: google}, proposal: {budget: 10001}, fires: [cap]}
  - {name: under, like: over, proposal: {budget: 9000}, fires: [], lane: pass}
"""


def read(text: str = BASE, *changes: tuple[str, str]) -> Policy:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return load(text, run_cases=False)


def differ(*changes: tuple[str, str]) -> PolicyDiff:
    return compare(read(), read(BASE, *changes))


def only(found: PolicyDiff) -> Change:
    [change] = found.changes
    return change


@pytest.mark.parametrize(
    ("old", "new", "sentence", "decides"),
    [
        ("budget > 10000\n", "budget > 12000\n",
         "rule cap: threshold 10000 → 12000 in budget > 12000", True),
        ("    when: budget > 10000\n", "    when: budget >= 10000\n",
         "rule cap: budget > 10000 → budget >= 10000", True),
        ("over the cap", "above the cap",
         "rule cap: says “{budget} is above the cap” instead of “{budget} is over the cap”", False),
        ("severity: low", "severity: high", "rule unlisted: severity low → high", False),
        ("trial: true", "trial: false",
         "rule huge: armed: it acts from now on", True),
        ("  - {id: huge, when: year > 9000000, trial: true}\n", "",
         "rule huge removed: year > 9000000 → in_the_loop (trial)", False),
        ("[200000, refuse]", "[300000, refuse]",
         "rule size: row 1: threshold 200000 → 300000 in budget > 300000", True),
        ("google, linkedin]", "google, bing, brave]",
         "list sources gains 2 (bing, brave) and loses 1 (linkedin), now 3 items", True),
        ("[team:ops]\nsubject", "[team:board]\nsubject", "owners: team:ops → team:board", False),
        ("owners: [team:ops]", "owners: {any: 2, of: team:ops}",
         "owners: team:ops → 2 of team:ops", False),
        ("sla: 4h", "sla: 2h",
         ("route: all the rest: to team:ops, within 4h (always), silence block → "
          "all the rest: to team:ops, within 2h (always), silence block"), False),
        ("source: string", "source: {type: string, normal: lower}",
         "field source: string → string (normal lower)", True),
        ("year: budget * 365", "year: budget * 366",
         "value year: budget * 365 → budget * 366", True),
        ("otherwise: auto", "otherwise: on_the_loop", "otherwise: auto → on_the_loop", True),
        ("[0.9, 0, none]", "[0.8, 0, none]", "tiers at_least: 0.9, 0, none → 0.8, 0, none", False),
        ("[auto, auto, auto]", "[auto, auto, in_the_loop]",
         "tiers low: auto, auto, auto → auto, auto, in_the_loop", True),
        ("{wrong: Wrong}", "{wrong: Wrong, odd: Odd}", "reason odd added: Odd", False),
        ("reversible: true", "reversible: false",
         "stakes: money budget, reversible → money budget, irreversible", False),
        ("if_approved: It starts", "if_approved: It goes",
         "if_approved: It starts → It goes", False),
    ],
)  # fmt: skip
def test_each_change_is_a_sentence(old: str, new: str, sentence: str, decides: bool) -> None:
    found = differ((old, new))
    change = only(found)
    assert change.sentence == sentence
    assert change.decides is decides
    assert found.gate_changed is decides
    assert found.owners_changed is (change.part == "owners")


def test_a_comment_is_no_change_of_what_is_read() -> None:
    found = differ(("otherwise: auto", "otherwise: auto  # for now"))
    assert (found.gate_changed, only(found).part) == (False, "text")
    same = compare(read(), read())
    assert (same.changes, same.cases, same.same_cases) == ((), (), 2)


def test_cases_show_what_comes_out_otherwise() -> None:
    found = differ(("budget > 10000\n", "budget > 8000\n"))
    [case] = found.cases
    assert (case.name, case.before, case.after) == (
        "under",
        "pass, auto",
        "hold, in_the_loop (cap)",
    )
    assert found.same_cases == 1


def test_cases_of_both_files_are_run() -> None:
    more = "  - {name: far over, like: over, proposal: {budget: 250000}, lane: refuse}\n"
    found = compare(read(BASE + more, ("[200000, refuse]", "[300000, refuse]")), read(BASE + more))
    assert [case.name for case in found.cases] == ["far over"]
    assert found.cases[0].before.startswith("hold, in_command")
    gone = compare(read(BASE + more), read(BASE, ("budget > 10000\n", "budget > 1\n")))
    assert {case.name for case in gone.cases} == {"under"}
    assert gone.same_cases == 2, "the case that is gone was run too"


def test_a_case_that_cannot_be_read_any_more_says_so() -> None:
    found = differ(("  source: string\n", "  source: {enum: [bing]}\n"))
    assert [case.after for case in found.cases] == [
        "not readable: source is the text 'google'; expected one of bing"
    ] * 2


def test_the_first_version_is_one_sentence() -> None:
    found = compare(None, read())
    assert only(found).sentence == ("The first version of launch: 4 rules, 2 cases, otherwise auto")
    assert (found.old, found.gate_changed, found.owners_changed) == (None, True, True)


TABLED = BASE.replace(
    "otherwise: auto\n",
    """\
tables:
  caps:
    key: source
    columns: {cap: {type: decimal, places: 2, unit: USD}}
    rows: {google: {cap: 100}, linkedin: {cap: 50}}
checks:
  pii: {run: support.pii, reads: [source], gives: {list: string}}
groups: [source]
otherwise: auto
""",
)


def test_tables_checks_and_groups_are_told_in_words() -> None:
    before = read(TABLED)
    after = read(
        TABLED,
        ("google: {cap: 100}, linkedin: {cap: 50}", "google: {cap: 200}, bing: {cap: 50}"),
        ("reads: [source]", "reads: [source, id]"),
        ("groups: [source]\n", ""),
    )
    assert [change.sentence for change in compare(before, after).changes] == [
        "table caps gains 1 (bing) and loses 1 (linkedin) and changes 1 (google), now 2 rows",
        "check pii: support.pii over source → support.pii over source, id",
        "groups: source → nothing",
    ]
    added = [change.sentence for change in compare(read(), before).changes]
    assert added == [
        "table caps added: 2 rows",
        "check pii added: support.pii over source",
        "groups: nothing → source",
    ]


def test_stored_lists_and_what_is_remembered_are_told() -> None:
    stored = ("[google, linkedin]", "{stored: true}")
    change = only(differ(stored))
    assert change.sentence == "list sources: 2 items → stored"
    remembers = (
        "    severity: low\n",
        "    severity: low\n    remember: {list: sources, field: source, for: 90d}\n",
    )
    found = compare(read(BASE, stored), read(BASE, stored, remembers))
    assert only(found).sentence == ("rule unlisted: remembers nothing → source in sources for 90d")
    assert not found.gate_changed


def test_a_case_that_was_changed_is_run_as_it_was_too() -> None:
    """Else who raises a cap and its case with it would see no effect at all."""
    found = differ(("budget > 10000\n", "budget > 12000\n"), ("{budget: 10001}", "{budget: 12001}"))
    [case] = found.cases
    assert (case.name, case.before, case.after) == (
        "over (as it was)",
        "hold, in_the_loop (cap)",
        "pass, auto",
    )
    assert found.same_cases == 2
