"""What a condition asks, in a plain sentence and without a record: for pages and for diffs.

`explain.py` says the same of one record, with its values.
"""

from __future__ import annotations

from handrail.gate.calls import MACROS
from handrail.gate.explain import INVERSE
from handrail.gate.sentence import display
from handrail.gate.syntax import Expr

_WORDS = {
    "==": "is",
    "!=": "is not",
    "<": "is under",
    "<=": "is at most",
    ">": "is over",
    ">=": "is at least",
}
_CALLS = {
    "contains": ("contains", "does not contain"),
    "startsWith": ("begins with", "does not begin with"),
    "endsWith": ("ends with", "does not end with"),
    "matches": ("fits the pattern", "does not fit the pattern"),
    "mentions": ("mentions", "does not mention"),
}


def asks(node: Expr, source: str) -> str:
    """The condition in words; `source` is its text.

    `daily_budget > 10000 and not has(plan)` asks: daily budget is over 10,000, and plan has no
    value.
    """
    return _said(node, source, True, top=True)


def _said(node: Expr, source: str, want: bool, *, top: bool = False) -> str:
    op, args = node.op, node.args
    if op == "not":
        return _said(args[0], source, not want, top=top)
    if op in ("and", "or"):
        joined = op if want else {"and": "or", "or": "and"}[op]
        parts = [_said(arg, source, want) for arg in args]
        if top:
            return f", {joined} ".join(parts)
        return "(" + f" {joined} ".join(parts) + ")"
    if op == "?":
        test = _said(args[0], source, True)
        yes, no = (_said(arg, source, want) for arg in args[1:])
        return f"({yes} where {test}, else {no})"
    if op == "lit":
        return "always" if bool(node.value) is want else "never"
    if op == "call":
        return _called(node, source, want)
    if op in ("in", "not in"):
        return _member(node, source, (op == "in") is want)
    if op in _WORDS:
        word = _WORDS[op if want else INVERSE[op]]
        return f"{_side(args[0], source)} {word} {_side(args[1], source)}"
    return f"{_side(node, source)} is {'true' if want else 'false'}"


def _called(node: Expr, source: str, want: bool) -> str:
    name, args = node.name, node.args
    if name == "has":
        return f"{_side(args[0], source)} {'has a' if want else 'has no'} value"
    if name in MACROS:
        some = (name == "exists") is want
        inner = _said(args[2], source, want)
        which = "an item" if some else "each item"
        return f"{which} {args[1].name} of {_side(args[0], source)} is such that {inner}"
    if name in _CALLS:
        word = _CALLS[name][0 if want else 1]
        looked = _pool(args[1], source) if name == "mentions" else _side(args[1], source)
        return f"{_side(args[0], source)} {word} {looked}"
    return f"{source[node.core]} is {'true' if want else 'false'}"


def _pool(node: Expr, source: str) -> str:
    if node.op == "lists":
        return f"a word of the list {_label(node.name)}"
    return _listed(node, source, "or")


def _member(node: Expr, source: str, inside: bool) -> str:
    item, pool = node.args
    left = _side(item, source)
    if pool.op == "lists":
        return f"{left} {'is' if inside else 'is not'} on the list {_label(pool.name)}"
    if pool.op == "array":
        return f"{left} {'is' if inside else 'is not'} {_listed(pool, source, 'or')}"
    return f"{left} {'is' if inside else 'is not'} among {_side(pool, source)}"


def _listed(node: Expr, source: str, word: str) -> str:
    items = [_side(item, source) for item in node.args]
    if len(items) == 1:
        return items[0]
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def _side(node: Expr, source: str) -> str:
    """A value in words: `daily budget`, `10,000`, `“google”`, or as it is written."""
    if node.op in ("name", "item"):
        return _label(node.name)
    if node.type.const is not None or (node.op == "call" and node.name in _MOMENTS):
        return display(node.run([]), node.type)
    if node.op == "lit":
        return f"“{node.value}”" if isinstance(node.value, str) else display(node.value, node.type)
    return source[node.core]


_MOMENTS = ("timestamp", "duration")


def _label(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")
