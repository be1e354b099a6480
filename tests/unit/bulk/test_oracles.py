"""Columns and SQL on random policies, held against the reference and Google's CEL."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("polars")
pytest.importorskip("duckdb")
from handrail import gate
from handrail.bulk.sql import conditions
from tests.gate_oracles import compare

START = int(os.environ.get("HANDRAIL_FUZZ_SEED", "0"))
SEEDS = int(os.environ.get("HANDRAIL_FUZZ", "4"))


@pytest.mark.parametrize("seed", range(START, START + SEEDS))
def test_every_engine_says_the_same(seed: int) -> None:
    found = compare(seed, plain=seed % 2 == 1)
    assert not found.differ, found.examples
    assert found.cells["columns"] > 0.4 * found.cells["generated"]
    assert found.cells["sql"] and found.unknown > 100
    assert bool(found.cells["cel"]) == (seed % 2 == 1)


def test_conditions_as_sql_are_exact_or_not_said() -> None:
    import duckdb

    policy = gate.load(
        """\
handrail: 1
workflow: sql
owners: [team:a]
route: [{to: team:a, silence: block}]
fields:
  price: {type: decimal, places: 2}
  list_price: {type: decimal, places: 2}
  name: string
values:
  off: 1 - price / list_price
rules:
  - {id: deep, on_unknown: hold, when: off > 0.15}
  - {id: named, when: 'name in ["it''s", "b"]'}
  - {id: told, when: 'mentions(name, ["refund"])'}
"""
    )
    said = conditions(policy)
    assert said["told"].text is None and said["told"].reason == "`mentions`"
    assert said["named"].text == "(\"name\" IN ('it''s', 'b'))"
    rows = duckdb.sql(
        f"SELECT {said['deep'].text}, {said['named'].text} FROM (VALUES "
        "(CAST(170 AS DECIMAL(18, 2)), CAST(200 AS DECIMAL(18, 2)), 'it''s'), (169.99, 200, 'c'), "
        "(1, 0, NULL), (-400, -200, 'b'), (NULL, 1, 'b')) AS t(price, list_price, name)"
    ).fetchall()
    assert rows == [(False, True), (True, False), (None, None), (False, True), (None, True)]
