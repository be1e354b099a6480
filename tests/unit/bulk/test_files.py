"""Files in batches: columns and rows say the same, and a run that was killed goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from handrail import gate
from handrail.bulk.draft import from_rows
from handrail.bulk.files import Parts, batches
from handrail.bulk.infer import key_of, look_at
from handrail.bulk.judge import Plan, Tally, plan_columns
from handrail.bulk.names import name_columns
from handrail.bulk.read import open_source
from handrail.model.errors import BadInput
from tests.conftest import DATA

pl = pytest.importorskip("polars")

POLICY = """\
handrail: 1
workflow: spend
owners: [team:a]
subject: order
route: [{to: team:a, silence: block}]
otherwise: auto
fields:
  order: string
  amount: {type: decimal, places: 2, min: 0}
  country: {enum: [de, fr, us], optional: true}
  at: {type: timestamp, optional: true}
  note: {type: string, normal: lower, optional: true}
rules:
  - {id: large, when: amount > 100, because: "{amount} is large"}
  - {id: foreign, on_unknown: hold, when: country != "de"}
  - {id: odd, on_unknown: ignore, when: 'matches(note, "refund")'}
"""


def everything(plan: Plan, *, columns: bool, size: int | None = None) -> dict[str, Any]:
    tally = Tally()
    rows: list[Any] = []
    bad: list[Any] = []
    held: list[Any] = []
    for batch in batches(plan, 7, columns=columns, size=size):
        tally.merge(batch.tally)
        lines = [(dict(values), found) for values, found in batch.lines()]
        rows += lines
        headers = plan.source.headers
        bare = [(list(cells), list(found)) for cells, found in batch.cells()]
        assert repr(bare) == repr(
            [
                ([values.get(header) for header in headers], list(found.values()))
                for values, found in lines
            ]
        )
        bad += batch.bad
        held += [(one.row.number, one.submit) for one in batch.held()]
    return {"tally": tally.to_dict(), "rows": rows, "bad": bad, "held": held}


def same_both_ways(plan: Plan, size: int | None = None) -> dict[str, Any]:
    one, other = everything(plan, columns=True, size=size), everything(plan, columns=False)
    assert one["tally"] == other["tally"]
    assert repr(one["bad"]) == repr(other["bad"])  # a NaN is not equal to itself
    assert repr(one["held"]) == repr(other["held"])
    for a, b in zip(one["rows"], other["rows"], strict=True):
        assert repr(a) == repr(b)
    return one


ODD_CSV = """\
order,amount,country,at,note
o1,20,de,2026-01-01,
o2,120.50,fr,2026-01-01 5:00:00,Refund
"o, 3",1e3,us,,"two
lines"
o4,20
o5,20.001,de,,
 ,5,de,,

