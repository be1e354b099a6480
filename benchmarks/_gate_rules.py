"""The rules and records that every benchmark of the gate uses, so that figures can be compared.

`policy(50)` is the text of a policy of 50 rules as marketing and revenue teams write them, over 40
fields (14 string, 20 double, 2 int, 3 bool, 1 list); `policy(200)` adds 150 variants for a region
and a channel. `frame(rows, seed)` makes records as columns, `records(rows, seed)` the same ones as
mappings; about a quarter of them fire at least one rule. `missing` is the share of values left out.
"""

from __future__ import annotations

import random
from typing import Any

KINDS = ("launch", "change", "report", "lead", "quote", "content", "audience", "tracking")
REGIONS = ("emea", "amer", "apac", "latam", "dach")
CHANNELS = ("search", "social", "display", "video", "email", "affiliate")
SOURCES = ("google", "linkedin", "facebook", "newsletter", "bing", "tiktok")
MEDIUMS = ("cpc", "email", "social", "display", "referral")

STRINGS = (
    "kind", "region", "channel", "campaign_name", "utm_source", "utm_medium", "utm_campaign",
    "landing_url", "message", "requested_by", "account", "currency", "stage", "payment_terms",
)  # fmt: skip
DOUBLES = (
    "daily_budget", "median_budget", "spend_today", "spend_cap", "cpl", "cpl_last_week", "leads",
    "leads_last_week", "platform_conversions", "warehouse_conversions", "volume", "volume_median",
    "discount", "deal_size", "score", "fairness_gap", "fraud_score", "bounce_rate", "ctr", "margin",
)  # fmt: skip
INTS = ("schema_changes", "age_days")
BOOLS = ("pixel_present", "consent", "new_account")
LISTS = ("audiences",)
FIELDS = (*STRINGS, *DOUBLES, *INTS, *BOOLS, *LISTS)

NAMED = {
    "sources": SOURCES,
    "mediums": MEDIUMS,
    "sensitive": ("health", "politics", "religion", "minors"),
}
"""The lists of the policy."""

