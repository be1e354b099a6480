"""From a checked condition to the text of Python that decides it.

The text holds nothing of the policy's own: names became places in two sequences, constants and
functions became entries of a table that the code is run with, and every construct comes from the
few templates below. Nodes without a template are run by the closures of the type check.

In the text `s` are the values of the fields, `t` those of aggregates, confidence, named values
and list sets; None is unknown, `u` is a named value that nobody has asked for yet. A letter and a
number is an entry of the table (`c`: constants and functions, `v`: named values) or, with `x`, a
local variable. Every node is evaluated at most once.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import re2

from handrail.gate.calls import CLOCK, MACROS, clock, mentioned
from handrail.gate.checker import (
    CONVERT,
    EXACT,
    INT64,
    NUMBERS,
    TEXTS,
    Scope,
    Symbol,
    constant,
)
from handrail.gate.syntax import Expr

COMPARE = frozenset({"==", "!=", "<", "<=", ">", ">="})
_SUMS = {"+": EXACT.add, "-": EXACT.subtract, "*": EXACT.multiply}
_SET_MEMORY = 16 << 20
"""Bytes a pattern may use while it is searched; 16 times what it may use to be accepted, so that
it always has room: a set that had none would say no."""
_MAX = 1.7976931348623157e308
_ATOM = re.compile(r"[a-z]\d+|[st]\[\d+\]|True|False", re.ASCII)
_NOTHING: frozenset[str] = frozenset()


def quotient(a: Decimal | Fraction, b: Decimal | Fraction) -> Fraction:
    """a / b as an exact fraction; b is not 0."""
    top, under = a.as_integer_ratio()
    other, below = b.as_integer_ratio()
    return Fraction(top * below, under * other)


def _compared(compare: Callable[[int, int], bool]) -> Callable[[Fraction, Fraction], bool]:
    """A comparison of two fractions by whole numbers; `Fraction` asks for types first."""

    def compared(a: Fraction, b: Fraction) -> bool:
        return compare(a.numerator * b.denominator, b.numerator * a.denominator)

    return compared


_FRACTIONS = {
    "==": _compared(operator.eq),
    "!=": _compared(operator.ne),
    "<": _compared(operator.lt),
    "<=": _compared(operator.le),
    ">": _compared(operator.gt),
    ">=": _compared(operator.ge),
}


class Unset:
    """Stands in the place of a named value that was not computed yet."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "unset"


UNSET = Unset()


class Guard(NamedTuple):
    """A reason to be unknown. `again` asks for the same without evaluating anything twice."""

    unknown: str
    known: str
    again: str


class Piece(NamedTuple):
    """A value: `text` has it once every guard, in order, was found to be no reason."""

    guards: tuple[Guard, ...]
    text: str


class Asked(NamedTuple):
    """A condition. After `possible` or `true` was evaluated, `again` says whether it is known."""

    possible: str
    """True or unknown."""
    true: str
    again: str
    """Empty where it is always known; then `possible` and `true` are the same text."""