o7,-1,xx,yesterday,\u00a0
o8,+5, de,2026-01-01T00:00:00+02:00,ReFund me
o9,n/a,de,-,x
o10,99999999999999999,de,,%52efund
o11,100.00,,31-12-2026,
o12,100.004999999,DE,2026-02-30,\u212aelvin
=1+1,100.01,de,,=evil
"""


def test_an_odd_csv_file_is_the_same_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(ODD_CSV, encoding="utf-8")
    loaded = gate.load(POLICY)
    plan = plan_columns(loaded, open_source(path), keys=["order"])
    found = same_both_ways(plan)
    assert found["tally"]["rows"] == 13
    assert found["tally"]["bad"] == 8
    assert same_both_ways(plan, size=4)["tally"] == found["tally"]


def test_parquet_is_the_same_both_ways(tmp_path: Path) -> None:
    from datetime import UTC, date, datetime
    from decimal import Decimal

    path = tmp_path / "typed.parquet"
    pl.DataFrame(
        {
            "order": ["a", "b", " ", None, "e", "f"],
            "amount": [1.0, 100.01, 3.0, float("nan"), -0.001, 1e14],
            "country": pl.Series(["de", "fr", None, "us", "de", "de"], dtype=pl.Categorical),
            "at": pl.Series(
                [0, None, -62_135_596_800_000_000, None, 5, 1], dtype=pl.Datetime("us")
            ),
            "note": ["x", "REFUND", "", "refund", None, "y"],
        }
    ).write_parquet(path)
    plan = plan_columns(gate.load(POLICY), open_source(path))
    assert same_both_ways(plan)["tally"]["bad"] == 3
    pl.DataFrame(
        {
            "order": [1, 2, 3],
            "amount": [Decimal("1.10"), Decimal("100.01"), Decimal("1.00")],
            "at": [date(2026, 1, 1), None, date(1969, 1, 1)],
            "country": ["de", "de", "it"],
            "note": [datetime(2026, 1, 1, tzinfo=UTC)] * 3,
        }
    ).write_parquet(path)
    assert same_both_ways(plan_columns(gate.load(POLICY), open_source(path)))["tally"]["bad"]


def test_parts_of_objects_are_the_same_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "nested.csv"
    path.write_text(
        "id,buyer.name,buyer.tier,buyer.address.zip\n"
        "1,ann,1,\n2,,,\n3,bo,,12345\n4,,2,\n5,cy,x,1\n6,  ,,\n7,dee,3,1\n"
    )
    loaded = gate.load(
        """\
handrail: 1
workflow: nested
owners: [team:a]
route: [{to: team:a, silence: block}]
fields:
  id: string
  buyer:
    optional: true
    object:
      name: string
      tier: {type: int, optional: true}
      address: {object: {zip: {type: string, optional: true}}, optional: true}
otherwise: auto
rules:
  - {id: nobody, when: not has(buyer)}
  - {id: tier, on_unknown: ignore, when: buyer.tier > 2}
  - {id: homeless, on_unknown: hold, when: not has(buyer.address) and has(buyer)}