RULES: tuple[tuple[str, str, str], ...] = (
    # id, condition, mode
    ("budget-cap", 'kind == "launch" and daily_budget > 10000', "in_the_loop"),
    ("budget-5x", 'kind == "launch" and daily_budget > median_budget * 5', "in_the_loop"),
    ("budget-director", 'kind == "launch" and daily_budget > 45000', "in_command"),
    ("budget-change", 'kind == "change" and daily_budget > median_budget * 3', "in_the_loop"),
    ("overspend", "spend_today > spend_cap", "in_the_loop"),
    ("pacing", "spend_today > spend_cap * 0.97 and spend_today <= spend_cap", "on_the_loop"),
    ("cpl-jump", "cpl > cpl_last_week * 1.5 and leads >= 30", "in_the_loop"),
    ("cpl-high", 'channel == "search" and cpl > 180', "in_the_loop"),
    ("cpl-social", 'channel == "social" and cpl > 210', "in_the_loop"),
    ("leads-drop", "leads < leads_last_week * 0.4 and leads_last_week > 80", "in_the_loop"),
    ("utm-source", 'kind == "launch" and not (utm_source in lists.sources)', "in_the_loop"),
    ("utm-medium", 'kind == "launch" and not (utm_medium in lists.mediums)', "in_the_loop"),
    (
        "utm-naming",
        'kind == "launch" and not matches(utm_campaign, "^[a-z0-9]+(_[a-z0-9]+){2,5}$")',
        "in_the_loop",
    ),
    ("utm-empty", 'kind == "launch" and size(utm_campaign) < 4', "in_the_loop"),
    ("landing-insecure", 'startsWith(landing_url, "http://")', "in_the_loop"),
    ("landing-tracking", 'kind == "launch" and not contains(landing_url, "utm_")', "on_the_loop"),
    ("landing-staging", 'matches(landing_url, "(staging|test|dev)[.]")', "in_the_loop"),
    ("pixel-missing", 'kind == "launch" and not pixel_present', "in_the_loop"),
    ("volume-drop", 'kind == "tracking" and volume < volume_median * 0.5', "in_the_loop"),
    ("volume-spike", 'kind == "tracking" and volume > volume_median * 3', "in_the_loop"),
    (
        "platform-gap",
        'kind == "report" and abs(platform_conversions / warehouse_conversions - 1.0) > 0.2',
        "in_the_loop",
    ),
    ("platform-zero", 'kind == "report" and platform_conversions == 0', "in_the_loop"),
    ("schema-change", 'kind == "report" and schema_changes > 0', "in_the_loop"),
    ("schema-break", "schema_changes > 4", "in_command"),
    ("discount", 'kind == "quote" and discount > 0.15', "in_the_loop"),
    ("discount-deep", 'kind == "quote" and discount > 0.38', "in_command"),
    (
        "discount-large",
        'kind == "quote" and discount > 0.1 and deal_size >= 100000',
        "in_the_loop",
    ),
    ("deal-huge", 'kind == "quote" and deal_size >= 480000', "in_command"),
    ("net-90", 'kind == "quote" and payment_terms == "net-90"', "in_the_loop"),
    ("margin-thin", 'kind == "quote" and margin < 0.06', "in_the_loop"),
    ("margin-loss", 'kind == "quote" and deal_size * margin < 250', "in_the_loop"),
    ("currency", 'kind == "quote" and not (currency in ["EUR", "USD", "GBP", "CHF"])', "refuse"),
    (
        "pii-email",
        'kind == "content" and matches(message, "[a-z0-9._]+@[a-z0-9]+[.][a-z]{2,}")',
        "refuse",
    ),
    (
        "pii-card",
        'kind == "content" and matches(message, "[0-9]{4} [0-9]{4} [0-9]{4} [0-9]{4}")',
        "refuse",
    ),
    (
        "claims",
        'kind == "content" and matches(message, "guarantee|risk-free|best price")',
        "refuse",
    ),
    (
        "legal-words",
        'kind == "content" and matches(message, "(?i)lawsuit|refund|attorney")',
        "in_the_loop",
    ),
    ("message-long", 'kind == "content" and size(message) > 130', "on_the_loop"),
    ("lead-unsure", 'kind == "lead" and score < 0.06', "in_the_loop"),
    ("lead-middle", 'kind == "lead" and score >= 0.48 and score <= 0.52', "in_the_loop"),
    ("lead-consent", 'kind == "lead" and not consent and score > 0.5', "in_the_loop"),
    ("fairness", 'kind in ["lead", "audience"] and fairness_gap > 0.14', "in_the_loop"),
    (
        "audience-sensitive",
        'kind == "audience" and ("minors" in audiences or "health" in audiences)',
        "in_command",
    ),
    ("audience-wide", 'kind == "audience" and size(audiences) > 4', "in_the_loop"),
    ("fraud", "fraud_score > 0.985", "in_the_loop"),
    ("fraud-new", "new_account and fraud_score > 0.95", "in_the_loop"),
    ("bounce", 'kind == "launch" and bounce_rate > 0.93', "on_the_loop"),
    ("ctr-odd", "ctr > 0.095 and bounce_rate > 0.8", "in_the_loop"),
    ("account-young", "age_days < 3 and daily_budget > 2000", "in_the_loop"),
    (
        "stage-late",
        'kind == "change" and stage == "running" and daily_budget > 20000',
        "in_the_loop",
    ),
    ("self-made", 'kind == "launch" and endsWith(requested_by, "@agency.example")', "in_the_loop"),
)
"""The 50 rules, in the order of the policy."""


