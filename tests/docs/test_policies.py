"""The ten annotated policies: they load, the page shows them, and real data come out as it says."""

from __future__ import annotations

import csv
import statistics
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from handrail import gate
from handrail.gate.outside import Given
from handrail.packs.checks import CHECKS

DOCS = Path(__file__).resolve().parents[2] / "docs"
FOLDER = DOCS / "policies"
DATA = DOCS.parent.parent / "shared" / "data"
PATHS = sorted(FOLDER.glob("*.yaml"))


def load(name: str, **files: bytes) -> gate.Policy:
    def read_file(path: str) -> bytes:
        given = files.get(Path(path).stem)
        return (FOLDER / path).read_bytes() if given is None else given

    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    return gate.load(text, read_file=read_file, require_cases=not files, run_cases=not files,
                     checks=CHECKS)  # fmt: skip


def fired(policy: gate.Policy, facts: dict[str, Any], proposal: dict[str, Any]) -> list[str]:
    """Ids of the rules that fire, by the compiled program and by the reference alike."""
    record = policy.ingest(facts, proposal)
    checks = policy.run_checks(record)
    rest = policy._tail.copy()
    policy._fill(record.slots, rest, Given(0, checks=checks), {})
    generated = sorted(policy._program.judge(record.slots, rest.copy()))
    assert generated == policy._program.interpret(record.slots, rest)
    ruling = policy.evaluate(record, decision_id="d", evaluated_at=0, checks=checks)
    return [item.rule for item in ruling.fired]


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_each_loads_with_its_cases_and_stands_on_the_page(path: Path) -> None:
    assert load(path.stem).cases
    page = (DOCS / "policies.md").read_text("utf-8")
    block = f'```yaml title="{path.name}"\n{path.read_text("utf-8").rstrip()}\n```'
    assert block in page, f"write {path.name} into docs/policies.md"


def test_there_are_ten() -> None:
    assert len(PATHS) == 10


@pytest.mark.needs("data")
def test_five_times_the_usual_on_real_campaigns() -> None:
    spent: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    with (DATA / "facebook-ads-kag" / "KAG_conversion_data.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            spent[row["xyz_campaign_id"]][row["fb_campaign_id"]] += Decimal(row["Spent"])
    lines = ["account,median,campaigns"]
    for account, campaigns in spent.items():
        real = [amount for amount in campaigns.values() if amount > 0]
        lines.append(f"{account},{statistics.median(real)},{len(real)}")
    policy = load("five-times", usual="\n".join(lines).encode())
    held = {
        account: sum(
            fired(policy, {"campaign_id": campaign, "account": account}, {"budget": amount})
            == ["five-times"]
            for campaign, amount in campaigns.items()
        )
        for account, campaigns in spent.items()
    }
    assert {account: (held[account], len(spent[account])) for account in spent} == {
        "916": (2, 47),
        "936": (32, 367),
        "1178": (27, 277),
    }


@pytest.mark.needs("data")
def test_the_links_of_real_advertisements_ask_once_a_value() -> None:
    policy = load("utm")
    cases: set[tuple[str, tuple[tuple[str, Any], ...]]] = set()
    held = 0
    with (DATA / "utm-links" / "utm_links.csv").open(encoding="utf-8") as file:
        links = [row["url"] for row in csv.DictReader(file)]
    for link in links:
        query = parse_qs(urlsplit(link).query)
        names = ("utm_source", "utm_medium", "utm_campaign")
        tags = {name: query[name][0] for name in names if name in query}
        record = policy.ingest({}, {"link": link, **tags})
        ruling = policy.evaluate(record, decision_id="d", evaluated_at=0)
        held += ruling.lane == "hold"
        cases |= {
            (item.rule, tuple(sorted(item.same_case.items())))
            for item in ruling.fired
            if item.same_case is not None
        }
    assert (len(links), held, len(cases)) == (128, 128, 17)


@pytest.mark.ledger("M-025")
@pytest.mark.parametrize(("day", "pace", "holds"), [(1, 10, True), (2, 10, True), (2, 1, False)])
def test_a_month_of_money_is_not_burnt_in_three_days(day: int, pace: int, holds: bool) -> None:
    """3,000 for thirty days is 100 a day. At ten times that it holds by the second day."""
    spent = 100 * pace * day
    facts = {
        "campaign_id": "c1", "flight_budget": 3000, "flight_days": 30, "days_left": 30 - day,
        "spent": spent, "spent_today": 100, "spent_last_7_days": spent,
    }  # fmt: skip
    record = load("pacing").ingest(facts, {"daily_budget": 100})
    ruling = load("pacing").evaluate(record, decision_id="d", evaluated_at=0)
    assert (ruling.lane == "hold") is holds
    assert ("overspend" in [one.rule for one in ruling.fired]) is holds


@pytest.mark.needs("data")
def test_the_discounts_of_real_deals() -> None:
    policy = load("discount")
    prices = {}
    with (DATA / "crm-pipeline-maven" / "products.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            prices[row["product"].replace(" ", "")] = Decimal(row["sales_price"])
    rules: Counter[str] = Counter()
    won = 0
    with (DATA / "crm-pipeline-maven" / "sales_pipeline.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["deal_stage"] != "Won":
                continue
            won += 1
            price = prices[row["product"].replace(" ", "")]
            off = max(Decimal(0), 1 - Decimal(row["close_value"]) / price)
            discount = off.quantize(Decimal("0.0001"), rounding="ROUND_DOWN")
            proposal = {
                "discount": discount,
                "net": row["close_value"],
                "net_days": 30,
                "lines": [],
            }
            rules.update(fired(policy, {"quote": row["opportunity_id"], "seller": "s"}, proposal))
    assert won == 4_238
    assert f"{rules['size'] / won:.1%}" == "7.0%"


@pytest.mark.ledger("A-003")
@pytest.mark.needs("data")
def test_personal_data_holds_the_reply() -> None:
    import json

    policy = load("support-reply")
    rows = json.loads((DATA / "pii-synthetic" / "synth_dataset_v2.json").read_text("utf-8"))
    kinds = {"EMAIL_ADDRESS", "IBAN_CODE", "US_SSN", "IP_ADDRESS"}
    missed = [
        row["full_text"]
        for row in rows
        if kinds & {span["entity_type"] for span in row["spans"]}
        and "pii"
        not in fired(
            policy,
            {"ticket": "t", "question": "", "sources": ["s"]},
            {"reply": row["full_text"]},
        )
    ]
    assert missed == []


@pytest.mark.ledger("R-039")
@pytest.mark.parametrize(
    ("discount", "net", "asked"),
    [
        ("0.15", 60_000, []),
        ("0.1501", 50_000, [(("role:manager",), 1)]),
        ("0.1501", 50_001, [(("role:manager",), 1), (("team:deal-desk",), 2)]),
        ("0.2501", 100, [(("role:director",), 1), (("role:finance",), 1)]),
    ],
)
def test_a_discount_asks_for_approval_at_the_right_level(
    discount: str, net: int, asked: list[Any]
) -> None:
    policy = load("discount")
    record = policy.ingest(
        {"quote": "q", "seller": "s"},
        {"discount": discount, "net": net, "net_days": 30, "lines": []},
    )
    ruling = policy.evaluate(record, decision_id="d", evaluated_at=0)
    assert [(need.of, need.count) for need in ruling.approvals] == asked
    assert ruling.lane == ("hold" if asked else "pass")
