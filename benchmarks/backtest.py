"""A changed policy over five million stored decisions, and over a workspace's log.

The decisions lie in Parquet: 40 fields, a label and a time. Both policies have 50 rules; the tested
one has another threshold in each fifth of them. `handrail backtest` is called as a user calls it,
in a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _figures import Figure, arguments, show
from _gate_rules import frame, policy

PART = 100_000


def _decisions(path: Path, rows: int) -> None:
    """A Parquet file of `rows` decisions: parts of one seed each, a row in fifty labelled bad."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(5)
    parts = [frame(PART, seed=seed) for seed in range(10)]
    folder = path.with_suffix(".parts")
    folder.mkdir()
    for at in range(rows // PART):
        part = parts[at % len(parts)]
        bad = pl.Series("bad", rng.random(part.height) < 0.02)
        known = pl.Series(rng.random(part.height) < 0.3)
        labelled = pl.select(pl.when(known).then(bad)).to_series().alias("bad")
        part.with_columns(labelled).write_parquet(folder / f"{at:04d}.parquet")
    pl.scan_parquet(folder / "*.parquet").sink_parquet(path, row_group_size=PART)


def _backtest(*words: str) -> tuple[dict[str, object], float, float, float]:
    """The answer, wall seconds, CPU seconds and peak MB of one call."""
    program = (
        "import resource, sys\n"
        "from handrail.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    print(f'peak {peak}', file=sys.stderr)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, "--json", "backtest", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    [peak] = [line for line in done.stderr.splitlines() if line.startswith("peak ")]
    return json.loads(done.stdout), wall, cpu, int(peak.split()[1]) / 1024


def _log(folder: Path, decisions: int) -> tuple[float, float]:
    """Wall and CPU seconds of a back test of a workspace's log with `decisions` in it."""
    import handrail

    rows = frame(decisions, seed=3).to_dicts()
    given = [{name: value for name, value in row.items() if value is not None} for row in rows]
    work = folder / "work"
    (work / "policies").mkdir(parents=True)
    (work / "policies" / "bench-50.yaml").write_text(policy(50))
    with handrail.open(work, desk=False) as hr:
        hr.submit_many("bench-50", [{"row": str(n), **row} for n, row in enumerate(given)],
                       key="row", on_bad="raise")  # fmt: skip
    found, wall, cpu, _ = _backtest("-w", str(work), "bench-50", "--log")
    assert found["rows"] == decisions
    return wall, cpu


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rows", type=int, default=5_000_000, help="decisions in the file")
    parser.add_argument("--stored", type=int, default=20_000, help="decisions in the log")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="handrail-backtest-") as name:
        folder = Path(name)
        path = folder / "decisions.parquet"
        _decisions(path, given.rows)
        old, new = folder / "old.yaml", folder / "new.yaml"
        old.write_text(policy(50))
        new.write_text(policy(50).replace("> 10000", "> 8000"))
        found, wall, cpu, peak = _backtest(
            str(new), "--against", str(old), "--input", str(path), "--label", "bad"
        )
        assert found["rows"] == given.rows and not found["bad_rows"]
        log_wall, log_cpu = _log(folder, given.stored)
        size = path.stat().st_size / 2**20
        how = (
            f"{given.rows:,} rows of 41 columns, {size:,.0f} MB of Parquet, two policies of 50 "
            f"rules, {os.cpu_count()} cores, start of Python included"
        )
        show(
            [
                Figure.at_most("back test of a file", wall, "s", goal=10, how=how),
                Figure.plain("rows per CPU second", given.rows / cpu, "/s", how="both policies"),
                Figure.plain("peak memory", peak, "MB", how="resident, of the whole process"),
                Figure.plain(
                    "stored decisions per CPU second",
                    given.stored / log_cpu,
                    "/s",
                    how=f"--log over {given.stored:,} decisions in SQLite, against their rulings; "
                    f"{log_wall:.1f} s in all",
                ),
            ],
            as_json=given.json,
        )


if __name__ == "__main__":
    main()