def variants() -> list[tuple[str, str, str]]:
    """150 rules for a region and a channel each: the same ideas with local thresholds."""
    made = []
    for at in range(150):
        region, channel = REGIONS[at % 5], CHANNELS[at // 5 % 6]
        place = f'region == "{region}" and channel == "{channel}"'
        test = (
            f"daily_budget > {46000 + 20 * at}",
            f"cpl > {215 + at % 7} and leads >= 20",
            f"spend_today > spend_cap * 1.{10 + at % 9}",
            f"discount > 0.3{at % 8}9 and deal_size > {400000 + 100 * at}",
            f"bounce_rate > 0.9{8 + at % 2} and ctr < 0.01",
        )[at // 30]
        made.append((f"local-{at}", f"{place} and {test}", "in_the_loop"))
    return made


def rules(count: int) -> list[tuple[str, str, str]]:
    """(id, condition, mode) of the first `count` rules; 50 and 200 are the usual ones.

    Beyond 200 there follow rules of kinds that no record has, as a growing policy gets them.
    """
    found = [*RULES, *variants()][:count]
    for at in range(len(found), count):
        found.append(
            (
                f"other-{at}",
                f'kind == "other-{at % 60}" and daily_budget > {100 + at} and cpl > {at % 90}',
                "in_the_loop",
            )
        )
    return found


def policy(count: int) -> str:
    """The policy file with `count` rules."""
    lines = ["handrail: 1", f"workflow: bench-{count}", "owners: [team:bench]", "otherwise: auto"]
    lines.append("fields:")
    for names, kind in ((STRINGS, "string"), (DOUBLES, "double"), (INTS, "int"), (BOOLS, "bool")):
        lines += [f"  {name}: {{type: {kind}, optional: true}}" for name in names]
    lines += [f"  {name}: {{list: string, optional: true}}" for name in LISTS]
    lines.append("lists:")
    lines += [f"  {name}: [{', '.join(items)}]" for name, items in NAMED.items()]
    lines.append("rules:")
    for name, when, then in rules(count):
        lines += [f"  - id: {name}", f"    when: {when}", f"    then: {then}"]
        lines.append("    on_unknown: hold")
    lines.append("route: [{to: team:bench, silence: block}]")
    lines.append("review: {choices: [stop, go]}")
    return "\n".join(lines) + "\n"


_TEXT = (
    "our spring offer brings new shoes and warm coats to every shop near you this week only while "
    "stock lasts so come by early with friends and family enjoy free coffee at the counter"
)
_WORDS = _TEXT.split()
_BAD = (
    "we guarantee it",
    "a risk-free trial",
    "write to jo.doe@example.com",
    "card 4111 1111 1111 1111",
    "or call your attorney",
    "the best price in town",
)


def _message(r: random.Random) -> str:
    words = r.sample(_WORDS, r.randrange(8, 22))
    if r.random() < 0.08:
        words.insert(r.randrange(len(words)), r.choice(_BAD))
    return " ".join(words)


def frame(rows: int, seed: int = 1, missing: float = 0.0) -> Any:
    """`rows` records as a Polars frame of 40 columns."""
    import numpy as np
    import polars as pl

    g = np.random.default_rng(seed)
    r = random.Random(seed)
    names = [
        "_".join(r.choice(("spring", "de", "brand", "q3", "retarget", "b2b")) for _ in range(n))
        for n in (3, 3, 4, 4, 5)
        for _ in range(400)
    ]
    names += ["Spring Sale", "x", "UPPER_case_q3", "a_b", "brand-q3"]
    messages = [_message(r) for _ in range(min(rows, 20_000))]
    people = [
        f"user{at}@{'agency.example' if at % 50 == 0 else 'example.com'}" for at in range(900)
    ]
    urls = [
        f"{'http' if at % 400 == 0 else 'https'}://{'staging.' if at % 333 == 0 else 'www.'}"
        f"shop.example/p/{at}{'' if at % 60 == 0 else '?utm_source=google'}"
        for at in range(6_000)
    ]
    audiences = [
        r.sample(("buyers", "parents", "students", "sports", "travel"), r.randrange(1, 5))
        + (["health"] if r.random() < 0.03 else [])
        for _ in range(2_000)
    ]

    def pick(items: Any, weights: Any = None) -> Any:
        share = None if weights is None else np.array(weights) / sum(weights)
        return g.choice(len(items), rows, p=share)

    def text(items: Any, weights: Any = None) -> Any:
        return pl.Series(list(items), dtype=pl.String).gather(pick(items, weights))

    median = g.lognormal(7.0, 1.0, rows)
    cap = g.lognormal(7.0, 0.8, rows)
    cpl = g.lognormal(3.6, 0.4, rows)
    leads = np.round(g.lognormal(4.0, 0.6, rows))
    conversions = np.round(g.lognormal(4.5, 0.8, rows))
    volume = g.lognormal(9.0, 1.0, rows)
    columns: dict[str, Any] = {
        "kind": text(KINDS),
        "region": text(REGIONS),
        "channel": text(CHANNELS),
        "campaign_name": text(names),
        "utm_source": text((*SOURCES, "Googel", "reddit"), (20, 20, 20, 20, 20, 20, 1, 1)),
        "utm_medium": text((*MEDIUMS, "CPC"), (20, 20, 20, 20, 20, 1)),
        "utm_campaign": text(names),
        "landing_url": text(urls),
        "message": text(messages),
        "requested_by": text(people),
        "account": text([f"acc-{at}" for at in range(3_000)]),
        "currency": text(("EUR", "USD", "GBP", "CHF", "SEK"), (40, 40, 10, 10, 1)),
        "stage": text(("draft", "ready", "running", "paused")),
        "payment_terms": text(("net-30", "net-45", "net-60", "net-90"), (60, 25, 14, 1)),
        "daily_budget": median * g.lognormal(0.0, 0.95, rows),
        "median_budget": median,
        "spend_today": cap * g.beta(6, 3, rows) * 1.06,
        "spend_cap": cap,
        "cpl": cpl * g.lognormal(0.0, 0.3, rows),
        "cpl_last_week": cpl,
        "leads": np.round(leads * g.lognormal(0.0, 0.45, rows)),
        "leads_last_week": leads,
        "platform_conversions": np.round(conversions * g.lognormal(0.0, 0.13, rows)),
        "warehouse_conversions": conversions,
        "volume": volume * g.lognormal(0.0, 0.55, rows),
        "volume_median": volume,
        "discount": g.beta(1.6, 12, rows),
        "deal_size": g.lognormal(9.8, 1.2, rows),
        "score": g.beta(2, 2, rows),
        "fairness_gap": g.beta(2, 40, rows),
        "fraud_score": g.beta(1.0, 2.2, rows),
        "bounce_rate": g.beta(3, 3, rows),
        "ctr": g.beta(2, 45, rows),
        "margin": g.beta(6, 10, rows),
        "schema_changes": g.choice(6, rows, p=[0.96, 0.02, 0.01, 0.005, 0.004, 0.001]),
        "age_days": g.integers(0, 2_000, rows),
        "pixel_present": g.random(rows) > 0.03,
        "consent": g.random(rows) > 0.04,
        "new_account": g.random(rows) < 0.1,
        "audiences": pl.Series(audiences, dtype=pl.List(pl.String)).gather(pick(audiences)),
    }
    made = pl.DataFrame(columns).select(FIELDS)
    if missing:
        made = made.select(
            pl.when(pl.Series(g.random(rows) >= missing)).then(pl.col(name)).otherwise(None)
            .alias(name) for name in FIELDS
        )  # fmt: skip
    return made


def records(rows: int, seed: int = 1, missing: float = 0.0) -> list[dict[str, Any]]:
    """The same records as mappings; a missing value has no key."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in frame(rows, seed, missing).iter_rows(named=True)
    ]
