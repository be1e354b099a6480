"""What the demo decides about: real biopsies of a public data set, and made-up campaigns.

The biopsies are the Wisconsin diagnostic breast cancer data that scikit-learn ships: 569 real
samples with the pathologists' diagnosis. The campaigns are samples, and named so.
"""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.errors import BadInput

SEED = 20261121
"""Of the split and of every simulated person, so that a demo can be repeated."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of the demo, with what is right about it."""

    key: str
    facts: dict[str, Any]
    proposal: dict[str, Any]
    truth: dict[str, Any] | None
    """The right values of the proposal's fields; None where nothing should run."""
    confidence: float | None = None
    model: str | None = None
    current: dict[str, Any] | None = None
    reason: str = ""
    """Reason code a reviewer gives for a change or a no."""


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """What one demo is about."""

    workflow: str
    policy: str
    """Name of the shipped policy."""
    about: str
    """What is decided, in a sentence or two."""
    samples: tuple[Sample, ...]
    teams: tuple[str, ...]
    """What every simulated reviewer holds."""
    heads: tuple[str, ...]
    """What one of them holds besides."""
    truth_from: str
    """Where the truth is known from."""
    effect: str
    """What runs when a decision is allowed, as a verb."""


BIOPSY_FACTS = {
    "mean_radius": "mean radius",
    "mean_texture": "mean texture",
    "mean_concave_points": "mean concave points",
    "worst_radius": "worst radius",
    "worst_area": "worst area",
    "worst_concave_points": "worst concave points",
}
"""Fact of the policy → column of the data."""


def biopsies() -> Samples:
    """Half of the biopsies with the call of a model that was trained on the other half."""
    try:
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise BadInput(
            "the medical demo needs scikit-learn, which is not installed; "
            "install it with `pip install 'handrail[learn]'`, or try `handrail demo marketing`"
        ) from error
    data = load_breast_cancer()
    train, rest = train_test_split(
        list(range(len(data.target))), test_size=0.5, random_state=SEED, stratify=data.target
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(data.data[train], data.target[train])
    shares = model.predict_proba(data.data[rest])
    columns = {name: place for place, name in enumerate(data.feature_names)}
    samples = []
    for row, share in zip(rest, shares, strict=True):
        called = int(share.argmax())
        samples.append(
            Sample(
                key=f"biopsy-{row:03}",
                facts={
                    "sample_id": f"biopsy-{row:03}",
                    **{
                        fact: round(float(data.data[row, columns[column]]), 6)
                        for fact, column in BIOPSY_FACTS.items()
                    },
                },
                proposal={"diagnosis": str(data.target_names[called])},
                truth={"diagnosis": str(data.target_names[data.target[row]])},
                confidence=round(float(share[called]), 6),
                model="logistic-regression@1",
                reason="nuclei",
            )
        )
    return Samples(
        workflow="biopsy-triage",
        policy="medical/biopsy-triage",
        about=(
            f"{len(data.target)} real biopsies (Wisconsin diagnostic data, shipped with "
            f"scikit-learn): a model learns from {len(train)} of them and calls the other "
            f"{len(rest)}, each with its confidence."
        ),
        samples=tuple(samples),
        teams=("team:pathology",),
        heads=("role:head-of-pathology",),
        truth_from="pathology",
        effect="report",
    )


def _campaign(
    number: int,
    budget: float,
    right: float | None,
    *,
    channel: str = "search",
    usual: float | None = None,
    source: str = "google",
    confidence: float = 0.97,
    now: float | None = None,
    reason: str = "wrong-entry",
) -> Sample:
    name = f"sample-{number:02}"
    facts: dict[str, Any] = {
        "campaign_id": name,
        "requested_by": "planner@example.com",
        "channel": channel,
        "utm_source": source,
    }
    if usual is not None:
        facts["median_budget"] = usual
    return Sample(
        key=name,
        facts=facts,
        proposal={"daily_budget": budget},
        truth=None if right is None else {"daily_budget": right},
        confidence=confidence,
        model="budgeter@3.2",
        current={"daily_budget": now} if now is not None else None,
        reason=reason,
    )


def campaigns() -> Samples:
    """Sample campaigns: ordinary ones, slips of a machine, and some that need a director."""
    samples = (
        _campaign(1, 900, 900, usual=800),
        _campaign(2, 2400, 2400, channel="social", usual=2000, now=2000),
        _campaign(3, 14000, 1400, usual=1300, now=1350),  # a zero too many
        _campaign(4, 350, 350, channel="display", usual=300),
        _campaign(5, 12500, 12500, usual=9000, reason="seasonal"),  # a real peak
        _campaign(6, 640, 640, source="newsletter", usual=600),
        _campaign(7, 780, None, source="coupon-blog", usual=700, reason="runaway"),
        _campaign(8, 5200, 520, channel="display", usual=500, now=500),  # ten times the usual
        _campaign(9, 1100, 1100, usual=1000, confidence=0.88),
        _campaign(10, 1500, 1500, channel="social", usual=1400, confidence=0.55),
        _campaign(11, 120000, 110000, usual=30000, reason="seasonal"),  # a director enters it
        _campaign(12, 260000, None, usual=30000),  # refused outright
        _campaign(13, 430, 430, source="linkedin", usual=400),
        _campaign(14, 6000, None, channel="social", usual=1000, reason="runaway"),
        _campaign(15, 950, 950, usual=900),
        _campaign(16, 2100, 2100, source="google", usual=2000),
    )
    return Samples(
        workflow="campaign-launch",
        policy="marketing/campaign-launch",
        about=(
            f"{len(samples)} made-up campaigns (samples): a machine proposes daily budgets, some "
            "of them slips such as a zero too many. They show the walk; figures of made-up data "
            "prove nothing."
        ),
        samples=samples,
        teams=("team:budget", "team:marketing-ops"),
        heads=("role:director",),
        truth_from="plan",
        effect="launch",
    )
