"""Values: from what a caller sends, to what a rule reads, to what the store keeps.

| kind            | a rule reads       | the store keeps                                       |
|-----------------|--------------------|-------------------------------------------------------|
| string, person  | text               | the same text, in its normal form where one is asked  |
| enum            | text               | the member                                            |
| bool, int       | the same           | the same; an int stays within ±(2^53 - 1)             |
| double          | binary float       | the same number, finite                               |
| decimal         | exact decimal      | text with exactly the declared places                 |
| timestamp       | µs since 1970 UTC  | RFC 3339 text in UTC with six digits of a second      |
| duration        | µs                 | seconds with an `s` behind: `1800s`, `0.25s`          |
| list, object    | list, its fields   | the same of the stored items                          |

A binary float that arrives for a decimal field stands for the shortest text that names it, so
10000.01 is ten thousand and one cent.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import Enum
from fractions import Fraction
from typing import Any
from urllib.parse import unquote_plus

from handrail.model.errors import BadInput
from handrail.model.policy import Field

MAX_INT = 2**53 - 1
"""Integers beyond ± this are refused: canonical JSON (RFC 8785) cannot carry them."""
MAX_DIGITS = 34
"""Most significant digits of a decimal."""
MAX_TEXT = 65_536
"""Longest text in facts or a proposal, characters."""
MAX_ITEMS = 1_000
"""Most items of a declared list."""
MAX_DEPTH = 16
"""Deepest nesting of undeclared facts."""
MAX_VALUES = 10_000
"""Most values in facts or a proposal."""
MAX_PERSON = 320
"""Longest name of a person, characters (RFC 5321 allows 320 for an address)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXACT = Context(prec=400, Emin=-(10**6), Emax=10**6)
UNITS_OF = [Decimal(1).scaleb(-places) for places in range(41)]
"""By places: the unit of the last digit."""
_ROUND = Context(prec=20, rounding=ROUND_HALF_EVEN)
_NUMBER = re.compile(r"[-+]?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)
_PARTS = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)(us|µs|ms|s|m|h|d|w)", re.ASCII)
_STAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[-+]\d{2}:\d{2})", re.ASCII
)
_UNIT_US = {
    "us": 1,
    "µs": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}


