"""Type check of conditions, and the closures that evaluate them.

Values are three-valued: None is unknown, and it means the same as missing and as null. `and`, `or`
and `not` are Kleene's; everything else is unknown when an operand is. Division by zero and a
result that is no finite number are unknown. Numbers are exact unless declared `double`: `decimal`
and `int` arithmetic has no rounding, and a quotient is kept as a fraction.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from handrail.gate import values
from handrail.gate.calls import MACROS, Calls
from handrail.gate.scope import (
    BOOL,
    ERROR,
    NUMBERS,
    TEXTS,
    Fault,
    NamedList,
    Run,
    Scope,
    Symbol,
    Type,
    binary,
    literal_type,
)
from handrail.gate.source import lookalike
from handrail.gate.syntax import METHODS, Expr
from handrail.model.text import nearest

__all__ = [
    "BOOL",
    "ERROR",
    "NUMBERS",
    "TEXTS",
    "Checker",
    "Fault",
    "NamedList",
    "Run",
    "Scope",
    "Symbol",
    "Type",
]


MAX_GROWTH = 1_000
"""Most digits that exact arithmetic may grow to; bounds its time whatever the input is."""
EXACT = Context(prec=4 * MAX_GROWTH, Emin=-(10**8), Emax=10**8)
INT64 = 2**63 - 1


class Checker(Calls):
    """Checks one expression against a scope and gives every node its `type` and `run`."""

    # ---------------------------------------------------------------- entry points

    def condition(self, node: Expr, guarded: bool) -> None:
        """A condition: yes or no, reads something, and no unguarded optional unless `guarded`."""
        kind = self.visit(node)
        if kind.kind not in ("bool", "error"):
            self.fault(
                node,
                f"the condition gives {kind.words}",
                "a comparison with a threshold, which gives yes or no",
                "write such as `amount > 100`",
            )
        elif kind is not ERROR and not any(n.op in ("name", "item") for n in node.walk()):
            self.fault(
                node,
                "the condition compares no field",
                "a comparison of a field with a concrete threshold",
                "write such as `amount > 100`",
            )
        if not guarded and kind is not ERROR:
            for name, where in self.unguarded(node, frozenset()):
                symbol = where.value if where.op == "item" else self.scope.symbols[name]
                why = "optional" if symbol.origin in ("field", "item") else "not always known"
                self.fault(
                    where,
                    f"`{name}` is {why} and may have no value here",
                    "a condition that says what then",
                    f"write `has({name}) and …`, or give the rule `on_unknown: hold`",
                )

    # ---------------------------------------------------------------- what may be missing

    def unguarded(self, node: Expr, known: frozenset[str]) -> list[tuple[str, Expr]]:
        """Names that may be missing where the answer hangs on them, with their nodes.

        Guards count from either side, because Kleene's `and` and `or` are commutative.
        """
        if node.op in ("name", "item"):
            symbol = node.value if node.op == "item" else self.scope.symbols.get(node.name)
            missing = symbol is not None and symbol.maybe and node.name not in known
            return [(node.name, node)] if missing else []
        if node.op == "call" and node.name == "has":
            return []
        if node.op in ("and", "or"):
            found = []
            for item in node.args:
                inner = known
                for other in node.args:
                    if other is not item:
                        inner = inner | self.sure(other, node.op == "and")
                found += self.unguarded(item, inner)
            return found
        if node.op == "?":
            test, then, other = node.args
            return (
                self.unguarded(test, known)
                + self.unguarded(then, known | self.sure(test, True))
                + self.unguarded(other, known | self.sure(test, False))
            )
        return [pair for arg in node.args for pair in self.unguarded(arg, known)]

    def sure(self, node: Expr, outcome: bool) -> frozenset[str]:
        """Names that surely have a value when `node` came out as `outcome`."""
        if node.op == "call" and node.name == "has" and outcome:
            return self.with_implied(node.args[0].name) if node.args else frozenset()
        if node.op == "not":
            return self.sure(node.args[0], not outcome)
        if node.op in ("and", "or"):
            parts = [self.sure(item, outcome) for item in node.args]
            if (node.op == "and") == outcome:
                return frozenset().union(*parts)
            return parts[0].intersection(*parts[1:])
        return frozenset()

    def with_implied(self, name: str) -> frozenset[str]:
        symbol = self.scope.symbols.get(name)
        return frozenset({name}) | (symbol.implies if symbol else frozenset())

    def implied(self, node: Expr) -> frozenset[str]:
        """Names that surely have a value when this expression has one."""
        if node.op == "name":
            return self.with_implied(node.name)
        if node.op in ("and", "or", "?", "item") or (node.op == "call" and node.name == "has"):
            return frozenset()
        if node.op == "call" and node.name in MACROS:
            return self.implied(node.args[0])
        return frozenset().union(*(self.implied(arg) for arg in node.args))

    # ---------------------------------------------------------------- types and closures

    def visit(self, node: Expr) -> Type:
        """The type of `node`; its closure is set wherever the type is no error."""
        node.run = _never
        node.type = kind = self._VISITS.get(node.op, Checker._operator)(self, node)
        return kind

    def _literal(self, node: Expr) -> Type:
        value = node.value
        node.run = lambda env: value
        if isinstance(value, bool):
            return BOOL
        if isinstance(value, str) and (odd := lookalike(value)):
            return self.fault(
                node,
                f"the text `{value[:40]}` holds {odd} beside Latin ones",
                "letters of one script in a word",
                "type it anew",
            )
        return Type("text") if isinstance(value, str) else literal_type(value)

    def _name(self, node: Expr) -> Type:
        name = node.name
        if name.split(".")[0] in self.bound:
            return self._item(node)
        symbol = self.scope.find(name)
        if symbol is None:
            root = name.split(".")[0]
            if name in self.scope.broken or root in self.scope.broken:
                return ERROR
            if root in ("tables", "checks", "confidence"):
                return self._no_such(node, root)
            if name in METHODS or name == "lists":
                fix = f"write `{name}(…)`" if name != "lists" else "write `lists.NAME`"
            else:
                fix = (
                    nearest(name, self.scope.symbols)
                    or f'declare it under `fields:`, or write "{name}" if a text is meant'
                )
            return self.fault(
                node, f"there is no `{name}`", "a field, value, aggregate or `confidence`", fix
            )
        if symbol.type is ERROR:
            return ERROR
        slot = symbol.slot
        node.run = operator.itemgetter(slot)
        return symbol.type

    def _no_such(self, node: Expr, root: str) -> Type:
        """A name below `tables`, `checks` or `confidence` that is not there."""
        rest = node.name.split(".")[1:]
        if root == "tables":
            table = self.scope.tables.get(rest[0]) if rest else None
            if table is not None:
                column = ".".join(rest[1:])
                return self.fault(
                    node,
                    f"the table {table.name} has no column `{column}`",
                    "`tables.NAME.COLUMN`: one of " + ", ".join(table.columns),
                    nearest(column, table.columns),
                )
            known, what = list(self.scope.tables), "`tables.NAME.COLUMN` of a table"
        elif root == "checks":
            known = [n.partition(".")[2] for n in self.scope.symbols if n.startswith("checks.")]
            what = "`checks.NAME` of a check"
        else:
            known, what = sorted(self.scope.proposed), "`confidence.FIELD` of a proposed field"
        name = rest[0] if rest else ""
        return self.fault(
            node,
            f"there is no `{node.name}`",
            what + (": one of " + ", ".join(known) if known else ""),
            nearest(name, known)
            or f"declare it under `{root if root != 'confidence' else 'fields'}:`",
        )

    def _list(self, node: Expr) -> Type:
        if node.name not in self.scope.lists:
            return self.fault(
                node,
                f"there is no list `{node.name}`",
                "a name under `lists:`",
                nearest(node.name, self.scope.lists) or "declare it under `lists:`",
            )
        return self.fault(
            node,
            f"`lists.{node.name}` stands alone",
            f"`field in lists.{node.name}`",
            "write which field is looked up",
        )

    def _array(self, node: Expr) -> Type:
        for arg in node.args:
            self.visit(arg)
        return self.fault(node, "a list stands alone", "`field in [..]`", "write which field")

    def _logic(self, node: Expr) -> Type:
        good = True
        for arg in node.args:
            kind = self.visit(arg)
            if kind.kind == "error":
                good = False
            elif kind.kind != "bool":
                good = False
                self.fault(
                    arg,
                    f"`{node.op}` joins {kind.words}",
                    "a comparison, which gives yes or no",
                    "compare it with something, such as `> 0`",
                )
        if not good:
            return ERROR
        runs = tuple(arg.run for arg in node.args)
        if node.op == "not":
            inner = runs[0]

            def negate(env: list[Any]) -> Any:
                value = inner(env)
                return None if value is None else not value

            node.run = negate
        else:
            node.run = _joined(runs, stop=node.op == "or")
        return BOOL

    def _choice(self, node: Expr) -> Type:
        test, then, other = (self.visit(arg) for arg in node.args)
        if test.kind not in ("bool", "error"):
            self.fault(node.args[0], f"`?` asks {test.words}", "a comparison", "compare it")
            return ERROR
        if ERROR in (test, then, other):
            return ERROR
        kind = self._common(node, then, other)
        if kind is ERROR:
            return ERROR
        ask = node.args[0].run
        node.forms = ("", kind.kind, kind.kind)
        yes = self._as(node.args[1], kind)
        no = self._as(node.args[2], kind)

        def choose(env: list[Any]) -> Any:
            value = ask(env)
            if value is None:
                return None
            return yes(env) if value else no(env)

        node.run = choose
        return kind

    def _common(self, node: Expr, a: Type, b: Type) -> Type:
        if a.kind in NUMBERS and b.kind in NUMBERS:
            if self._units_differ(node, a, b):
                return ERROR
            kinds = {a.kind, b.kind}
            if kinds <= {"int"}:
                kind = "int"
            elif "double" in kinds and not kinds & {"decimal", "ratio"}:
                kind = "double"
            elif "ratio" in kinds or any(isinstance(t.const, Fraction) for t in (a, b)):
                kind = "ratio"
            else:
                kind = "decimal"
            return Type(kind, unit=a.unit or b.unit, digits=max(a.digits, b.digits))
        if a.kind in TEXTS and b.kind in TEXTS:
            return a if a == b else Type("string")
        if a.kind == b.kind and a.kind != "list":
            return a
        return self.fault(
            node, f"`?` gives {a.words} or {b.words}", "the same type on both sides", ""
        )

    def _units_differ(self, node: Expr, a: Type, b: Type) -> bool:
        if a.unit and b.unit and a.unit != b.unit:
            self.fault(
                node,
                f"{a.unit} meets {b.unit}",
                "one unit on both sides",
                "convert one side, or correct the `unit:` of a field",
            )
            return True
        return False

    def _as(self, node: Expr, kind: Type) -> Run:
        """The closure of a number in the form of `kind`; other types as they are."""
        have = node.type
        if kind.kind not in NUMBERS or have.kind not in NUMBERS:
            return node.run
        if have.kind == "number":
            fixed = constant(have.const, kind.kind)
            return lambda env: fixed
        if have.kind == kind.kind:
            return node.run
        turn = CONVERT.get((have.kind, kind.kind))
        if turn is None:
            return node.run
        inner = node.run

        def converted(env: list[Any]) -> Any:
            value = inner(env)
            return None if value is None else turn(value)

        return converted

    def _negative(self, node: Expr) -> Type:
        kind = self.visit(node.args[0])
        if kind is ERROR:
            return ERROR
        if kind.kind not in NUMBERS and kind.kind != "duration":
            return self.fault(node, f"`-` before {kind.words}", "a number", "")
        if kind.kind == "number":
            fixed = -kind.const if isinstance(kind.const, Fraction) else kind.const.copy_negate()
            node.run = lambda env: fixed
            return literal_type(fixed)
        inner = node.args[0].run
        # `-x` would round a decimal to the ambient precision; copy_negate does not.
        turn: Callable[[Any], Any] = Decimal.copy_negate if kind.kind == "decimal" else operator.neg

        def negate(env: list[Any]) -> Any:
            value = inner(env)
            return None if value is None else turn(value)

        node.run = negate
        return Type(kind.kind, unit=kind.unit, digits=kind.digits)

    def _operator(self, node: Expr) -> Type:
        if node.op in ("in", "not in"):
            return self._membership(node)
        left, right = (self.visit(arg) for arg in node.args)
        if ERROR in (left, right):
            return ERROR
        if node.op in _COMPARE:
            return self._comparison(node, left, right)
        return self._arithmetic(node, left, right)

    # ---------------------------------------------------------------- comparisons

    def _comparison(self, node: Expr, left: Type, right: Type) -> Type:
        op = node.op
        kinds = {left.kind, right.kind}
        ordered = op not in ("==", "!=")
        if left.kind in NUMBERS and right.kind in NUMBERS:
            if self._units_differ(node, left, right):
                return ERROR
            form = common_form(left, right)
            node.forms = (form, form)
            a, b = (self._as(arg, Type(form)) if form else arg.run for arg in node.args)
            node.run = binary(a, b, _COMPARE[op])
            return BOOL
        if kinds == {"timestamp"} or kinds == {"duration"}:
            node.run = binary(node.args[0].run, node.args[1].run, _COMPARE[op])
            return BOOL
        if not ordered and (kinds == {"bool"} or (left.kind in TEXTS and right.kind in TEXTS)):
            self._literal_fits(node.args[0], node.args[1])
            self._literal_fits(node.args[1], node.args[0])
            node.run = binary(node.args[0].run, node.args[1].run, _COMPARE[op])
            return BOOL
        fix = ""
        if left.kind == right.kind or (left.kind in TEXTS and right.kind in TEXTS):
            expected = "`==` or `!=`; only numbers, times and durations have an order"
            if left.kind == "list":
                expected = "`value in list` or `size(list) > n`"
        else:
            expected = f"the same type on both sides, not {left.words} and {right.words}"
            if "bool" in kinds:
                fix = "a yes-or-no field stands alone: `paid` or `not paid`"
            elif kinds & TEXTS and kinds & NUMBERS:
                fix = "write the number without quotes, or declare the field as a number"
            elif "timestamp" in kinds and kinds & TEXTS:
                fix = 'write `timestamp("2026-11-21T08:00:00Z")`'
            elif "duration" in kinds:
                fix = 'write `duration("30m")`'
        return self.fault(node, f"{left.words} {op} {right.words}", expected, fix)

    def _literal_fits(self, literal: Expr, other: Expr) -> None:
        """A text literal that its partner can never equal is a mistake."""
        if literal.op != "lit" or not isinstance(literal.value, str):
            return
        kind, text = other.type, literal.value
        if kind.members and text not in kind.members:
            self.fault(
                literal,
                f"`{text}` is no member of `{other.name or 'the enum'}`",
                "one of " + ", ".join(kind.members[:12]),
                nearest(text, kind.members),
            )
        elif kind.normal and values.normalise(text, kind.normal) != text:
            self.fault(
                literal,
                f"`{text}` can never equal `{other.name}`, which is read as {kind.normal[-1]} text",
                "the normal form",
                f'write "{values.normalise(text, kind.normal)}"',
            )

    def _membership(self, node: Expr) -> Type:
        item, pool = node.args
        kind = self.visit(item)
        negated = node.op == "not in"
        if pool.op == "lists":
            pool.run, pool.type = _never, ERROR
            return self._in_named(node, item, kind, pool, negated)
        if pool.op == "array":
            for member in pool.args:
                self.visit(member)
            pool.type = ERROR
            pool.run = _never
            return self._in_array(node, item, kind, pool, negated)
        whole = self.visit(pool)
        if ERROR in (kind, whole):
            return ERROR
        if whole.kind != "list":
            return self.fault(
                pool,
                f"`in` looks into {whole.words}",
                "a list: `[..]`, `lists.NAME` or a field that holds a list",
                "write `==` to compare with one value"
                if whole.kind != "string"
                else "write `contains(text, part)` to look into a text",
            )
        inside = Type(whole.of or "string", members=whole.members, normal=whole.normal)
        exact_in_double = kind.kind in ("decimal", "ratio") and inside.kind == "double"
        if not _alike(kind, inside) or exact_in_double:
            return self.fault(
                node, f"{kind.words} in {whole.words}", f"a value like {inside.words}", ""
            )
        fake = Expr("name", pool.start, pool.end, name=pool.name)
        fake.type = inside
        self._literal_fits(item, fake)
        if kind.normal and kind.normal != inside.normal and pool.name.startswith("tables."):
            forms = kind.normal[0] if len(kind.normal) == 1 else f"[{', '.join(kind.normal)}]"
            return self.fault(
                pool,
                f"`{pool.name}` is not kept in the normal form of `{item.name}`",
                f"a column with `normal: {forms}`",
                "declare it there",
            )
        node.forms = (inside.kind, "")
        looked = self._as(item, inside)
        node.run = _member(looked, pool.run, negated)
        return BOOL

    def _in_array(self, node: Expr, item: Expr, kind: Type, pool: Expr, negated: bool) -> Type:
        if not pool.args:
            return self.fault(pool, "an empty list", "at least one value", "")
        good = kind is not ERROR
        for member in pool.args:
            if member.type is ERROR:
                good = False
            elif member.op != "lit" and not (member.op == "neg" and member.type.const is not None):
                good = False
                self.fault(member, "a list holds values only", "numbers or texts", "use `or`")
            elif kind is not ERROR and not _alike(kind, member.type):
                good = False
                self.fault(
                    member,
                    f"{member.type.words} among values for {kind.words}",
                    f"values like {kind.words}",
                    "",
                )
            elif kind is not ERROR:
                self._literal_fits(member, item)
        if not good:
            return ERROR
        fixed = frozenset(
            constant(member.type.const, kind.kind) if member.type.kind == "number" else member.value
            for member in pool.args
        )
        pool.fixed = fixed
        inner = item.run

        def among(env: list[Any]) -> Any:
            value = inner(env)
            return None if value is None else (value in fixed) is not negated

        node.run = among
        return BOOL

    def _in_named(self, node: Expr, item: Expr, kind: Type, pool: Expr, negated: bool) -> Type:
        if pool.name not in self.scope.lists:
            return self._list(pool)
        named = self.scope.lists[pool.name]
        if kind is ERROR or named is None:
            return ERROR
        if (named.kind == "number") != (kind.kind in NUMBERS) or (
            kind.kind not in NUMBERS and kind.kind not in TEXTS
        ):
            return self.fault(
                node,
                f"{kind.words} in lists.{pool.name}, a list of {named.kind}s",
                f"a value like those of the list ({named.kind})",
                "",
            )
        slot = pool.fixed = self.scope.set_slot(pool.name, kind.normal)
        node.forms = ("ratio" if kind.kind in ("double", "number") else "", "")
        inner = self._as(item, Type("ratio")) if node.forms[0] else item.run

        def among(env: list[Any]) -> Any:
            value = inner(env)
            return None if value is None else (value in env[slot]) is not negated

        node.run = among
        return BOOL

    # ---------------------------------------------------------------- arithmetic

    def _arithmetic(self, node: Expr, left: Type, right: Type) -> Type:
        op = node.op
        kinds = (left.kind, right.kind)
        if kinds == ("timestamp", "timestamp") and op == "-":
            node.run = binary(node.args[0].run, node.args[1].run, operator.sub)
            return Type("duration")
        if op in "+-" and kinds in (("timestamp", "duration"), ("duration", "duration")):
            work = operator.add if op == "+" else operator.sub
            node.run = binary(node.args[0].run, node.args[1].run, work)
            return Type(left.kind)
        if kinds == ("duration", "duration") and op == "/":
            node.run = _divided(node.args[0].run, node.args[1].run, Fraction)
            return Type("ratio")
        if left.kind not in NUMBERS or right.kind not in NUMBERS:
            fix = ""
            if left.kind in TEXTS or right.kind in TEXTS:
                fix = "texts are joined in sentences, not in conditions"
            return self.fault(
                node, f"{left.words} {op} {right.words}", "numbers on both sides", fix
            )
        if op in "+-" and self._units_differ(node, left, right):
            return ERROR
        unit = _unit(op, left.unit, right.unit)
        if kinds == ("number", "number"):
            return self._folded(node, op, left.const, right.const)
        return self._numeric(node, op, left, right, unit)

    def _folded(self, node: Expr, op: str, a: Any, b: Any) -> Type:
        a, b = Fraction(a), Fraction(b)
        if op == "/" and b == 0:
            return self.fault(node, "a division by 0", "another divisor", "")
        result = {
            "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b
        }[op]()  # fmt: skip
        fixed = _shortest(result)
        node.run = lambda env: fixed
        return literal_type(fixed)

    def _numeric(self, node: Expr, op: str, left: Type, right: Type, unit: str | None) -> Type:
        a, b = node.args
        kinds = {left.kind, right.kind}
        digits = left.digits + right.digits
        if digits > MAX_GROWTH:
            return self.fault(
                node,
                f"the exact result may need {digits:,} digits",
                f"at most {MAX_GROWTH:,}",
                "multiply fewer numbers, or declare them as double",
            )
        if _whole(a) and _whole(b):
            if op == "/":
                return self.fault(
                    node,
                    "an int divided by an int: does it keep the remainder?",
                    "a decimal or double on one side",
                    "write such as `x / 7.0`, or declare one field as decimal",
                )
            kind = Type("int", unit=unit)
            node.forms = ("int", "int")
            node.run = _checked(
                self._as(a, kind), self._as(b, kind), _PLAIN[op], lambda n: -INT64 <= n <= INT64
            )
            return kind
        if "double" in kinds and not kinds & {"decimal", "ratio"}:
            kind = Type("double", unit=unit)
            node.forms = ("double", "double")
            x, y = self._as(a, kind), self._as(b, kind)
            if op == "/":
                node.run = _divided(x, y, operator.truediv)
            else:
                node.run = _checked(x, y, _PLAIN[op], math.isfinite)
            return kind
        fractions = any(isinstance(t.const, Fraction) for t in (left, right))
        if op == "/" or "ratio" in kinds or fractions:
            kind = Type("ratio", unit=unit, digits=digits)
            node.forms = ("ratio", "ratio")
            x, y = self._as(a, kind), self._as(b, kind)
            node.run = _divided(x, y, operator.truediv) if op == "/" else binary(x, y, _PLAIN[op])
            return kind
        kind = Type("decimal", unit=unit, digits=digits)
        node.forms = ("decimal", "decimal")
        node.run = binary(self._as(a, kind), self._as(b, kind), _DECIMAL[op])
        return kind

    _VISITS: Mapping[str, Callable[[Checker, Expr], Type]] = {
        "lit": _literal,
        "name": _name,
        "lists": _list,
        "array": _array,
        "and": _logic,
        "or": _logic,
        "not": _logic,
        "?": _choice,
        "neg": _negative,
        "call": Calls._call,
        "item": Calls._item,
    }


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_DECIMAL: dict[str, Callable[[Any, Any], Any]] = {
    "+": EXACT.add,
    "-": EXACT.subtract,
    "*": EXACT.multiply,
}


def _never(env: list[Any]) -> Any:
    raise AssertionError("an expression with a type error was evaluated")


def _shortest(number: Fraction) -> Decimal | Fraction:
    """A Decimal where the fraction ends, else the fraction."""
    bottom = number.denominator
    twos = fives = 0
    while bottom % 2 == 0:
        bottom //= 2
        twos += 1
    while bottom % 5 == 0:
        bottom //= 5
        fives += 1
    if bottom != 1:
        return number
    places = max(twos, fives)
    return Decimal(number.numerator * 10**places // number.denominator).scaleb(-places, EXACT)


def constant(value: Any, kind: str) -> Any:
    """A literal number in the form that `kind` is computed in."""
    if kind == "double":
        return float(value)
    if kind == "ratio":
        return Fraction(value)
    if kind == "int" and isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value


def _whole(arg: Expr) -> bool:
    """Whether it is an int, or a number written without a point: `7`, not `7.0`."""
    if arg.type.kind != "number":
        return bool(arg.type.kind == "int")
    const = arg.type.const
    if not isinstance(const, Decimal) or const != const.to_integral_value():
        return False
    return arg.op != "lit" or int(arg.value.as_tuple().exponent) >= 0


def common_form(a: Type, b: Type) -> str:
    """The number type in which Python compares two numbers exactly; empty text: as they are."""
    kinds = {a.kind, b.kind}
    if "double" in kinds and kinds & {"decimal", "ratio"}:
        return "ratio" if "ratio" in kinds else "decimal"
    if "double" in kinds:
        return "double" if "number" in kinds else ""
    if "ratio" in kinds and kinds & {"decimal", "number"}:
        return "ratio"
    if kinds == {"int", "number"}:
        return "int"
    if "number" in kinds:
        exact = all(isinstance(t.const, Decimal | None) for t in (a, b))
        return "decimal" if exact else "ratio"
    return ""


def _from_float(number: float) -> Decimal:
    return Decimal(repr(number))


CONVERT: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("int", "decimal"): Decimal,
    ("int", "ratio"): Fraction,
    ("int", "double"): float,
    ("double", "decimal"): _from_float,
    ("double", "ratio"): lambda number: Fraction(_from_float(number)),
    ("decimal", "ratio"): Fraction,
}


def _unit(op: str, a: str | None, b: str | None) -> str | None:
    if op in "+-":
        return a or b
    if op == "*":
        for amount, rate in ((a, b), (b, a)):
            if amount and rate and rate.endswith(f"/{amount}"):
                return rate.removesuffix(f"/{amount}")  # EUR by USD/EUR gives USD
        return f"{a}·{b}" if a and b else a or b
    if a == b:
        return None
    return f"{a or 1}/{b}" if b else a


def _alike(a: Type, b: Type) -> bool:
    if a.kind in NUMBERS or b.kind in NUMBERS:
        return a.kind in NUMBERS and b.kind in NUMBERS
    return a.kind == b.kind or (a.kind in TEXTS and b.kind in TEXTS)


def _joined(runs: tuple[Run, ...], stop: bool) -> Run:
    if len(runs) == 2:
        first, second = runs

        def two(env: list[Any]) -> Any:
            a = first(env)
            if a is stop:
                return stop
            b = second(env)
            if b is stop:
                return stop
            return None if a is None or b is None else not stop

        return two

    def many(env: list[Any]) -> Any:
        unknown = False
        for run in runs:
            value = run(env)
            if value is stop:
                return stop
            if value is None:
                unknown = True
        return None if unknown else not stop

    return many


def _checked(a: Run, b: Run, work: Callable[[Any, Any], Any], good: Callable[[Any], bool]) -> Run:
    def both(env: list[Any]) -> Any:
        x = a(env)
        if x is None:
            return None
        y = b(env)
        if y is None:
            return None
        result = work(x, y)
        return result if good(result) else None

    return both


def _divided(a: Run, b: Run, work: Callable[[Any, Any], Any]) -> Run:
    def quotient(env: list[Any]) -> Any:
        x = a(env)
        if x is None:
            return None
        y = b(env)
        if y is None or y == 0:
            return None
        try:
            result = work(x, y)
        except OverflowError:
            return None
        return result if type(result) is not float or math.isfinite(result) else None

    return quotient


def _member(a: Run, pool: Run, negated: bool) -> Run:
    def among(env: list[Any]) -> Any:
        value = a(env)
        if value is None:
            return None
        items = pool(env)
        return None if items is None else (value in items) is not negated

    return among
