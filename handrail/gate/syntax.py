"""Conditions as trees: a small, bounded subset of CEL with `and`, `or`, `not` as words.

Grammar, from loose to tight binding:

    choice    a ? b : c
    or, ||    and, &&    not, !
    == != < <= > >= in   `not in`
    + -       * /        unary -
    name, name.part, lists.name, function(…), text.function(…), [..], number, "text", true, false
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

MAX_TEXT = 4_000
"""Longest condition, characters."""
MAX_EXPR_NODES = 500
"""Most nodes in one condition."""
MAX_EXPR_DEPTH = 40
"""Deepest nesting in one condition."""
MAX_INLINE = 200
"""Most items in a list written inside a condition."""
MAX_DIGITS = 34
"""Most digits of a number written in a condition."""

METHODS = ("contains", "startsWith", "endsWith", "matches", "size", "mentions", "exists", "all")


class ExprError(Exception):
    """The condition cannot be read from `offset` on."""

    def __init__(self, offset: int, what: str, expected: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.offset = offset
        self.what = what
        self.expected = expected
        self.fix = fix


class Expr:
    """One node. `start` and `end` are offsets into the condition's text.

    The checker adds `type` and `run`: what the node gives, and how to get it from the slots; and
    for compilers `forms` and `fixed`.
    """

    __slots__ = (
        "args",
        "core",
        "depth",
        "end",
        "fixed",
        "forms",
        "name",
        "op",
        "reads",
        "run",
        "start",
        "type",
        "value",
    )

    depth: int
    run: Callable[[list[Any]], Any]
    type: Any

    def __init__(
        self,
        op: str,
        start: int,
        end: int,
        args: tuple[Expr, ...] = (),
        *,
        name: str = "",
        value: Any = None,
    ) -> None:
        self.op = op
        """`lit`, `name`, `item`, `lists`, `array`, `call`, `and`, `or`, `not`, `neg`, `?`, `==` …

        `item` is what an `exists` or `all` around it binds; its `value` is the symbol.
        """
        self.start = start
        self.end = end
        self.core = slice(start, end)
        """Where it stands without the brackets around it."""
        self.args = args
        self.name = name
        self.value = value
        self.reads: tuple[Expr, ...] | None = None
        self.forms: tuple[str, ...] = ()
        """For each arg the number type it is converted to first; empty text: as it is."""
        self.fixed: Any = None
        """What the check made of it: a moment, a compiled pattern, the set of an array, the slot of
        a named list's set, a time zone, or of `mentions` what is sought and which source it is."""
        self.depth = 1 + max((arg.depth for arg in args), default=0)

    def walk(self) -> Iterator[Expr]:
        """This node and all below it."""
        yield self
        for arg in self.args:
            yield from arg.walk()

    def tree(self) -> list[Any]:
        """The canonical form that digests are made from: no places, no spelling."""
        if self.op == "lit":
            value = self.value
            if isinstance(value, Decimal):
                return ["number", _plain(value)]
            return [type(value).__name__, value]
        return [self.op, *([self.name] if self.name else []), *(arg.tree() for arg in self.args)]


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?|\.[0-9]+)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/<>!?:.,()\[\]])
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "/": "/"}
_WORDS = {
    "and": "and",
    "or": "or",
    "not": "not",
    "in": "in",
    "true": "true",
    "false": "false",
    "null": "null",
    "&&": "and",
    "||": "or",
    "!": "not",
}
RESERVED = frozenset(
    {"and", "or", "not", "in", "true", "false", "null"}
    | {"lists", "tables", "checks", "stakes", "confidence"}
)
"""Names that fields, values and aggregates may not have."""

_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
_UNITS = {"k": "000", "K": "000", "m": "000000", "M": "000000"}


class _Token:
    __slots__ = ("end", "kind", "start", "text")

    def __init__(self, kind: str, text: str, start: int, end: int) -> None:
        self.kind = kind
        self.text = text
        self.start = start
        self.end = end