class Table:
    """What generated code is run with: constants and functions under names of ours."""

    def __init__(self, scope: Scope, width: int) -> None:
        self.scope = scope
        self.width = width
        self.names: dict[str, Any] = {"u": UNSET, "__builtins__": {"len": len}}
        self.define: Callable[[str, str], Any] = _undefined
        """Compile the function of a name from its source, and make it an entry."""
        self._known: dict[Any, str] = {}
        self._count = 0

    def name(self, value: Any) -> str:
        """The entry that holds `value`; equal texts and numbers of one type share it."""
        plain = isinstance(value, str | bool | int | float | Decimal | Fraction)
        key = (type(value), repr(value)) if plain else id(value)
        if key not in self._known:
            self._known[key] = made = self.fresh("c")
            self.names[made] = value
        return self._known[key]

    def fresh(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"


class Emitter:
    """Emits conditions into one function: local variables are its own, the table is shared."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.symbols = table.scope.symbols
        self._locals = 0

    def local(self) -> str:
        self._locals += 1
        return f"x{self._locals}"

    # ---------------------------------------------------------------- values

    def place(self, slot: int) -> str:
        width = self.table.width
        return f"s[{slot}]" if slot < width else f"t[{slot - width}]"

    def symbol(self, node: Expr) -> Symbol:
        """What a name, or an item of a list, stands for."""
        found: Symbol = node.value if node.op == "item" else self.symbols[node.name]
        return found

    def load(self, symbol: Symbol) -> str:
        """The value of a name, or None."""
        if symbol.origin == "item":
            return f"i{symbol.slot}"
        place = self.place(symbol.slot)
        if symbol.expr is None:
            return place
        x = self.local()
        return f"({x} if ({x} := {place}) is not u else v{symbol.slot}(s, t))"

    def value(self, node: Expr, sure: frozenset[str] = _NOTHING, form: str = "") -> str:
        """The value of any node, or None where it is unknown."""
        return self._or_none(self.piece(node, sure, form))

    def _or_none(self, piece: Piece) -> str:
        if not piece.guards:
            return piece.text
        return f"(None if {' or '.join(g.unknown for g in piece.guards)} else {piece.text})"

    def piece(self, node: Expr, sure: frozenset[str], form: str = "") -> Piece:
        """The value of `node`, converted to the number type `form` unless it is empty."""
        const = node.type.const
        if const is not None:
            return Piece((), self.table.name(constant(const, form) if form in NUMBERS else const))
        guards, text = self._plain(node, sure)
        kind = node.type.kind
        turn = CONVERT.get((kind, form)) if form and form != kind else None
        if turn is not None:
            text = f"{self.table.name(turn)}({text})"
        return Piece(guards, text)

    def _plain(self, node: Expr, sure: frozenset[str]) -> Piece:
        op = node.op
        if op == "lit":
            return Piece((), self.table.name(node.value))
        if op in ("name", "item"):
            text = self.load(self.symbol(node))
            return Piece((), text) if node.name in sure else self._kept(text)
        if node.type.kind == "bool":
            test = self.test(node, sure)
            return self._kept(self.three(test)) if test.again else Piece((), f"({test.true})")
        if op == "?":
            return self._choice(node, sure)
        if op in ("+", "-", "*", "/"):
            return self._arithmetic(node, sure)
        if op in ("neg", "abs") or (op == "call" and node.name == "abs"):
            return self._turned(node, sure)
        if op == "call" and node.name in ("timestamp", "duration"):
            return Piece((), self.table.name(node.fixed))
        if op == "call" and node.name == "size":
            inner = self.piece(node.args[0], sure)
            return Piece(inner.guards, f"len({inner.text})")
        if op == "call" and node.name in CLOCK:
            moment = self.piece(node.args[0], sure)
            part, _ = CLOCK[node.name]
            call = f"{self.table.name(clock(part, node.fixed))}({moment.text})"
            found = self._kept(call)
            return Piece((*moment.guards, *found.guards), found.text)
        return self._interpreted(node)

    def _kept(self, text: str) -> Piece:
        """A value that may be None, in a local variable."""
        x = self.local()
        kept = f"({x} := {text}) is"
        return Piece((Guard(f"{kept} None", f"{kept} not None", f"{x} is not None"),), x)

    def _over(self, node: Expr, sure: frozenset[str]) -> Piece:
        """`exists` or `all`: a function of its own that walks over the items."""
        pool, variable, body = node.args
        within = self.piece(pool, sure)
        root: Symbol = variable.value
        slots = range(root.slot, root.slot + 1 + len(pool.type.parts))
        inner = Emitter(self.table)
        stop = node.name == "exists"
        test = inner.test(body, _NOTHING)
        x = inner.local()
        items = "".join(f"i{slot}, " for slot in slots[1:]) or f"i{root.slot}"
        says = f"({inner.three(test)}) is {stop}"
        lines = [f"for {items} in l:", f"    if {says}:", f"        return {stop}"]
        if test.again:
            lines = [
                "known = True",
                f"for {items} in l:",
                f"    if ({x} := {inner.three(test)}) is {stop}:",
                f"        return {stop}",
                f"    if {x} is None:",
                "        known = None",
                f"return {not stop} if known else None",
            ]
        else:
            lines.append(f"return {not stop}")
        if pool.type.parts:
            lines.insert(0, f"i{root.slot} = True")
        name = self.table.fresh("q")
        source = "".join((f"def {name}(s, t, l):\n", *(f"    {line}\n" for line in lines)))
        self.table.define(name, source)
        call = f"{name}(s, t, {within.text})"
        if not test.again:
            return Piece(within.guards, call)
        found = self._kept(call)
        return Piece((*within.guards, *found.guards), found.text)

    def _interpreted(self, node: Expr) -> Piece:
        """A node without a template: the closure of the type check over the values it reads."""
        return self._kept(f"{self.table.name(node.run)}({self.everything(node)})")

    def everything(self, node: Expr) -> str:
        """All values by slot, with those computed that `node` reads."""
        symbols = [self.symbols[name.name] for name in node.walk() if name.op == "name"]
        lazy = tuple({symbol.slot: None for symbol in symbols if symbol.expr is not None})
        slots = self.table.fresh("c")
        self.table.names[slots] = lazy
        return f"e(s, t, {slots})"

    def _within(self, text: str, bound: str) -> tuple[Guard, str]:
        """A number that is unknown beyond ±bound, or where it is none."""
        x = self.local()
        inside = f"-{bound} <= ({x} := {text}) <= {bound}"
        return Guard(f"not {inside}", inside, f"-{bound} <= {x} <= {bound}"), x

    def _arithmetic(self, node: Expr, sure: frozenset[str]) -> Piece:
        op, kind = node.op, node.type.kind
        forms = node.forms or ("", "")
        a, b = (self.piece(arg, sure, form) for arg, form in zip(node.args, forms, strict=True))
        guards = [*a.guards, *b.guards]
        left, right = a.text, b.text
        kinds = {arg.type.kind for arg in node.args}
        if op == "/" and kind == "ratio" and kinds <= {"decimal", "number"} and "decimal" in kinds:
            return self._quotient(node, sure)
        if op == "/" and not node.args[1].type.const:
            divisor = self.local()
            kept, right = f"({divisor} := {right})", divisor
            guards.append(Guard(f"{kept} == 0", f"{kept} != 0", f"{divisor} != 0"))
        if op == "/" and node.args[0].type.kind == "duration":
            return Piece(tuple(guards), f"{self.table.name(Fraction)}({left}, {right})")
        if kind == "decimal":
            return Piece(tuple(guards), f"{self.table.name(_SUMS[op])}({left}, {right})")
        text = f"({left} {op} {right})"
        if kind in ("double", "int"):
            bound = str(INT64) if kind == "int" else repr(_MAX)
            guard, text = self._within(text, bound)
            guards.append(guard)
        return Piece(tuple(guards), text)

    def _quotient(self, node: Expr, sure: frozenset[str]) -> Piece:
        """A decimal by a decimal, without a fraction of each first."""
        a, b = (self.piece(arg, sure, "decimal") for arg in node.args)
        text = f"{self.table.name(quotient)}({a.text}, {{}})"
        if node.args[1].type.const:
            return Piece((*a.guards, *b.guards), text.format(b.text))
        x = self.local()
        kept = f"({x} := {b.text})"
        guard = Guard(f"not {kept}", kept, f"{x} != 0")
        return Piece((*a.guards, *b.guards, guard), text.format(x))

    def _turned(self, node: Expr, sure: frozenset[str]) -> Piece:
        inner = self.piece(node.args[0], sure)
        negative = node.op == "neg"
        if node.type.kind == "decimal":
            # `-x` would round a decimal to the ambient precision.
            turn: Any = Decimal.copy_negate if negative else Decimal.copy_abs
            return Piece(inner.guards, f"{self.table.name(turn)}({inner.text})")
        if negative:
            return Piece(inner.guards, f"(-{inner.text})")
        return Piece(inner.guards, f"{self.table.name(abs)}({inner.text})")

    def _choice(self, node: Expr, sure: frozenset[str]) -> Piece:
        asked, then, other = node.args
        test = self.test(asked, sure)
        yes = self.piece(then, sure | self.sure(asked, True), node.forms[1])
        no = self.piece(other, sure | self.sure(asked, False), node.forms[2])
        branches = f"{self._or_none(yes)} if {{}} else {self._or_none(no)}"
        if not test.again:
            text = f"({branches.format(test.true)})"
            return self._kept(text) if yes.guards or no.guards else Piece((), text)
        x = self.local()
        return self._kept(
            f"(None if ({x} := {self.three(test)}) is None else {branches.format(x)})"
        )

    # ---------------------------------------------------------------- conditions

    def three(self, test: Asked) -> str:
        """True, False or None."""
        if not test.again:
            return test.true
        return f"(({test.again} or None) if {test.possible} else False)"

    def test(self, node: Expr, sure: frozenset[str]) -> Asked:
        """A condition of any form."""
        op = node.op
        if op == "not":
            inner = self.test(node.args[0], sure)
            if not inner.again:
                return _always(f"not {inner.true}")
            return Asked(f"not {inner.true}", f"not {inner.possible}", inner.again)
        if op in ("and", "or"):
            return self._joined(node, sure)
        if op == "?":
            piece = self._choice_test(node, sure)
            return self._leaf(piece)
        if op == "lit":
            return _always("True" if node.value else "False")
        if op in ("name", "item"):
            place = self.load(self.symbol(node))
            if node.name in sure:
                return _always(place)
            x = self.local()
            return Asked(f"({x} := {place}) is not False", f"({x} := {place})", f"{x} is not None")
        if op == "call" and node.name == "has":
            return _always(f"{self.load(self.symbol(node.args[0]))} is not None")
        if op == "call" and node.name in MACROS:
            return self._leaf(self._over(node, sure))
        return self._leaf(self._final(node, sure))

    def _leaf(self, piece: Piece) -> Asked:
        if not piece.guards:
            return _always(piece.text)
        return Asked(
            f"({' or '.join(g.unknown for g in piece.guards)} or {piece.text})",
            f"({' and '.join(g.known for g in piece.guards)} and {piece.text})",
            " and ".join(g.again for g in piece.guards),
        )

    def _joined(self, node: Expr, sure: frozenset[str]) -> Asked:
        every = node.op == "and"
        parts = []
        for arg in node.args:
            parts.append(self.test(arg, sure))
            sure = sure | self.sure(arg, every)
        word = f" {node.op} "
        if not any(part.again for part in parts):
            return _always(f"({word.join(part.true for part in parts)})")
        again = " and ".join(part.again for part in parts if part.again)
        if every:
            possible = word.join(part.possible for part in parts)
            text = f"(({again} or None) if {possible} else False)"
        else:
            true = word.join(part.true for part in parts)
            text = f"(True if {true} else (False if {again} else None))"
        x = self.local()
        return Asked(f"({x} := {text}) is not False", f"({x} := {text})", f"{x} is not None")

    def _choice_test(self, node: Expr, sure: frozenset[str]) -> Piece:
        asked, then, other = node.args
        test = self.test(asked, sure)
        yes = self.test(then, sure | self.sure(asked, True))
        no = self.test(other, sure | self.sure(asked, False))
        branches = f"{self.three(yes)} if {{}} else {self.three(no)}"
        if not test.again:
            text = f"({branches.format(test.true)})"
            return self._kept(text) if yes.again or no.again else Piece((), text)
        x = self.local()
        return self._kept(
            f"(None if ({x} := {self.three(test)}) is None else {branches.format(x)})"
        )

    def _final(self, node: Expr, sure: frozenset[str]) -> Piece:
        """A comparison, a membership or a question about a text."""
        op = node.op
        if op in COMPARE:
            forms = node.forms or ("", "")
            a, b = (self.piece(arg, sure, form) for arg, form in zip(node.args, forms, strict=True))
            guards = (*a.guards, *b.guards)
            if "ratio" in (node.args[0].type.kind, node.args[1].type.kind) and forms[0] == "ratio":
                compare = self.table.name(_FRACTIONS[op])
                return Piece(guards, f"{compare}({a.text}, {b.text})")
            return Piece(guards, f"{a.text} {op} {b.text}")
        if op in ("in", "not in"):
            return self._membership(node, sure)
        if op == "call" and node.name in _TEXT_CALLS and len(node.args) == 2:
            first = self.piece(node.args[0], sure)
            if node.name == "matches":
                return Piece(
                    first.guards, f"{self._pattern(node)}({first.text}.encode()) is not None"
                )
            second = self.piece(node.args[1], sure)
            guards = (*first.guards, *second.guards)
            return Piece(guards, _TEXT_CALLS[node.name](first.text, second.text))
        if op == "call" and node.name == "mentions":
            text = self.piece(node.args[0], sure)
            sought, source = node.fixed
            width = self.table.width
            found = mentioned(sought.slot - width, sought.memo - width, source)
            return Piece(text.guards, f"{self.table.name(found)}(t, {text.text})")
        return self._interpreted(node)

    def _pattern(self, node: Expr) -> str:
        """A pattern as a set of one: `Set.Match` only says whether, five times as fast as
        `search`, which builds a match to look at."""
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _SET_MEMORY
        found = re2.Set.SearchSet(options)
        found.Add(node.args[1].value)
        found.Compile()
        return self.table.name(found.Match)

    def _membership(self, node: Expr, sure: frozenset[str]) -> Piece:
        item, pool = node.args
        looked = self.piece(item, sure, node.forms[0] if node.forms else "")
        if pool.op == "lists":
            return Piece(looked.guards, f"{looked.text} {node.op} {self.place(pool.fixed)}")
        if pool.op == "array":
            name = self.table.name(pool.fixed)
            return Piece(looked.guards, f"{looked.text} {node.op} {name}")
        within = self.piece(pool, sure)
        return Piece((*looked.guards, *within.guards), f"{looked.text} {node.op} {within.text}")

    def sure(self, node: Expr, outcome: bool) -> frozenset[str]:
        """Names that have a value when `node` came out as `outcome`: only what `has` asked.

        What the type check knows besides holds for complete records only.
        """
        if node.op == "call" and node.name == "has" and outcome:
            return frozenset({node.args[0].name})
        if node.op == "not":
            return self.sure(node.args[0], not outcome)
        if node.op in ("and", "or") and (node.op == "and") == outcome:
            return frozenset().union(*(self.sure(arg, outcome) for arg in node.args))
        return _NOTHING


def _undefined(name: str, source: str) -> Any:
    raise AssertionError("a table without a program")


def _always(text: str) -> Asked:
    return Asked(text, text, "")


def _contains(text: str, part: str) -> str:
    return f"{part} in {text}"


def _starts(text: str, part: str) -> str:
    return f"{text}.startswith({part})"


def _ends(text: str, part: str) -> str:
    return f"{text}.endswith({part})"


def _matches(text: str, part: str) -> str:
    raise AssertionError("a pattern is a constant")


_TEXT_CALLS: dict[str, Callable[[str, str], str]] = {
    "contains": _contains,
    "startsWith": _starts,
    "endsWith": _ends,
    "matches": _matches,
}


def conjuncts(node: Expr) -> list[Expr]:
    """What all must hold for `node` to hold, in the order of the text."""
    if node.op == "and":
        return [part for arg in node.args for part in conjuncts(arg)]
    return [node]


def together(emitter: Emitter, parts: Sequence[Expr], sure: frozenset[str]) -> Asked:
    """All of `parts`: like a test of `and`, but its `again` asks each part where it lies.

    It may be asked after `possible` only.
    """
    tests = []
    for part in parts:
        tests.append(emitter.test(part, sure))
        sure = sure | emitter.sure(part, True)
    possible = " and ".join(test.possible for test in tests) or "True"
    if not any(test.again for test in tests):
        return _always(possible)
    again = " and ".join(test.again for test in tests if test.again)
    return Asked(possible, " and ".join(test.true for test in tests), again)


def equality(node: Expr, symbols: dict[str, Symbol]) -> tuple[int, frozenset[Any]] | None:
    """(slot, values) where `node` asks whether a field is one of a few texts or whole numbers."""
    if node.op == "or":
        found = [equality(arg, symbols) for arg in node.args]
        if any(one is None for one in found):
            return None
        slots = {one[0] for one in found if one is not None}
        values = frozenset().union(*(one[1] for one in found if one is not None))
        return (slots.pop(), values) if len(slots) == 1 else None
    if node.op not in ("==", "in"):
        return None
    name, other = node.args
    if node.op == "==" and name.op != "name":
        name, other = other, name
    if name.op != "name" or (name.type.kind not in TEXTS and name.type.kind != "int"):
        return None
    symbol = symbols[name.name]
    if symbol.origin != "field":
        return None
    if node.op == "in":
        return (symbol.slot, other.fixed) if other.op == "array" else None
    if other.type.const is not None:
        return symbol.slot, frozenset({constant(other.type.const, "int")})
    return (symbol.slot, frozenset({other.value})) if other.op == "lit" else None
