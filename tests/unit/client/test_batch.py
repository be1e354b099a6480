"""Many rows at once: tables of every kind, bad rows, repeats."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from handrail.client import Client
from handrail.client.batch import CHUNK, rows_of
from handrail.errors import BadInput, NotFound
from handrail.model.modes import Lane

COLUMNS: dict[str, list[Any]] = {
    "order": ["a", "b", "c"],
    "amount": [5.0, 150.25, 200_000.0],
    "note": ["x", None, "z"],
    "score": [0.5, None, 1.0],
}


def rows() -> list[dict[str, Any]]:
    return [
        dict(zip(COLUMNS, values, strict=True)) for values in zip(*COLUMNS.values(), strict=True)
    ]


TABLES = {
    "mappings": rows,
    "generator": lambda: iter(rows()),
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "pandas nullable": lambda: pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas arrow": lambda: pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars lazy": lambda: pl.LazyFrame(COLUMNS),
    "arrow": lambda: pa.table(COLUMNS),
    "arrow batch": lambda: pa.record_batch(COLUMNS),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_table_is_the_same_decisions(hr: Client, kind: str) -> None:
    seen: list[tuple[int, int | None]] = []
    rulings = hr.submit_many(
        "refund",
        TABLES[kind](),
        key="order",
        proposal=["amount"],
        confidence="score",
        model="m@1",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [ruling.lane for ruling in rulings] == [Lane.PASS, Lane.HOLD, Lane.REFUSE]
    assert rulings.keys == ("a", "b", "c")
    assert rulings.rows == (0, 1, 2)
    assert rulings.bad == ()
    assert repr(rulings) == "<Rulings: pass 1, hold 1, refuse 1, bad 0>"
    stored = [view.decision for view in reversed(hr.decisions())]
    assert [d["facts"] for d in stored] == [
        {"order": "a", "note": "x"},
        {"order": "b"},
        {"order": "c", "note": "z"},
    ]
    assert [d["proposal"] for d in stored] == [
        {"amount": "5.00"},
        {"amount": "150.25"},
        {"amount": "200000.00"},
    ]
    assert [d.get("confidence") for d in stored] == [0.5, None, 1.0]
    assert seen == [(3, None if kind == "generator" else 3)]
    again = hr.submit_many(
        "refund", rows(), key="order", proposal=["amount"], confidence="score", model="m@1"
    )
    assert list(again) == list(rulings)
    assert len(hr.decisions()) == 3


def test_columns_can_be_renamed_and_subject_named(hr: Client) -> None:
    [ruling] = hr.submit_many(
        "refund",
        [{"order": "a", "eur": 5, "id": 17}],
        key="id",
        proposal={"amount": "eur"},
        subject="order",
    )
    [view] = hr.decisions()
    assert view.decision["key"] == "17"
    assert view.decision["subject"] == "a"
    assert view.decision["proposal"] == {"amount": "5.00"}
    assert ruling.undeclared == ("id",)


def test_more_rows_than_a_chunk(hr: Client) -> None:
    many = CHUNK * 2 + 3
    frame = pd.DataFrame({"order": [f"o{n}" for n in range(many)], "amount": np.full(many, 7)})
    seen: list[int] = []
    rulings = hr.submit_many(
        "refund",
        frame,
        key="order",
        proposal="amount",
        progress=lambda done, total: seen.append(done),
    )
    assert len(rulings) == many
    assert seen == [CHUNK, CHUNK * 2, many]
    assert rulings.keys == tuple(frame["order"])
    assert len(rulings[1:3]) == 2


BAD: list[tuple[dict[str, Any], str]] = [
    ({"order": "b", "amount": math.nan}, "/rows/1/amount"),
    ({"order": "b", "amount": "much"}, "/rows/1/proposal/amount"),
    ({"order": "", "amount": 5}, "/rows/1/order"),
    ({"amount": 5}, "/rows/1"),
    ({"order": "b", "amount": 5, "score": "high"}, "/rows/1/score"),
    ({"order": "b", "amount": 5, "score": 2.0}, "/rows/1/confidence"),
]


@pytest.mark.parametrize(("row", "pointer"), BAD)
def test_bad_rows(hr: Client, row: dict[str, Any], pointer: str) -> None:
    given = [{"order": "a", "amount": 5}, row, {"order": "c", "amount": 6}]
    options: dict[str, Any] = {"key": "order", "proposal": "amount", "confidence": "score"}
    for on_bad in ("raise", "hold"):
        with pytest.raises(BadInput) as caught:
            hr.submit_many("refund", given, on_bad=on_bad, **options)
        assert caught.value.pointer == pointer
    rulings = hr.submit_many("refund", given, on_bad="skip", **options)
    assert rulings.rows == (0, 2)
    [bad] = rulings.bad
    assert bad.row == 1
    assert bad.key == row.get("order")
    assert isinstance(bad.error, BadInput)


def test_missing_required_facts_are_held_on_wish(hr: Client) -> None:
    [ruling] = hr.submit_many(
        "refund", [{"id": "r", "amount": 5}], key="id", proposal="amount", on_bad="hold"
    )
    assert ruling.lane is Lane.HOLD
    assert "required" in ruling.why


def test_a_column_that_is_not_there(hr: Client) -> None:
    with pytest.raises(BadInput, match="no column 'price'; its columns are order, amount"):
        hr.submit_many(
            "refund", pd.DataFrame({"order": ["a"], "amount": [5]}), key="order", proposal="price"
        )
    with pytest.raises(BadInput, match="expected raise, hold or skip"):
        hr.submit_many("refund", [], key="order", on_bad="ignore")  # type: ignore[arg-type]
    for wrong in ({"order": "a"}, "rows", 7):
        with pytest.raises(BadInput, match="expected a pandas, Polars or Arrow table"):
            hr.submit_many("refund", wrong, key="order")
    with pytest.raises(NotFound):
        hr.submit_many("unknown", rows(), key="order")
    assert list(hr.submit_many("refund", [], key="order")) == []


def test_nan_means_missing_in_pandas_only(hr: Client) -> None:
    frame = {"order": ["a"], "amount": [5], "note": [math.nan]}
    hr.submit_many("refund", pd.DataFrame(frame), key="order", proposal="amount")
    assert hr.decisions()[0].decision["facts"] == {"order": "a"}
    with pytest.raises(BadInput, match="nan is not a number"):
        hr.submit_many("refund", pl.DataFrame(frame), key="order", proposal="amount")


def test_rulings_become_tables(hr: Client) -> None:
    rulings = hr.submit_many("refund", rows(), key="order", proposal="amount", confidence="score")
    pandas = rulings.to_pandas()
    polars = rulings.to_polars()
    assert list(pandas["lane"]) == polars["lane"].to_list() == ["pass", "hold", "refuse"]
    assert list(pandas.columns) == polars.columns
    assert polars["rules"].to_list() == [[], ["over-limit"], ["over-limit", "absurd"]]
    empty = hr.submit_many("refund", [], key="order")
    assert list(empty.to_pandas().columns) == empty.to_polars().columns == polars.columns
    assert "a" in rulings._repr_html_()


# ------------------------------------------------------------------------------- observations

DAY = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
SPENT: dict[str, list[Any]] = {
    "id": ["a", "b", "c"],
    "day": [DAY, DAY, DAY],
    "spend": [5.0, None, 7.25],
}
STREAMS = {
    "mappings": lambda: [
        dict(zip(SPENT, row, strict=True)) for row in zip(*SPENT.values(), strict=True)
    ],
    "pandas": lambda: pd.DataFrame(SPENT),
    "polars": lambda: pl.DataFrame(SPENT),
    "arrow": lambda: pa.table(SPENT),
}


def test_every_table_is_the_same_observations(hr: Client) -> None:
    first = hr.record("ads", STREAMS["mappings"](), key="id", at="day")
    assert (first.recorded, first.repeated, first.bad) == (3, 0, 0)
    for kind, table in STREAMS.items():
        again = hr.record("ads", table(), key="id", at="day")
        assert (again.recorded, again.repeated, again.bad) == (0, 3, 0), kind


def test_a_bad_observation_is_named_by_its_place_in_what_was_given(hr: Client) -> None:
    moment = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)).isoformat()
    rows: list[dict[str, Any]] = [{"id": n, "at": moment} for n in range(CHUNK + 10)]
    rows[3] = {"id": 3, "at": "noon"}
    rows[5] = {"at": moment}
    rows[CHUNK + 4] = {"id": "x", "at": "2026-02-30"}
    skipped = hr.record("leads", rows, key="id", on_bad="skip")
    assert (skipped.recorded, skipped.bad) == (CHUNK + 7, 3)
    bad = {n: one.error for n, one in enumerate(skipped.rows) if one.error is not None}
    assert {n: error["pointer"] for n, error in bad.items()} == {
        3: "/rows/3/at",
        5: "/rows/5",
        CHUNK + 4: f"/rows/{CHUNK + 4}/at",
    }
    with pytest.raises(BadInput, match="noon") as caught:
        hr.record("leads", rows, key="id")
    assert caught.value.pointer == "/rows/3/at"
    rows[3] = {"id": "new", "at": moment}
    with pytest.raises(BadInput, match="has no 'id'"):
        hr.record("leads", rows, key="id")
    assert hr.record("leads", rows[:5], key="id").repeated == 5, "what came before it is stored"
    with pytest.raises(BadInput, match="no column 'when'"):
        hr.record("ads", STREAMS["pandas"](), key="id", at="when")
    with pytest.raises(BadInput, match="expected raise or skip"):
        hr.record("ads", [], key="id", on_bad="hold")  # type: ignore[arg-type]


def test_floats_of_32_bits_in_tables_are_what_was_written() -> None:
    frame = pl.DataFrame({"k": ["a", "b"], "x": pl.Series([5.1, None], dtype=pl.Float32)})
    narrow = pd.DataFrame({"k": ["a", "b"], "x": np.array([5.1, math.nan], dtype="float32")})
    for table in (frame, frame.to_arrow(), narrow):
        rows, _, _ = rows_of(table)
        assert next(rows) == {"k": "a", "x": 5.1}
