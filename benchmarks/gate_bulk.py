"""The gate over a million rows: against the same rules hand-written in Polars, and row by row.

Rows per second of CPU time, all threads of the process counted. What is compared is taken in turns
in one run, and the median of the rounds counts. The hand-written rules do nothing else than the
50 conditions and their union; the gate also reads every one of the 40 columns by its declared type
and looks for bad cells, and both must hold the same rows.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import _gate_rules as rules  # noqa: E402
import polars as pl  # noqa: E402
from _figures import Figure, arguments, show  # noqa: E402
from gate_single import SOURCES, cel_function  # noqa: E402

from handrail import gate  # noqa: E402
from handrail.bulk.frames import FrameGate  # noqa: E402

C = pl.col


def by_hand() -> list[pl.Expr]:
    """The 50 rules of `_gate_rules.py`, as a person who knows Polars writes them."""
    ad, track, data = C.kind == "campaign", C.kind == "tracking", C.kind == "quality"
    deal, mail, model = C.kind == "sales", C.kind == "support", C.kind == "model"
    name, message = C.campaign_name.str, C.message.str
    return [
        ad & (C.budget > 10000),
        ad & (C.median_budget > 0) & (C.budget / C.median_budget >= 5),
        ad & (C.spend_today > C.spend_plan * 1.2),
        ad & (C.spend_plan > 100) & (C.spend_today < C.spend_plan * 0.4),
        ad & (C.cpl_last_week > 0) & (C.cpl > C.cpl_last_week * 1.5),
        ad & (C.cpl > 120) & (C.leads >= 20),
        ad & (C.conversion_rate < C.conversion_base * 0.6),
        ad & ~C.platform.is_in(["google", "meta", "linkedin"]),
        ad & ~C.currency.is_in(["USD", "EUR", "GBP", "CHF"]),
        track & ~C.utm_source.is_in(SOURCES),
        track & ~C.utm_medium.is_in(["cpc", "email", "social", "display"]),
        track & C.utm_source.str.contains("[A-Z ]"),
        track & ~name.contains("^[a-z]{2}_[a-z0-9-]+_20[0-9]{2}$"),
        track & ~C.pixel_present,
        track & name.contains("test", literal=True),
        track & (C.channel == "email") & (C.utm_medium == "cpc"),
        data & (C.volume_weekday > 50) & (C.volume < C.volume_weekday * 0.5),
        data & (C.volume > C.volume_weekday * 3),
        data & ((C.platform_leads - C.warehouse_leads).abs() > 0.1 * C.platform_leads),
        data & C.schema_changed,
        data & (C.leads == 0) & (C.spend_today > 500),
        data & ((C.conversion_rate > 1) | (C.conversion_rate < 0)),
        data & C.status.is_in(["late", "partial"]) & (C.volume > 1000),
        deal & (C.discount > 0.15),
        deal & (C.discount > 0.1) & (C.deal_size > 100000),
        deal & (C.net_days >= 90),
        deal & (C.deal_size > 250000),
        deal & C.new_customer & (C.deal_size > 50000) & (C.net_days > 30),
        deal & (C.segment == "enterprise") & (C.discount > 0.08),
        deal & C.country.is_in(["KP", "IR", "SY", "CU"]),
        mail & (C.refund > 200),
        mail
        & (message.contains("lawyer", literal=True) | message.contains("lawsuit", literal=True)),
        mail & message.contains("cancel", literal=True) & (C.segment == "enterprise"),
        mail & message.contains("[a-z0-9.]+@[a-z0-9]+[.][a-z]+"),
        mail & message.contains("[0-9]{4} [0-9]{4} [0-9]{4}"),
        mail & (C.topics.list.contains("medical") | C.topics.list.contains("minors")),
        mail & ~C.language.is_in(["en", "de", "fr", "es"]),
        mail & (message.len_chars() > 400),
        model & (C.parity < 0.8),
        model & (C.confidence_score < 0.7),
        model & (C.confidence_score < 0.85) & (C.deal_size > 20000),
        model & (C.conversion_base > 0) & ((C.conversion_rate / C.conversion_base - 1).abs() > 0.5),
        (C.attempts > 5) & (C.chargeback_rate > 0.02),
        C.new_customer & (C.order_count > 8),
        C.chargeback_rate > 0.05,
        C.status == "blocked",
        (C.owner == "") | (C.owner == "unknown"),
        C.confidence_score < 0.3,
        C.spend_today > 50000,
        (C.refund > 1000) | (C.discount > 0.4),
    ]


def hand(frame: pl.DataFrame) -> pl.Series:
    """Rows in which any of the 50 rules fires: one column a rule, then their union."""
    columns = frame.lazy().select(rule.alias(str(at)) for at, rule in enumerate(by_hand()))
    found = columns.collect()
    fired = found["0"]
    for name in found.columns[1:]:
        fired = fired | found[name]
    return fired.fill_null(False)


def fired(made: FrameGate, frame: pl.DataFrame) -> pl.Series:
    """The same by the gate, with lane and mode of every row."""
    judged = made.judge(frame, now=0)
    if judged.bad:
        raise SystemExit(f"{len(judged.bad)} rows are bad; the records are wrong")
    assert len(judged.lanes) == frame.height
    found = None
    for mask in judged.fired.values():
        found = mask if found is None else found | mask
    assert found is not None
    return found


def rounds(count: int, works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median CPU seconds of each, taken in turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(count):
        for name, work in works.items():
            start = time.process_time()
            work()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def row_by_row(frame: pl.DataFrame) -> tuple[Callable[[], list[bool]], int] | None:
    """Google's CEL over the rows as mappings; None where it is not installed."""
    judge = cel_function(list(rules.RULES))
    if judge is None:
        return None
    mappings = frame.to_dicts()  # made before the clock starts, in its favour

    def run() -> list[bool]:
        return [bool(judge(row)) for row in mappings]

    return run, frame.height


