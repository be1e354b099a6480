"""The one conversion at the SDK's edge: Python values to wire values, the same for every way in.

| given | becomes |
| --- | --- |
| mapping, dataclass, msgspec Struct, pydantic model | object; keys must be text |
| list, tuple, numpy array | list |
| int, numpy integer | number, up to 2^53 |
| float, numpy floating | number, by the shortest text that names it; a whole one as an integer |
| Decimal | number if a double holds it exactly in at most 15 digits, else decimal text |
| datetime, pandas Timestamp, with a zone | RFC 3339 text in UTC with microseconds |
| date, time | ISO 8601 text |
| timedelta, pandas Timedelta, numpy timedelta64 | seconds as text, such as `5400s` |
| Enum | its value |
| UUID | its text |
| None, pandas NA and NaT | null |

NaN, infinity, times without a zone, bytes, sets, text with lone surrogates, keys that are not text
and nesting beyond `MAX_DEPTH` are `BadInput` with a JSON pointer, before anything is sent.
numpy, pandas and pydantic are recognised by their types' names and never imported here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import math
import struct
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from handrail.model.errors import BadInput
from handrail.model.wire import MAX_DEPTH, MAX_INT, check_wire, escape_pointer, time_text, whole

NARROW = {"float16": "e", "halffloat": "e", "float32": "f", "float": "f"}
"""Types of numpy, pandas, Polars and Arrow with fewer than 64 bits, in small letters."""
EXACT_DIGITS = 15
"""Significant digits that a double keeps of any decimal number."""


def wire(value: Any, pointer: str = "") -> Any:
    """`value` as a wire value. Raises `BadInput` that says where and what to send instead."""
    return _wire(value, pointer, 0)


def wire_object(value: Any, pointer: str) -> dict[str, Any]:
    """As `wire`, of something with named fields. Raises `BadInput` for anything else."""
    found = wire(value, pointer)
    if type(found) is not dict:
        raise BadInput(
            f"this is {_a(type(value).__name__)}; expected a mapping, dataclass, Struct or "
            "pydantic model with named fields",
            pointer,
        )
    return found


def _wire(value: Any, pointer: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        if not value.isascii():
            check_wire(value, pointer)
        return value
    if value is None or kind is bool:
        return value
    if kind is int:
        return _integer(value, pointer)
    if kind is float:
        return _number(value, pointer)
    if kind is dict or kind is list or kind is tuple:
        return _nested(value, pointer, depth)
    return _other(value, pointer, depth)


def _nested(value: Any, pointer: str, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        raise BadInput(f"nests deeper than {MAX_DEPTH} levels; flatten it", pointer)
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = _key(key, pointer)
            if name in found:
                raise BadInput(f"the key {name!r} stands twice in one object", pointer)
            found[name] = _wire(item, f"{pointer}/{escape_pointer(name)}", depth + 1)
        return found
    return [_wire(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]


def _other(value: Any, pointer: str, depth: int) -> Any:
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    if isinstance(value, enum.Enum):
        return _wire(value.value, pointer, depth + 1)
    if home == "numpy":
        return _numpy(value, pointer, depth)
    if home == "pandas" and kind.__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        return _wire(str.__str__(value), pointer, depth)
    if isinstance(value, bool | int):
        return _integer(int(value), pointer)
    if isinstance(value, float):
        return _number(float(value), pointer)
    if isinstance(value, decimal.Decimal):
        return _decimal(value, pointer)
    if isinstance(value, dt.datetime):
        return _moment(value, pointer)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return _duration(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping | list | tuple):
        return _nested(value, pointer, depth)
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        return _nested({name: getattr(value, field) for name, field in names}, pointer, depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return _nested({f.name: getattr(value, f.name) for f in fields}, pointer, depth)
    if callable(getattr(value, "model_dump", None)) and hasattr(kind, "model_fields"):
        return _nested(value.model_dump(mode="python", warnings=False), pointer, depth)
    raise BadInput(
        f"{_a(kind.__name__)} is not a value a decision can hold; {_fix(value)}", pointer
    )


def _numpy(value: Any, pointer: str, depth: int) -> Any:
    name = type(value).__name__
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) != 0:
        return _nested(value.tolist(), pointer, depth)
    if name in ("datetime64", "timedelta64") and value != value:
        return None
    if name == "datetime64":
        raise BadInput(
            "a numpy datetime64 has no zone; send pandas.Timestamp(value, tz='UTC') or a datetime "
            "with a zone",
            pointer,
        )
    if name == "timedelta64":
        value = value.astype("timedelta64[us]")
    if name.startswith(("complex", "clongdouble", "bytes", "void")):
        raise BadInput(f"a numpy {name} is not a value a decision can hold", pointer)
    plain = value.item() if hasattr(value, "item") else value
    if name in NARROW:
        plain = shortest(plain, NARROW[name])
    if type(plain).__module__ == "numpy":  # a longdouble has no Python twin
        raise BadInput(f"a numpy {name} is not a value a decision can hold; send a float", pointer)
    return _wire(plain, pointer, depth)


def shortest(value: float, form: str) -> float:
    """A float of fewer than 64 bits (`form` as in `struct`), by the shortest text that names it.

    >>> shortest(5.099999904632568, "f")
    5.1
    """
    if not math.isfinite(value):
        return value
    bits = struct.pack(form, value)
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next((float(t) for t in texts if _packed(float(t), form) == bits), value)


def _packed(value: float, form: str) -> bytes | None:
    try:
        return struct.pack(form, value)
    except OverflowError:  # the text of the largest, rounded up
        return None


def _key(key: Any, pointer: str) -> str:
    if isinstance(key, enum.Enum) and isinstance(key.value, str):
        key = key.value
    if not isinstance(key, str):
        raise BadInput(f"the key {key!r} is {_a(type(key).__name__)}; keys must be text", pointer)
    name = str.__str__(key)
    if not name.isascii():
        check_wire(name, pointer)
    return name


def _integer(value: int, pointer: str) -> int:
    if not -MAX_INT <= value <= MAX_INT:
        raise BadInput(f"the integer {str(value)[:40]} is beyond 2^53; send it as text", pointer)
    return value


def _number(value: float, pointer: str) -> float | int:
    if not math.isfinite(value):
        raise BadInput(
            f"{value} is not a number a decision can hold; leave it out or send None", pointer
        )
    return whole(value)


def _decimal(value: decimal.Decimal, pointer: str) -> float | int | str:
    if not value.is_finite():
        raise BadInput(
            f"{value} is not a number a decision can hold; leave it out or send None", pointer
        )
    significant = value.as_tuple().digits
    while len(significant) > 1 and significant[-1] == 0:
        significant = significant[:-1]
    if len(significant) <= EXACT_DIGITS:
        number = float(value)
        if math.isfinite(number) and decimal.Decimal(repr(number)) == value:
            return whole(number)
    return format(value, "f") if -40 <= value.adjusted() <= 40 else str(value)


def _moment(value: dt.datetime, pointer: str) -> str:
    if value.utcoffset() is None:
        raise BadInput(
            f"the time {value.isoformat()} has no zone; give it one, such as "
            "value.replace(tzinfo=datetime.UTC)",
            pointer,
        )
    since = value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return time_text(since // dt.timedelta(microseconds=1))


def _duration(value: dt.timedelta) -> str:
    micros = value // dt.timedelta(microseconds=1)
    seconds, rest = divmod(abs(micros), 1_000_000)
    fraction = f".{rest:06d}".rstrip("0") if rest else ""
    return f"{'-' if micros < 0 else ''}{seconds}{fraction}s"


def _a(name: str) -> str:
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def _fix(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "send text, or base64 text of the bytes"
    if isinstance(value, set | frozenset):
        return "a set has no order: send a sorted list"
    if type(value).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow"):
        return "send one row as a dict, or many with submit_many"
    return "send text, numbers, booleans, None, lists or mappings of them"
