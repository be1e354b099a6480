"""The one conversion at the edge: what each kind of value becomes, and what is refused where."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import sys
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.client.convert import shortest, wire, wire_object
from handrail.errors import BadInput
from handrail.model.wire import MAX_DEPTH, read_json

BERLIN = dt.timezone(dt.timedelta(hours=1))
MOMENT = dt.datetime(2026, 11, 21, 9, 0, 0, 250, tzinfo=BERLIN)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    def __str__(self) -> str:
        return "something else"


@dataclasses.dataclass
class Point:
    x: float
    when: dt.datetime


class Item(msgspec.Struct, rename={"size": "Size"}):
    size: int
    price: decimal.Decimal


class Order(pydantic.BaseModel):
    id: int
    price: decimal.Decimal
    at: dt.datetime
    lines: list[Point]


TABLE: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (7, 7),
    (2.5, 2.5),
    (14000.0, 14000),
    (-0.0, 0),
    (1e300, 1e300),
    ("é", "é"),
    (Word("plain"), "plain"),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (decimal.Decimal("12.50"), 12.5),
    (decimal.Decimal("100"), 100),
    (decimal.Decimal("1E+20"), 1e20),
    (decimal.Decimal("0.1"), 0.1),
    (decimal.Decimal("123456789012345"), 123456789012345),
    (decimal.Decimal("1234567890123.456"), "1234567890123.456"),
    (decimal.Decimal("1E-400"), "1E-400"),
    (decimal.Decimal("1E+400"), "1E+400"),
    (MOMENT, "2026-11-21T08:00:00.000250Z"),
    (dt.date(2026, 11, 21), "2026-11-21"),
    (dt.time(9, 30), "09:30:00"),
    (dt.timedelta(hours=1, minutes=30), "5400s"),
    (dt.timedelta(microseconds=-1_250_000), "-1.25s"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ((1, (2, 3)), [1, [2, 3]]),
    (OrderedDict(a=1), {"a": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    ({Colour.RED: 1, Word("k"): 2}, {"red": 1, "k": 2}),
    (Point(1.0, MOMENT), {"x": 1, "when": "2026-11-21T08:00:00.000250Z"}),
    (Item(size=3, price=decimal.Decimal("9.99")), {"Size": 3, "price": 9.99}),
    (
        Order(id=4, price=decimal.Decimal("9.90"), at=MOMENT, lines=[Point(2.0, MOMENT)]),
        {
            "id": 4,
            "price": 9.9,
            "at": "2026-11-21T08:00:00.000250Z",
            "lines": [{"x": 2, "when": "2026-11-21T08:00:00.000250Z"}],
        },
    ),
    (np.float64(2.5), 2.5),
    (np.float32(0.5), 0.5),
    (np.float16(0.5), 0.5),
    (np.int64(7), 7),
    (np.uint8(7), 7),
    (np.bool_(True), True),
    (np.str_("é"), "é"),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array(5.0), 5),
    (np.array([], dtype=float), []),
    (np.array(["a", None], dtype=object), ["a", None]),
    (np.timedelta64(90, "s"), "90s"),
    (np.timedelta64(1_500_000_000, "ns"), "1.5s"),
    (np.timedelta64("NaT"), None),
    (np.datetime64("NaT"), None),
    (pd.Timestamp("2026-11-21T09:00:00.000250+01:00"), "2026-11-21T08:00:00.000250Z"),
    (pd.Timestamp("2026-11-21T09:00", tz="Europe/Berlin"), "2026-11-21T08:00:00.000000Z"),
    (pd.Timedelta("90s"), "90s"),
    (pd.NaT, None),
    (pd.NA, None),
]


@pytest.mark.parametrize(("given", "expected"), TABLE, ids=lambda value: repr(value)[:40])
def test_what_each_value_becomes(given: Any, expected: Any) -> None:
    found = wire({"x": given})["x"]
    assert found == expected
    assert type(found) is type(expected)
    # It is what strict JSON reads back: both transports carry the same value.
    assert read_json(json.dumps(found)) == found


class Loop(dict[str, Any]):
    pass


def loop() -> Loop:
    found = Loop()
    found["again"] = found
    return found


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


REFUSED: list[tuple[Any, str]] = [
    (math.nan, "nan is not a number"),
    (math.inf, "inf is not a number"),
    (np.float64("nan"), "nan is not a number"),
    (np.float32("-inf"), "-inf is not a number"),
    (decimal.Decimal("NaN"), "NaN is not a number"),
    (decimal.Decimal("sNaN"), "sNaN is not a number"),
    (decimal.Decimal("-Infinity"), "-Infinity is not a number"),
    (MOMENT.replace(tzinfo=None), "no zone"),
    (pd.Timestamp("2026-11-21"), "no zone"),
    (np.datetime64("2026-11-21"), "no zone"),
    (2**53, "beyond 2^53"),
    (np.uint64(2**63), "beyond 2^53"),
    (b"x", "send text, or base64"),
    (bytearray(b"x"), "send text, or base64"),
    (np.bytes_(b"x"), "not a value"),
    ({1, 2}, "a set has no order"),
    (frozenset(), "a set has no order"),
    (1 + 2j, "complex is not a value"),
    (np.complex128(1), "complex128 is not a value"),
    (np.longdouble(1) if np.longdouble(1).nbytes > 8 else 1j, "not a value"),
    ("\ud800", "lone surrogate"),
    (np.str_("\ud800"), "lone surrogate"),
    ({"\udfff": 1}, "lone surrogate"),
    ({1: "x"}, "keys must be text"),
    ({None: "x"}, "keys must be text"),
    ((n for n in (1, 2)), "generator is not a value"),
    (object(), "an object is not a value"),
    (Point, "a type is not a value"),
    (pd.DataFrame({"a": [1]}), "submit_many"),
    (pd.Series([1]), "send one row as a dict"),
    (loop(), f"deeper than {MAX_DEPTH}"),
    (deep(MAX_DEPTH + 1), f"deeper than {MAX_DEPTH}"),
    (Order.model_construct(id=1, price=math.nan), "nan is not a number"),
]


@pytest.mark.parametrize(("given", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_what_is_refused_and_where(given: Any, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        wire({"a/b": [0, given]}, "/facts")
    assert sentence in str(caught.value)
    assert caught.value.pointer.startswith("/facts/a~1b/1")


def test_an_object_is_asked_for() -> None:
    with pytest.raises(BadInput, match="this is a list") as caught:
        wire_object([1], "/facts")
    assert caught.value.pointer == "/facts"


def test_deep_but_allowed() -> None:
    assert wire(deep(MAX_DEPTH)) == deep(MAX_DEPTH)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_wire_values_stay_and_survive_json(value: Any) -> None:
    found = wire(value)
    assert found == value
    assert wire(found) == found
    assert read_json(msgspec.json.encode(found)) == found


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_no_decimal_loses_a_digit(value: decimal.Decimal) -> None:
    found = wire(value)
    assert decimal.Decimal(found if isinstance(found, str) else repr(found)) == value


def test_the_libraries_are_not_imported() -> None:
    code = (
        "import sys, handrail.client.convert as c; c.wire({'a': [1]}); "
        "print(any(m in sys.modules for m in ('numpy', 'pandas', 'pydantic')))"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_mapping_of_another_kind() -> None:
    class Env(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return {"a": 1}[key]

        def __iter__(self) -> Any:
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    assert wire(Env()) == {"a": 1}


def test_short_floats_go_by_the_shortest_text_that_names_them() -> None:
    assert wire(np.float32("5.1")) == 5.1
    assert wire(np.float16("0.1")) == 0.1
    assert wire(np.float32(16777216.0)) == 16777216
    assert wire(np.float64("5.1")) == 5.1
    for value in (np.finfo("float32").max, np.finfo("float32").smallest_subnormal):
        assert np.float32(shortest(float(value), "f")) == value
