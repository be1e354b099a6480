"""Sentences with `{names}` in them: what a person reads, with units and separators."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any

from handrail.gate.scope import ERROR, NUMBERS, Fault, Scope, Type
from handrail.gate.values import render_timestamp
from handrail.model.text import nearest

MAX_SENTENCE = 1_000
"""Longest sentence as written, characters."""
MAX_SHOWN_TEXT = 200
"""Longest text that is put into a sentence; more is cut with …"""
MAX_SHOWN_ITEMS = 10

_SPEC = re.compile(r"(,?)(?:\.([0-9]{1,2}))?([f%])?", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)
_WIDE = Context(prec=200, rounding=ROUND_HALF_UP)

Part = str | Callable[[list[Any]], str]


class Sentence:
    """A checked template. `text` is as written; `fill(env)` is what a person reads."""

    __slots__ = ("parts", "text")

    def __init__(self, text: str, parts: list[Part]) -> None:
        self.text = text
        self.parts = parts

    def fill(self, env: list[Any]) -> str:
        return "".join([part if isinstance(part, str) else part(env) for part in self.parts])


def compile_sentence(text: str, scope: Scope, faults: list[Fault]) -> Sentence:
    """A sentence whose names exist and whose formats fit; what does not goes into `faults`."""
    parts: list[Part] = []
    if len(text) > MAX_SENTENCE:
        faults.append(
            Fault(0, f"a sentence of {len(text):,} characters", f"at most {MAX_SENTENCE:,}", "")
        )
        return Sentence(text[:MAX_SENTENCE], parts)
    at = 0
    plain = ""
    while at < len(text):
        c = text[at]
        if c in "{}" and text[at + 1 : at + 2] == c:
            plain += c
            at += 2
        elif c == "}":
            faults.append(Fault(at, "a `}` that opens nowhere", "`{name}`", "write `}}` for a }"))
            at += 1
        elif c == "{":
            end = text.find("}", at)
            if end < 0:
                faults.append(
                    Fault(at, "a `{` that is not closed", "`{name}`", "write `{{` for a {")
                )
                break
            parts.append(plain)
            plain = ""
            part = _placeholder(text[at + 1 : end], at + 1, scope, faults)
            if part is not None:
                parts.append(part)
            at = end + 1
        else:
            plain += c
            at += 1
    parts.append(plain)
    return Sentence(text, [part for part in parts if part != ""])


def _placeholder(inside: str, offset: int, scope: Scope, faults: list[Fault]) -> Part | None:
    name, colon, spec = inside.partition(":")
    name = name.strip()
    if not _NAME.fullmatch(name):
        faults.append(
            Fault(
                offset,
                f"`{{{inside[:40]}}}` in a sentence",
                "a name such as `{amount}` or `{amount:.1f}`",
                "name the expression under `values:`",
            )
        )
        return None
    symbol = scope.find(name)
    if symbol is None:
        root = name.split(".")[0]
        if name not in scope.broken and root not in scope.broken:
            faults.append(
                Fault(
                    offset,
                    f"there is no `{name}` to put into the sentence",
                    "a field, value or aggregate",
                    nearest(name, scope.symbols),
                )
            )
        return None
    kind = symbol.type
    if kind is ERROR:
        return None
    slot = symbol.slot
    if not colon:
        return lambda env: display(env[slot], kind)
    match = _SPEC.fullmatch(spec)
    if match is None or not spec or kind.kind not in NUMBERS:
        faults.append(
            Fault(
                offset + len(inside) - len(spec),
                f"the format `{spec[:20]}` for {kind.words}",
                "`.1f`, `,.2f`, `,` or `.1%`, for numbers",
                f"write `{{{name}}}`",
            )
        )
        return None
    comma, digits, sign = match.groups()

    def formatted(env: list[Any]) -> str:
        value = env[slot]
        if value is None:
            return "unknown"
        number = _decimal(value)
        if sign == "%":
            number = _WIDE.multiply(number, Decimal(100))
        if digits is not None or sign:
            number = _round(number, int(digits) if digits is not None else 0)
        return format(number, ",f" if comma else "f") + ("%" if sign == "%" else "")

    return formatted


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, Fraction):
        return _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Decimal(repr(value))


def _round(number: Decimal, places: int) -> Decimal:
    if number.adjusted() > 150:
        return number
    return number.quantize(Decimal(1).scaleb(-places), context=_WIDE) + 0


def display(value: Any, kind: Type) -> str:
    """A value as a person reads it: separators, unit, UTC times; unknown prints "unknown"."""
    if value is None:
        return "unknown"
    name = kind.kind
    if name == "list" and kind.of == "object":
        return f"{len(value)} items" if len(value) != 1 else "1 item"
    if name == "list":
        inner = Type(kind.of or "string", unit=kind.unit)
        items = [display(item, inner) for item in value[:MAX_SHOWN_ITEMS]]
        more = len(value) - len(items)
        between = "; " if any("," in item or len(item) > 40 for item in items) else ", "
        return (between.join(items) or "none") + (f" and {more} more" if more else "")
    if name == "bool":
        return "yes" if value else "no"
    if name == "object":
        return "given"
    if name == "timestamp":
        return render_timestamp(value)[:16].replace("T", " ") + " UTC"
    if name == "duration":
        return span(value)
    if name in NUMBERS:
        return _number(value, kind)
    text = "".join(c if c.isprintable() else " " for c in value[: MAX_SHOWN_TEXT + 1])
    return text if len(text) <= MAX_SHOWN_TEXT else text[:MAX_SHOWN_TEXT] + "…"


def _number(value: Any, kind: Type) -> str:
    if type(value) is Decimal and kind.kind == "decimal" and value and value.adjusted() < 40:
        # By far the most: what the rest of this comes to, with nothing to round.
        text = format(value, ",f" if kind.unit or value.adjusted() >= 4 else "f")
        digits, point, places = text.partition(".")
        if point and not places.strip("0"):
            text = digits
        return f"{text} {kind.unit}" if kind.unit else text
    number = _decimal(value)
    if kind.kind == "ratio":
        number = _round(number, 2 if abs(number) >= 1 else 4)
        number = number.normalize(_WIDE)
    elif kind.kind == "double":
        number = number.normalize(_WIDE)
    whole = number == number.to_integral_value()
    if whole and number.adjusted() < 40:
        number = number.quantize(Decimal(1), context=_WIDE) + 0
    grouped = kind.unit is not None or abs(number) >= 10_000
    text = format(number, ",f" if grouped else "f")
    return f"{text} {kind.unit}" if kind.unit else text


def span(us: int) -> str:
    """A duration: `4 h 30 min`, `2 d`, `12 s`."""
    sign = "-" if us < 0 else ""
    rest = abs(us)
    words = []
    for unit, size in (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000)):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}")
    if rest or not words:
        seconds = Decimal(rest) / 1_000_000
        words.append(f"{seconds.normalize():f} s")
    return sign + " ".join(words[:3])
