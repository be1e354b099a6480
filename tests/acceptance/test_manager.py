"""A marketing manager sets a cap from a CSV by the guide alone, and errs on the way.

The guide is run as a page by `tests/docs`. Here the same file is broken in the ways people break
it; each time the check must name the place and say what to do, and nothing but the mistake.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handrail.gate import check, load
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "first-policy.md").read_text("utf-8")
POLICY = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
WHEN = "daily_budget_usd > 5000"

MISTAKES = [
    # what stands in the file, what a person writes instead, what the sentence tells them to do
    (WHEN, "daily_budget_usd > 5,000", "write 10000 for 10,000"),
    (WHEN, "daily_budget_usd > 5.000,00", "write 10000 for 10,000"),
    (WHEN, "daily_budget_usd > 5000,50", "write `5000.50`"),
    (WHEN, "daily_budget_usd > 5 000", "write the number without blanks: `5000`"),
    (WHEN, "if daily_budget_usd > 5000", "leave `if` out"),
    (
        WHEN,
        "daily_budget_usd between 5000 and 9000",
        "write `daily_budget_usd >= 5000 and daily_budget_usd <= …`",
    ),
    (WHEN, 'campaign contains "Brand"', 'write `campaign.contains("Brand")`'),
    (WHEN, "daily_budget_usd > 5k", "write the number out: `5000`"),
    (WHEN, "daily_budget_usd > 5000 USD", "write the number alone; units belong to the field"),
    (WHEN, "daily_budget_usd > $5000", "units belong to the field"),
    (WHEN, "daily_budget_usd > €5000", "units belong to the field"),
    (WHEN, "Daily budget (USD) > 5000", "names have no blanks"),
    (WHEN, "daily_budget > 5000", "did you mean `daily_budget_usd`?"),
    (WHEN, "daily_budget_usd is over 5000", "write `>`"),
    (WHEN, "daily_budget_usd is at least 5000", "write `>=`"),
    (WHEN, "daily_budget_usd is not more than 5000", "write `<=`"),
    (WHEN, "daily_budget_usd over 5000", "write `>`"),
    (WHEN, "daily_budget_usd => 5000", "write `>=`"),
    (WHEN, "daily_budget_usd ≥ 5000", "write `>=`"),
    (WHEN, 'daily_budget_usd > "5000"', "write the number without quotes"),
    (WHEN, 'daily_budget_usd > 5000 AND channel == "search"', "write `and` in small letters"),
    (WHEN, "daily_budget_usd > 5000 and channel = search", "write `==`"),
    (WHEN, "daily_budget_usd > 5000 and channel == search", 'write "search" if a text is meant'),
    (WHEN, "daily_budget_usd > 5000 and channel == “search”", 'write "'),
    (WHEN, 'daily_budget_usd > 5000 and channel == "serach"', "did you mean `search`?"),
    ("    when: ", "\twhen: ", "put blanks in its place"),
    ("    when: ", "\u00a0   when: ", "put plain blanks in its place"),
    ("    when: ", "   when: ", "give it the same number of blanks as its neighbours"),
    ("    when: ", "    wenn: ", "did you mean `when`?"),
    ("    when: ", "    when:", "put a colon and a blank behind the key"),
    ("{daily_budget_usd} is over", "{daily_budget} is over", "did you mean `daily_budget_usd`?"),
    ("sla: 4h", "sla: 4 hours", "write `4h`"),
    ("silence: block", "silence: approve", "write `silence: block`"),
    ("to: team:marketing-ops", "to: ann@example.com", "write `person:ann@example.com`"),
    ("to: team:marketing-ops", "to: Team:Marketing Ops", "write `team:marketing-ops`"),
    ("owners: [team:marketing-ops]", "owners: marketing-ops", "write `team:marketing-ops`"),
    ("otherwise: auto", "otherwise: automatic", "did you mean `auto`?"),
    ("lane: hold", "lane: held", "did you mean `hold`?"),
    ("fires: [over-the-cap]", "fires: [over-cap]", "did you mean `over-the-cap`?"),
    ("requester: requested_by", "requester: requested by", "did you mean `requested_by`?"),
    (WHEN, "daily_budget_usd > 6000", "correct the rule or the case"),
    ("daily_budget_usd: 5000.01", "daily_budget_usd: 5.000,01", "nothing between thousands"),
]


@pytest.mark.ledger("M-033")
def test_the_policy_of_the_guide_holds_what_is_over_the_cap() -> None:
    policy = load(POLICY)
    assert policy.cases == ("a cent over the cap waits", "the cap itself passes")


@pytest.mark.parametrize(("there", "written", "told"), MISTAKES)
def test_every_mistake_on_the_way_is_told_what_to_do(
    there: str, written: str, told: str, tmp_path: Path
) -> None:
    assert POLICY.count(there) >= 1
    found = check(POLICY.replace(there, written, 1), path="campaign-budget.yaml")
    assert found, "nothing was noticed"
    first = found[0]
    line = POLICY[: POLICY.index(there)].count("\n") + 1
    assert told in first.fix, str(first)
    if told != "correct the rule or the case":
        assert abs(first.line - line) <= 1, str(first)
    about = {mistake.line for mistake in found}
    assert len(about) <= 2, [str(mistake) for mistake in found]


def test_the_table_of_the_guide_says_what_the_check_says() -> None:
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 7
    for written, said in rows:
        there = WHEN if "sla" not in written else "sla: 4h"
        found = check(POLICY.replace(there, written, 1))
        assert found and found[0].fix.endswith(said), (written, found[0].fix)
