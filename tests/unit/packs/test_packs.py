"""Shipped policies: they load with their cases, and their defaults hold at the boundary."""

from __future__ import annotations

from typing import Any

import pytest

from handrail import gate, packs
from handrail.model.errors import NotFound
from handrail.model.ruling import Ruling


def load(name: str) -> gate.Policy:
    return gate.load(packs.read(name), path=name, read_file=packs.reader(name), require_cases=True)


LAUNCH = load("marketing/campaign-launch")
BIOPSY = load("medical/biopsy-triage")


def launch(budget: Any, confidence: float | None = None, **facts: Any) -> Ruling:
    given = {"campaign_id": "c1", "channel": "search", "utm_source": "google", **facts}
    return LAUNCH.evaluate(
        LAUNCH.ingest(given, {"daily_budget": budget}),
        decision_id="d_x",
        evaluated_at=0,
        confidence=confidence,
        aggregates={"budget_today": 0},
    )


def by_rule(ruling: Ruling) -> list[str]:
    return [fired.rule for fired in ruling.fired]


def test_names_and_unknown_names() -> None:
    assert packs.names() == ("marketing/campaign-launch", "medical/biopsy-triage")
    for name in ("x", "marketing/x", "../packs/marketing/campaign-launch", "__init__", ""):
        with pytest.raises(NotFound, match="expected one of marketing/campaign-launch"):
            packs.read(name)


def test_files_beside_a_policy_stay_in_its_folder() -> None:
    read_file = packs.reader("marketing/campaign-launch")
    assert read_file("campaign-launch.yaml").startswith(b"handrail: 1")
    for path in ("../medical/biopsy-triage.yaml", "/etc/hostname", "away.csv"):
        with pytest.raises(OSError):
            read_file(path)


@pytest.mark.ledger("A-125")
@pytest.mark.parametrize("name", packs.names())
def test_every_shipped_policy_loads_with_cases_that_pass(name: str) -> None:
    policy = load(name)
    assert policy.workflow == name.partition("/")[2] and policy.cost > 0
    assert gate.check(packs.read(name).partition("\ncases:")[0], require_cases=True) != []


@pytest.mark.parametrize("name", packs.names())
def test_every_acting_rule_of_a_shipped_policy_fires_in_a_case(name: str) -> None:
    text = packs.read(name)
    for rule in load(name).rules:
        assert rule.id in text.partition("\ncases:")[2]


@pytest.mark.ledger("M-073")
@pytest.mark.parametrize("budget", ["10000.00", 10000, 10000.0, 9999.99])
def test_at_the_cap_passes(budget: Any) -> None:
    ruling = launch(budget)
    assert ruling.lane == "pass" and ruling.fired == ()


@pytest.mark.ledger("M-073")
@pytest.mark.parametrize("budget", ["10000.01", 10000.01, 14000])
def test_over_the_cap_is_held(budget: Any) -> None:
    ruling = launch(budget)
    assert ruling.lane == "hold" and by_rule(ruling) == ["budget-cap"]
    assert ruling.route is not None and ruling.route.to == ("team:budget",)


def test_the_sentence_of_the_cap_shows_value_and_unit() -> None:
    assert launch(14000).fired[0].because == (
        "Daily budget 14,000 USD is over the approved 10,000 USD"
    )
    assert launch(10000.01).why == "Daily budget 10,000.01 USD is over the approved 10,000 USD"
    assert launch(14000).if_approved == "The campaign starts now at 14,000 USD a day"


@pytest.mark.ledger("M-065")
@pytest.mark.parametrize(
    ("budget", "median", "held"),
    [
        ("5000.00", "1000.00", True),
        ("4990.00", "1000.00", False),
        ("4999.99", "1000.00", False),
        ("0.05", "0.01", True),
        ("1.65", "0.33", True),
        ("1.64", "0.33", False),
        ("10000.00", "2000.01", False),
    ],
)
def test_five_times_the_usual_budget_is_held_and_less_passes(
    budget: str, median: str, held: bool
) -> None:
    ruling = launch(budget, median_budget=median)
    assert (ruling.lane == "hold") is held
    assert by_rule(ruling) == (["budget-5x"] if held else [])


def test_the_ratio_is_shown_with_one_digit() -> None:
    ruling = launch("5250", median_budget=1000)
    assert ruling.fired[0].because == "5.3 times the usual budget of this account"
    assert ruling.values == {"times_normal": "5.25"}


@pytest.mark.parametrize("median", [None, 0])
def test_without_a_usual_budget_the_ratio_is_unknown_and_nothing_fires(median: Any) -> None:
    ruling = launch(5000, median_budget=median)
    assert ruling.lane == "pass" and ruling.values == {"times_normal": None}


@pytest.mark.ledger("M-074")
@pytest.mark.parametrize("source", ["google", "Google", " GOOGLE ", "ｇｏｏｇｌｅ", "LinkedIn"])
def test_a_listed_source_passes_in_any_case_and_encoding(source: str) -> None:
    assert launch(100, utm_source=source).lane == "pass"


@pytest.mark.ledger("M-074")
@pytest.mark.parametrize("source", ["tiktok", "goog1e", "google ads", ""])
def test_a_source_outside_the_list_is_held(source: str) -> None:
    ruling = launch(100, utm_source=source)
    assert by_rule(ruling) == ["utm-unlisted"] and ruling.severity == "low"
    assert ruling.fired[0].same_case == {"utm_source": source}
    assert ruling.fired[0].because == (f"Utm source ({source}) is not in the list sources")


