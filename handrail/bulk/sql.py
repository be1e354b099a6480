"""The conditions of a policy as SQL (DuckDB's), for a warehouse or a notebook.

    conditions(policy)["budget-cap"].text      a boolean expression; NULL is unknown

Columns are named as the fields are, and hold values as Handrail reads them: texts in their normal
form, decimals as DECIMAL(18, places), times as TIMESTAMP in UTC or with a zone. Numbers stay exact:
quotients of decimals are compared by products. What SQL cannot say with certainty has no text, but
a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from handrail.gate import Policy
from handrail.gate.scope import NUMBERS, TEXTS
from handrail.gate.syntax import Expr
from handrail.gate.values import normalise
from handrail.model.modes import OnUnknown

MAX_DIGITS = 38
"""Most digits of a DECIMAL."""
FIELD_DIGITS = 18
"""Digits a column of decimals is taken to have; one of ints has as many."""
MAX_TEXT = 60_000
"""Longest condition that is written, characters."""

_COMPARE = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TURNED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_INFINITE = ("infinity", "-infinity", "nan")


class NotSql(Exception):
    """SQL cannot say this with certainty; the text says what."""


@dataclass(frozen=True)
class Condition:
    """One rule as SQL."""

    text: str | None
    """A boolean expression, NULL where unknown; None where there is none."""
    reason: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class _Exact:
    """A decimal: its text, its digits in all and behind the point; `den` of a quotient."""

    text: str
    digits: int
    places: int
    den: _Exact | None = None


def conditions(policy: Policy) -> dict[str, Condition]:
    """Each rule, in the order of the policy: is it true of a row?

    A matrix is true where a row of it fires: its first true row, unless one before is unknown.
    """
    writer = _Writer(policy)
    found = {}
    for rule in policy.draft.rules:
        try:
            rows = [writer.condition(row.when) for row in rule.rows]
            text = rows[0] if len(rows) == 1 else _matrix(rows, rule.on_unknown)
            if len(text) > MAX_TEXT:
                raise NotSql("it would be very long")
            found[rule.id] = Condition(text)
        except NotSql as error:
            found[rule.id] = Condition(None, str(error))
    return found


def _matrix(rows: list[str], on_unknown: OnUnknown) -> str:
    arms = []
    for row in rows:
        arms.append(f"WHEN {row} THEN TRUE")
        if on_unknown is not OnUnknown.IGNORE:
            arms.append(f"WHEN ({row}) IS NULL THEN NULL")
    if on_unknown is OnUnknown.IGNORE:
        arms.append("WHEN " + " OR ".join(f"({row}) IS NULL" for row in rows) + " THEN NULL")
    return f"CASE {' '.join(arms)} ELSE FALSE END"


class _Writer:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.symbols = policy.draft.scope.symbols
        self.places = {f.name: f.places or 0 for f in policy.fields}
        self.values = {value.name: value.expr for value in policy.draft.values}

    # ------------------------------------------------------------------------ conditions

    def condition(self, node: Expr) -> str:
        op, args = node.op, node.args
        if op == "lit":
            return "TRUE" if node.value else "FALSE"
        if op == "name":
            symbol = self._symbol(node)
            if node.name in self.values:
                return self.condition(self.values[node.name])
            if symbol.type.kind == "object":
                raise NotSql("an object as a condition")
            return column(node.name)
        if op in ("and", "or"):
            return "(" + f" {op.upper()} ".join(self.condition(arg) for arg in args) + ")"
        if op == "not":
            return f"(NOT {self.condition(args[0])})"
        if op == "?":
            return self._choice(node, self.condition)
        if op == "call":
            return self._call(node)
        if op in ("in", "not in"):
            found = self._membership(node)
            return f"(NOT {found})" if op == "not in" else found
        if op in _COMPARE:
            return self._comparison(node)
        raise NotSql(f"`{node.name or op}`")

    def _choice(self, node: Expr, write: Any) -> str:
        test = self.condition(node.args[0])
        yes, no = write(node.args[1]), write(node.args[2])
        return f"(CASE WHEN {test} THEN {yes} WHEN NOT {test} THEN {no} END)"

    def _comparison(self, node: Expr) -> str:
        a, b = node.args
        op = _COMPARE[node.op]
        kinds = {a.type.kind, b.type.kind}
        if kinds == {"bool"}:
            return f"({self.condition(a)} {op} {self.condition(b)})"
        if a.type.kind in TEXTS:
            return f"({self.text(a)} {op} {self.text(b)})"
        if kinds <= {"timestamp", "duration"}:
            return f"({self.moment(a)} {op} {self.moment(b)})"
        if "double" in kinds:
            if not kinds <= {"double", "number"}:
                raise NotSql("a double compared with an exact number")
            return f"({_finite(self.double(a))} {op} {_finite(self.double(b))})"
        return self._exactly(op, self.exact(a), self.exact(b))

    def _exactly(self, op: str, a: _Exact, b: _Exact) -> str:
        """Quotients by products; each divisor's sign turns the comparison."""
        left, right = _plain(a), _plain(b)
        divisors = []
        if a.den is not None:
            right = _times(right, a.den)
            divisors.append(a.den.text)
        if b.den is not None:
            left = _times(left, b.den)
            divisors.append(b.den.text)
        straight = f"({left.text} {op} {right.text})"
        if not divisors:
            return straight
        turned = f"({left.text} {_TURNED[op]} {right.text})"
        if len(divisors) == 1:
            den = divisors[0]
            return f"(CASE WHEN {den} > 0 THEN {straight} WHEN {den} < 0 THEN {turned} END)"
        x, y = divisors
        return (
            f"(CASE WHEN {x} = 0 OR {y} = 0 THEN NULL "
            f"WHEN ({x} > 0) = ({y} > 0) THEN {straight} "
            f"WHEN ({x} > 0) <> ({y} > 0) THEN {turned} END)"
        )

    def _call(self, node: Expr) -> str:
        name, args = node.name, node.args
        if name == "has":
            return f"({self._value(args[0])} IS NOT NULL)"
        if name in ("contains", "startsWith", "endsWith"):
            call = {"contains": "contains", "startsWith": "starts_with", "endsWith": "ends_with"}
            return f"{call[name]}({self.text(args[0])}, {self.text(args[1])})"
        if name == "matches":
            return f"regexp_matches({self.text(args[0])}, {quoted(args[1].value)})"
        raise NotSql(f"`{name}`")

    def _value(self, node: Expr) -> str:
        """Any value, for the question whether it is there."""
        kind = node.type.kind
        if node.name in self.values:
            node = self.values[node.name]
        if kind == "bool":
            return self.condition(node)
        if kind in TEXTS:
            return self.text(node)
        if kind == "double":
            return _finite(self.double(node))
        if kind in ("timestamp", "duration"):
            return self.moment(node)
        if kind in NUMBERS:
            made = self.exact(node)
            if made.den is None:
                return made.text
            return f"(CASE WHEN {made.den.text} <> 0 THEN {made.text} END)"
        if node.op == "name":
            self._symbol(node)
            return column(node.name)
        raise NotSql(f"`has` of {node.type.words}")

    def _membership(self, node: Expr) -> str:
        item, pool = node.args
        kind = item.type.kind
        if pool.op == "array":
            if kind in TEXTS:
                inside = ", ".join(quoted(member.value) for member in pool.args)
                return f"({self.text(item)} IN ({inside}))"
            if kind == "double":
                inside = ", ".join(_double(member.type.const) for member in pool.args)
                return f"({_finite(self.double(item))} IN ({inside}))"
            if kind in ("int", "decimal"):
                value = self.exact(item)
                consts = [_const(member.type.const) for member in pool.args]
                return "(" + " OR ".join(self._exactly("=", value, one) for one in consts) + ")"
            raise NotSql("a list of such values")
        if pool.op == "lists":
            items = self.policy.lists[pool.name]
            if kind in TEXTS and items:
                if item.type.normal:
                    items = tuple(normalise(one, item.type.normal) for one in items)
                return f"({self.text(item)} IN ({', '.join(map(quoted, items))}))"
            if kind in ("int", "decimal") and items:
                value = self.exact(item)
                consts = [_const(one) for one in items]
                return "(" + " OR ".join(self._exactly("=", value, one) for one in consts) + ")"
            raise NotSql("a named list of such values")
        of = pool.type.of
        if pool.op != "name" or pool.name in self.values:
            raise NotSql("a list that is no column")
        if kind in TEXTS and of in TEXTS:
            text = self.text(item)
        elif kind == "double" and of == "double":
            text = _finite(self.double(item))
        else:
            raise NotSql("a list of such values")
        self._symbol(pool)
        return f"(CASE WHEN {text} IS NOT NULL THEN list_contains({column(pool.name)}, {text}) END)"

    # ------------------------------------------------------------------------ values

    def _symbol(self, node: Expr) -> Any:
        symbol = self.symbols.get(node.name)
        if symbol is None or symbol.origin not in ("field", "value", "confidence"):
            raise NotSql(f"`{node.name}` is no column")
        return symbol

    def text(self, node: Expr) -> str:
        if node.op == "lit":
            return quoted(node.value)
        if node.op == "?":
            return self._choice(node, self.text)
        if node.op == "name":
            self._symbol(node)
            if node.name in self.values:
                return self.text(self.values[node.name])
            return column(node.name)
        raise NotSql(f"`{node.name or node.op}` as a text")

    def moment(self, node: Expr) -> str:
        """A point in time, or a span between two, in µs."""
        op, args = node.op, node.args
        if op == "call" and node.name in ("timestamp", "duration"):
            return str(node.run([]))
        if op == "name":
            self._symbol(node)
            if node.name in self.values:
                return self.moment(self.values[node.name])
            if node.type.kind == "timestamp":
                return f"epoch_us({column(node.name)})"
            raise NotSql("a column of durations")
        if op in ("+", "-"):
            return f"({self.moment(args[0])} {op} {self.moment(args[1])})"
        if op == "neg":
            return f"(- {self.moment(args[0])})"
        if op == "call" and node.name == "abs":
            return f"abs({self.moment(args[0])})"
        if op == "?":
            return self._choice(node, self.moment)
        raise NotSql(f"`{node.name or op}` of times")

    def double(self, node: Expr) -> str:
        """A double; where it would not be finite, it is no number at every later step too."""
        op, args = node.op, node.args
        kind = node.type.kind
        if kind == "number":
            return _double(node.type.const)
        if kind == "int":
            return f"CAST({_plain(self.exact(node)).text} AS DOUBLE)"
        if kind != "double":
            raise NotSql("an exact number among doubles")
        if op == "name":
            self._symbol(node)
            if node.name in self.values:
                return _finite(self.double(self.values[node.name]))
            return column(node.name)
        if op == "neg":
            return f"(- {self.double(args[0])})"
        if op == "call" and node.name == "abs":
            return f"abs({self.double(args[0])})"
        if op == "?":
            return self._choice(node, lambda arg: _finite(self.double(arg)))
        if op == "/":
            divisor = f"nullif({_finite(self.double(args[1]))}, 0)"
            return f"({self.double(args[0])} / {divisor})"
        if op in ("+", "-", "*"):
            return f"({self.double(args[0])} {op} {self.double(args[1])})"
        raise NotSql(f"`{node.name or op}`")

    def exact(self, node: Expr) -> _Exact:
        op, args = node.op, node.args
        kind = node.type.kind
        if kind == "number":
            return _const(node.type.const)
        if kind == "double":
            raise NotSql("a double among exact numbers")
        if kind == "duration" or kind == "timestamp":
            return _Exact(f"CAST({self.moment(node)} AS DECIMAL(18, 0))", 18, 0)
        if op == "name":
            self._symbol(node)
            if node.name in self.values:
                return self.exact(self.values[node.name])
            if kind == "int":
                return _Exact(f"CAST({column(node.name)} AS DECIMAL(16, 0))", 16, 0)
            return _Exact(column(node.name), FIELD_DIGITS, self.places[node.name])
        if op == "neg":
            made = self.exact(args[0])
            return _Exact(f"(- {made.text})", made.digits, made.places, made.den)
        if op == "call" and node.name == "abs":
            made = self.exact(args[0])
            den = made.den
            if den is not None:
                den = _Exact(f"abs({den.text})", den.digits, den.places)
            return _Exact(f"abs({made.text})", made.digits, made.places, den)
        if op == "call" and node.name == "size":
            return self._size(args[0])
        if op in ("+", "-", "*", "/"):
            made = self._arithmetic(op, self.exact(args[0]), self.exact(args[1]))
            if kind == "int" and made.digits > 18:
                raise NotSql("an int that may need more than 18 digits")
            return made
        raise NotSql(f"`{node.name or op}`")

    def _size(self, arg: Expr) -> _Exact:
        if arg.type.kind in TEXTS:
            return _Exact(f"CAST(length({self.text(arg)}) AS DECIMAL(9, 0))", 9, 0)
        if arg.op != "name" or arg.name in self.values or arg.type.of == "object":
            raise NotSql("`size` of what is no column")
        self._symbol(arg)
        return _Exact(f"CAST(len({column(arg.name)}) AS DECIMAL(9, 0))", 9, 0)

    def _arithmetic(self, op: str, a: _Exact, b: _Exact) -> _Exact:
        if op == "*":
            made = _times(_plain(a), _plain(b))
            den = a.den if b.den is None else b.den if a.den is None else _times(a.den, b.den)
            return _Exact(made.text, made.digits, made.places, den)
        if op == "/":
            top, bottom = _plain(a), _plain(b)
            if b.den is not None:
                # b is 0 or unknown where its own divisor is: then this is unknown too.
                top = _times(top, _guarded(b.den))
            if a.den is not None:
                bottom = _times(bottom, a.den)
            return _Exact(top.text, top.digits, top.places, bottom)
        left, right = _plain(a), _plain(b)
        if a.den is not None:
            right = _times(right, a.den)
        if b.den is not None:
            left = _times(left, b.den)
        den = a.den if b.den is None else b.den if a.den is None else _times(a.den, b.den)
        places = max(left.places, right.places)
        digits = max(left.digits - left.places, right.digits - right.places) + places + 1
        if digits > MAX_DIGITS:
            raise NotSql("an exact result of more than 38 digits")
        return _Exact(f"({left.text} {op} {right.text})", digits, places, den)


