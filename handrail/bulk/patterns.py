"""RE2 patterns in the syntax of Rust's `regex`, where both surely mean the same.

The two agree on most of their syntax and differ in a few places: `\\d`, `\\w`, `\\s` and `\\b` know
ASCII in RE2 and Unicode in Rust, a class within a class is a set operation in Rust and plain text
in RE2, and the tables of letters are of different Unicode versions. What is written here is a small
subset, with those places spelled out; for any other pattern the answer is None, and the caller asks
RE2 itself.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
    (?P<escape>\\[dDwWsSbBntrfv\\.+*?()|\[\]{}^$/@:;,_="'<>&%#!~`\-])
  | (?P<class>\[\^?(?:\\[dwsntr\\.\]\[^\-+*?()|{}$/@]|[^\\\[\]&~\x00-\x1f\x7f-\U0010ffff])+\])
  | (?P<group>\((?:\?:|\?i:|\?P?<[A-Za-z_][A-Za-z0-9_]*>)?(?!\?))
  | (?P<close>\))
  | (?P<repeat>(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??)
  | (?P<flag>\(\?i\))
  | (?P<sign>[.|^$])
  | (?P<plain>[^\\\[\](){}*+?.|^$])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {
    r"\d": "[0-9]",
    r"\D": "[^0-9]",
    r"\w": "[0-9A-Za-z_]",
    r"\W": "[^0-9A-Za-z_]",
    r"\s": r"[\t\n\f\r ]",
    r"\S": r"[^\t\n\f\r ]",
    r"\b": r"(?-u:\b)",
    r"\B": None,  # in Rust it may not split a letter of several bytes
}
_IN_CLASS = {r"\d": "0-9", r"\w": "0-9A-Za-z_", r"\s": r"\t\n\f\r "}


def to_rust(pattern: str) -> str | None:
    r"""The pattern for Rust's `regex`, or None where equality is not certain.

    >>> to_rust(r"^\d+[\w-]*$")
    '^[0-9]+[0-9A-Za-z_-]*$'
    >>> to_rust(r"\pL+") is None, to_rust("[[:alpha:]]") is None, to_rust("(?m)^a") is None
    (True, True, True)
    """
    out: list[str] = []
    at = 0
    folds = "(?i" in pattern
    if folds and not pattern.isascii():
        return None
    before = ""
    while at < len(pattern):
        found = _flag(pattern, at) or _TOKEN.match(pattern, at)
        if found is None:
            return None
        kind, text = found.lastgroup or "", found[0]
        if kind == "repeat" and before in ("", "repeat", "flag", "group"):
            return None
        if kind == "repeat" and before == "sign" and out[-1] != ".":
            return None
        if kind == "escape":
            written = _ESCAPES.get(text, text)
            if written is None:
                return None
            text = written if text in _ESCAPES else _quoted(text)
        elif kind == "class":
            made = _class(text, folds)
            if made is None:
                return None
            text = made
        elif kind == "plain" and text in "&~-# \t\n":
            text = _quoted("\\" + text) if text in "&~-#" else text
        out.append(text)
        before, at = kind, found.end()
    return "".join(out)


def _flag(pattern: str, at: int) -> re.Match[str] | None:
    """`(?i)` at the start, before anything else: later it means less in one of the two."""
    return re.compile(r"(?P<flag>\(\?i\))").match(pattern, at) if at == 0 else None


def _quoted(escape: str) -> str:
    """One escaped character as both read it."""
    char = escape[1]
    if char in "ntrfv":
        return escape
    return re.escape(char) if char in r"\.+*?()|[]{}^$-&~#" else char


def _class(text: str, folds: bool) -> str | None:
    inner = text[1:-1]
    negated = inner.startswith("^")
    inner = inner.removeprefix("^")
    if folds and negated:
        return None
    if "--" in inner or "&&" in inner or "~~" in inner or not inner:
        return None
    parts = re.findall(r"\\.|.", inner, re.DOTALL)
    out = []
    for place, part in enumerate(parts):
        if part == "-" and 0 < place < len(parts) - 1:
            # A range: its ends are single characters, and it runs upwards.
            low, high = parts[place - 1], parts[place + 1]
            if len(low) > 1 or len(high) > 1 or low > high:
                return None
            out.append(part)
        elif part in _IN_CLASS:
            out.append(_IN_CLASS[part])
        elif part.startswith("\\"):
            out.append(part if part[1] in "ntr" else re.escape(part[1]))
        else:
            out.append(re.escape(part) if part in "^[]&~" else part)
    return f"[{'^' if negated else ''}{''.join(out)}]"
