"""Why a condition came out as it did: the comparisons with their values, or what was missing."""

from __future__ import annotations

from typing import Any, NamedTuple

from handrail.gate.calls import MACROS, hits
from handrail.gate.scope import Scope, kept
from handrail.gate.sentence import MAX_SHOWN_ITEMS, display
from handrail.gate.syntax import Expr
from handrail.gate.values import to_stored
from handrail.gate.words import Hit
from handrail.model.ruling import Found, Term

INVERSE = {
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
    return kept(node.run(env), node.type)


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
        if node.op not in INVERSE:
            found = tuple(Found(word=h.word, start=h.start, end=h.end) for h in self.hits(env))
            return Term(text=text, op="is", left=self.want, fields=fields, found=found)
        left, right = node.args
        if right.op == "lists":
            against: Any = right.name
        elif right.op == "array":
            against = [literal(item) for item in right.args]
        else:
            against = stored(right, env)
        op = node.op if self.want else INVERSE[node.op]
        return Term(text=text, op=op, left=stored(left, env), right=against, fields=fields)

    def hits(self, env: list[Any]) -> list[Hit]:
        """Where the keywords of a `mentions` that came out true stand in the text."""
        node = self.node
        if node.op != "call" or node.name != "mentions" or not self.want:
            return []
        text = node.args[0].run(env)
        if text is None:
            return []
        sought, source = node.fixed
        return [hit for hit in hits(env, text, sought.slot, sought.memo) if hit.source == source]

    def words(self, env: list[Any]) -> str:
        """The same in words: `daily budget (14,000 USD) is over 10,000`."""
        node = self.node
        found = self.hits(env)
        if found:
            spelt = dict.fromkeys(f"“{hit.word}”" for hit in found)
            shown = ", ".join(list(spelt)[:MAX_SHOWN_ITEMS])
            return f"{_spelling(node.args[0], self.source)} mentions {shown}"
        if node.op not in INVERSE:
            text = _label(node.name) if node.op == "name" else self.source[node.core]
            return f"{text} is {'true' if self.want else 'false'}"
        left, right = node.args
        if right.op == "lists":
            words = f"the list {_label(right.name)}"
        elif right.op == "array":
            words = self.source[right.core]
        else:
            words = _side(right, env, self.source)
        op = node.op if self.want else INVERSE[node.op]
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
    return f"{_spelling(node, source)} ({shown})"


def _spelling(node: Expr, source: str) -> str:
    return _label(node.name) if node.op == "name" else source[node.core]


def literal(node: Expr) -> Any:
    """An item of a list written in a condition, as the ruling keeps it."""
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
        elif symbol.why_slot is not None:
            causes[str(env[symbol.why_slot])] = None
        else:
            causes[f"{node.name} is missing"] = None
        return
    before = len(causes)
    if node.op == "call" and node.name in MACROS:
        _causes(node.args[0], env, scope, absent, causes, depth)
        if len(causes) == before:
            causes[f"an item of {_spelt(node.args[0])} leaves it open"] = None
        return
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