class Wrong(Exception):
    """A value its declared type refuses. The text ends a sentence `NAME is …; expected …`."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


def shown(value: Any) -> str:
    """A value as an error names it, short and on one line."""
    plain = str if isinstance(value, str | Decimal) else repr
    text = plain(value) if isinstance(value, str) or len(str(value)) < 400 else "…"
    text = "".join(c if c.isprintable() else "·" for c in text[:80])
    text = text if len(text) <= 60 else text[:59] + "…"
    return f"the text {text!r}" if isinstance(value, str) else text


def escape(part: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


# ------------------------------------------------------------------------------- reading values


def read_text(value: Any) -> str:
    """Well-formed text of bounded length."""
    if not isinstance(value, str):
        raise Wrong(f"is {shown(value)}; expected text")
    if isinstance(value, Enum):
        value = value.value
    if len(value) > MAX_TEXT:
        raise Wrong(f"has {len(value):,} characters; expected at most {MAX_TEXT:,}")
    if not value.isascii() and any(0xD800 <= ord(c) < 0xE000 for c in value):
        raise Wrong("holds a lone surrogate; expected well-formed Unicode text")
    return str(value)


def read_person(value: Any) -> str:
    text = read_text(value).strip()
    if not text or len(text) > MAX_PERSON:
        raise Wrong(f"is {shown(value)}; expected a person, such as ann@example.com")
    return text


def read_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"is {shown(value)}; expected true or false")
    return value


def _exact(value: Any) -> Decimal:
    """A number of any arriving type, exactly; `Wrong` for what is no finite number."""
    if (
        type(value) is Decimal
        and value.is_finite()
        and -MAX_DIGITS <= value.adjusted() < MAX_DIGITS
    ):
        return value
    if isinstance(value, bool):
        raise Wrong(f"is {shown(value)}; expected a number (true and false are none)")
    if isinstance(value, int):
        if abs(value) >= 10**MAX_DIGITS:
            raise Wrong(f"is out of range; expected at most {MAX_DIGITS} digits")
        return Decimal(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Wrong(f"is {value!r}; expected a finite number")
        number = Decimal(repr(float(value)))
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise Wrong(f"is {value}; expected a finite number")
        number = value
    elif isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            plain = ", such as 1200.50: digits, a point before decimals, no other signs"
            dressed = any(char.isdigit() for char in value)
            raise Wrong(f"is {shown(value)}; expected a number{plain if dressed else ''}")
        number = Decimal(value)
    else:
        raise Wrong(f"is {shown(value)}; expected a number")
    if number and not -MAX_DIGITS <= number.adjusted() < MAX_DIGITS:
        raise Wrong(f"is out of range; expected at most {MAX_DIGITS} digits")
    return number


def read_int(value: Any) -> int:
    if type(value) is int and -MAX_INT <= value <= MAX_INT:
        return value
    number = _exact(value)
    if number != number.to_integral_value():
        raise Wrong(f"is {shown(value)}; expected a whole number")
    whole = int(number)
    if abs(whole) > MAX_INT:
        raise Wrong(f"is {shown(value)}; expected a whole number within ±(2^53 - 1)")
    return whole


def read_double(value: Any) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and -MAX_INT <= value <= MAX_INT:
        return float(value)
    if type(value) is Decimal:  # as the cases of a policy file have it
        return float(_exact(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Wrong(f"is {value!r}; expected a finite number")
        return float(value)
    return float(_exact(value))


def read_decimal(value: Any, places: int) -> Decimal:
    number = _exact(value)
    try:
        fixed = number.quantize(UNITS_OF[places], context=EXACT)
    except InvalidOperation as error:  # pragma: no cover - _exact bounds the digits
        raise Wrong(f"is out of range; expected at most {MAX_DIGITS} digits") from error
    if fixed != number:
        raise Wrong(
            f"is {shown(value)}; expected at most {places} digits after the point"
            if places
            else f"is {shown(value)}; expected a whole number"
        )
    if not fixed:
        return fixed.copy_abs()
    if fixed.adjusted() + places >= MAX_DIGITS:
        raise Wrong(f"is {shown(value)}; expected at most {MAX_DIGITS} digits")
    return fixed


def read_timestamp(value: Any) -> int:
    """µs since 1970 UTC, from RFC 3339 text or an aware datetime."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Wrong("is a time without a zone; expected one with an offset or in UTC")
        moment = value
    else:
        text = value if isinstance(value, str) else ""
        match = _STAMP.fullmatch(text)
        if match is None:
            raise Wrong(
                f"is {shown(value)}; expected a time with an offset, "
                "such as 2026-11-21T08:00:00Z (RFC 3339)"
            )
        day, clock, fraction, zone = match.groups()
        if fraction and len(fraction.rstrip("0")) > 7:
            raise Wrong(f"is {shown(value)}; expected at most six digits of a second")
        try:
            moment = datetime.fromisoformat(
                f"{day}T{clock}{((fraction or '.0')[:7]).ljust(7, '0')}"
                f"{'+00:00' if zone in 'Zz' else zone}"
            )
        except ValueError as error:
            raise Wrong(f"is {shown(value)}; expected a time that exists") from error
    try:
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except OverflowError as error:
        raise Wrong(f"is {shown(value)}; expected a time of the years 1 to 9999") from error


def read_duration(value: Any) -> int:
    """µs, from text such as `30m`, `1h30m`, `90s`, `7d`, from seconds, or a timedelta."""
    if isinstance(value, timedelta):
        span = value // timedelta(microseconds=1)
    elif isinstance(value, str):
        text = value.replace(" ", "")
        sign = -1 if text.startswith("-") else 1
        parts = _PARTS.findall(text[:100])
        if not parts or "".join(a + b for a, b in parts) != text.removeprefix("-"):
            raise Wrong(f"is {shown(value)}; expected a duration such as 30m, 1h30m, 90s or 7d")
        exact = sum(Decimal(number) * _UNIT_US[unit] for number, unit in parts)
        span = sign * int(exact)
    else:
        try:
            span = int(EXACT.multiply(_exact(value), Decimal(1_000_000)))
        except Wrong as error:
            raise Wrong(
                f"is {shown(value)}; expected a duration such as 30m, or a number of seconds"
            ) from error
    if abs(span) > MAX_INT:
        raise Wrong(f"is {shown(value)}; expected a duration of at most 285 years")
    return span


