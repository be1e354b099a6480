"""Back tests as a user runs them: real customers who left, and a workspace's own log."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import handrail
from handrail.cli.commands import run
from handrail.gate import load
from handrail.model.versions import Evidence
from tests.conftest import DATA

CHURN = DATA / "telco-churn" / "Telco-Customer-Churn.csv"

Call = Callable[..., tuple[int, Any, str]]

OFFER = """
handrail: 1
workflow: retention-offer
owners: [team:care]
fields:
  contract: string
  tenure: int
  monthly_charges: {{type: decimal, places: 2, unit: USD}}
otherwise: auto
rules:
  - id: new-and-free-to-go
    when: contract == "Month-to-month" and tenure < {months}
route:
  - {{to: team:care, silence: block}}
"""


@pytest.fixture
def call(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """`handrail --json …` in a fresh workspace: (exit code, output, complaints)."""
    workspace = tmp_path / "work"

    def ask(*arguments: str) -> tuple[int, Any, str]:
        code = run(["-w", str(workspace), "--json", *map(str, arguments)])
        printed = capfd.readouterr()
        return code, json.loads(printed.out) if printed.out else None, printed.err

    assert run(["init", str(workspace)]) == 0
    capfd.readouterr()
    return ask


@pytest.mark.needs("data")
def test_customers_who_left_are_caught_as_counted_by_hand(call: Call, tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(OFFER.format(months=6))
    new.write_text(OFFER.format(months=12))
    code, found, _ = call(
        "backtest", str(new), "--against", str(old), "--input", str(CHURN), "--label", "Churn"
    )
    assert code == 0
    with CHURN.open(newline="") as file:
        rows = list(csv.DictReader(file))

    def held(months: int) -> list[dict[str, str]]:
        return [
            row
            for row in rows
            if row["Contract"] == "Month-to-month" and int(row["tenure"]) < months
        ]

    def left(some: list[dict[str, str]]) -> int:
        return sum(row["Churn"] == "Yes" for row in some)

    result = found["result"]
    assert result["decisions"] == len(rows) == 7043
    assert result["held_before"]["count"] == len(held(6))
    assert result["held_after"]["count"] == len(held(12))
    assert result["moves"] == {"pass → hold": len(held(12)) - len(held(6))}
    for when, months in (("before", 6), ("after", 12)):
        caught, hit = result[f"caught_{when}"], result[f"hit_{when}"]
        assert (caught["count"], caught["of"]) == (left(held(months)), left(rows))
        assert hit["count"] == len(held(months)) - left(held(months))
        # All rows are labelled, so nothing is estimated.
        passing = result[f"passing_{when}"]
        assert passing["value"] == passing["low"] == passing["high"]
        missed = left(rows) - left(held(months))
        assert passing["value"] == pytest.approx(missed / (len(rows) - len(held(months))))
    [rule] = result["rules"]
    assert rule["precision"]["value"] == pytest.approx(left(held(12)) / len(held(12)))
    assert rule["precision"]["low"] < rule["precision"]["value"] < rule["precision"]["high"]
    assert result["change"][1] < result["change"][0] < result["change"][2]


@pytest.mark.needs("data")
def test_the_report_for_people_says_what_it_rests_on(
    call: Call, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "new.yaml"
    policy.write_text(OFFER.format(months=12))
    assert run(["backtest", str(policy), "--input", str(CHURN)]) == 0
    said = capfd.readouterr().out
    assert "nobody looked at 7,043 of 7,043 (100.0 %)" in said
    assert "bounds and no estimate" in said
    assert "2.0 minutes, which is assumed; say --minutes" in said


REFUND = """
handrail: 1
workflow: refund
owners: [team:support]
subject: order
fields:
  order: string
  amount: {{type: decimal, places: 2, unit: USD, min: 0, from: proposal}}
otherwise: auto
rules:
  - {{id: large, when: amount > {cap}}}
route:
  - {{to: team:support, silence: block}}
