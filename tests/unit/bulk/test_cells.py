"""Cells of files become wire values, or stay as they are for the gate to refuse."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from handrail.bulk.cells import read_cell, read_moment
from handrail.model.policy import Field


def field(kind: str, **more: Any) -> Field:
    return Field(name="f", kind=kind, **more)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "7350", 7350),
        ("int", " -3.0 ", -3),
        ("int", "1,234", "1,234"),
        ("int", "9007199254740993", "9007199254740993"),
        ("int", "-", None),
        ("double", "1e3", 1000),
        ("double", ".5", 0.5),
        ("double", "inf", "inf"),
        ("double", "NaN", None),
        ("double", "1e999", "1e999"),
        ("bool", "TRUE", True),
        ("bool", "no", False),
        ("bool", "maybe", "maybe"),
        ("string", "", None),
        ("string", " kept ", " kept "),
        ("string", "NULL", "NULL"),
        ("enum", "NA", "NA"),
        ("timestamp", "2021-09-15 5:00:00", "2021-09-15T05:00:00.000000Z"),
        ("timestamp", "2023-05-20 08:00:00.000 +0000", "2023-05-20T08:00:00.000000Z"),
        ("timestamp", "2020-12-10", "2020-12-10T00:00:00.000000Z"),
        ("timestamp", "2021-06-29T17:19:05.102", "2021-06-29T17:19:05.102000Z"),
        ("timestamp", "2026-01-01T00:00:00+02:00", "2025-12-31T22:00:00.000000Z"),
        ("timestamp", "31-08-2023", "31-08-2023"),
        ("timestamp", "2021-13-40", "2021-13-40"),
        ("list", '["a", "b"]', ["a", "b"]),
        ("list", "[ broken", "[ broken"),
        ("duration", "30m", "30m"),
    ],
)
def test_text(kind: str, text: str, value: Any) -> None:
    assert read_cell(field(kind), text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.429999948", "1.43"),  # a 32-bit float in disguise
        ("1.43", "1.43"),
        ("10000.01", "10000.01"),
        ("1.435", "1.435"),  # a real third digit is not rounded away
        ("639.9499981", "639.95"),
        ("-", None),
        ("12 USD", "12 USD"),
    ],
)
def test_decimals(text: str, value: str | None) -> None:
    assert read_cell(field("decimal", places=2), text) == value


def test_typed_values() -> None:
    assert read_cell(field("decimal", places=2), 1.5) == "1.50"
    assert read_cell(field("decimal", places=2), Decimal("1.005")) == "1.005"
    assert read_cell(field("string"), 708746) == "708746"
    assert read_cell(field("double"), float("nan")) is None
    assert read_cell(field("timestamp"), dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)) == (
        "2026-01-01T12:00:00.000000Z"
    )
    assert read_cell(field("timestamp"), dt.date(2026, 1, 1)) == "2026-01-01T00:00:00.000000Z"
    assert read_cell(field("bool"), True) is True
    assert read_cell(field("double"), Decimal("2.0")) == 2


def test_moments_that_are_none() -> None:
    for text in ("", "today", "2020-1-1", "2020-02-30", "12:00"):
        assert read_moment(text) is None
