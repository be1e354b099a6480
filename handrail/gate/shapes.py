"""What every section of a policy file shares: keys, texts, names, durations, and mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from handrail.gate import values as val
from handrail.gate.checker import Fault
from handrail.gate.draft import Draft
from handrail.gate.language import INSTEAD, SECTIONS
from handrail.gate.source import Node, shorten
from handrail.model.errors import Mistake
from handrail.model.text import nearest

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
"""Fields, values, lists and aggregates."""
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
"""Rules and reason codes."""
_SPAN_WORDS = re.compile(r"([0-9]+) ?(second|minute|hour|day|week)s?", re.ASCII | re.IGNORECASE)
_WHO = re.compile(r"(team|role|person):[^\s:,]{1,320}")

MAX_MISTAKES = 200
"""Most mistakes that are named at once."""
MAX_NAMES = 500
"""Most fields, values, aggregates or lists of one policy."""

ReadFile = Callable[[str], bytes]
T = TypeVar("T")


class TooMany(Exception):
    """So many mistakes that the rest is left for the next check."""


class Shapes:
    """Collects mistakes, and reads the simple shapes that sections are made of."""

    def __init__(self, path: str, text: str, read_file: ReadFile | None) -> None:
        self.path = path
        self.lines = text.split("\n")
        self.read_file = read_file
        self.mistakes: list[Mistake] = []
        self.draft = Draft()
        self.rows = 0
        self.broken_rules: set[str] = set()
        """Ids of rules with mistakes: naming them is no second mistake."""

    def wrong(
        self, node: Node, what: str, expected: str = "", fix: str = "", offset: int | None = None
    ) -> None:
        line, column = node.line, node.column
        if len(self.mistakes) >= MAX_MISTAKES:
            raise TooMany
        if offset is not None:
            line, column = self.place(node, offset)
        if expected:
            expected = f"expected {expected}"
        self.mistakes.append(
            Mistake(path=self.path, line=line, column=column, what=what, expected=expected, fix=fix)
        )

    def place(self, node: Node, offset: int) -> tuple[int, int]:
        """Line and column of an offset into a scalar's text."""
        if node.style == "block":
            before = node.text[:offset]
            down = before.count("\n") + 1
            line = (
                self.lines[node.line - 1 + down] if node.line - 1 + down < len(self.lines) else ""
            )
            indent = len(line) - len(line.lstrip())
            return node.line + down, indent + len(before) - (before.rfind("\n") + 1) + 1
        return node.line, node.column + offset + (1 if node.style == "quoted" else 0)

    def faults(self, node: Node, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.wrong(node, fault.what, fault.expected, fault.fix, fault.offset)

    def section(self, node: Node, name: str, *, extra: bool = False) -> dict[str, Node]:
        """The keys of a section; unknown and missing ones are mistakes."""
        if node.kind != "map":
            self.wrong(node, f"{name} is {node.shown}", "a mapping of keys", "see docs")
            return {}
        keys = SECTIONS[name]
        known = {key.name for key in keys}
        misspelt: set[str] = set()
        found: dict[str, Node] = {}
        for key, value in node.items:
            if key.text in known:
                if value.kind == "scalar" and value.style == "plain" and not value.text:
                    self.wrong(key, f"`{key.text}:` has no value", "a value", "write one")
                else:
                    found[key.text] = value
            elif extra:
                found[key.text] = value
            else:
                close = INSTEAD.get((name, key.text)) or nearest(key.text, known)
                self.wrong(
                    key,
                    f"`{shorten(key.text)}` is no key of a {name}",
                    "one of " + ", ".join(k.name for k in keys),
                    close,
                )
                misspelt |= {name for name in known if f"`{name}`" in close}
        # A key that is only misspelt is one mistake, not two.
        present = {key.text for key, _ in node.items} | misspelt
        for key_spec in keys:
            if key_spec.required and key_spec.name not in present:
                self.wrong(
                    node,
                    f"`{key_spec.name}` is missing",
                    key_spec.meaning,
                    f"add `{key_spec.name}:`",
                )
        return found

    def text(self, node: Node, what: str) -> str:
        if node.kind != "scalar" or not node.text.strip():
            self.wrong(node, f"{what} is {node.shown}", "a text", "write one")
            return ""
        return node.text.strip()

    def one_of(self, node: Node, what: str, options: type[T] | tuple[str, ...]) -> Any:
        """The member named by a scalar, or None with a mistake."""
        members = [str(option) for option in options]  # type: ignore[union-attr]
        if node.kind == "scalar" and node.text in members:
            return node.text if isinstance(options, tuple) else options(node.text)  # type: ignore[call-arg]
        self.wrong(
            node,
            f"{what} is {node.shown}",
            "one of " + ", ".join(members),
            nearest(node.text, members) if node.kind == "scalar" else "",
        )
        return None

    def flag(self, node: Node, what: str) -> bool:
        if node.kind == "scalar" and isinstance(node.value, bool):
            return bool(node.value)
        self.wrong(node, f"{what} is {node.shown}", "true or false", "")
        return False

    def items(self, node: Node, what: str, *, single: bool = False) -> list[Node]:
        """The scalar items of a list; with `single` one scalar stands for a list of it."""
        if single and node.kind == "scalar":
            return [node]
        if node.kind != "list":
            self.wrong(node, f"{what} is {node.shown}", "a list: `[a, b]`", "")
            return []
        good = []
        for item in node.items:
            if item.kind != "scalar":
                self.wrong(item, f"{what} holds {item.shown}", "single values", "")
            else:
                good.append(item)
        return good

    def who(self, node: Node, what: str, *, single: bool = True) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for item in self.items(node, what, single=single):
            if not _WHO.fullmatch(item.text):
                self.wrong(
                    item,
                    f"{what} names {item.shown}",
                    "`team:x`, `role:x` or `person:x`",
                    _who_fix(item.text),
                )
            else:
                found[item.text] = None
        return tuple(found)

    def span(self, node: Node, what: str) -> int | None:
        """A positive duration in µs."""
        try:
            span = val.read_duration(node.text if node.kind == "scalar" else None)
        except val.Wrong as error:
            self.wrong(
                node,
                f"{what} {error.message.split(';')[0]}",
                "such as 30m, 4h or 7d",
                _span_fix(node.text) if node.kind == "scalar" else "",
            )
            return None
        if span < 0 or (span == 0 and what != "undo"):
            self.wrong(node, f"{what} is {node.shown}", "a time longer than 0", "")
            return None
        return span


def plain(node: Node) -> Any:
    """A node as plain values: numbers exact."""
    if node.kind == "list":
        return [plain(item) for item in node.items]
    if node.kind == "map":
        return {key.text: plain(value) for key, value in node.items}
    return node.value


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`; nested mappings are merged, null removes."""
    out = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        elif value is None:
            out.pop(key, None)
        else:
            out[key] = value
    return out


def _who_fix(text: str) -> str:
    """What to write for somebody named without saying what they are."""
    if "@" in text and not re.search(r"[\s:,]", text):
        return f"write `person:{text}`"
    # `Team:Marketing Ops` is what the address book says.
    kind, colon, name = text.rpartition(":")
    plain = re.sub(r"[\s_]+", "-", name.strip().lower())
    kind = kind.strip().lower() if colon else "team"
    known = kind in ("team", "role", "person")
    return f"write `{kind}:{plain}`" if known and ID.fullmatch(plain) else ""


def _span_fix(text: str) -> str:
    """What to write for a time in words: `4 hours` is `4h`."""
    found = _SPAN_WORDS.fullmatch(text.strip())
    return f"write `{found[1]}{found[2][0].lower()}`" if found else ""