review:
  reasons: {{wrong: Wrong}}
  undo: 0s
sampling: {{spot_check: 50%}}
"""


def test_the_log_is_tested_with_what_people_and_spot_checks_said(
    call: Call, tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    (workspace / "policies" / "refund.yaml").write_text(REFUND.format(cap=100))
    with handrail.open(workspace, desk=False) as hr:
        rulings = [
            hr.submit("refund", key=f"k{n}", facts={"order": f"o{n}"}, proposal={"amount": n})
            for n in range(60, 140)
        ]
        hr.submit("refund", key="t", facts={"order": "t"}, proposal={"amount": 1}, test=True)
        hr.label(rulings[0], wrong=True, source="chargeback")
    passed = [ruling for ruling in rulings if ruling.passed]
    held = [ruling for ruling in rulings if not ruling.passed]
    assert (len(passed), len(held)) == (41, 39)
    drawn = [ruling for ruling in passed if ruling.review_id is not None]
    for number, ruling in enumerate(held):
        act = ["reject", ruling.review_id, "--reason", "wrong"]
        assert call("reviews", *(act if number % 3 else ["approve", ruling.review_id]))[0] == 0
    for ruling in drawn:
        assert call("reviews", "approve", ruling.review_id)[0] == 0
    looser = tmp_path / "looser.yaml"
    looser.write_text(REFUND.format(cap=120))
    code, found, _ = call("backtest", str(looser), "--log")
    assert code == 0
    result = found["result"]
    assert (found["rows"], found["left_out"], result["against"]) == (80, 1, "as ruled")
    assert result["held_before"]["count"] == 39
    assert result["held_after"]["count"] == 19
    assert result["moves"] == {"hold → pass": 20}
    rejected = {ruling.decision_id for number, ruling in enumerate(held) if number % 3}
    assert result["caught_before"]["of"] == len(rejected) + 1
    passing = result["passing_after"]
    assert passing["passes"] == 61
    labelled = {ruling.decision_id for ruling in drawn} | {rulings[0].decision_id}
    known_passing = labelled | {ruling.decision_id for ruling in held[:20]}
    assert passing["known"] == len(known_passing)
    first_is_drawn = rulings[0].review_id is not None
    bad = {d for d in rejected if d in {ruling.decision_id for ruling in held[:20]}}
    assert passing["known_bad"] == len(bad) + 1
    spared = 41 - len(labelled)
    assert (passing["spared"], passing["unseen"]) == (spared, 0)
    share = first_is_drawn / len(drawn)
    assert passing["value"] == pytest.approx((len(bad) + 1 + spared * share) / 61)
    assert passing["low"] <= passing["value"] <= passing["high"]


def test_the_log_against_an_earlier_version(call: Call, tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    place = workspace / "policies" / "refund.yaml"
    place.write_text(REFUND.format(cap=100))
    with handrail.open(workspace, desk=False) as hr:
        ruling = hr.submit("refund", facts={"order": "o"}, proposal={"amount": 110}, key="k")
    place.write_text(REFUND.format(cap=200))
    code, found, _ = call("backtest", "refund", "--against", ruling.policy, "--log")
    assert code == 0
    assert found["result"]["moves"] == {"hold → pass": 1}
    code, _, said = call("backtest", "refund", "--against", "refund@0000", "--log")
    assert code == 2 or code == 3, said
    assert "no policy 'refund@0000'" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "either --input FILE or --log"),
        (("--log", "--input", "x.csv"), "either --input FILE or --log"),
        (("--log", "--label", "bad"), "are for --input FILE"),
        (("--input", "x.csv", "--sample"), "name the column"),
        (("--input", "x.csv", "--level", "95"), "--level is 95"),
        (("--input", "x.csv", "--minutes", "0"), "--minutes is 0"),
        (("--log",), "has no decisions of refund yet"),
    ],
)
def test_what_makes_no_sense_is_refused(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "work" / "policies" / "refund.yaml").write_text(REFUND.format(cap=100))
    with handrail.open(tmp_path / "work", desk=False):
        pass
    code, _, said = call("backtest", "refund", *arguments)
    assert code in (2, 3)
    assert told in said


BUSY = """
handrail: 1
workflow: refund
owners: [team:support]
fields:
  order: string
  customer: string
  amount: {{type: decimal, places: 2, unit: USD, min: 0, from: proposal}}
