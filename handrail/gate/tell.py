"""From a checked condition to the text of Python that gives the terms of its being true.

The text gives what `explain.tell` and `Held.term` give, which remain the reference: the
comparisons that made the condition true, each with its values as the ruling keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from handrail.gate import explain
from handrail.gate.checker import TEXTS
from handrail.gate.emit import Emitter
from handrail.gate.scope import Type, kept
from handrail.gate.syntax import Expr
from handrail.gate.values import render_duration, render_number, render_timestamp, to_stored
from handrail.model.ruling import Term

_AS_IT_IS = frozenset({"string", "person", "enum", "text", "bool", "int", "double", "object"})
_RENDER: dict[str, Callable[[Any], str]] = {
    "decimal": render_number,
    "ratio": render_number,
    "number": render_number,
    "timestamp": render_timestamp,
    "duration": render_duration,
}
_NONE: frozenset[str] = frozenset()

Apart = Callable[[Expr, str, bool], str]
"""Name of a function that gives the terms of (node, its text, its outcome) as a list.

What stands in a place that more than one path leads to is told apart, so that the text stays in
proportion to the condition.
"""


class Teller(Emitter):
    """Emits one function that appends terms to `h`."""

    def statements(self, node: Expr, source: str, want: bool, apart: Apart) -> list[str]:
        """Statements for `node`, known to be `want`; `source` is the text it was read from."""
        op = node.op
        if op == "not":
            return self.statements(node.args[0], source, not want, apart)
        if op in ("and", "or"):
            every = (op == "and") == want
            lines = []
            for item in node.args:
                told = self.statements(item, source, want, apart)
                if every:
                    lines += told
                elif told:
                    lines.append(f"if ({self.three(self.test(item, _NONE))}) is {want}:")
                    lines += _indented(told)
            return lines
        if op == "?":
            asked, then, other = node.args
            lines = [f"if {self.three(self.test(asked, _NONE))}:"]
            for outcome, branch in ((True, then), (False, other)):
                lines += [
                    f"    h += {apart(asked, source, outcome)}(s, t)",
                    f"    h += {apart(branch, source, want)}(s, t)",
                    *(["else:"] if outcome else []),
                ]
            return lines
        if op == "lit" or (op == "call" and node.name == "has"):
            return []
        if op == "name":
            symbol = self.symbols[node.name]
            if symbol.expr is not None and symbol.expr.type.kind == "bool":
                term = self.term(node, source, want)
                inside = apart(symbol.expr, symbol.text, want)
                return [f"h += {inside}(s, t) or [{term}]"]
        return [f"h.append({self.term(node, source, want)})"]

    def term(self, node: Expr, source: str, want: bool) -> str:
        """The term of one comparison."""
        name = self.table.name
        if fixed := self._fixed(node, source, want):
            return name(fixed)
        if node.op == "call" and node.name == "mentions":
            # Its term has the places of the keywords too.
            return f"{name(explain.Held(node, source, want).term)}({self.everything(node)})"
        fields = ", ".join(
            f"{name(read.name)}: {self.stored(read)}" for read in explain.names(node)
        )
        start = f"{name(Term)}(text={name(source[node.core])}, fields={{{fields}}}, "
        if node.op not in explain.INVERSE:
            return f"{start}op={name('is')}, left={want})"
        left, right = node.args
        if right.op == "lists":
            against = name(right.name)
        elif right.op == "array":
            against = f"[*{name(tuple(explain.literal(item) for item in right.args))}]"
        else:
            against = self.stored(right)
        op = name(node.op if want else explain.INVERSE[node.op])
        return f"{start}op={op}, left={self.stored(left)}, right={against})"

    def _fixed(self, node: Expr, source: str, want: bool) -> Term | None:
        """The term where its being so leaves only one value: `paid`, `channel == "search"`."""
        if node.op == "name" and node.type.kind == "bool":
            text = source[node.core]
            return Term(text=text, op="is", left=want, fields={node.name: want})
        if node.op == "==" and want:
            left, right = node.args
            texts = left.op == "name" and right.op == "lit" and right.type.kind == "text"
            if texts and left.type.kind in TEXTS:
                value = right.value
                fields = {left.name: value}
                return Term(text=source[node.core], op="==", left=value, right=value, fields=fields)
        return None

    def stored(self, node: Expr) -> str:
        """The value of a node as the ruling keeps it."""
        kind = node.type.kind
        if node.type.const is not None:
            return self.table.name(to_stored(node.type.const, kind))
        value = self.value(node)
        if kind in _AS_IT_IS:
            return value
        if kind == "list":
            turn: Any = partial(_kept, node.type)
        else:
            turn = _RENDER[kind]
        x = self.local()
        return f"(None if ({x} := {value}) is None else {self.table.name(turn)}({x}))"


def _kept(kind: Type, items: list[Any]) -> Any:
    return kept(items, kind)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
