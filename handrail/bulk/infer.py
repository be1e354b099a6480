"""What the columns of a file look like: kinds, optional by missing share, thresholds by quantile.

Suggestions only. What is written into a policy is for a person to read and change.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from handrail.bulk.cells import MISSING, read_cell, read_moment
from handrail.bulk.read import Row
from handrail.model.policy import Field

SAMPLE_ROWS = 50_000
"""Rows of a file that are looked at."""
ENUM_MEMBERS = 20
"""Most members of a suggested enum."""
QUANTILE = 0.95
"""A suggested threshold lies near this quantile: about one row in twenty is held by it."""

_INT = re.compile(r"[+-]?(?:0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z")
_CODE = re.compile(r"[+-]?0[0-9]")
"""A number written with a leading zero is a code, such as a postcode."""
_DRESSED = re.compile(
    r"\(?[-+]?\s?(?:[$€£¥]|[A-Z]{3})?\s?[-+]?[0-9][0-9.,' \u00a0\u202f]*"
    r"\s?(?:[$€£¥%]|[A-Z]{3})?\)?\Z"
)
"""A number as people and spreadsheets write it: with a currency, a percent sign, separators."""
_DAY = re.compile(r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}(?:[ T][0-9:.]+ ?(?:[AaPp][Mm])?)?\Z")
"""A day as people write it."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
_ID = re.compile(r"(^|_)(id|ids|key|uuid|guid|code|zip|postcode|phone|iban|number|no|hash)\Z")
_FLAG = re.compile(r"^(is|has)_|_(flag|enabled|disabled)\Z")
_MONEY = re.compile(
    r"(^|_)(spend|spent|cost|costs|budget|amount|price|revenue|value|fee|fees|salary|bid|"
    r"cpc|cpm|cpa|cpl|usd|eur|gbp|discount|charge|charges|balance|payment|loss|profit)(_|\Z)"
)
_SPEND = re.compile(r"(^|_)(spend|spent|cost|costs|budget|amount|price|charges?)(_|\Z)")
_MICROS = re.compile(r"(^|_)micros?(_|\Z)")
_CURRENCY = re.compile(r"(^|_)(usd|eur|gbp|chf|jpy)(_|\Z)")
_NOT_A_MEASURE = re.compile(r"(^|_)(year|month|day|hour|week|version|lat|lon|latitude|longitude)\Z")
_PERSON = re.compile(r"^(requested_by|requester|submitted_by|created_by|requestor)\Z")


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column: where it comes from and what it seems to hold."""

    header: str
    name: str
    field: Field | None
    """None where the sample has no value to learn from."""
    rows: int
    missing: int
    distinct: int
    """Different values among the present ones."""
    numbers: tuple[float, ...] = ()
    """Present values in order of size, for numbers that measure something."""
    measure: bool = False
    """Whether a threshold on it can mean something (not an id, a date part or a constant)."""
    money: bool = False
    like: str | None = None
    """`numbers` or `times` where the column is text that looks like them to a person."""
    example: str = ""
    """The first text that a policy cannot read as such."""
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    """How often each value occurs, for enums and yes/no."""

    @property
    def missing_share(self) -> float:
        """Share of rows without a value, 0 to 1."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def unique(self) -> bool:
        """Whether every row has its own value."""
        return self.missing == 0 and self.distinct == self.rows


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """A suggested bound on one column."""

    column: Column
    above: str
    """Number as the rule writes it; rows over it are held."""
    count: int
    """How many rows of the sample are over it."""


def look_at(rows: Iterable[Row], names: dict[str, str]) -> tuple[list[Column], list[Row]]:
    """The columns of the first `SAMPLE_ROWS` rows, and these rows (bad ones left out)."""
    sample: list[Row] = []
    for row in rows:
        if row.number > SAMPLE_ROWS:
            break
        if row.problem is None:
            sample.append(row)
    columns = [
        _column(header, name, [row.values.get(header) for row in sample])
        for header, name in names.items()
    ]
    return columns, sample


def _column(header: str, name: str, cells: list[Any]) -> Column:
    present = [c for c in cells if not (c is None or (isinstance(c, str) and not c.strip()))]
    present = [c for c in present if not (isinstance(c, float) and not math.isfinite(c))]
    field = _field(name, present)
    if field is not None and field.kind not in ("string", "enum", "person"):
        present = [c for c in present if not (isinstance(c, str) and c.strip().lower() in MISSING)]
    missing = len(cells) - len(present)
    counts = Counter(str(c) for c in present)
    numbers: tuple[float, ...] = ()
    measure = False
    if field is not None:
        field = msgspec.structs.replace(field, optional=missing > 0)
        if field.kind in ("int", "double", "decimal"):
            read = (read_cell(field, c) for c in present)
            numbers = tuple(sorted(float(n) for n in read if n is not None))
            measure = len(set(numbers)) >= 3 and not _NOT_A_MEASURE.search(name)
    like, example = None, ""
    if field is not None and field.kind in ("string", "enum"):
        like, example = _like(present)
    return Column(
        header=header,
        name=name,
        field=field,
        rows=len(cells),
        missing=missing,
        distinct=len(counts),
        counts=dict(counts) if field is not None and field.kind in ("enum", "bool") else {},
        numbers=numbers,
        measure=measure,
        money=bool(_MONEY.search(name)),
        like=like,
        example=example,
    )


def _like(present: list[Any]) -> tuple[str | None, str]:
    """What texts look like to a person, and the first that is none to a policy."""
    texts = [c.strip() for c in present if isinstance(c, str)]
    words = [t for t in texts if t.lower() not in MISSING]
    for what, pattern in (("times", _DAY), ("numbers", _DRESSED)):
        odd = next((word for word in words if not _NUMBER.match(word)), None)
        # Where all are plain numbers the column is a code, such as a postcode or an id.
        if odd is not None and all(pattern.match(word) for word in words):
            return what, odd
    return None, ""


