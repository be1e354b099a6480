"""The gate over tables, as a program calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail import bulk, gate
from handrail.model.errors import BadInput, PolicyErrors

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
from handrail.bulk import frames  # noqa: E402

POLICY = """\
handrail: 1
workflow: refund
owners: [team:a]
route: [{to: team:a, silence: block}]
otherwise: auto
fields:
  order: string
  amount: {type: decimal, places: 2, from: proposal}
lists:
  watched: {file: watched.csv}
rules:
  - {id: large, when: amount > 100, because: "{amount} is large"}
  - {id: watched, when: order in lists.watched, then: refuse}
"""
RESULT = {
    "handrail_lane": ["pass", "hold", "refuse", "bad"],
    "handrail_mode": ["auto", "in_the_loop", "refuse", None],
    "handrail_rules": [[], ["large"], ["large", "watched"], []],
}
TABLE = {"order": ["o1", "o2", "o9", "o4"], "paid": [100.0, 100.01, 200.0, None], "x": [1, 2, 3, 4]}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "watched.csv").write_text("o9\n")
    (tmp_path / "refund.yaml").write_text(POLICY)
    return tmp_path / "refund.yaml"


def test_every_kind_of_table(policy: Path, tmp_path: Path) -> None:
    frame = pl.DataFrame(TABLE)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    tables = [frame, frame.to_pandas(), frame.to_arrow(), tmp_path / "t.parquet"]
    tables.append(str(tmp_path / "t.csv"))
    for table in tables:
        found = bulk.gate(table, policy, proposal=["amount=paid"])
        assert found.columns[:3] == ["order", "paid", "x"]
        assert found.select(list(RESULT)).to_dict(as_series=False) == RESULT, type(table)
        why = found["handrail_why"].to_list()
        assert why[1] == "100.01 is large"
        assert why[3] == "/proposal/amount: missing; the policy requires it"


def test_a_lazy_frame_stays_lazy(policy: Path) -> None:
    lazy = bulk.gate(pl.LazyFrame(TABLE), policy, proposal=["amount=paid"], why=False)
    assert isinstance(lazy, pl.LazyFrame)
    found = lazy.filter(pl.col("handrail_lane") == "hold").collect(engine="streaming")
    assert found["order"].to_list() == ["o2"]
    assert "handrail_why" not in found.columns


def test_an_arrow_batch_gives_an_arrow_batch(policy: Path) -> None:
    made = bulk.BulkGate(frames.load_file(policy), proposal=["amount=paid"])
    batch = pa.RecordBatch.from_pydict(TABLE)
    for _ in range(2):
        found = made.evaluate_arrow(batch)
        assert isinstance(found, pa.RecordBatch)
        assert found.select(list(RESULT)).to_pydict() == RESULT
        assert found.select(batch.schema.names).equals(batch)
    empty = made.evaluate_arrow(batch.slice(0, 0))
    assert empty.num_rows == 0 and empty.schema == found.schema


def test_what_is_wrong_is_said(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no column 'nothing'"):
        bulk.gate(pl.DataFrame(TABLE), policy, proposal=["amount=nothing"])
    with pytest.raises(BadInput, match="name a policy file"):
        bulk.gate(pl.DataFrame(TABLE), tmp_path / "none.yaml")
    with pytest.raises(PolicyErrors):
        (tmp_path / "bad.yaml").write_text("handrail: 2\n")
        bulk.gate(pl.DataFrame(TABLE), tmp_path / "bad.yaml")
    with pytest.raises(AttributeError):
        _ = bulk.no_such_name
    assert gate.check(POLICY, read_file=lambda name: b"o9") == []


REPLY = """\
handrail: 1
workflow: reply
owners: [team:a]
route: [{to: team:a, silence: block}]
otherwise: auto
fields:
  text: {type: string, from: proposal}
checks:
  pii: {run: support.pii, reads: [text], gives: {list: string}}
rules:
  - {id: personal, when: size(checks.pii) > 0, on_unknown: hold}
"""


def test_the_checks_of_the_packs_run_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "reply.yaml").write_text(REPLY)
    found = bulk.gate({"text": ["hello", "write to a@b.example"]}, tmp_path / "reply.yaml")
    assert found["handrail_lane"].to_list() == ["pass", "hold"]
    assert found["handrail_rules"].to_list() == [[], ["personal"]]
    assert found["handrail_unknown"].to_list() == [[], []]


STORED = """\
handrail: 1
workflow: launch
owners: [team:a]
route: [{to: team:a, silence: block}]
otherwise: auto
fields:
  source: {type: string, normal: lower}
lists:
  sources: {stored: true}
  blocked: {stored: true}
rules:
  - {id: unlisted, when: not (source in lists.sources)}
  - {id: blocked, when: 'mentions(source, lists.blocked)', then: refuse}
"""


def test_what_stored_lists_hold_has_to_be_said(tmp_path: Path) -> None:
    place = tmp_path / "launch.yaml"
    place.write_text(STORED)
    table = {"source": ["Google", "bing", "spam"]}
    with pytest.raises(BadInput, match="sources, blocked is not given"):
        bulk.gate(table, place)
    with pytest.raises(BadInput, match="blocked is not given"):
        bulk.gate(table, place, lists={"sources": ["google"]})
    with pytest.raises(BadInput, match="other is given"):
        bulk.gate(table, place, lists={"sources": [], "blocked": [], "other": []})
    found = bulk.gate(table, place, lists={"sources": ["google", "spam"], "blocked": ["spam"]})
    assert found["handrail_lane"].to_list() == ["pass", "hold", "refuse"]