aggregates:
  refunds_today: {{count: decisions, over: decisions:submitted, by: [customer], window: 24h}}
otherwise: auto
rules:
  - {{id: again, when: refunds_today >= {times}, on_unknown: hold}}
route:
  - {{to: team:support, silence: block}}
"""


def test_aggregates_of_a_file_see_only_what_came_before(call: Call, tmp_path: Path) -> None:
    policy = tmp_path / "busy.yaml"
    policy.write_text(BUSY.format(times=2))
    rows = [(f"2026-11-{1 + n // 8:02d}T{n % 24:02d}:00:00Z", "ab"[n % 3 == 0]) for n in range(64)]
    rows.sort()
    data = tmp_path / "refunds.csv"
    data.write_text(
        "at,order,customer,amount\n"
        + "".join(f"{at},o{n},{who},10\n" for n, (at, who) in enumerate(rows))
    )
    code, found, _ = call("backtest", str(policy), "--input", str(data), "--at", "at")
    assert code == 0

    from datetime import datetime, timedelta

    times = [(datetime.fromisoformat(at), who) for at, who in rows]
    held = 0
    for place, (now, who) in enumerate(times):
        # Buckets of a window of 24 hours are a quarter of an hour wide, and all times are whole.
        window = [t for t, w in times[:place] if w == who and now - timedelta(hours=24) <= t]
        held += len(window) >= 2
    assert 0 < held < 64
    assert found["result"]["held_after"]["count"] == held
    # As in every file, a time without a zone is one in UTC.
    plain = tmp_path / "plain.csv"
    plain.write_text(data.read_text().replace("Z,", ",").replace("T", " "))
    code, found, _ = call("backtest", str(policy), "--input", str(plain), "--at", "at")
    assert code == 0 and found["result"]["held_after"]["count"] == held
    code, found, _ = call("backtest", str(policy), "--input", str(data))
    assert found["result"]["held_after"]["count"] == 64, "unknown holds"
    turned = tmp_path / "turned.csv"
    lines = data.read_text().splitlines()
    turned.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    code, _, said = call("backtest", str(policy), "--input", str(turned), "--at", "at")
    assert code == 2
    assert "row 2: at is earlier than in the row before; sort the file by it" in said


def test_a_new_aggregate_is_made_from_the_log_as_of_each_decision(
    call: Call, tmp_path: Path
) -> None:
    place = tmp_path / "work" / "policies" / "refund.yaml"
    place.write_text(BUSY.format(times=99))
    with handrail.open(tmp_path / "work", desk=False) as hr:
        for n in range(9):
            facts = {"order": f"o{n}", "customer": "ab"[n % 2]}
            assert hr.submit("refund", facts=facts, proposal={"amount": 5}, key=f"k{n}").passed
    tested = tmp_path / "tested.yaml"
    tested.write_text(BUSY.format(times=3))
    code, found, _ = call("backtest", str(tested), "--log")
    assert code == 0
    # Of five and four refunds of two customers, those after the third of each.
    assert found["result"]["moves"] == {"pass → hold": 3}
    assert found["result"]["rules"][0]["after"] == 3


def test_the_result_can_be_handed_to_who_decides_on_the_policy(call: Call, tmp_path: Path) -> None:
    policy, data, kept = (tmp_path / name for name in ("p.yaml", "d.csv", "evidence.json"))
    policy.write_text(REFUND.format(cap=100))
    data.write_text("order,amount,bad\n1,50,no\n2,150,yes\n3,99,\n")
    asked = ("--input", str(data), "--label", "bad", "--evidence", str(kept))
    assert call("backtest", str(policy), *asked)[0] == 0
    made = msgspec.json.decode(kept.read_bytes(), type=Evidence)
    assert made.kind == "backtest"
    assert made.version == load(policy.read_text()).version
    assert made.figures["decisions"] == 3
    assert made.figures["error_of_what_passes"] == {"value": None, "interval": [0.0, 0.5]}
    assert "1 of 1 bad ones caught" in made.summary
    assert "nobody looked at 1" in made.summary


KAG = DATA / "facebook-ads-kag" / "KAG_conversion_data.csv"
SPEND = """
handrail: 1
workflow: ad-spend
owners: [team:care]
groups: [age, gender]
fields:
  age: string
  gender: {enum: [M, F]}
  spent: {type: decimal, places: 2, unit: USD}
