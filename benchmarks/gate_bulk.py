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

from handrail import gate  # noqa: E402
from handrail.bulk.frames import FrameGate  # noqa: E402

C = pl.col


def by_hand() -> list[pl.Expr]:
    """The 50 rules of `_gate_rules.py`, as a person who knows Polars writes them."""
    launch, report = C.kind == "launch", C.kind == "report"
    quote, content, lead = C.kind == "quote", C.kind == "content", C.kind == "lead"
    audience, tracking, change = C.kind == "audience", C.kind == "tracking", C.kind == "change"
    message = C.message.str
    gap = C.platform_conversions / C.warehouse_conversions - 1.0
    return [
        launch & (C.daily_budget > 10000),
        launch & (C.daily_budget > C.median_budget * 5),
        launch & (C.daily_budget > 45000),
        change & (C.daily_budget > C.median_budget * 3),
        C.spend_today > C.spend_cap,
        (C.spend_today > C.spend_cap * 0.97) & (C.spend_today <= C.spend_cap),
        (C.cpl > C.cpl_last_week * 1.5) & (C.leads >= 30),
        (C.channel == "search") & (C.cpl > 180),
        (C.channel == "social") & (C.cpl > 210),
        (C.leads < C.leads_last_week * 0.4) & (C.leads_last_week > 80),
        launch & ~C.utm_source.is_in(rules.SOURCES),
        launch & ~C.utm_medium.is_in(rules.MEDIUMS),
        launch & ~C.utm_campaign.str.contains("^[a-z0-9]+(_[a-z0-9]+){2,5}$"),
        launch & (C.utm_campaign.str.len_chars() < 4),
        C.landing_url.str.starts_with("http://"),
        launch & ~C.landing_url.str.contains("utm_", literal=True),
        C.landing_url.str.contains("(staging|test|dev)[.]"),
        launch & ~C.pixel_present,
        tracking & (C.volume < C.volume_median * 0.5),
        tracking & (C.volume > C.volume_median * 3),
        report & (C.warehouse_conversions != 0) & (gap.abs() > 0.2),
        report & (C.platform_conversions == 0),
        report & (C.schema_changes > 0),
        C.schema_changes > 4,
        quote & (C.discount > 0.15),
        quote & (C.discount > 0.38),
        quote & (C.discount > 0.1) & (C.deal_size >= 100000),
        quote & (C.deal_size >= 480000),
        quote & (C.payment_terms == "net-90"),
        quote & (C.margin < 0.06),
        quote & (C.deal_size * C.margin < 250),
        quote & ~C.currency.is_in(["EUR", "USD", "GBP", "CHF"]),
        content & message.contains("[a-z0-9._]+@[a-z0-9]+[.][a-z]{2,}"),
        content & message.contains("[0-9]{4} [0-9]{4} [0-9]{4} [0-9]{4}"),
        content & message.contains("guarantee|risk-free|best price"),
        content & message.contains("(?i)lawsuit|refund|attorney"),
        content & (message.len_chars() > 130),
        lead & (C.score < 0.06),
        lead & (C.score >= 0.48) & (C.score <= 0.52),
        lead & ~C.consent & (C.score > 0.5),
        C.kind.is_in(["lead", "audience"]) & (C.fairness_gap > 0.14),
        audience & (C.audiences.list.contains("minors") | C.audiences.list.contains("health")),
        audience & (C.audiences.list.len() > 4),
        C.fraud_score > 0.985,
        C.new_account & (C.fraud_score > 0.95),
        launch & (C.bounce_rate > 0.93),
        (C.ctr > 0.095) & (C.bounce_rate > 0.8),
        (C.age_days < 3) & (C.daily_budget > 2000),
        change & (C.stage == "running") & (C.daily_budget > 20000),
        launch & C.requested_by.str.ends_with("@agency.example"),
    ]


def hand(frame: pl.DataFrame) -> pl.Series:
    """Rows in which any of the 50 rules fires: one column a rule, then their union."""
    columns = frame.lazy().select(rule.alias(str(at)) for at, rule in enumerate(by_hand()))
    found = columns.collect()
    fired = found["0"]
    for name in found.columns[1:]:
        fired = fired | found[name]
    return fired


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


def cel_expression() -> str:
    """The 50 conditions as one CEL list, the fastest way to ask Google's engine for all of them."""
    made = []
    for _, when, _ in rules.RULES:
        text = when.replace("not (", "!(").replace("not ", "!").replace(" and ", " && ")
        text = text.replace(" or ", " || ")
        for name, items in rules.NAMED.items():
            text = text.replace(f"lists.{name}", str(list(items)).replace("'", '"'))
        for call in ("matches", "startsWith", "endsWith", "contains"):
            text = _method(text, call)
        text = _doubles(text).replace("abs(", "math.abs(")
        made.append(f"({text})")
    return "[" + ", ".join(made) + "]"


def _method(text: str, call: str) -> str:
    import re

    return re.sub(rf"{call}\((\w+), ", rf"\1.{call}(", text)


def _doubles(text: str) -> str:
    """CEL wants `10000.0` where a double is compared; whole numbers of ints stay."""
    import re

    ints = {"schema_changes", "age_days"}
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(
            r"(\w+\)?) (<=|>=|==|<|>|\*) (\d+)(?![\d.])",
            lambda m: m[0] if m[1] in ints or m[1].endswith(")") else m[0] + ".0",
            parts[at],
        )
    return "".join(parts)


def row_by_row(frame: pl.DataFrame) -> tuple[Callable[[], list[bool]], int] | None:
    """Google's CEL over the rows as mappings; None where it is not installed."""
    try:
        from cel_expr_python import cel
    except ImportError:
        return None
    kinds = {
        **dict.fromkeys(rules.STRINGS, cel.Type.STRING),
        **dict.fromkeys(rules.DOUBLES, cel.Type.DOUBLE),
        **dict.fromkeys(rules.INTS, cel.Type.INT),
        **dict.fromkeys(rules.BOOLS, cel.Type.BOOL),
        **dict.fromkeys(rules.LISTS, cel.Type.DYN),
    }
    text = cel_expression().replace(
        "math.abs(platform_conversions / warehouse_conversions - 1.0) > 0.2",
        "warehouse_conversions != 0.0 && (platform_conversions / warehouse_conversions > 1.2 || "
        "platform_conversions / warehouse_conversions < 0.8)",
    )
    program = cel.NewEnv(variables=kinds).compile(text)

    mappings = frame.to_dicts()  # made before the clock starts, in its favour

    def run() -> list[bool]:
        return [
            any(item.value() if hasattr(item, "value") else item for item in answer)
            for row in mappings
            for answer in (program.eval(data=row).value(),)
        ]

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
    sample = frame.head(20_000)
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
