"""Why a condition came out as it did: the comparisons with their values, or what was missing."""

from __future__ import annotations

from typing import Any, NamedTuple

from handrail.gate.checker import Scope
from handrail.gate.sentence import display
from handrail.gate.syntax import Expr
from handrail.gate.values import to_stored
from handrail.model.ruling import Term

_INVERSE = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "in": "not in",
    "not in": "in",
}


def stored(node: Expr, env: list[Any]) -> Any:
    """The value of a checked node as the ruling keeps it."""
    value = node.run(env)
    kind = node.type
    if kind.kind == "list" and value is not None:
        return [to_stored(item, kind.of) for item in value]
    return to_stored(value, kind.kind)


def names(node: Expr) -> tuple[Expr, ...]:
    """The name nodes below `node`, each name once."""
    if node.reads is None:
        found: dict[str, Expr] = {}
        for inner in node.walk():
            if inner.op == "name":
                found.setdefault(inner.name, inner)
        node.reads = tuple(found.values())
    return node.reads


_WORDS = {
    "==": "is",
    "!=": "is not",
    "<": "is under",
    "<=": "is at most",
    ">": "is over",
    ">=": "is at least",
    "in": "is in",
    "not in": "is not in",
}


class Held(NamedTuple):
    """A comparison that made a condition true (or, under `not`, false)."""

    node: Expr
    source: str
    want: bool

    def term(self, env: list[Any]) -> Term:
        """The comparison with its values, as the ruling keeps it."""
        node = self.node
        fields = {name.name: stored(name, env) for name in names(node)}
        text = self.source[node.core]
        if node.op not in _INVERSE:
            return Term(text=text, op="is", left=self.want, fields=fields)
        left, right = node.args
        if right.op == "lists":
            against: Any = right.name
        elif right.op == "array":
            against = [_literal(item) for item in right.args]
        else:
            against = stored(right, env)
        op = node.op if self.want else _INVERSE[node.op]
        return Term(text=text, op=op, left=stored(left, env), right=against, fields=fields)

    def words(self, env: list[Any]) -> str:
        """The same in words: `daily budget (14,000 USD) is over 10,000`."""
        node = self.node
        if node.op not in _INVERSE:
            text = _label(node.name) if node.op == "name" else self.source[node.core]
            return f"{text} is {'true' if self.want else 'false'}"
        left, right = node.args
        if right.op == "lists":
            words = f"the list {_label(right.name)}"
        elif right.op == "array":
            words = self.source[right.core]
        else:
            words = _side(right, env, self.source)
        op = node.op if self.want else _INVERSE[node.op]
        return f"{_side(left, env, self.source)} {_WORDS[op]} {words}"


def tell(node: Expr, env: list[Any], scope: Scope, source: str) -> list[Held]:
    """The comparisons that made `node` true, in the order of the text."""
    return _tell(node, env, scope, source, True) or [Held(node, source, True)]


def _tell(node: Expr, env: list[Any], scope: Scope, source: str, want: bool) -> list[Held]:
    op = node.op
    if op == "not":
        return _tell(node.args[0], env, scope, source, not want)
    if op in ("and", "or"):
        every = (op == "and") == want
        return [
            held
            for item in node.args
            if every or item.run(env) is want
            for held in _tell(item, env, scope, source, want)
        ]
    if op == "?":
        test = node.args[0]
        chosen = bool(test.run(env))
        branch = node.args[1 if chosen else 2]
        return _tell(test, env, scope, source, chosen) + _tell(branch, env, scope, source, want)
    if op == "lit" or (op == "call" and node.name == "has"):
        return []
    if op == "name":
        symbol = scope.symbols[node.name]
        if symbol.expr is not None and symbol.expr.type.kind == "bool":
            inner = _tell(symbol.expr, env, scope, symbol.text, want)
            if inner:
                return inner
    return [Held(node, source, want)]


def _label(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")


def _side(node: Expr, env: list[Any], source: str) -> str:
    """One side of a comparison in words: `daily budget (14,000 USD)`, `10,000`, `a / b (2.5)`."""
    shown = display(node.run(env), node.type)
    if node.type.const is not None or node.op == "lit":
        return shown
    text = _label(node.name) if node.op == "name" else source[node.core]
    return f"{text} ({shown})"


def _literal(node: Expr) -> Any:
    const = node.type.const
    return node.value if const is None else to_stored(const, "number")


def missing(node: Expr, env: list[Any], scope: Scope) -> tuple[tuple[str, ...], str]:
    """What has no value below an unknown node: names, and one sentence of causes."""
    absent: dict[str, None] = {}
    causes: dict[str, None] = {}
    _causes(node, env, scope, absent, causes, scope.size)
    return tuple(absent), "; ".join(causes)


def _causes(
    node: Expr,
    env: list[Any],
    scope: Scope,
    absent: dict[str, None],
    causes: dict[str, None],
    depth: int,
) -> None:
    if depth < 0 or node.run(env) is not None:
        return
    if node.op == "name":
        symbol = scope.symbols[node.name]
        absent[node.name] = None
        if symbol.expr is not None:
            _causes(symbol.expr, env, scope, {}, causes, depth - 1)
        else:
            causes[f"{node.name} is missing"] = None
        return
    before = len(causes)
    for arg in node.args:
        if arg.op not in ("lists", "array"):
            _causes(arg, env, scope, absent, causes, depth)
    if len(causes) > before or len(node.args) != 2:
        return
    left, right = (_spelt(arg) for arg in node.args)
    if node.op == "/" and node.args[1].run(env) == 0:
        for name in names(node.args[1]):
            absent[name.name] = None
        causes[f"{right} is 0 and divides {left}"] = None
    elif node.op in "+-*/":
        causes[f"{left} {node.op} {right} is too large"] = None


def _spelt(node: Expr) -> str:
    found = names(node)
    return found[0].name if len(found) == 1 and node.op == "name" else "a part" if found else "it"
