"""Realistic rules and records that the gate's benchmarks share.

40 fields (14 texts, 20 doubles, 2 ints, 3 yes-or-no, 1 list) and 50 rules of the kinds the founding
texts name: budgets, pacing, cost per lead, tracking, data quality, sales, support, confidence,
fairness, fraud. 150 more rules are variants for a region and a channel; `others` are rules of kinds
that no record has.
"""

from __future__ import annotations

import random
from typing import Any

KINDS = ("campaign", "tracking", "quality", "sales", "support", "model")
REGIONS = ("emea", "amer", "apac", "latam", "dach")
CHANNELS = ("search", "social", "display", "email", "video", "affiliate")

TEXTS = (
    "kind", "region", "channel", "utm_source", "utm_medium", "campaign_name", "message",
    "segment", "currency", "owner", "platform", "country", "language", "status",
)  # fmt: skip
DOUBLES = (
    "budget", "median_budget", "spend_today", "spend_plan", "cpl", "cpl_last_week", "leads",
    "conversion_rate", "conversion_base", "volume", "volume_weekday", "platform_leads",
    "warehouse_leads", "discount", "deal_size", "net_days", "confidence_score", "parity",
    "chargeback_rate", "refund",
)  # fmt: skip
INTS = ("order_count", "attempts")
FLAGS = ("pixel_present", "schema_changed", "new_customer")
LISTS = ("topics",)
FIELDS = (*TEXTS, *DOUBLES, *INTS, *FLAGS, *LISTS)

_BY_KIND: dict[str, tuple[tuple[str, str], ...]] = {
    "campaign": (
        ("budget-cap", "budget > 10000.0"),
        ("budget-5x", "median_budget > 0.0 and budget / median_budget >= 5.0"),
        ("pacing-over", "spend_today > spend_plan * 1.2"),
        ("pacing-under", "spend_plan > 100.0 and spend_today < spend_plan * 0.4"),
        ("cpl-jump", "cpl_last_week > 0.0 and cpl > cpl_last_week * 1.5"),
        ("cpl-high", "cpl > 120.0 and leads >= 20.0"),
        ("conversion-drop", "conversion_rate < conversion_base * 0.6"),
        ("new-platform", 'platform not in ["google", "meta", "linkedin"]'),
        ("currency-odd", 'currency not in ["USD", "EUR", "GBP", "CHF"]'),
    ),
    "tracking": (
        ("utm-source", "utm_source not in lists.sources"),
        ("utm-medium", 'not (utm_medium in ["cpc", "email", "social", "display"])'),
        ("utm-upper", 'matches(utm_source, "[A-Z ]")'),
        ("naming", 'not matches(campaign_name, "^[a-z]{2}_[a-z0-9-]+_20[0-9]{2}$")'),
        ("pixel-missing", "not pixel_present"),
        ("test-name", 'contains(campaign_name, "test")'),
        ("email-as-cpc", 'channel == "email" and utm_medium == "cpc"'),
    ),
    "quality": (
        ("volume-drop", "volume_weekday > 50.0 and volume < volume_weekday * 0.5"),
        ("volume-spike", "volume > volume_weekday * 3.0"),
        ("gap", "abs(platform_leads - warehouse_leads) > 0.1 * platform_leads"),
        ("schema", "schema_changed"),
        ("no-leads", "leads == 0.0 and spend_today > 500.0"),
        ("rate-over-one", "(conversion_rate > 1.0 or conversion_rate < 0.0)"),
        ("late", 'status in ["late", "partial"] and volume > 1000.0'),
    ),
    "sales": (
        ("discount-15", "discount > 0.15"),
        ("discount-large", "discount > 0.1 and deal_size > 100000.0"),
        ("net-90", "net_days >= 90.0"),
        ("deal-size", "deal_size > 250000.0"),
        ("first-order", "new_customer and deal_size > 50000.0 and net_days > 30.0"),
        ("segment-price", 'segment == "enterprise" and discount > 0.08'),
        ("country", 'country in ["KP", "IR", "SY", "CU"]'),
    ),
    "support": (
        ("refund-cap", "refund > 200.0"),
        ("legal", '(contains(message, "lawyer") or contains(message, "lawsuit"))'),
        ("cancel", 'contains(message, "cancel") and segment == "enterprise"'),
        ("e-mail", 'matches(message, "[a-z0-9.]+@[a-z0-9]+[.][a-z]+")'),
        ("card", 'matches(message, "[0-9]{4} [0-9]{4} [0-9]{4}")'),
        ("topic", '("medical" in topics or "minors" in topics)'),
        ("language", 'language not in ["en", "de", "fr", "es"]'),
        ("long", "size(message) > 400"),
    ),
    "model": (
        ("parity", "parity < 0.8"),
        ("unsure", "confidence_score < 0.7"),
        ("unsure-large", "confidence_score < 0.85 and deal_size > 20000.0"),
        ("drift", "conversion_base > 0.0 and abs(conversion_rate / conversion_base - 1.0) > 0.5"),
    ),
    "": (
        ("fraud-attempts", "attempts > 5 and chargeback_rate > 0.02"),
        ("fraud-first", "new_customer and order_count > 8"),
        ("chargeback", "chargeback_rate > 0.05"),
        ("blocked", 'status == "blocked"'),
        ("owner", 'owner == "" or owner == "unknown"'),
        ("low-confidence", "confidence_score < 0.3"),
        ("spend-guard", "spend_today > 50000.0"),
        ("refund-or-discount", "refund > 1000.0 or discount > 0.4"),
    ),
}
"""By kind (none: any kind): id and condition of the 50 rules."""

