"""What a rule asks, in words and without a record."""

from __future__ import annotations

import pytest

from handrail import gate

POLICY = """\
handrail: 1
workflow: asks
owners: [team:a]
route: [{{to: team:a, silence: block}}]
review: {{choices: [a]}}
fields:
  daily_budget: {{type: decimal, places: 2, unit: USD, optional: true}}
  cpl: {{type: double, optional: true}}
  source: {{type: string, optional: true}}
  paid: {{type: bool, optional: true}}
  tags: {{list: string, optional: true}}
  sent: {{type: timestamp, optional: true}}
lists:
  known_sources: [google, bing]
rules:
  - {{id: r, on_unknown: hold, when: '{when}'}}
"""


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("daily_budget > 10000", "Daily budget is over 10,000"),
        (
            "daily_budget > 10000 and not has(cpl)",
            "Daily budget is over 10,000, and cpl has no value",
        ),
        ("not (cpl > 3 or paid)", "Cpl is at most 3, and paid is false"),
        ("cpl > 1 and (paid or cpl < 9)", "Cpl is over 1, and (paid is true or cpl is under 9)"),
        ("not (source in lists.known_sources)", "Source is not on the list known sources"),
        ('source in ["a", "b", "c"]', "Source is “a”, “b” or “c”"),
        ('source == "google"', "Source is “google”"),
        ('"vip" in tags', "“vip” is among tags"),
        ('not contains(source, "x")', "Source does not contain “x”"),
        ('mentions(source, ["refund", "fraud"])', "Source mentions “refund” or “fraud”"),
        (
            "mentions(source, lists.known_sources)",
            "Source mentions a word of the list known sources",
        ),
        ("cpl / 2.0 >= cpl - 1", "Cpl / 2.0 is at least cpl - 1"),
        (
            "not all(tags, x, size(x) > 3)",
            "An item x of tags is such that size(x) is at most 3",
        ),
        (
            'sent < timestamp("2026-11-21T08:00:00Z")',
            "Sent is under 2026-11-21 08:00 UTC",
        ),
        ("paid ? cpl > 3 : cpl > 5", "(cpl is over 3 where paid is true, else cpl is over 5)"),
    ],
)
def test_a_condition_in_words(when: str, says: str) -> None:
    assert gate.load(POLICY.format(when=when.replace("'", "''"))).asks("r") == says


def test_a_matrix_says_its_rows_and_an_unknown_rule_is_a_key_error() -> None:
    text = POLICY.format(when="paid") + (
        "  - matrix: m\n    on_unknown: hold\n    columns: [cpl >, source, then]\n"
        "    rows: [[5, a, refuse], [2, -, in_command]]\n"
    )
    policy = gate.load(text)
    assert policy.asks("m") == "Cpl is over 5, and source is “a”; or: cpl is over 2"
    with pytest.raises(KeyError):
        policy.asks("nothing")
