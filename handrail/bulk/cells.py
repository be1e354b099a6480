"""One cell of a file → the value its declared field takes.

CSV has only text, and data frames have types of their own. This conversion never refuses and never
guesses: what is not plainly a value of the declared kind is handed on as it is, and the gate
refuses it in its own words, as it would from any caller.

Rules a reader of the results has to know: an empty cell is a missing value; so are `null`, `NaN`,
`N/A`, `NA`, `None` and `-` where the field is not text; a time without a zone is taken as UTC; a
decimal with noise of a 32-bit float (`1.429999948`) is rounded to the declared places.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from handrail.model.errors import BadInput
from handrail.model.policy import Field
from handrail.model.wire import MAX_INT, read_json, time_text, time_us, whole

MISSING = frozenset({"", "-", "n/a", "na", "nan", "none", "null"})
"""Texts, in lower case, that say "no value" in a cell that is not text."""

TEXT_KINDS = frozenset({"string", "enum", "person"})

_INT = re.compile(r"[+-]?[0-9]{1,17}(?:\.0+)?\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z")
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?) ?"
    r"(Z|z|UTC|[+-]\d{2}:?\d{2})?)?\Z"
)
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})

FLOAT32_NOISE = Decimal("1e-6")
"""Relative error up to which digits behind the declared places are noise of a 32-bit float."""


def read_cell(field: Field, value: Any) -> Any:
    """The wire value of a cell, None where it is missing."""
    if isinstance(value, str):
        return _read_text(field, value)
    return _read_typed(field, value)


def _read_text(field: Field, text: str) -> Any:
    kind = field.kind
    if kind in TEXT_KINDS:
        return text if text.strip() else None
    bare = text.strip()
    if bare.lower() in MISSING:
        return None
    if kind == "int":
        number = int(bare.split(".")[0]) if _INT.match(bare) else None
        return text if number is None or abs(number) > MAX_INT else number
    if kind == "double":
        if not _NUMBER.match(bare):
            return text
        double = float(bare)
        return whole(double) if math.isfinite(double) else text
    if kind == "decimal":
        return read_decimal(bare, field.places or 0) if _NUMBER.match(bare) else text
    if kind == "bool":
        low = bare.lower()
        return True if low in _TRUE else False if low in _FALSE else text
    if kind == "timestamp":
        at = read_moment(bare)
        return text if at is None else time_text(at)
    if kind in ("list", "object"):
        try:
            return read_json(bare)
        except BadInput:
            return text
    return bare


def _read_typed(field: Field, value: Any) -> Any:
    """Values of JSON and Parquet: wire values as they are, others by the nearest wire value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if field.kind == "decimal" and isinstance(value, int | float | Decimal):
        return read_decimal(str(value), field.places or 0)
    if field.kind in TEXT_KINDS and isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return time_text(time_us(value if value.tzinfo else value.replace(tzinfo=UTC)))
    if isinstance(value, date):
        return time_text(time_us(datetime(value.year, value.month, value.day, tzinfo=UTC)))
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return whole(float(value)) if field.kind == "double" else str(value)
    if isinstance(value, float):
        return whole(value)
    return value


def read_decimal(text: str, places: int) -> str:
    """Decimal text with at most `places` digits after the point, where that loses nothing real.

    >>> read_decimal("1.429999948", 2), read_decimal("1.43", 2), read_decimal("1.435", 2)
    ('1.43', '1.43', '1.435')
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite():
        return text
    rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    if abs(rounded - number) <= FLOAT32_NOISE * max(Decimal(1), abs(number)):
        return format(rounded, "f")
    return text


def read_moment(text: str) -> int | None:
    """µs since 1970 UTC of a date or time as files write them; None where it is none.

    >>> read_moment("2021-09-15 5:00:00") == read_moment("2021-09-15T05:00:00Z")
    True
    >>> read_moment("31-08-2023") is None
    True
    """
    found = _TIME.match(text)
    if found is None:
        return None
    day, clock, zone = found.groups()
    clock = clock or "00:00"
    if clock[1] == ":":
        clock = "0" + clock
    if zone in (None, "Z", "z", "UTC"):
        zone = "+00:00"
    try:
        return time_us(datetime.fromisoformat(f"{day}T{clock}{zone}"))
    except (ValueError, OverflowError):
        return None