def _field(name: str, present: list[Any]) -> Field | None:
    """The declaration a column's present values suggest."""
    if not present:
        return None
    if any(isinstance(c, list | tuple | dict) for c in present):
        return None
    if all(isinstance(c, bool) for c in present):
        return Field(name=name, kind="bool")
    texts = [c.strip() if isinstance(c, str) else str(c) for c in present]
    words = [t for t in texts if t.lower() not in MISSING]
    identifier = bool(_ID.search(name))
    if words and not identifier:
        low = {t.lower() for t in words}
        if low <= {"true", "false"} or low <= {"yes", "no"} or low <= {"t", "f"}:
            return Field(name=name, kind="bool")
        if low <= {"0", "1"} and _FLAG.search(name):
            return Field(name=name, kind="bool")
        if all(_INT.match(t) and len(t) <= 15 for t in words):
            micros = _MICROS.search(name)
            return Field(name=name, kind="int", unit="micros" if micros else None)
        if all(_NUMBER.match(t) for t in words) and not any(_CODE.match(t) for t in words):
            return _number(name, words)
        if all(read_moment(t) is not None for t in words):
            return Field(name=name, kind="timestamp")
    if _PERSON.match(name) and all(_EMAIL.match(t) for t in texts):
        return Field(name=name, kind="person")
    members = tuple(dict.fromkeys(sorted(str(c) for c in present)))
    few = 2 <= len(members) <= ENUM_MEMBERS and len(present) >= 4 * len(members)
    if few and not identifier and all(len(m) <= 60 and m.isprintable() for m in members):
        return Field(name=name, kind="enum", members=members)
    return Field(name=name, kind="string")


def _number(name: str, texts: list[str]) -> Field:
    """Decimal with places for money and for short fractions, a double for the rest."""
    unit = None
    if found := _CURRENCY.search(name):
        unit = found[2].upper()
    if not _MONEY.search(name):
        return Field(name=name, kind="double", unit=unit)
    for places in (2, 3, 4, 6):
        trial = Field(name=name, kind="decimal", places=places, unit=unit)
        if all(len(_fraction(str(read_cell(trial, text)))) <= places for text in texts):
            return trial
    return Field(name=name, kind="double", unit=unit)


def _fraction(text: str) -> str:
    return text.partition(".")[2] if _NUMBER.match(text) and "e" not in text.lower() else text


def thresholds(columns: Iterable[Column], limit: int = 3) -> list[Threshold]:
    """Bounds worth suggesting, what is spent first, then other money, then other measures."""
    able = [c for c in columns if c.measure and c.missing_share <= 0.5]

    def rank(column: Column) -> tuple[int, float, float]:
        spend = 0 if _SPEND.search(column.name) else 1 if column.money else 2
        return spend, column.missing_share, -_spread(column)

    found: list[Threshold] = []
    for column in sorted(able, key=rank):
        bound = _bound(column)
        if bound is not None and not any(_same(bound, other) for other in found):
            found.append(bound)
        if len(found) == limit:
            break
    return found


def _spread(column: Column) -> float:
    """How far the high values lie from the usual ones: codes lie near, amounts lie far."""
    numbers = column.numbers
    high = numbers[math.floor(QUANTILE * (len(numbers) - 1))]
    middle = numbers[len(numbers) // 2]
    return high / middle if middle > 0 else high


def _same(one: Threshold, other: Threshold) -> bool:
    """Whether two columns say the same thing twice (`cost`, `cost_in_usd`)."""
    return one.column.numbers == other.column.numbers


def _bound(column: Column) -> Threshold | None:
    """A short number near the quantile that some rows pass and few exceed; None where none is."""
    numbers = column.numbers
    at = numbers[math.floor(QUANTILE * (len(numbers) - 1))]
    target = max(1, round((1 - QUANTILE) * len(numbers)))
    if at <= 0:
        return None
    places = column.field.places if column.field is not None else None
    for digits in (1, 2, 3, 4, 17):
        text = _short(at, digits, places)
        over = sum(number > float(text) for number in reversed(numbers[-3 * target - 3 :]))
        if target / 2 <= over <= 2 * target:
            return Threshold(column=column, above=text, count=over)
    return None


def _short(number: float, digits: int, places: int | None) -> str:
    """A number with at most so many significant digits, without an exponent."""
    exact = Decimal(repr(number))
    rounded = round(exact, digits - 1 - exact.adjusted()) if digits < 17 else exact
    if places is not None and -int(rounded.as_tuple().exponent) > places:
        rounded = round(exact, places)
    text = format(rounded, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def key_of(columns: list[Column], sample: list[Row]) -> tuple[str, ...]:
    """Headers that together name a row: one unique column, or two; empty where none do."""

    def rank(column: Column) -> tuple[bool, int]:
        return not _ID.search(column.name), columns.index(column)

    able = [
        c
        for c in columns
        if c.field is not None
        and c.missing == 0
        and (_ID.search(c.name) or c.field.kind in ("string", "enum", "timestamp"))
        and not c.name.endswith("synced")
    ]
    able.sort(key=rank)
    for column in able:
        if column.unique and not column.measure:
            return (column.header,)
    ids = [c for c in able if _ID.search(c.name)][:6]
    for first in ids:
        for second in able:
            if second is first or first.distinct * second.distinct < len(sample):
                continue
            pairs = {(r.values[first.header], r.values[second.header]) for r in sample}
            if len(pairs) == len(sample):
                return (first.header, second.header)
    return ()
