"""What goes with a job to a cluster: the gate that a worker makes of it is the one here."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from handrail import gate
from handrail.model.errors import BadInput
from handrail.packs.checks import CHECKS
from tests.unit.bulk.test_frames import POLICY, REPLY, STORED

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
from handrail import bulk  # noqa: E402
from handrail.bulk import spark  # noqa: E402


def through_a_worker(table: pl.DataFrame, shipped: spark._Shipped) -> pl.DataFrame:
    """As Spark does it: the worker arrives pickled, and gets Arrow batches."""
    worker = pickle.loads(pickle.dumps(spark._Worker(shipped)))
    spark._loaded.cache_clear()
    made = list(worker(iter(table.to_arrow().to_batches())))
    found = pl.from_arrow(pa.Table.from_batches(made))
    assert isinstance(found, pl.DataFrame)
    return found


def test_files_checks_and_stored_lists_go_with_the_job(tmp_path: Path) -> None:
    (tmp_path / "watched.csv").write_text("o9\n")
    lists = {"sources": ["google", "spam"], "blocked": ["spam"]}
    for text, table, held in (
        (POLICY, {"order": ["o1", "o9"], "amount": [1.0, 2.0]}, None),
        (REPLY, {"text": ["hello", "write to a@b.example"]}, None),
        (STORED, {"source": ["Google", "bing", "spam"]}, lists),
    ):
        place = tmp_path / "policy.yaml"
        place.write_text(text)
        frame = pl.DataFrame(table)
        shipped = spark._shipped(place, held, (), None, True)
        here = bulk.gate(frame, place, lists=held)
        assert through_a_worker(frame, shipped).equals(here)
        assert here["handrail_lane"].n_unique() > 1


def test_a_loaded_policy_takes_its_lists_along() -> None:
    policy = gate.load(STORED).with_lists({"sources": ("google",), "blocked": ()}, {"sources": 3})
    frame = pl.DataFrame({"source": ["google", "bing"]})
    found = through_a_worker(frame, spark._shipped(policy, None, (), None, False))
    assert found["handrail_lane"].to_list() == ["pass", "hold"]


def test_code_that_a_worker_would_not_have_is_refused() -> None:
    policy = gate.load(REPLY, checks={"support.pii": lambda fields: []})
    with pytest.raises(BadInput, match="a worker would not have it"):
        spark._shipped(policy, None, (), None, True)
    assert spark._shipped(gate.load(REPLY, checks=CHECKS), None, (), None, True).checks
    assert not spark._shipped(gate.load(REPLY), None, (), None, True).checks


def test_a_stored_list_that_nobody_filled_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "launch.yaml"
    place.write_text(STORED)
    with pytest.raises(BadInput, match="is not given"):
        spark._shipped(place, None, (), None, True)