@pytest.mark.ledger("M-047")
def test_the_three_explicit_forms_of_rules() -> None:
    """Budget over X, conversion rate under Y, new parameter: each on its own record only."""
    policy = gate.load(
        """\
handrail: 1
workflow: forms
owners: [team:a]
fields:
  budget: {type: decimal, places: 2}
  clicks: {type: decimal, places: 0}
  conversions: int
  source: {type: string, normal: lower}
lists: {sources: [google, bing]}
otherwise: auto
rules:
  - {id: budget, when: budget > 10000}
  - {id: rate, when: conversions / clicks < 0.02}
  - {id: new, when: source not in lists.sources}
route: [{to: team:a, silence: block}]
"""
    )

    def fires(**changes: Any) -> list[str]:
        facts = {"budget": 10000, "clicks": 100, "conversions": 2, "source": "google"} | changes
        return by_rule(policy.evaluate(policy.ingest(facts), decision_id="d", evaluated_at=0))

    assert fires() == []
    assert fires(budget=10000.01) == ["budget"]
    assert fires(conversions=1) == ["rate"]
    assert fires(source="yandex") == ["new"]


def test_a_director_enters_the_value_and_too_much_is_refused() -> None:
    director = launch(100000.01)
    assert director.mode == "in_command" and director.approvers == ("role:director",)
    assert launch(200000.01).lane == "refuse" and launch(200000).lane == "hold"


def test_money_at_stake_raises_the_risk() -> None:
    below = launch("49342.10", 0.99)
    assert below.stakes.money == "1499999.84" and below.tier is not None
    assert below.tier.risk == "low"
    over = launch("49342.11", 0.99)
    assert over.stakes.money == "1500000.14" and over.tier is not None
    assert over.tier.risk == "high" and over.tier.mode == "in_the_loop"


# --------------------------------------------------------------------------------------- medical


def biopsy(diagnosis: str, confidence: float | None, **facts: float) -> Ruling:
    given = {
        "sample_id": "s",
        "mean_radius": 12,
        "mean_texture": 17,
        "mean_concave_points": 0.02,
        "worst_radius": 13,
        "worst_area": 550,
        "worst_concave_points": 0.07,
        **facts,
    }
    return BIOPSY.evaluate(
        BIOPSY.ingest(given, {"diagnosis": diagnosis}),
        decision_id="d_x",
        evaluated_at=0,
        confidence=confidence,
    )


@pytest.mark.parametrize(
    ("diagnosis", "confidence", "mode"),
    [
        ("benign", 0.99, "auto"),
        ("benign", 0.9899, "in_the_loop"),
        ("benign", None, "in_the_loop"),
        ("malignant", 0.95, "on_the_loop"),
        ("malignant", 0.9499, "in_the_loop"),
        ("malignant", None, "in_the_loop"),
    ],
)
def test_a_missed_malignancy_is_the_high_risk(
    diagnosis: str, confidence: float | None, mode: str
) -> None:
    assert biopsy(diagnosis, confidence).mode == mode


@pytest.mark.ledger("A-124")
def test_model_and_rule_in_conflict_go_to_a_pathologist_and_are_named() -> None:
    ruling = biopsy("benign", 0.999, worst_radius=18.25)
    assert ruling.mode == "in_the_loop" and ruling.severity == "high"
    assert ruling.tier is not None and ruling.tier.mode == "auto"
    assert ruling.why == (
        "Called benign, but the largest nuclei measure 18.3 µm, as in malignant samples"
    )
    assert biopsy("malignant", 0.999, worst_radius=18.25).mode == "on_the_loop"


def test_what_cannot_be_undone_waits_for_somebody() -> None:
    ruling = biopsy("benign", 0.5)
    assert not ruling.stakes.reversible
    assert ruling.route is not None and ruling.route.silence == "block"
    assert set(BIOPSY.choices) == {"benign", "malignant"} and BIOPSY.edit_fields == ("diagnosis",)


def test_the_real_measurements_are_mostly_automated_and_the_doubtful_ones_held() -> None:
    """The data scikit-learn ships, and a call as sure as its distance from the middle."""
    datasets = pytest.importorskip("sklearn.datasets")
    data = datasets.load_breast_cancer()
    at = {name: list(data.feature_names).index(name.replace("_", " ")) for name in FEATURES}
    lanes = {"pass": 0, "hold": 0}
    for row in data.data:
        facts = {name: float(row[index]) for name, index in at.items()}
        score = 1 / (1 + 2.718281828 ** -((facts["worst_radius"] - 16.2) * 1.6))
        diagnosis = "malignant" if score > 0.5 else "benign"
        ruling = biopsy(diagnosis, max(score, 1 - score), **facts)
        lanes[str(ruling.lane)] += 1
        assert ruling.unknown == () and ruling.undeclared == ()
    assert sum(lanes.values()) == 569 and min(lanes.values()) > 50


FEATURES = (
    "mean_radius",
    "mean_texture",
    "mean_concave_points",
    "worst_radius",
    "worst_area",
    "worst_concave_points",
)