def _tokens(source: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise _unreadable(source, at)
        kind = match.lastgroup or ""
        text = match[0]
        if kind == "number":
            _refuse_suffix(source, match.end(), text, at)
        if kind != "space":
            if kind in ("name", "sign") and text in _WORDS:
                kind, text = "word", _WORDS[text]
            found.append(_Token(kind, text, at, match.end()))
        at = match.end()
    found.append(_Token("end", "", len(source), len(source)))
    return found


def _refuse_suffix(source: str, end: int, digits: str, start: int) -> None:
    suffix = re.match(r"[A-Za-z_%]+", source[end:])
    if suffix is None:
        return
    word = suffix[0]
    if word == "%":
        fix = f"write the share, `{_plain(Decimal(digits) / 100)}`"
    elif word in _UNITS:
        fix = f"write the number out: `{digits}{_UNITS[word]}`" if "." not in digits else ""
    elif re.fullmatch(r"[smhdw]", word):
        fix = f'write `duration("{digits}{word}")`'
    else:
        fix = f"write the number alone: `{digits}`; units belong to the field"
    raise ExprError(start, f"`{digits}{word}` is not a number", "digits, such as 10000 or 0.5", fix)


def _unreadable(source: str, at: int) -> ExprError:
    c = source[at]
    if c == "=" and source[at : at + 2] in ("=>", "=<"):
        turned = source[at + 1] + "="
        return ExprError(at, f"the sign `={source[at + 1]}`", f"`{turned}`", f"write `{turned}`")
    if c == "=":
        return ExprError(at, "a single `=`", "`==` to compare", "write `==`")
    if unicodedata.category(c) == "Sc":
        return ExprError(at, f"the sign {c}", "the number alone", "units belong to the field")
    if c in "\"'":
        return ExprError(at, "a quote that is not closed", f"a closing {c}", f"add {c}")
    if c in "“”‘’„«»":
        return ExprError(at, f"a typographic quote {c}", 'straight quotes: "text"', 'write "')
    if c in "≥≤≠":
        plain = {"≥": ">=", "≤": "<=", "≠": "!="}[c]
        return ExprError(at, f"the sign {c}", f"`{plain}`", f"write `{plain}`")
    if c == "%":
        return ExprError(at, "the sign %", "a share such as 0.15", "divide by 100 by hand")
    if c == "#":
        return ExprError(at, "a comment", "none here", "move it to a line of its own")
    if c in "&|":
        word = "and" if c == "&" else "or"
        return ExprError(at, f"a single `{c}`", f"`{word}`", f"write `{word}`")
    if c.isalpha():
        what = f"the letter {unicodedata.name(c, repr(c))}"
        fix = "type the name anew; texts stand in quotes"
        return ExprError(at, what, "names with letters a to z", fix)
    return ExprError(at, f"the character {c!r}", "a condition", "see docs/reference/policy.md")


_IN_WORDS = (
    ("<=", r"\b(at most|not (over|above|more))\b"),
    (">=", r"\b(at least|not (under|below|less))\b"),
    (">", r"\b(over|above|greater|more|larger|higher)\b"),
    ("<", r"\b(under|below|less|smaller|lower)\b"),
    ("!=", r"\bnot\b"),
)
"""Signs of comparison, and the words people write for them; the first that fits counts."""

_POWER = {"?": 1, "or": 2, "and": 3, **dict.fromkeys((*_COMPARE, "in", "not"), 5)}
_POWER |= {"+": 6, "-": 6, "*": 7, "/": 7}


class _Parser:
    def __init__(self, source: str) -> None:
        if len(source) > MAX_TEXT:
            raise ExprError(
                0,
                f"a condition of {len(source):,} characters",
                f"at most {MAX_TEXT:,}",
                "split it into named values",
            )
        self.source = source
        self.tokens = _tokens(source)
        self.at = 0
        self.nodes = 0
        self.nesting = 0

    @property
    def now(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def expect(self, sign: str, why: str) -> _Token:
        token = self.now
        if token.kind != "sign" or token.text != sign:
            raise self.surprise(token, f"`{sign}` {why}")
        return self.take()

    def surprise(self, token: _Token, expected: str) -> ExprError:
        what = "the condition ends" if token.kind == "end" else f"`{token.text}` here"
        before = self.tokens[self.at - 1] if self.at else None
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        if token.text == "," and before is not None and before.kind == "number":
            plain = "write 10000 for 10,000"
            if after is not None and len(after.text) < 3 and "." not in before.text:
                plain = f"write `{before.text}.{after.text}`"
            return ExprError(
                token.start, "a `,` inside a number", "digits, with a point for decimals", plain
            )
        fix = ""
        if token.kind == "name" and token.text.lower() in ("and", "or", "not", "in"):
            fix = f"write `{token.text.lower()}` in small letters"
        elif token.kind == "name" and token.text in ("is", "equals", "over", "under"):
            fix = self.in_words(token)
        elif token.kind == "number" and before is not None and before.kind == "number":
            fix = f"write the number without blanks: `{before.text}{token.text}`"
        elif token.kind == "name" and before is not None and before.text.lower() in ("if", "when"):
            fix = f"leave `{before.text}` out: the condition alone says when"
        elif token.text == "between" and before is not None and after is not None:
            name, least = before.text, after.text
            fix = f"write `{name} >= {least} and {name} <= …`"
        elif token.text in ("contains", "startsWith", "endsWith") and before is not None:
            looked = after.text if after is not None and after.kind == "text" else '"…"'
            fix = f"write `{before.text}.{token.text}({looked})`"
        elif token.kind == "name" and before is not None and before.kind == "number":
            fix = "write the number alone; units belong to the field"
        elif token.kind == "name" and before is not None and before.kind == "name":
            fix = "names have no blanks: write it as under `fields:`, such as `daily_budget`"
        return ExprError(token.start, what, expected, fix)

    def in_words(self, first: _Token) -> str:
        """What to write for a comparison in words that begins at `first`."""
        at = self.tokens.index(first)
        words = " ".join(token.text for token in self.tokens[at : at + 5])
        for sign, pattern in _IN_WORDS:
            if re.search(pattern, words):
                return f"write `{sign}`"
        return "write `==`"

    def make(self, op: str, start: int, args: tuple[Expr, ...] = (), **more: Any) -> Expr:
        self.nodes += 1
        if self.nodes > MAX_EXPR_NODES:
            raise ExprError(
                start,
                f"more than {MAX_EXPR_NODES} parts in one condition",
                f"at most {MAX_EXPR_NODES}",
                "split it into named values, or use a list",
            )
        node = Expr(op, start, self.tokens[self.at - 1].end, args, **more)
        if node.depth > MAX_EXPR_DEPTH:
            raise self.too_deep(start)
        return node

    def too_deep(self, start: int) -> ExprError:
        return ExprError(
            start,
            f"nested deeper than {MAX_EXPR_DEPTH}",
            f"at most {MAX_EXPR_DEPTH} levels",
            "split it into named values",
        )

    def whole(self) -> Expr:
        if self.now.kind == "end":
            raise ExprError(0, "an empty condition", "such as `amount > 100`", "write one")
        node = self.expr(0)
        if self.now.kind != "end":
            raise self.surprise(self.now, "`and`, `or` or the end of the condition")
        return node

    def expr(self, power: int) -> Expr:
        self.nesting += 1
        if self.nesting > MAX_EXPR_DEPTH:
            raise self.too_deep(self.now.start)
        left = self.prefix()
        while True:
            token = self.now
            op = token.text if token.kind in ("sign", "word") else ""
            mine = _POWER.get(op, 0)
            if not mine or mine <= power:
                break
            left = self.infix(left, op, mine)
        self.nesting -= 1
        return left

    def infix(self, left: Expr, op: str, power: int) -> Expr:
        token = self.take()
        if op == "?":
            then = self.expr(0)
            self.expect(":", "between the two answers of `?`")
            other = self.expr(0)
            return self.make("?", left.start, (left, then, other))
        if op == "not":
            if self.now.text != "in" or self.now.kind != "word":
                raise self.surprise(token, "`and`, `or`, or `not in`")
            self.take()
            op = "not in"
        right = self.expr(power)
        if op in ("and", "or"):
            items = (*(left.args if left.op == op else (left,)), right)
            return self.make(op, left.start, items)
        if power == 5 and self.now.text in (*_COMPARE, "in") and self.now.kind != "text":
            raise ExprError(
                self.now.start,
                "two comparisons in a row",
                "one at a time",
                "write `a < b and b < c`",
            )
        return self.make(op, left.start, (left, right))

    def prefix(self) -> Expr:
        token = self.take()
        if token.kind == "word":
            if token.text == "not":
                tight = self.source[token.start] == "!"
                inner = self.expr(8 if tight else 4)
                return self.make("not", token.start, (inner,))
            if token.text in ("true", "false"):
                return self.make("lit", token.start, value=token.text == "true")
            if token.text == "null":
                raise ExprError(
                    token.start,
                    "`null` in a condition",
                    "`has(name)` to ask whether there is a value",
                    "write `has(name)` or `not has(name)`",
                )
        if token.kind == "sign" and token.text == "-":
            return self.make("neg", token.start, (self.expr(8),))
        if token.kind == "sign" and token.text == "(":
            inner = self.expr(0)
            inner.end = self.expect(")", "to close the bracket").end
            inner.start = token.start
            return self.postfix(inner)
        if token.kind == "sign" and token.text == "[":
            return self.array(token)
        if token.kind == "number":
            digits = sum(c.isdigit() for c in token.text)
            if digits > MAX_DIGITS:
                raise ExprError(
                    token.start, f"a number of {digits} digits", f"at most {MAX_DIGITS}", ""
                )
            return self.make("lit", token.start, value=Decimal(token.text))
        if token.kind == "text":
            return self.postfix(self.make("lit", token.start, value=self.unescape(token)))
        if token.kind == "name":
            return self.postfix(self.named(token))
        self.at -= 1
        raise self.surprise(token, "a field, a number, a text or `(`")

    def unescape(self, token: _Token) -> str:
        def one(match: re.Match[str]) -> str:
            code = match[1]
            if code[0] == "u" and len(code) == 5:
                point = int(code[1:], 16)
                if 0xD800 <= point < 0xE000:
                    raise ExprError(token.start, "half a surrogate pair", "a whole character", "")
                return chr(point)
            if code not in _ESCAPES:
                raise ExprError(
                    token.start + 1 + match.start(),
                    f"the escape \\{code}",
                    "one of \\\\ \\\" \\' \\n \\t \\r \\u1234",
                    "double the backslash",
                )
            return _ESCAPES[code]

        return _ESCAPE.sub(one, token.text[1:-1])

    def array(self, start: _Token) -> Expr:
        items: list[Expr] = []
        while not (self.now.kind == "sign" and self.now.text == "]"):
            items.append(self.expr(0))
            if len(items) > MAX_INLINE:
                raise ExprError(
                    start.start,
                    f"more than {MAX_INLINE} items in a list",
                    f"at most {MAX_INLINE} inside a condition",
                    "name it under `lists:`",
                )
            if self.now.text != ",":
                break
            self.take()
        self.expect("]", "to close the list")
        return self.make("array", start.start, tuple(items))

    def named(self, token: _Token) -> Expr:
        if self.now.kind == "sign" and self.now.text == "(":
            self.take()
            return self.call(token.text, token.start, ())
        path = [token.text]
        while self.now.kind == "sign" and self.now.text == ".":
            after = self.tokens[self.at + 1]
            if after.kind not in ("name", "word"):
                self.take()
                raise self.surprise(after, "a name behind the point")
            then = self.tokens[self.at + 2]
            if then.kind == "sign" and then.text == "(":
                break
            self.take()
            path.append(self.source[after.start : after.end])
            self.take()
        if path[0] == "lists" and len(path) > 1:
            return self.make("lists", token.start, name=".".join(path[1:]))
        return self.make("name", token.start, name=".".join(path))

    def call(self, name: str, start: int, first: tuple[Expr, ...]) -> Expr:
        args = list(first)
        while not (self.now.kind == "sign" and self.now.text == ")"):
            args.append(self.expr(0))
            if self.now.text != ",":
                break
            self.take()
        self.expect(")", f"to close `{name}(`")
        return self.make("call", start, tuple(args), name=name)

    def postfix(self, node: Expr) -> Expr:
        while self.now.kind == "sign" and self.now.text == ".":
            self.take()
            token = self.take()
            if token.kind != "name" or self.now.text != "(":
                self.at -= 1
                raise self.surprise(token, f"one of {', '.join(METHODS)} with brackets")
            self.take()
            node = self.call(token.text, node.start, (node,))
        return node


def parse(source: str) -> Expr:
    """The tree of a condition; raises `ExprError` at the first place it cannot be read."""
    return _Parser(source).whole()
