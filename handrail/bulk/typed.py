"""Cells of a file or frame as typed columns, in the form `columns.py` computes with.

A cell that is plainly a value of its declared field is read by column. Every other cell of a column
is read once for each distinct value, by the very functions the row path uses (`cells.py`, the
gate's readers). What those refuse, and what is outside the bounds a plan counts on, makes its row
`odd`: such rows are judged alone, and their reasons are those of the row path because it gives
them.

| kind | column |
|---|---|
| string, person, enum | String, in its normal form |
| bool | Boolean |
| int | Int64 |
| double | Float64, finite |
| decimal | Int64, units of the last declared place |
| timestamp, duration | Int64, µs |
| list | List of these |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from handrail.bulk.cells import read_cell
from handrail.bulk.numbers import HIGH, LOW, TOP
from handrail.gate import Policy, read_confidence
from handrail.gate.draft import Plan
from handrail.gate.values import MAX_INT, MAX_ITEMS, MAX_PERSON, MAX_TEXT, Wrong
from handrail.model.errors import BadInput
from handrail.model.policy import Field

_CONFIDENCE = Field(name="confidence", kind="double")
_TEXTS = frozenset({"string", "person", "enum"})
_DTYPES: dict[str, Any] = {
    "string": pl.String, "person": pl.String, "enum": pl.String, "bool": pl.Boolean,
    "int": pl.Int64, "double": pl.Float64, "decimal": pl.Int64, "timestamp": pl.Int64,
    "duration": pl.Int64,
}  # fmt: skip
_TRUE = ["true", "True", "TRUE", "yes", "1"]
_FALSE = ["false", "False", "FALSE", "no", "0"]


class Typed:
    """Typed columns of a frame, and which of its rows are odd."""

    def __init__(self, frame: pl.DataFrame, odd: pl.Series) -> None:
        self.frame = frame
        self.odd = odd
        """Boolean without nulls: rows to be judged alone."""


def read(
    policy: Policy,
    frame: pl.DataFrame,
    columns: Sequence[tuple[str, Field]],
    confidence: str | None = None,
) -> Typed:
    """The fields of a policy from the columns (header, field) of a frame.

    A required field without a value makes its row odd too. Fields without a column are unknown.
    """
    size = frame.height
    odd = pl.repeat(False, size, dtype=pl.Boolean, eager=True)
    read_as = readers(policy.draft.plans)
    found = {field.name: header for header, field in columns}
    cells: dict[str, pl.Series] = {}
    for field in policy.fields:
        header = found.get(field.name)
        if "object" in (field.kind, field.of):
            if header is not None:  # objects in a cell are taken apart by the row path
                odd = odd | frame[header].is_not_null()
            if field.kind == "object":
                continue
            header = None
        if header is None:
            series = pl.repeat(None, size, dtype=_dtype(field), eager=True)
        else:
            series, wrong = column(field, frame[header], read_as.get(field.name))
            if wrong is not None:
                odd = odd | wrong
        if not field.optional and series.null_count():
            odd = odd | series.is_null()
        cells[field.name] = series
    for field in policy.fields:
        if field.kind == "object":
            # An object is there where a part of it has a value.
            there = pl.repeat(False, size, dtype=pl.Boolean, eager=True)
            for name, series in cells.items():
                if name.startswith(field.name + "."):
                    there = there | series.is_not_null()
            if not field.optional:
                odd = odd | ~there
            blank = pl.repeat(None, size, dtype=pl.Boolean, eager=True)
            cells[field.name] = blank.set(there, True)
    made = [cells[field.name].alias(field.name) for field in policy.fields]
    if confidence is None:
        sure = pl.repeat(None, size, dtype=pl.Float64, eager=True)
    else:
        sure, wrong = column(_CONFIDENCE, frame[confidence], _read_sure)
        outside = ~sure.is_between(0.0, 1.0).fill_null(True)
        odd = odd | outside | (wrong if wrong is not None else outside)
    made.append(sure.alias("confidence"))
    for total in policy.draft.aggregates:
        kind: Any = pl.Float64 if total.kind == "double" else pl.Int64
        kind = pl.String if total.kind in _TEXTS else kind
        made.append(pl.repeat(None, size, dtype=kind, eager=True).alias(total.name))
    return Typed(pl.DataFrame(made), odd)


def readers(plans: Sequence[Plan]) -> dict[str, Callable[[Any], Any]]:
    """What reads each field, those inside of objects by their dotted name."""
    found: dict[str, Callable[[Any], Any]] = {}
    for plan in plans:
        if plan.field.kind == "object":
            found.update(readers(plan.parts))
        else:
            found[plan.field.name] = plan.read
    return found


def _read_sure(value: Any) -> Any:
    try:
        return read_confidence(value)
    except BadInput as error:
        raise Wrong(error.message) from error


def _dtype(field: Field) -> Any:
    if field.kind == "list" and field.of != "object":
        return pl.List(_DTYPES[field.of or "string"])
    return _DTYPES.get(field.kind, pl.Boolean)


def column(
    field: Field, cells: pl.Series, reader: Callable[[Any], Any] | None
) -> tuple[pl.Series, pl.Series | None]:
    """A typed column, and the rows whose cell is wrong or out of a plan's bounds."""
    size = len(cells)
    if isinstance(cells.dtype, pl.Categorical | pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype == pl.Null or reader is None:
        empty = pl.repeat(None, size, dtype=_dtype(field), eager=True)
        return empty, None if cells.dtype == pl.Null else cells.is_not_null()
    quick = _quick(field, cells)
    if quick is None:
        typed = pl.repeat(None, size, dtype=_dtype(field), eager=True)
        rest = cells.is_not_null()
    else:
        typed, plain = quick
        rest = ~plain.fill_null(False) & cells.is_not_null()
        typed, rest = _bounded(field, typed, rest)
    if not rest.any():
        return typed, None
    places = rest.arg_true()
    values, wrong = _by_distinct(field, cells.gather(places), reader)
    typed = put(typed, places, values)
    if not wrong.any():
        return typed, None
    blank = pl.repeat(False, size, dtype=pl.Boolean, eager=True)
    return typed, blank.scatter(places, wrong)


def put(series: pl.Series, places: pl.Series, values: pl.Series) -> pl.Series:
    """`series` with `values` at `places`, lists too."""
    if not isinstance(series.dtype, pl.List):
        return series.scatter(places, values)
    size = len(series)
    order = pl.int_range(size, eager=True, dtype=pl.UInt32)
    moved = pl.int_range(size, size + len(values), eager=True, dtype=pl.UInt32)
    return pl.concat([series, values.cast(series.dtype)]).gather(order.scatter(places, moved))


# ---------------------------------------------------------------------------- plain cells


def _quick(field: Field, cells: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    """Typed values, and which of the cells they are surely right for; None for none."""
    kind, dtype = field.kind, cells.dtype
    if kind in _TEXTS:
        return _quick_text(field, cells) if dtype == pl.String else None
    if kind == "bool":
        if dtype == pl.Boolean:
            return cells, cells.is_not_null()
        if dtype == pl.String:
            yes = cells.is_in(_TRUE)
            return yes, yes | cells.is_in(_FALSE)
        return None
    if kind == "list":
        return _quick_list(field, cells)
    if kind == "timestamp":
        return _quick_time(cells)
    if kind == "int":
        return _quick_int(cells)
    if kind == "double":
        return _quick_double(cells)
    if kind == "decimal":
        return _quick_decimal(cells, field.places or 0)
    return None


def _quick_text(field: Field, cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    if field.kind == "enum":
        return cells, cells.is_in(list(field.members))
    # Not blank for certain: the first character is a printable one of ASCII.
    plain = (cells >= "!") & (cells < "\x7f")
    limit = MAX_PERSON if field.kind == "person" else MAX_TEXT
    longest = cells.str.len_bytes().max()
    if isinstance(longest, int) and longest > limit:
        plain = plain & (cells.str.len_bytes() <= limit)
    if field.kind == "person":
        plain = plain & cells.str.contains(r"\A[!-~]+( [!-~]+)*\z")
    if field.normal:
        allowed = r"\A[!-$&-*,-@\[-~]+\z" if "url" in field.normal else r"\A[!-@\[-~]+\z"
        if "lower" not in field.normal:
            allowed = r"\A[!-$&-*,-~]+\z"
        plain = plain & cells.str.contains(allowed)
    return cells, plain


def _quick_list(field: Field, cells: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    if cells.dtype != pl.List(pl.String) or field.of != "string" or field.normal:
        return None
    plain = cells.list.len() <= MAX_ITEMS
    inner = cells.explode()
    longest = inner.str.len_bytes().max()
    if isinstance(longest, int) and longest > MAX_TEXT:
        return None
    if inner.null_count():
        plain = plain & ~cells.list.eval(pl.element().is_null()).list.any()
    return cells, plain


def _quick_time(cells: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    dtype = cells.dtype
    if isinstance(dtype, pl.Datetime) and dtype.time_unit in ("us", "ms"):
        moment = cells.dt.epoch("us")
    elif dtype == pl.Date:
        moment = cells.cast(pl.Datetime("us")).dt.epoch("us")
    else:
        return None
    # The years 1 to 9999, which the row path can write down.
    plain = moment.is_between(-62_135_596_800_000_000, 253_402_300_799_999_999)
    return moment, plain


def _quick_int(cells: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    dtype = cells.dtype
    if dtype == pl.String:
        number = cells.cast(pl.Int64, strict=False)
        return number, (number.cast(pl.String) == cells) & number.is_between(-MAX_INT, MAX_INT)
    if dtype.is_integer():
        number = cells.cast(pl.Int64, strict=False)
        return number, number.is_between(-MAX_INT, MAX_INT)
    if dtype == pl.Float64:
        number = cells.cast(pl.Int64, strict=False)
        return number, (number.cast(pl.Float64) == cells) & number.is_between(-MAX_INT, MAX_INT)
    return None


def _quick_double(cells: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    dtype = cells.dtype
    if dtype == pl.Float64:
        number = cells
        plain = number.is_finite()
    elif dtype.is_integer():
        plain = cells.cast(pl.Int64, strict=False).is_between(-MAX_INT, MAX_INT)
        number = cells.cast(pl.Float64)
    elif dtype == pl.String:
        number = cells.cast(pl.Float64, strict=False)
        plain = cells.str.contains(r"\A-?[0-9]{1,15}(\.[0-9]{1,15})?\z")
    else:
        return None
    size = number.abs()
    # Far magnitudes are judged alone: a plan counts on these bounds (`numbers.py`).
    return number, plain & (size.is_between(LOW, HIGH) | (number == 0))


def _quick_decimal(cells: pl.Series, places: int) -> tuple[pl.Series, pl.Series] | None:
    dtype = cells.dtype
    if dtype == pl.String:
        whole = max(1, 15 - places)
        digits = rf"(\.[0-9]{{1,{places}}})?" if places else ""
        plain = cells.str.contains(rf"\A-?[0-9]{{1,{whole}}}{digits}\z")
        if places > 14:
            return None
        number = cells.cast(pl.Decimal(30, places), strict=False).to_physical()
        return number.cast(pl.Int64, strict=False), plain
    if dtype.is_integer():
        number = cells.cast(pl.Int64, strict=False)
        return number * 10**places, number.is_between(-TOP // 10**places, TOP // 10**places)
    if dtype == pl.Float64:
        scaled = cells * float(10**places)
        near = scaled.round()
        # What lies this close to the declared places is written so, or noise of 32 bits.
        close = ((scaled - near).abs() <= 0.4) & (
            (cells - near / float(10**places)).abs() <= 9e-7 * cells.abs().clip(lower_bound=1.0)
        )
        plain = cells.is_finite() & close & (near.abs() <= float(TOP))
        return near.cast(pl.Int64, strict=False), plain
    if isinstance(dtype, pl.Decimal) and (dtype.scale or 0) <= places:
        number = cells.to_physical()
        top = TOP // 10 ** (places - (dtype.scale or 0))
        plain = number.is_between(-top, top)
        return number.cast(pl.Int64, strict=False) * 10 ** (places - (dtype.scale or 0)), plain
    return None


def _bounded(field: Field, typed: pl.Series, rest: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Cells outside `min` and `max` are not plain: the row path has the words."""
    for bound, outside in ((field.low, typed.__lt__), (field.high, typed.__gt__)):
        if bound is not None:
            wrong = outside(_bound(field, bound)).fill_null(False)
            rest = rest | wrong
    return typed, rest


def _bound(field: Field, text: str) -> Any:
    if field.kind == "double":
        return float(text)
    if field.kind in ("int", "decimal"):
        exact = Fraction(Decimal(text)) * 10 ** (field.places or 0)
        # Bounds are whole in these units, or they lie between two of them.
        return int(exact) if exact.denominator == 1 else float(exact)
    from handrail.gate.values import read_duration, read_timestamp

    return (read_timestamp if field.kind == "timestamp" else read_duration)(text)


# ---------------------------------------------------------------------------- other cells


def _by_distinct(
    field: Field, cells: pl.Series, reader: Callable[[Any], Any]
) -> tuple[pl.Series, pl.Series]:
    """Each distinct cell through the row path's functions; typed values, and which are wrong."""
    nested = isinstance(cells.dtype, pl.List | pl.Struct | pl.Array | pl.Object)
    distinct = cells if nested else cells.unique()
    values: list[Any] = []
    wrong: list[bool] = []
    for cell in distinct.to_list():
        value, bad = _one(field, cell, reader)
        values.append(value)
        wrong.append(bad)
    typed = pl.Series(values, dtype=_dtype(field), strict=True)
    refused = pl.Series(wrong, dtype=pl.Boolean)
    if nested:
        return typed, refused
    table = pl.DataFrame({"cell": distinct, "typed": typed, "wrong": refused})
    joined = (
        cells.alias("cell")
        .to_frame()
        .join(table, on="cell", how="left", nulls_equal=True, maintain_order="left")
    )
    return joined["typed"], joined["wrong"]


def _one(field: Field, cell: Any, reader: Callable[[Any], Any]) -> tuple[Any, bool]:
    value = read_cell(field, cell)
    if value is None:
        return None, False
    try:
        typed = reader(value)
    except Wrong:
        return None, True
    if typed is None:
        return None, False
    if field.kind == "list":
        items = [_column_form(field.of or "string", item, field.places) for item in typed]
        return (None, True) if None in items else (items, False)
    form = _column_form(field.kind, typed, field.places)
    return form, form is None


def _column_form(kind: str, typed: Any, places: int | None) -> Any:
    """A typed value as its column holds it; None where it is out of a plan's bounds."""
    if kind == "decimal":
        scaled = int(typed.scaleb(places or 0))
        return scaled if abs(scaled) <= TOP else None
    if kind == "double":
        return typed if typed == 0 or LOW <= abs(typed) <= HIGH else None
    return typed