def normalise(text: str, forms: tuple[str, ...]) -> str:
    """`text` in its normal forms, so that spelling cannot slip past a list.

    `url` undoes percent-encoding and `+`, as often as it was applied (at most eight times);
    `lower` is Unicode NFKC, small letters, no blanks around.
    """
    for _ in range(8):
        after = unquote_plus(text, errors="replace") if "url" in forms else text
        if "lower" in forms:
            after = unicodedata.normalize("NFKC", after).lower().strip()
        if after == text:
            break
        text = after
    return text


# ------------------------------------------------------------------------------- writing values


def render_timestamp(us: int) -> str:
    """RFC 3339 in UTC with six digits: `2026-11-21T08:00:00.000000Z`."""
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def render_duration(us: int) -> str:
    """Seconds: `1800s`, `0.25s`."""
    seconds = Decimal(us) / 1_000_000
    text = format(seconds, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "s"


def render_number(number: Decimal | Fraction) -> str:
    """A decimal string: exact where it ends, else rounded to 20 significant digits."""
    if isinstance(number, Decimal):
        return format(number, "f")
    if number.denominator == 1:
        return str(number.numerator)
    top, bottom = Decimal(number.numerator), Decimal(number.denominator)
    text = format(_ROUND.divide(top, bottom), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def to_stored(value: Any, kind: str) -> Any:
    """A typed value as the store and the ruling keep it; None stays None."""
    if value is None:
        return None
    if kind == "decimal":
        return render_number(value)
    if kind in ("string", "person", "enum", "bool", "int"):
        return value
    if kind == "double":
        return float(value)
    if kind in ("decimal", "ratio", "number"):
        return render_number(value)
    if kind == "timestamp":
        return render_timestamp(value)
    if kind == "duration":
        return render_duration(value)
    return value


def exact_difference(a: float, b: float) -> float:
    """`a - b` of the decimals that the two numbers stand for: 0.8 - 0.7 is 0.1."""
    return float(Decimal(repr(a)) - Decimal(repr(b)))


def from_text(text: str, kind: str | None) -> Any:
    """What the text of a CSV cell stands for: yes-or-no as a bool, everything else as it is."""
    if kind == "bool":
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    return text


def wire(value: Any, pointer: str, problems: list[tuple[str, str]]) -> Any:
    """An undeclared value as it can be kept; every reason against it goes into `problems`."""
    budget = [MAX_VALUES]

    def one(value: Any, pointer: str, depth: int) -> Any:
        budget[0] -= 1
        if budget[0] < 0 or depth > MAX_DEPTH:
            raise Wrong(
                f"is larger than {MAX_VALUES:,} values or deeper than {MAX_DEPTH} levels", pointer
            )
        try:
            if value is None or isinstance(value, bool):
                return value
            if isinstance(value, str):
                return read_text(value)
            if isinstance(value, int):
                return read_int(value)
            if isinstance(value, float):
                return read_double(value)
            if isinstance(value, Decimal):
                number = _exact(value)
                text = format(number, "f")
                if len(number.as_tuple().digits) > 15:
                    return text
                return int(number) if "." not in text else float(number)
            if isinstance(value, datetime):
                return render_timestamp(read_timestamp(value))
            if isinstance(value, date):
                return value.isoformat()
            if isinstance(value, timedelta):
                return render_duration(read_duration(value))
            if isinstance(value, Mapping):
                kept: dict[str, Any] = {}
                for key, item in value.items():
                    if not isinstance(key, str):
                        raise Wrong(f"has the key {shown(key)}; expected text")
                    kept[read_text(key)] = one(item, f"{pointer}/{escape(key)}", depth + 1)
                return kept
            if isinstance(value, list | tuple):
                return [one(item, f"{pointer}/{at}", depth + 1) for at, item in enumerate(value)]
            raise Wrong(
                f"is a {type(value).__name__}; "
                "expected text, a number, true, false, null, a list or a mapping"
            )
        except Wrong as error:
            if error.pointer:
                raise
            raise Wrong(error.message, pointer) from error

    try:
        return one(value, pointer, 0)
    except Wrong as error:
        problems.append((error.pointer or pointer, error.message))
        return None


# ---------------------------------------------------------------------------------------- fields

Reader = Callable[[Any], Any]


def scalar_reader(
    kind: str, members: tuple[str, ...], places: int | None, normal: tuple[str, ...]
) -> Reader:
    """The function that reads one value of a kind or raises `Wrong`."""
    if kind == "string":
        return (lambda value: normalise(read_text(value), normal)) if normal else read_text
    if kind == "enum":
        allowed = frozenset(members)
        listed = ", ".join(members[:12]) + (" …" if len(members) > 12 else "")

        def read_member(value: Any) -> str:
            text = read_text(value)
            if normal:
                text = normalise(text, normal)
            if text not in allowed:
                raise Wrong(f"is {shown(value)}; expected one of {listed}")
            return text

        return read_member
    if kind == "decimal":
        digits = places or 0
        return lambda value: read_decimal(value, digits)
    return {
        "person": read_person,
        "bool": read_bool,
        "int": read_int,
        "double": read_double,
        "timestamp": read_timestamp,
        "duration": read_duration,
    }[kind]


def field_reader(field: Field, low: Any, high: Any) -> Reader:
    """The function that reads a field's value, bounds included, or raises `Wrong`."""
    if field.kind == "list":
        item = scalar_reader(field.of or "string", field.members, field.places, field.normal)

        def read_list(value: Any) -> list[Any]:
            if not isinstance(value, list | tuple):
                raise Wrong(f"is {shown(value)}; expected a list")
            if len(value) > MAX_ITEMS:
                raise Wrong(f"has {len(value):,} items; expected at most {MAX_ITEMS:,}")
            items = []
            for at, one in enumerate(value):
                try:
                    items.append(item(one))
                except Wrong as error:
                    raise Wrong(error.message, f"/{at}") from error
            return items

        return read_list
    plain = scalar_reader(field.kind, field.members, field.places, field.normal)
    if low is None and high is None:
        return plain

    def read_bounded(value: Any) -> Any:
        typed = plain(value)
        unit = f" {field.unit}" if field.unit else ""
        if low is not None and typed < low:
            raise Wrong(f"is {shown(value)}; expected at least {field.low}{unit}")
        if high is not None and typed > high:
            raise Wrong(f"is {shown(value)}; expected at most {field.high}{unit}")
        return typed

    return read_bounded


def read_confidences(value: Any, pointer: str = "/confidence") -> float | dict[str, float] | None:
    """One number from 0 to 1, or one a field, checked and as it is kept."""
    if type(value) is float or not isinstance(value, Mapping):
        return read_confidence(value, pointer)
    kept: dict[str, float] = {}
    for name, item in value.items():
        number = read_confidence(item, f"{pointer}/{escape(str(name))}")
        if number is not None:
            kept[str(name)] = number
    return kept or None


def read_confidence(value: Any, pointer: str = "/confidence") -> float | None:
    """One number from 0 to 1, or the smallest of one a field; None where none is given."""
    if value is None:
        return None
    if type(value) is float and 0.0 <= value <= 1.0:
        return value
    if isinstance(value, Mapping):
        numbers = [
            read_confidence(item, f"{pointer}/{escape(str(name))}") for name, item in value.items()
        ]
        return min((number for number in numbers if number is not None), default=None)
    try:
        number = read_double(value)
    except Wrong as error:
        raise BadInput(f"confidence {error.message}", pointer) from error
    if not 0.0 <= number <= 1.0:
        raise BadInput(f"confidence is {number!r}; expected a number from 0 to 1", pointer)
    return number
