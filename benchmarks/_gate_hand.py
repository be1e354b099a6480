"""The same rules as a person writes them: one function, `if` by `if`, over the dictionary of facts.

Made from the very trees that the gate checked, so that both decide the same; no index, no cache,
no treatment of what is missing, and Python's own `re`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from handrail.gate.syntax import Expr, parse

_POWER = {"or": 1, "and": 2, "not": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "in": 4}
_POWER |= {"not in": 4, "+": 5, "-": 5, "*": 6, "/": 6}


def _write(node: Expr, lists: dict[str, str], patterns: dict[str, str]) -> tuple[str, int]:
    """Python text and how tightly it binds."""

    def inner(arg: Expr, power: int) -> str:
        text, mine = _write(arg, lists, patterns)
        return text if mine > power else f"({text})"

    op, args = node.op, node.args
    if op == "lit":
        value = node.value
        if isinstance(value, Decimal):
            whole = value == value.to_integral_value() and "." not in str(value)
            return (str(int(value)) if whole else repr(float(value))), 9
        return repr(value), 9
    if op == "name":
        return f'r["{node.name}"]', 9
    if op == "not":
        return f"not {inner(args[0], 3)}", 3
    if op in ("in", "not in"):
        pool = args[1]
        if pool.op == "lists":
            right = lists[pool.name]
        elif pool.op == "array":
            right = "{" + ", ".join(repr(item.value) for item in pool.args) + "}"
        else:
            right = inner(pool, 4)
        return f"{inner(args[0], 4)} {op} {right}", 4
    if op == "call":
        first = _write(args[0], lists, patterns)[0]
        if node.name == "matches":
            name = patterns.setdefault(args[1].value, f"P{len(patterns)}")
            return f"{name}.search({first})", 8
        if node.name == "contains":
            return f"{inner(args[1], 4)} in {first}", 4
        return f"{ {'size': 'len', 'abs': 'abs'}[node.name] }({first})", 8
    power = _POWER[op]
    return f" {op} ".join(inner(arg, power - 1) for arg in args), power


def by_hand(
    rules: list[tuple[str, str]], lists: dict[str, tuple[str, ...]]
) -> tuple[Callable[[dict[str, Any]], list[str]], str]:
    """The function (facts → ids of the rules that fire) and its source."""
    names = {name: name.upper() for name in lists}
    patterns: dict[str, str] = {}
    lines = ["def judge(r):", "    fired = []"]
    for name, when in rules:
        text = _write(parse(when), names, patterns)[0]
        lines += [f"    if {text}:", f"        fired.append({name!r})"]
    lines.append("    return fired")
    source = "\n".join(lines) + "\n"
    space: dict[str, Any] = {names[name]: frozenset(items) for name, items in lists.items()}
    space.update({made: re.compile(pattern) for pattern, made in patterns.items()})
    exec(compile(source, "by hand", "exec"), space)
    function: Callable[[dict[str, Any]], list[str]] = space["judge"]
    return function, source
