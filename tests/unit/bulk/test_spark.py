"""The gate on Spark holds what the gate on columns holds; the example of the docs runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.needs("spark"), pytest.mark.slow, pytest.mark.timeout(600)]

PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
import _gate_rules as rules
import polars as pl
from handrail import bulk, gate
from handrail.bulk import spark
from handrail.bulk.frames import RESULTS
from handrail.model.errors import BadInput
from pyspark.sql import SparkSession

os.environ["PYSPARK_PYTHON"] = "/usr/bin/env"
session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
frame = rules.frame(3_000, 11, missing=0.03)
frame.write_parquet("rows.parquet")
df = session.read.parquet("rows.parquet")
policy = gate.load(rules.policy(50))
try:
    spark.gate(df, policy)
except BadInput as error:
    assert "set PYSPARK_PYTHON" in str(error)
else:
    raise SystemExit("Spark was let start another Python")
session.sparkContext.pythonExec = sys.executable
found = spark.gate(df.repartition(3), policy).select("message", "cpl", *RESULTS)
mine = bulk.gate(frame, policy).select("message", "cpl", *RESULTS)
theirs = sorted(repr(tuple(row)) for row in found.collect())
ours = sorted(repr(row) for row in mine.iter_rows())
assert theirs == ours, (theirs[:2], ours[:2])
held = mine.filter(pl.col("handrail_lane") == "hold").height
assert found.where("handrail_lane = 'hold'").count() == held
print("same", held)
"""


def run(program: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout


def test_the_held_set_is_identical(tmp_path: Path, root: Path) -> None:
    said = run(PROGRAM, tmp_path, str(root / "benchmarks"))
    word, held = said.split()
    assert word == "same" and int(held) > 300


def test_the_stream_of_the_docs_runs(tmp_path: Path, root: Path) -> None:
    import polars as pl

    page = (root / "docs" / "bulk.md").read_text("utf-8")
    [policy] = re.findall(r"<!-- file: refund.yaml -->\n```yaml\n(.*?)```", page, re.DOTALL)
    [program] = re.findall(r"runs this very block -->\n```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "refund.yaml").write_text(policy)
    (tmp_path / "incoming").mkdir()
    for name, amounts in (("a", [20.0, 120.5]), ("b", [100.0, 100.01])):
        table = pl.DataFrame({"order": [f"{name}{at}" for at in range(2)], "amount": amounts})
        table.write_parquet(tmp_path / "incoming" / f"{name}.parquet")
    said = run(program, tmp_path)
    assert said.strip() == (
        "[('a1', '120.50 EUR is over 100 EUR'), ('b1', '100.01 EUR is over 100 EUR')]"
    )