"""
    )
    found = same_both_ways(plan_columns(loaded, open_source(path)))
    assert found["tally"]["bad"] == 2 and found["tally"]["fired"]["nobody"] == 2


@pytest.mark.needs("data")
@pytest.mark.parametrize(
    "name",
    ["facebook-ads-kag", "ad-platform-seeds", "telco-churn", "crm-pipeline-maven", "utm-links"],
)
def test_real_files_are_the_same_both_ways(name: str) -> None:
    paths = sorted((DATA / name).glob("*.csv"))
    assert paths
    judged = 0
    for path in paths:
        source = open_source(path)
        try:
            columns, sample = look_at(source.rows(), name_columns(source.headers, str(path)))
            keys = key_of(columns, sample) or ["@row"]
            draft = from_rows(
                "real", columns, sample, origin=path.name, keys=[k for k in keys if k != "@row"]
            )
        except BadInput:
            continue  # a file without a column that a policy could read
        plan = plan_columns(gate.load(draft.text), source, keys=keys)
        judged += same_both_ways(plan)["tally"]["rows"]
    assert judged > 100


# ------------------------------------------------------------------------------ going on


def big(tmp_path: Path, rows: int) -> Path:
    path = tmp_path / "big.csv"
    path.write_text(
        "order,amount,country,at,note\n"
        + "".join(
            f"o{n},{n % 130 if n % 97 else 'dear'},{('de', 'fr', 'xx')[n % 401 // 200]},,n{n}\n"
            for n in range(rows)
        )
    )
    return path


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_parts_that_were_cut_off_anywhere_give_the_same_file(tmp_path: Path, ending: str) -> None:
    plan = plan_columns(gate.load(POLICY), open_source(big(tmp_path, 900)))
    whole, bad = tmp_path / f"whole.{ending}", tmp_path / "bad.jsonl"

    def run(stop: int | None) -> bool:
        """One run that is cut off in its batch `stop`: True where it came to the end."""
        parts = Parts(whole, plan, {})
        for batch in batches(plan, 7, skip=parts.rows, size=200):
            if len(parts.done) == stop:
                # What a killed process leaves: rows without counts.
                (parts.folder / f"{stop:06d}.{ending}").write_bytes(b"half a li")
                return False
            parts.put(batch, batch.bad, {"tally": batch.tally.to_dict()})
        parts.finish(bad)
        return True

    assert run(None)
    wanted = content(whole)
    assert len(wanted) == 900 and len({json.dumps(row, default=str) for row in wanted}) == 900
    wanted_bad = bad.read_text()
    assert wanted_bad.count("\n") > 5
    whole.unlink()
    bad.unlink()
    for stop in (0, 1, 3, 4):
        assert not run(stop)
        assert not whole.exists() and not bad.exists()
    assert run(None)
    assert content(whole) == wanted and bad.read_text() == wanted_bad
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def content(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pl.read_parquet(path).to_dicts())
    if path.suffix == ".csv":
        return list(pl.read_csv(path, infer_schema=False).to_dicts())
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_another_policy_or_input_begins_anew(tmp_path: Path) -> None:
    path = big(tmp_path, 500)
    out = tmp_path / "out.csv"

    def begun(policy: str, options: dict[str, Any]) -> int:
        return Parts(out, plan_columns(gate.load(policy), open_source(path)), options).rows

    plan = plan_columns(gate.load(POLICY), open_source(path))
    parts = Parts(out, plan, {})
    first = next(batches(plan, 7, size=100))
    parts.put(first, first.bad, {})
    assert begun(POLICY, {}) == 100
    assert begun(POLICY, {"keys": ["order"]}) == 0
    parts = Parts(out, plan, {})
    parts.put(first, first.bad, {})
    assert begun(POLICY.replace("> 100", "> 50"), {}) == 0
    parts = Parts(out, plan, {})
    parts.put(first, first.bad, {})
    path.write_text(path.read_text().replace("o3,", "o3x,"))
    assert begun(POLICY, {}) == 0


@pytest.mark.slow
def test_kill_nine_loses_and_repeats_no_row(tmp_path: Path) -> None:
    path = big(tmp_path, 22_500)
    (tmp_path / "spend.yaml").write_text(POLICY)
    out = tmp_path / "out.csv"
    small = "from handrail.bulk import files; files.BATCH = 5_000; "
    program = small + "from handrail.cli import main; main()"
    options = ["--input", str(path), "--output", str(out)]
    call = [sys.executable, "-c", program, "--json", "gate", str(tmp_path / "spend.yaml"), *options]
    counts = tmp_path / ".out.csv.parts"
    kills = 0
    for stop in (1, 2):
        process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        give_up = time.monotonic() + 120
        while not (counts / f"{stop:06d}.json").exists() and process.poll() is None:
            assert time.monotonic() < give_up
            time.sleep(0.005)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        assert not out.exists()
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert kills == 2 and "going on at row 15001" in done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] == 22_500 and found["resumed_after"] == 15_000
    table = pl.read_csv(out, infer_schema=False)
    assert table["order"].to_list() == [f"o{n}" for n in range(22_500)]
    bad = (tmp_path / "big.bad.jsonl").read_text().splitlines()
    assert len(bad) == found["bad"] == table["handrail_lane"].to_list().count("bad") > 200
    assert not counts.exists()


def test_the_sentences_of_columns_are_those_of_the_evaluator(tmp_path: Path) -> None:
    """Sentences are made from the typed columns, without reading a cell again."""
    import benchmarks._gate_rules as rules  # the fifty realistic rules of the benchmarks

    frame = rules.frame(600, 5, missing=0.04).drop("topics")
    frame.write_parquet(tmp_path / "rows.parquet")
    policy = gate.load(rules.policy(50), run_cases=False)
    plan = plan_columns(policy, open_source(tmp_path / "rows.parquet"))
    assert everything(plan, columns=True, size=250) == everything(plan, columns=False, size=250)
