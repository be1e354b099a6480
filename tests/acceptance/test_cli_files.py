"""From a file of real data to reviews, without a line written by hand."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handrail.cli.commands import run
from tests.conftest import DATA

KAG = DATA / "facebook-ads-kag" / "KAG_conversion_data.csv"
SEEDS = DATA / "ad-platform-seeds"

pytestmark = pytest.mark.needs("data")

Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """`handrail --json …` in a fresh workspace: (exit code, what it printed)."""
    workspace = tmp_path / "work"

    def ask(*arguments: str) -> tuple[int, Any]:
        code = run(["-w", str(workspace), "--json", *map(str, arguments)])
        printed = capfd.readouterr()
        lines = [json.loads(line) for line in printed.out.splitlines()]
        return code, lines[0] if len(lines) == 1 else lines or printed.err

    assert run(["init", str(workspace)]) == 0
    capfd.readouterr()
    return ask


def keys_in(sentence: str) -> list[str]:
    """The --key options of the command that `new` suggests."""
    return re.findall(r"--key (?:'([^']*)'|(\S+))", sentence)


def test_from_the_facebook_file_to_reviews(call: Call, tmp_path: Path) -> None:
    code, made = call("new", "ad-spend", "--from", str(KAG))
    assert code == 0
    assert made["cases"] == 2
    assert made["rules"][0] == "spent-high"
    assert any("Total_Conversion → total_conversion" in note for note in made["notes"])
    assert "--key ad_id" in made["next"]
    code, checked = call("check")
    assert (code, checked["mistakes"]) == (0, 0)
    out = tmp_path / "out.csv"
    code, summary = call("gate", "ad-spend", "--input", str(KAG), "--output", str(out))
    assert code == 0
    assert (summary["rows"], summary["bad"]) == (1143, 0)
    assert sum(summary["lanes"].values()) == 1143
    held = summary["lanes"]["hold"]
    assert 0 < held < 0.15 * 1143
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["handrail_lane"] == "hold" for row in rows) == held
    with KAG.open(newline="") as file:
        spent = {row["ad_id"]: float(row["Spent"]) for row in csv.DictReader(file)}
    for row in rows:
        fired = row["handrail_rules"].split()
        assert ("spent-high" in fired) == (round(spent[row["ad_id"]], 2) > 200)
    code, summary = call("gate", "ad-spend", "--input", str(KAG), "--submit", "--key", "ad_id")
    assert code == 0
    assert summary["submitted"]["reviews"] == held
    code, cards = call("reviews", "list", "--limit", "1000")
    assert len(cards) == held
    card = cards[0]
    assert card["why"] and card["rules"][0]["terms"]
    assert card["subject"] in spent


def test_a_second_run_repeats_nothing(call: Call) -> None:
    call("new", "ad-spend", "--from", str(KAG))
    _, first = call("gate", "ad-spend", "--input", str(KAG), "--submit", "--key", "ad_id")
    _, second = call("gate", "ad-spend", "--input", str(KAG), "--submit", "--key", "ad_id")
    assert second["submitted"]["already_there"] == first["submitted"]["rows"] > 0
    assert second["submitted"]["reviews"] == first["submitted"]["reviews"]
    _, cards = call("reviews", "list", "--limit", "1000")
    assert len(cards) == first["submitted"]["reviews"]


@pytest.mark.parametrize(
    "name",
    [
        "facebook_ads_basic_ad_data",
        "google_ads_campaign_stats_data",
        "linkedin_ad_analytics_by_campaign_data",
        "microsoft_ads_campaign_performance_daily_report_data",
        "pinterest_campaign_report_data",
        "tiktok_campaign_report_hourly_data",
    ],
)
def test_from_each_platform_to_reviews(call: Call, name: str) -> None:
    path = SEEDS / f"{name}.csv"
    code, made = call("new", "spend", "--from", str(path))
    assert code == 0, made
    assert made["cases"] == 2
    keys = [option for key in keys_in(made["next"]) for option in ("--key", key[0] or key[1])]
    code, summary = call("gate", "spend", "--input", str(path), "--submit", *keys)
    assert code == 0, summary
    assert summary["bad"] == 0
    assert summary["lanes"]["hold"] > 0
    assert summary["lanes"]["pass"] > 0
    assert 0 < summary["submitted"]["reviews"] <= summary["lanes"]["hold"]
    code, cards = call("reviews", "list", "--limit", "1000")
    opened = cards if isinstance(cards, list) else [cards]
    assert len(opened) == summary["submitted"]["reviews"]


@pytest.mark.slow
def test_a_policy_can_be_drawn_from_every_seed_file(call: Call) -> None:
    for number, path in enumerate(sorted(SEEDS.glob("*.csv"))):
        code, made = call("new", f"seed-{number}", "--from", str(path))
        assert code == 0, (path.name, made)
    code, checked = call("check")
    assert (code, checked["mistakes"]) == (0, 0)
    assert len(checked["policies"]) > 40


def test_a_file_with_a_byte_order_mark_and_one_with_upper_case(call: Call) -> None:
    for name, field in (
        ("pinterest_campaign_history_data", "id"),
        ("tiktok_campaign_report_hourly_data", "campaign_id"),
    ):
        path = SEEDS / f"{name}.csv"
        code, _ = call("new", field.replace("_", "-"), "--from", str(path))
        assert code == 0
        code, summary = call("gate", field.replace("_", "-"), "--input", str(path))
        assert (code, summary["bad"], summary["absent_fields"]) == (0, 0, [])


def test_the_same_rows_as_csv_json_lines_and_parquet_are_judged_alike(
    call: Call, tmp_path: Path
) -> None:
    polars = pytest.importorskip("polars")
    call("new", "ad-spend", "--from", str(KAG))
    frame = polars.read_csv(KAG, schema_overrides={"ad_id": polars.String})
    frame.write_parquet(tmp_path / "k.parquet")
    frame.write_ndjson(tmp_path / "k.jsonl")
    found = [
        call("gate", "ad-spend", "--input", str(path))[1]
        for path in (KAG, tmp_path / "k.parquet", tmp_path / "k.jsonl")
    ]
    assert found[0]["lanes"] == found[1]["lanes"] == found[2]["lanes"]
    assert found[0]["rules"] == found[1]["rules"] == found[2]["rules"]


def test_a_policy_from_parquet(call: Call, tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    polars.read_csv(KAG, schema_overrides={"ad_id": polars.String}).write_parquet(
        tmp_path / "k.parquet"
    )
    code, made = call("new", "ad-spend", "--from", str(tmp_path / "k.parquet"))
    assert (code, made["rules"][0]) == (0, "spent-high")