def _plain(a: _Exact) -> _Exact:
    return _Exact(a.text, a.digits, a.places)


def _guarded(a: _Exact) -> _Exact:
    return _Exact(f"nullif({a.text}, 0)", a.digits, a.places)


def _times(a: _Exact, b: _Exact) -> _Exact:
    if a.digits + b.digits > MAX_DIGITS:
        raise NotSql("an exact result of more than 38 digits")
    return _Exact(f"({a.text} * {b.text})", a.digits + b.digits, a.places + b.places)


def _finite(text: str) -> str:
    """NULL in the place of what is no finite number."""
    if text.startswith(("CAST(", '"')):
        return text  # a column, or a number: finite as it is
    for word in _INFINITE:
        text = f"nullif({text}, CAST('{word}' AS DOUBLE))"
    return text


def _double(value: Any) -> str:
    return f"CAST({float(value)!r} AS DOUBLE)"


def _const(value: Any) -> _Exact:
    if isinstance(value, Fraction):
        top, bottom = _const(Decimal(value.numerator)), _const(Decimal(value.denominator))
        return _Exact(top.text, top.digits, top.places, bottom)
    text = format(Decimal(value), "f")
    places = len(text.partition(".")[2])
    digits = max(len(text.replace("-", "").replace(".", "").lstrip("0")), places, 1)
    if digits > MAX_DIGITS:
        raise NotSql("a number of more than 38 digits")
    return _Exact(f"CAST({text} AS DECIMAL({digits}, {places}))", digits, places)


def column(name: str) -> str:
    """A field as SQL names it; a part of an object as a part of a struct."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    if "\x00" in text:
        raise NotSql("a text with a zero byte")
    return "'" + text.replace("'", "''") + "'"