_PARQUET = """
import resource, sys, time
sys.path.insert(0, sys.argv[1])
import _gate_rules as rules
from pathlib import Path
from handrail import gate
from handrail.bulk.files import batches
from handrail.bulk.judge import Tally, plan_columns
from handrail.bulk.read import open_source
plan = plan_columns(gate.load(rules.policy(50)), open_source(Path(sys.argv[2])))
tally, start = Tally(), time.process_time()
for batch in batches(plan, 0):
    tally.merge(batch.tally)
used = time.process_time() - start
print(tally.rows, tally.lanes["hold"], used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def parquet(million: int) -> tuple[int, float, float]:
    """Rows, CPU seconds and peak memory (bytes) of a Parquet file, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        parts = []
        for seed in range(million):
            part = Path(folder) / f"{seed}.parquet"
            rules.frame(1_000_000, seed).write_parquet(part)
            parts.append(pl.scan_parquet(part))
        pl.concat(parts).sink_parquet(path)
        done = subprocess.run(
            [sys.executable, "-c", _PARQUET, str(HERE), str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
    count, _, used, peak = done.stdout.split()
    return int(count), float(used), float(peak) * 1024


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in memory")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each")
    parser.add_argument("--million", type=int, default=5, help="million rows of the Parquet file")
    given = parser.parse_args()

    frame = rules.frame(given.rows, 3)
    fifty = FrameGate.of(gate.load(rules.policy(50)), frame.columns)
    many = FrameGate.of(gate.load(rules.policy(200)), frame.columns)
    if not (hand(frame) == fired(fifty, frame)).all():
        raise SystemExit("the gate and the hand-written rules fire on different rows")
    taken = rounds(
        given.rounds,
        {
            "50": lambda: fired(fifty, frame),
            "200": lambda: fired(many, frame),
            "hand": lambda: hand(frame),
        },
    )
    rate = given.rows / taken["50"]
    what = f"{given.rows:,} rows x 40 columns, median of {given.rounds}"
    figures = [
        Figure.at_least("rows_per_cpu_s_50", rate, "rows/CPU s", goal=2e6, how=what),
        Figure.at_most(
            "rules_200_over_50", taken["200"] / taken["50"], "x", goal=1.3, how="CPU time, paired"
        ),
        Figure.at_least(
            "polars_by_hand",
            taken["hand"] / taken["50"],
            "x",
            goal=0.9,
            how="speed of the gate over that of 50 hand-written expressions, paired",
        ),
    ]
    sample = frame.head(20_000).with_columns(pl.col("owner").fill_null("ann"))
    single = row_by_row(sample)
    if single is not None:
        run, count = single
        if run() != fired(fifty, sample).to_list():
            raise SystemExit("Google's CEL and the gate fire on different rows")
        slow = count / rounds(3, {"cel": run})["cel"]
        figures.append(
            Figure.at_least(
                "best_rowwise",
                rate / slow,
                "x",
                goal=80,
                how=f"speed over Google's CEL row by row, all in one list ({slow:,.0f} rows/s)",
            )
        )
    full = rounds(3, {"all": lambda: fifty.judge(frame, now=0).results(why=False)})["all"]
    figures.append(
        Figure.plain(
            "rows_per_cpu_s_50_listed",
            given.rows / full,
            "rows/CPU s",
            how="with the lists of rules that fired or are unknown, as `bulk.gate(why=False)`",
        )
    )
    if given.million:
        count, used, peak = parquet(given.million)
        figures += [
            Figure.plain(
                "parquet_rows_per_cpu_s",
                count / used,
                "rows/CPU s",
                how=f"{count:,} rows, read too",
            ),
            Figure.at_most("parquet_peak", peak / 1e9, "GB", goal=1.5, how="whole process"),
        ]
    show(figures, as_json=given.json)


if __name__ == "__main__":
    main()