RULES: tuple[tuple[str, str], ...] = tuple(
    (name, f'kind == "{kind}" and {when}' if kind else when)
    for kind, rules in _BY_KIND.items()
    for name, when in rules
)


def variants() -> list[tuple[str, str]]:
    """150 rules for one region and channel each."""
    made = []
    for number in range(150):
        region = REGIONS[number % 5]
        channel = CHANNELS[number // 5 % 6]
        at = number // 30
        here = f'region == "{region}" and channel == "{channel}"'
        test = (
            f"budget > {9000 + 37 * number}.0",
            f"cpl > cpl_last_week * 1.{4 + number % 5} and cpl_last_week > 20.0",
            f"spend_today > {30000 + 91 * number}.0",
            f"volume < volume_weekday * 0.{2 + number % 3} and leads > 5.0",
            f"discount > 0.{30 + number % 20} or chargeback_rate > 0.0{4 + number % 5}",
        )[at]
        made.append((f"variant-{number}", f"{here} and ({test})"))
    return made


def others(count: int) -> list[tuple[str, str]]:
    """Rules of kinds that no record has, ten a kind."""
    made = []
    for number in range(count):
        inner = RULES[number % 42][1].partition(" and ")[2]
        made.append((f"other-{number}", f'kind == "other{number // 10}" and {inner}'))
    return made


def rules(count: int) -> list[tuple[str, str]]:
    """The first `count` of 50 rules and 150 variants."""
    return [*RULES, *variants()][:count]


def policy_text(chosen: list[tuple[str, str]], *, optional: bool = False, extra: str = "") -> str:
    """A policy with these rules; `optional`: any field may be missing (unknown is ignored)."""
    more = ", optional: true" if optional else ""
    kinds = (
        *((name, "string") for name in TEXTS),
        *((name, "double") for name in DOUBLES),
        *((name, "int") for name in INTS),
        *((name, "bool") for name in FLAGS),
    )
    lines = [
        "handrail: 1",
        "workflow: bench",
        "owners: [team:a]",
        "otherwise: auto",
        "route: [{to: team:a, silence: block}]",
        "fields:",
        *(f"  {name}: {{type: {kind}{more}}}" for name, kind in kinds),
        f"  topics: {{list: string{more}}}",
        "lists:",
        "  sources: [google, linkedin, newsletter, meta, bing, partner]",
        "rules:",
    ]
    for name, when in chosen:
        lines += [f"  - id: {name}", f"    when: {when}", "    on_unknown: ignore"]
    return "\n".join(lines) + "\n" + extra


def facts(r: random.Random, odd: float) -> dict[str, Any]:
    """One decision of an ordinary day; each value is out of line with probability `odd`."""

    def out() -> bool:
        return r.random() < odd

    base = r.uniform(20, 80)
    leads = float(r.randrange(20, 300))
    words = "where is my order please it should have arrived on monday thank you"
    return {
        "kind": r.choice(KINDS),
        "region": r.choice(REGIONS),
        "channel": r.choice(CHANNELS),
        "utm_source": "TikTok ads" if out() else r.choice(["google", "linkedin", "meta"]),
        "utm_medium": "banner" if out() else r.choice(["email", "social", "display"]),
        "campaign_name": "Spring test" if out() else f"de_spring-{r.randrange(99)}_2026",
        "message": words + (" or my lawyer will call" if out() else "") * 1,
        "segment": r.choice(["smb", "mid", "enterprise"]),
        "currency": r.choice(["USD", "EUR"]),
        "owner": "" if out() else r.choice(["ann", "bea", "cem"]),
        "platform": "tiktok" if out() else r.choice(["google", "meta"]),
        "country": r.choice(["DE", "US", "FR"]),
        "language": r.choice(["en", "de"]),
        "status": "blocked" if out() else r.choice(["live", "late", "done"]),
        "budget": r.uniform(11_000, 40_000) if out() else r.uniform(200, 8_000),
        "median_budget": r.uniform(3_000, 6_000),
        "spend_today": r.uniform(450, 900),
        "spend_plan": r.uniform(100, 200) if out() else r.uniform(900, 1_000),
        "cpl": base * (2.2 if out() else r.uniform(0.7, 1.2)),
        "cpl_last_week": base,
        "leads": leads,
        "conversion_rate": 0.01 if out() else r.uniform(0.04, 0.06),
        "conversion_base": 0.05,
        "volume": r.uniform(20, 80) if out() else r.uniform(150, 300),
        "volume_weekday": r.uniform(180, 220),
        "platform_leads": leads,
        "warehouse_leads": leads * (0.7 if out() else r.uniform(0.95, 1.05)),
        "discount": 0.2 if out() else r.uniform(0, 0.07),
        "deal_size": r.uniform(1_000, 19_000),
        "net_days": 90.0 if out() else r.choice([14.0, 30.0]),
        "confidence_score": 0.5 if out() else r.uniform(0.86, 1.0),
        "parity": 0.7 if out() else r.uniform(0.85, 1.0),
        "chargeback_rate": r.uniform(0, 0.01),
        "refund": 300.0 if out() else r.uniform(0, 90),
        "order_count": r.randrange(6),
        "attempts": r.randrange(4),
        "pixel_present": not out(),
        "schema_changed": out(),
        "new_customer": r.random() < 0.2,
        "topics": ["medical"] if out() else ["billing"],
    }


def policy(count: int) -> str:
    """The policy `bench-COUNT` of the first `count` rules; every field is optional."""
    text = policy_text(rules(count), optional=True)
    return text.replace("workflow: bench\n", f"workflow: bench-{count}\n")


def frame(rows: int, seed: int = 1, missing: float = 0.0, odd: float = 0.04) -> Any:
    """`rows` decisions like those of `facts`, as a Polars frame; `missing` is a share of values."""
    import numpy as np
    import polars as pl

    g = np.random.default_rng(seed)

    def text(items: list[str], else_: str | None = None) -> Any:
        """One of `items`; `else_` where it is out of line."""
        places = g.choice(len(items), rows)
        if else_ is not None:
            places = np.where(g.random(rows) < odd, len(items), places)
        return pl.Series([*items, *([] if else_ is None else [else_])]).gather(places)

    def number(low: float, high: float, out: tuple[float, float] | None = None) -> Any:
        made = g.uniform(low, high, rows)
        return made if out is None else np.where(g.random(rows) < odd, g.uniform(*out, rows), made)

    def flag(share: float) -> Any:
        return g.random(rows) < share

    words = "where is my order please it should have arrived on monday thank you"
    orders = [f"{words} {at} for the parcel of my {at % 7} friends" for at in range(4_000)]
    lost = [f"{one} or my lawyer will call" for one in orders[:160]]
    base, leads = g.uniform(20, 80, rows), g.integers(20, 300, rows).astype(float)
    topics = pl.Series([["billing"], ["billing", "delivery"], ["medical"]])
    columns: dict[str, Any] = {
        "kind": text(list(KINDS)),
        "region": text(list(REGIONS)),
        "channel": text(list(CHANNELS)),
        "utm_source": text(["google", "linkedin", "meta"], "TikTok ads"),
        "utm_medium": text(["email", "social", "display"], "banner"),
        "campaign_name": text([f"de_spring-{at}_2026" for at in range(2_000)], "Spring test"),
        "message": text([*orders, *lost]),
        "segment": text(["smb", "mid", "enterprise"]),
        "currency": text(["USD", "EUR"]),
        "owner": text(["ann", "bea", "cem"], ""),
        "platform": text(["google", "meta"], "tiktok"),
        "country": text(["DE", "US", "FR"]),
        "language": text(["en", "de"]),
        "status": text(["live", "late", "done"], "blocked"),
        "budget": number(200, 8_000, (11_000, 40_000)),
        "median_budget": number(3_000, 6_000),
        "spend_today": number(450, 900),
        "spend_plan": number(900, 1_000, (100, 200)),
        "cpl": base * number(0.7, 1.2, (2.2, 2.2)),
        "cpl_last_week": base,
        "leads": leads,
        "conversion_rate": number(0.04, 0.06, (0.01, 0.01)),
        "conversion_base": np.full(rows, 0.05),
        "volume": number(150, 300, (20, 80)),
        "volume_weekday": number(180, 220),
        "platform_leads": leads,
        "warehouse_leads": leads * number(0.95, 1.05, (0.7, 0.7)),
        "discount": number(0, 0.07, (0.2, 0.2)),
        "deal_size": number(1_000, 19_000),
        "net_days": number(14, 30, (90, 90)),
        "confidence_score": number(0.86, 1.0, (0.5, 0.5)),
        "parity": number(0.85, 1.0, (0.7, 0.7)),
        "chargeback_rate": number(0, 0.01),
        "refund": number(0, 90, (300, 300)),
        "order_count": g.integers(0, 6, rows),
        "attempts": g.integers(0, 4, rows),
        "pixel_present": ~flag(odd),
        "schema_changed": flag(odd),
        "new_customer": flag(0.2),
        "topics": topics.gather(np.where(flag(odd), 2, g.integers(0, 2, rows))),
    }
    made = pl.DataFrame(columns).select(FIELDS)
    # A blank text is no value in a table, as it is in a file.
    made = made.with_columns(pl.col("owner").replace("", None))
    if missing:
        made = made.select(
            pl.when(pl.Series(g.random(rows) >= missing)).then(pl.col(name)).alias(name)
            for name in FIELDS
        )
    return made
