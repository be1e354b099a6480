"""Numbers of conditions as column expressions that come out as the exact evaluator's do.

Three forms, and each knows how far it can be trusted:

- `Float`: an IEEE double. The same operation gives the same bits here and there; only a result that
  is not finite has to be caught, and `high` and `low` say where that can happen at all.
- `Exact`: a fraction of 64-bit integers, `num / (scale * den)`. `top` and `bottom` bound the
  integers from above, so that no product can wrap: it is proved when the plan is made.
- `Near`: a double with a bound of its error, for exact numbers that do not fit 64 bits. A
  comparison decides only what lies further apart than the bound; the rest are *doubts*, and rows
  with a doubt are judged by the exact evaluator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import gcd
from typing import Any

import polars as pl

INT64 = 2**63 - 1
EXACT_DOUBLE = 2**53
"""Whole numbers up to this are doubles without rounding."""
LOW, HIGH = 1e-60, 1e30
"""Magnitudes of doubles that a plan counts on (besides 0); rows with others are judged alone."""
TOP = 10**15
"""Largest magnitude of a decimal a plan counts on, in units of its last place."""

_U = 2.0**-52
"""Twice the rounding error of one operation, so that its own evaluation is covered too."""
_TINY = 1e-290


class Cannot(Exception):
    """This expression has no column form; the text says why."""


class TooBig(Cannot):
    """The exact result may need more than 64 bits."""


@dataclass(frozen=True)
class Const:
    """A number written in the policy."""

    value: Fraction


@dataclass(frozen=True)
class Float:
    expr: pl.Expr
    low: float
    """Smallest magnitude other than 0."""
    high: float


@dataclass(frozen=True)
class Exact:
    num: pl.Expr
    scale: int
    top: int
    """Largest magnitude of `num`."""
    den: pl.Expr | None = None
    """Positive, or unknown where a divisor was 0; None for 1."""
    bottom: int = 1
    """Largest value of `den`."""


@dataclass(frozen=True)
class Near:
    value: pl.Expr
    error: pl.Expr
    """Largest distance from the exact number."""


Number = Const | Float | Exact | Near
COMPARE: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}

_WORK: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


def integer(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.Int64)


def double(value: float) -> pl.Expr:
    return pl.lit(value, dtype=pl.Float64)


class Numbers:
    """Builds number expressions; `doubts` gathers where a row has to be judged exactly."""

    def __init__(self) -> None:
        self.doubts: list[pl.Expr] = []

    # ------------------------------------------------------------------------ forms

    def exact(self, number: Number) -> Exact:
        if isinstance(number, Const):
            top, scale = number.value.numerator, number.value.denominator
            if max(abs(top), scale) > INT64:
                raise TooBig("a written number has more than 18 digits")
            return Exact(integer(top), scale, abs(top))
        if isinstance(number, Exact):
            return number
        raise TooBig("the number has no 64-bit form")

    def floating(self, number: Number) -> Float:
        """As the evaluator turns it into a double: `float(...)`, rounded once."""
        if isinstance(number, Float):
            return number
        if isinstance(number, Const):
            fixed = float(number.value)
            return Float(double(fixed), abs(fixed) or 1.0, abs(fixed))
        if isinstance(number, Exact) and number.scale == 1 and number.den is None:
            return Float(number.num.cast(pl.Float64), 1.0, float(number.top))
        raise Cannot("a decimal among doubles")

    def near(self, number: Number) -> Near:
        if isinstance(number, Near):
            return number
        if isinstance(number, Const):
            fixed = float(number.value)
            return Near(double(fixed), double(abs(fixed) * _U + _TINY))
        if isinstance(number, Float):
            # A double stands for the shortest decimal that names it, which is this close to it.
            return Near(number.expr, number.expr.abs() * _U + _TINY)
        value = number.num.cast(pl.Float64) / double(float(number.scale))
        if number.den is not None:
            value = value / number.den.cast(pl.Float64)
        return Near(value, value.abs() * (8 * _U) + _TINY)

    # ------------------------------------------------------------------------ arithmetic

    def arithmetic(self, op: str, a: Number, b: Number, kind: str) -> Number:
        """`a op b` in the type `kind` that the checker gave it."""
        if kind == "double":
            return self._float(op, self.floating(a), self.floating(b))
        if op == "/" and isinstance(b, Const):
            if b.value == 0:
                raise Cannot("a division that is never known")
            op, b = "*", Const(1 / b.value)
        try:
            return self._exactly(op, self.exact(a), self.exact(b))
        except TooBig:
            if kind == "int":
                return self._wide(op, self.exact(a), self.exact(b))
            return self._nearly(op, a, b)

    def _float(self, op: str, a: Float, b: Float) -> Float:
        result: pl.Expr
        if op == "/":
            divisor = b.expr
            # Polars divides by a scalar as a product with its inverse, which rounds twice.
            by = divisor + a.expr * 0.0
            result = pl.when(divisor != 0).then(a.expr / by)
            high = _product(a.high, 1.0 / b.low if b.low > 1e-300 else float("inf"))
            low = a.low / b.high if 0.0 < b.high < float("inf") else 0.0
        elif op == "*":
            result, high, low = a.expr * b.expr, _product(a.high, b.high), _product(a.low, b.low)
        else:
            result = a.expr + b.expr if op == "+" else a.expr - b.expr
            # What is left of two doubles is a multiple of the last place of the smaller one.
            high, low = a.high + b.high, min(a.low, b.low) * 2.0**-54
        if not high < 1e300:
            result = pl.when(result.is_finite()).then(result)
            high = 1.8e308
        return Float(result, low if low > 1e-300 else 0.0, high)

    def _exactly(self, op: str, a: Exact, b: Exact) -> Exact:
        if op == "/":
            turned = b.num.sign() * (b.den if b.den is not None else integer(1))
            size = b.num.abs()
            upside = Exact(turned, 1, b.bottom, pl.when(size != 0).then(size), b.top)
            shared = gcd(a.scale, b.scale)
            up, scale = b.scale // shared, a.scale // shared
            num = a.num * integer(up) if up > 1 else a.num
            return self._product(Exact(num, scale, _fits(a.top * up), a.den, a.bottom), upside)
        if op == "*":
            return self._product(a, b)
        left, right, top_left, top_right, scale = _alike(a, b)
        num = left + right if op == "+" else left - right
        den, bottom = a.den, a.bottom
        if b.den is not None:
            den = b.den if den is None else den * b.den
            bottom = _fits(a.bottom * b.bottom)
        return Exact(num, scale, _fits(top_left + top_right), den, bottom)

    def _product(self, a: Exact, b: Exact) -> Exact:
        den, bottom = a.den, a.bottom
        if b.den is not None:
            den = b.den if den is None else den * b.den
            bottom = _fits(a.bottom * b.bottom)
        scale = _fits(a.scale * b.scale)
        return Exact(a.num * b.num, scale, _fits(a.top * b.top), den, bottom)

    def _wide(self, op: str, a: Exact, b: Exact) -> Exact:
        """Whole numbers whose result may not fit: a row where it comes near the end is a doubt."""
        work = _WORK[op]
        size = work(a.num.cast(pl.Float64), b.num.cast(pl.Float64)).abs()
        self.doubts.append(size > 9.2e18)
        return Exact(work(a.num, b.num), 1, INT64)

    def _nearly(self, op: str, left: Number, right: Number) -> Near:
        a, b = self.near(left), self.near(right)
        if op in "+-":
            value = a.value + b.value if op == "+" else a.value - b.value
            return Near(value, a.error + b.error + value.abs() * _U)
        if op == "*":
            value = a.value * b.value
            error = a.value.abs() * b.error + b.value.abs() * a.error + a.error * b.error
            return Near(value, error + value.abs() * _U + _TINY)
        size = b.value.abs()
        divisor: pl.Expr
        if isinstance(right, Exact):
            divisor = pl.when(right.num != 0).then(b.value)
        elif isinstance(right, Float):
            divisor = pl.when(right.expr != 0).then(b.value)
        else:
            divisor = b.value
            self.doubts.append(size <= b.error)
        value = a.value / divisor
        rest = size * (size - b.error)
        error = (a.value.abs() * b.error + size * a.error) / rest
        return Near(value, error * (1 + 1e-9) + value.abs() * (2 * _U) + _TINY)

    def negative(self, a: Number) -> Number:
        if isinstance(a, Const):
            return Const(-a.value)
        if isinstance(a, Float):
            return Float(-a.expr, a.low, a.high)
        if isinstance(a, Exact):
            return Exact(-a.num, a.scale, a.top, a.den, a.bottom)
        return Near(-a.value, a.error)

    def absolute(self, a: Number) -> Number:
        if isinstance(a, Const):
            return Const(abs(a.value))
        if isinstance(a, Float):
            return Float(a.expr.abs(), a.low, a.high)
        if isinstance(a, Exact):
            return Exact(a.num.abs(), a.scale, a.top, a.den, a.bottom)
        return Near(a.value.abs(), a.error)

    def choice(self, test: pl.Expr, a: Number, b: Number, kind: str) -> Number:
        """`test ? a : b`; unknown where the test is."""

        def pick(x: pl.Expr, y: pl.Expr) -> pl.Expr:
            return pl.when(test).then(x).when(test.not_()).then(y)

        if kind == "double":
            x, y = self.floating(a), self.floating(b)
            return Float(pick(x.expr, y.expr), min(x.low, y.low), max(x.high, y.high))
        try:
            left, right, top_left, top_right, scale = _alike(
                p := self.exact(a), q := self.exact(b), dens=False
            )
        except TooBig:
            m, n = self.near(a), self.near(b)
            return Near(pick(m.value, n.value), pick(m.error, n.error))
        den: pl.Expr | None = None
        if p.den is not None or q.den is not None:
            one = integer(1)
            den = pick(one if p.den is None else p.den, one if q.den is None else q.den)
        top, bottom = max(top_left, top_right), max(p.bottom, q.bottom)
        return Exact(pick(left, right), scale, top, den, bottom)

    # ------------------------------------------------------------------------ comparisons

    def compare(self, op: str, a: Number, b: Number, kinds: tuple[str, str]) -> pl.Expr:
        """`a op b`; `kinds` are the types the checker gave the two."""
        double_kinds = {"double", "number", "int"}
        if "double" in kinds and set(kinds) <= double_kinds:
            for side in (a, b):
                if isinstance(side, Exact) and side.top > EXACT_DOUBLE:
                    self.doubts.append(side.num.abs() > EXACT_DOUBLE)
                if isinstance(side, Exact) and side.scale != 1:
                    raise Cannot("a fraction among doubles")
            return COMPARE[op](self.floating(a).expr, self.floating(b).expr)
        try:
            p, q = self.exact(a), self.exact(b)
            left, right, *_ = _alike(p, q)
            return COMPARE[op](left, right)
        except TooBig:
            m, n = self.near(a), self.near(b)
        apart = (m.value - n.value).abs()
        room = (m.error + n.error) * (1 + 1e-9) + _TINY
        self.doubts.append((apart <= room) | apart.is_finite().not_() | room.is_finite().not_())
        return COMPARE[op](m.value, n.value)

    def known(self, a: Number) -> pl.Expr:
        """Whether the number has a value."""
        if isinstance(a, Const):
            return pl.lit(True)
        if isinstance(a, Float):
            return a.expr.is_not_null()
        if isinstance(a, Near):
            return a.value.is_not_null() & a.error.is_not_null()
        known = a.num.is_not_null()
        return known if a.den is None else known & a.den.is_not_null()


def _fits(bound: int) -> int:
    if bound > INT64:
        raise TooBig("the exact result may need more than 64 bits")
    return bound


def _product(a: float, b: float) -> float:
    try:
        return a * b
    except OverflowError:  # pragma: no cover - floats give inf
        return float("inf")


def _alike(a: Exact, b: Exact, dens: bool = True) -> tuple[pl.Expr, pl.Expr, int, int, int]:
    """Both numerators over one denominator, their bounds, and the shared scale."""
    scale = _fits(a.scale // gcd(a.scale, b.scale) * b.scale)
    sides = []
    for one, other in ((a, b), (b, a)):
        factor = scale // one.scale
        num = one.num * integer(factor) if factor > 1 else one.num
        top = _fits(one.top * factor)
        if dens and other.den is not None:
            num, top = num * other.den, _fits(top * other.bottom)
        sides.append((num, top))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1], scale


def fraction(value: Any) -> Fraction:
    """A written or folded number, exactly."""
    return Fraction(value) if isinstance(value, int | Decimal | Fraction) else Fraction(repr(value))