otherwise: auto
rules:
  - {id: dear, when: spent > 100}
route:
  - {to: team:care, silence: block}
"""


@pytest.mark.needs("data")
def test_a_file_is_cut_by_the_groups_of_the_policy(
    call: Call, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    policy, rows = tmp_path / "spend.yaml", tmp_path / "rows.csv"
    policy.write_text(SPEND)
    with KAG.open(newline="") as source, rows.open("w", newline="") as file:
        taken = list(csv.DictReader(source))
        lines = [
            {"age": row["age"], "gender": row["gender"], "spent": f"{float(row['Spent']):.2f}"}
            for row in taken
        ]
        writer = csv.DictWriter(file, ["age", "gender", "spent"])
        writer.writeheader()
        writer.writerows(lines)
    code, found, _ = call("backtest", str(policy), "--input", str(rows))
    assert code == 0
    age, gender = found["groups"]
    assert (age["field"], gender["field"]) == ("age", "gender")
    for group in age["groups"]:
        mine = [line for line in lines if line["age"] == group["value"]]
        held = sum(float(line["spent"]) > 100 for line in mine)
        rate = group["held_after"]
        assert (group["decisions"], rate["count"], rate["of"]) == (len(mine), held, len(mine))
        assert rate["low"] < rate["value"] == held / len(mine) < rate["high"]
    [gap] = gender["gaps"]
    assert (gap["highest"], gap["lowest"]) == ("F", "M") and gap["at_least"] > 0
    assert run(["backtest", str(policy), "--input", str(rows)]) == 0
    said = capfd.readouterr().out
    assert "- gender, held: F over M by at least" in said
    few = tmp_path / "few.csv"
    few.write_text(rows.read_text().partition("\n")[0] + "\n30-34,M,7.00\n")
    assert run(["backtest", str(policy), "--input", str(few)]) == 0
    assert "0 of 1, too few" in capfd.readouterr().out


def test_the_log_is_cut_by_groups_too(call: Call, tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    text = REFUND.replace(
        "fields:", "groups: [region]\nfields:\n  region: {{enum: [north, south]}}"
    )
    (workspace / "policies" / "refund.yaml").write_text(text.format(cap=100))
    with handrail.open(workspace, desk=False) as hr:
        for n in range(80):
            region = "north" if n < 40 else "south"
            facts = {"order": f"o{n}", "region": region}
            amount = 150 if n < 10 or n == 79 else 50
            hr.submit("refund", key=f"k{n}", facts=facts, proposal={"amount": amount})
    code, found, _ = call("backtest", "refund", "--log")
    assert code == 0
    [cut] = found["groups"]
    north, south = cut["groups"]
    assert (north["value"], north["held_after"]["count"], north["held_before"]["count"]) == (
        "north", 10, 10,
    )  # fmt: skip
    assert (south["held_after"]["count"], south["held_after"]["of"]) == (1, 40)
    evidence = tmp_path / "evidence.json"
    code, _, _ = call("backtest", "refund", "--log", "--evidence", str(evidence))
    figures = msgspec.json.decode(evidence.read_bytes(), type=Evidence).figures
    assert figures["held_by_region"]["north"]["count"] == 10
