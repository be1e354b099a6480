"""The functions of conditions: their types, and the closures that compute them.

`language.CALLS` is the table of them; for each name in it `Calls` has a method.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import re2

from handrail.gate import values, words
from handrail.gate.language import CALLS, WEEKDAYS
from handrail.gate.scope import (
    BOOL,
    ERROR,
    NUMBERS,
    TEXTS,
    Fault,
    Scope,
    Sought,
    Symbol,
    Type,
    binary,
    literal_type,
)
from handrail.gate.syntax import Expr
from handrail.model.text import nearest

MAX_PATTERN = 500
"""Longest regular expression, characters."""

MACROS = ("exists", "all")
"""Functions that evaluate a condition once for each item of a list."""

_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_NAME = {function.name: function for function in CALLS}
_TEXT_CALLS: dict[str, Callable[[Any, Any], bool]] = {
    "contains": operator.contains,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
CLOCK: dict[str, tuple[Callable[[datetime], Any], Type]] = {
    "hour": (operator.attrgetter("hour"), Type("int")),
    "day": (operator.attrgetter("day"), Type("int")),
    "month": (operator.attrgetter("month"), Type("int")),
    "weekday": (lambda moment: WEEKDAYS[moment.weekday()], Type("enum", members=WEEKDAYS)),
    "date": (lambda moment: moment.date().isoformat(), Type("string")),
}


class Calls:
    """Checks calls of functions. `visit` is the checker's own."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.faults: list[Fault] = []
        self.bound: dict[str, Symbol] = {}
        """What the `exists` or `all` around the place binds: the item, and parts of it."""

    def fault(self, node: Expr, what: str, expected: str = "", fix: str = "") -> Type:
        self.faults.append(Fault(node.start, what, expected, fix))
        return ERROR

    def visit(self, node: Expr) -> Type:
        """The type of `node`; its closure is set wherever the type is no error."""
        raise AssertionError("the checker visits")

    def _call(self, node: Expr) -> Type:
        name, args = node.name, node.args
        function = _BY_NAME.get(name)
        if function is None:
            return self.fault(
                node,
                f"there is no function `{name}`",
                "one of " + ", ".join(_BY_NAME),
                _elsewhere(name) or nearest(name, _BY_NAME),
            )
        if not function.least <= len(args) <= function.most:
            return self.fault(
                node,
                f"`{name}` with {len(args)} values",
                f"`{function.form}`",
                f"see `{name}` in docs/reference/policy.md",
            )
        if name == "has":
            return self._has(node, args[0])
        if name in MACROS:
            return self._macro(node)
        if name in ("timestamp", "duration"):
            return self._moment(node, args[0])
        if name == "mentions":
            return self._mentions(node)
        if name in CLOCK:
            return self._clock(node)
        kinds = [self.visit(arg) for arg in args]
        if ERROR in kinds:
            return ERROR
        if name == "abs":
            return self._abs(node, kinds[0])
        if name == "size":
            return self._size(node, kinds[0])
        for arg, kind in zip(args, kinds, strict=True):
            if kind.kind not in TEXTS:
                return self.fault(
                    arg,
                    f"`{name}` looks at {kind.words}",
                    "text",
                    "write `value in list`" if kind.kind == "list" else "",
                )
        if name == "matches":
            return self._matches(node, args)
        node.run = binary(args[0].run, args[1].run, _TEXT_CALLS[name])
        return BOOL

    def _size(self, node: Expr, kind: Type) -> Type:
        if kind.kind != "list" and kind.kind not in TEXTS:
            return self.fault(node, f"`size` of {kind.words}", "a text or a list", "")
        first = node.args[0].run

        def size(env: list[Any]) -> Any:
            value = first(env)
            return None if value is None else len(value)

        node.run = size
        return Type("int")

    def _has(self, node: Expr, arg: Expr) -> Type:
        if arg.op not in ("name", "item"):
            return self.fault(
                arg,
                "`has` of an expression",
                "the name of a field or value",
                "name it in `values:`",
            )
        if self.visit(arg) is ERROR:
            return ERROR
        symbol = arg.value if arg.op == "item" else self.scope.symbols[arg.name]
        slot = symbol.slot
        node.run = lambda env: env[slot] is not None
        return BOOL

    def _moment(self, node: Expr, arg: Expr) -> Type:
        self.visit(arg)
        if arg.op != "lit" or not isinstance(arg.value, str):
            return self.fault(arg, f"`{node.name}` of an expression", "a quoted text", "")
        reader = values.read_timestamp if node.name == "timestamp" else values.read_duration
        try:
            fixed = reader(arg.value)
        except values.Wrong as error:
            return self.fault(arg, f"the {node.name} {error.message}")
        node.fixed = fixed
        node.run = lambda env: fixed
        return Type(node.name)

    def _abs(self, node: Expr, kind: Type) -> Type:
        if kind.kind not in NUMBERS and kind.kind != "duration":
            return self.fault(node, f"`abs` of {kind.words}", "a number", "")
        if kind.kind == "number":
            fixed = abs(kind.const) if isinstance(kind.const, Fraction) else kind.const.copy_abs()
            node.run = lambda env: fixed
            return literal_type(fixed)
        inner = node.args[0].run
        turn: Callable[[Any], Any] = Decimal.copy_abs if kind.kind == "decimal" else abs

        def absolute(env: list[Any]) -> Any:
            value = inner(env)
            return None if value is None else turn(value)

        node.run = absolute
        return Type(kind.kind, unit=kind.unit, digits=kind.digits)

    def _matches(self, node: Expr, args: tuple[Expr, ...]) -> Type:
        pattern = args[1].value if args[1].op == "lit" else None
        if not isinstance(pattern, str):
            return self.fault(args[1], "a pattern that is no quoted text", 'such as "^[a-z]+$"', "")
        if len(pattern) > MAX_PATTERN:
            return self.fault(
                args[1], f"a pattern of {len(pattern)} characters", f"at most {MAX_PATTERN}", ""
            )
        options = re2.Options()
        options.log_errors = False
        options.max_mem = 1 << 20
        try:
            compiled = re2.compile(pattern, options)
        except re2.error as error:
            reason = error.args[0] if error.args else "unreadable"
            text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            return self.fault(
                args[1],
                f"the pattern does not compile: {text}",
                "RE2 syntax (no look-around, no back-references)",
                "see https://github.com/google/re2/wiki/Syntax",
            )
        first = args[0].run
        node.fixed = compiled
        search = compiled.search

        def matches(env: list[Any]) -> Any:
            value = first(env)
            return None if value is None else search(value) is not None

        node.run = matches
        return BOOL

    # ---------------------------------------------------------------- times in a zone

    def _clock(self, node: Expr) -> Type:
        moment, zone = node.args
        kind = self.visit(moment)
        found = self._zone(node, zone)
        if kind is ERROR or found is None:
            return ERROR
        if kind.kind != "timestamp":
            return self.fault(
                moment,
                f"`{node.name}` of {kind.words}",
                "a timestamp",
                "declare the field as `timestamp`" if kind.kind in TEXTS else "",
            )
        part, gives = CLOCK[node.name]
        node.fixed = found
        inner, read = moment.run, clock(part, found)

        def part_of(env: list[Any]) -> Any:
            value = inner(env)
            return None if value is None else read(value)

        node.run = part_of
        return gives

    def _zone(self, node: Expr, zone: Expr) -> ZoneInfo | None:
        self.visit(zone)
        name = zone.value
        if zone.op != "lit" or not isinstance(name, str):
            self.fault(
                zone,
                f"`{node.name}` in a zone that is no quoted text",
                "the name of a zone",
                'such as "Europe/Berlin" or "UTC"',
            )
            return None
        try:
            if _ZONE.fullmatch(name):
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
        self.fault(
            zone,
            f"there is no time zone `{name[:60]}`",
            "a name of the IANA time zone database",
            nearest(name, sorted(available_timezones())) or 'such as "Europe/Berlin" or "UTC"',
        )
        return None

    # ---------------------------------------------------------------- keywords

    def _mentions(self, node: Expr) -> Type:
        text, pool = node.args[0], node.args[1]
        kind = self.visit(text)
        pool.type, pool.run = ERROR, _never
        exact = False
        if len(node.args) == 3:
            how = node.args[2]
            self.visit(how)
            if how.value != "exact":
                return self.fault(how, "how to look", '`"exact"`, or nothing', 'write "exact"')
            exact = True
        if kind is ERROR:
            return ERROR
        if kind.kind not in TEXTS:
            return self.fault(text, f"`mentions` looks at {kind.words}", "text", "")
        found = self._keywords(node, pool)
        if found is None:
            return ERROR
        source, keywords = found
        sought = self.scope.sought_in(json.dumps(text.tree()))
        key = (source, exact)
        if key not in sought.sources:
            self.scope.keywords += len(keywords)
            if self.scope.keywords > words.MAX_KEYWORDS:
                return self.fault(
                    pool,
                    f"{self.scope.keywords:,} keywords looked for in one policy",
                    f"at most {words.MAX_KEYWORDS:,}",
                    "shorten the list, or look for them in a check of a pack",
                )
            sought.sources[key] = len(sought.sources)
        index, slot, memo = sought.sources[key], sought.slot, sought.memo
        node.fixed = (sought, index)
        inner, found_in = text.run, mentioned(slot, memo, index)

        def mentions(env: list[Any]) -> Any:
            value = inner(env)
            return None if value is None else found_in(env, value)

        node.run = mentions
        return BOOL

    def _keywords(
        self, node: Expr, pool: Expr
    ) -> tuple[str | tuple[str, ...], tuple[str, ...]] | None:
        """What to look for: the list's name or the words themselves, and the words."""
        if pool.op == "lists":
            named = self.scope.lists.get(pool.name)
            if pool.name not in self.scope.lists:
                self.fault(
                    pool,
                    f"there is no list `{pool.name}`",
                    "a name under `lists:`",
                    nearest(pool.name, self.scope.lists) or "declare it under `lists:`",
                )
            if named is None:
                return None
            if named.kind != "text":
                self.fault(pool, f"lists.{pool.name} holds numbers", "a list of words", "")
                return None
            good = [self._keyword(pool, item) for item in named.items]
            return (pool.name, named.items) if all(good) else None
        if pool.op != "array" or not pool.args:
            self.fault(
                pool,
                f"`{node.name}` looks for no list",
                '`lists.NAME` or `["refund", "chargeback"]`',
                "write the words in brackets",
            )
            return None
        found = []
        for item in pool.args:
            self.visit(item)
            if item.op != "lit" or not isinstance(item.value, str):
                self.fault(item, "a keyword that is no quoted text", 'such as "refund"', "")
                return None
            if not self._keyword(item, item.value):
                return None
            found.append(item.value)
        return tuple(found), tuple(found)

    def _keyword(self, node: Expr, keyword: str) -> bool:
        odd = words.odd(keyword)
        if odd or not words.split(keyword):
            self.fault(
                node,
                f"the keyword `{keyword[:60]}` "
                + (f"holds `{odd}`" if odd else "holds no letter or digit"),
                "words: letters, digits, blanks, hyphens and apostrophes",
                "use `contains` or `matches` for signs",
            )
            return False
        if len(keyword) > words.MAX_KEYWORD:
            self.fault(
                node,
                f"a keyword of {len(keyword):,} characters",
                f"at most {words.MAX_KEYWORD}",
                "use `contains` for longer texts",
            )
            return False
        return True

    # ---------------------------------------------------------------- over the items of a list

    def _macro(self, node: Expr) -> Type:
        pool, variable, body = node.args
        if self.bound:
            return self.fault(
                node,
                f"`{node.name}` inside another `exists` or `all`",
                "one level of them",
                "ask about the inner list by a field of its own",
            )
        whole = self.visit(pool)
        variable.type, variable.run = ERROR, _never
        if variable.op not in ("name", "item") or "." in variable.name:
            return self.fault(variable, "no name for an item", "a name such as `x`", "write `x`")
        name = variable.name
        if name != "x" and (name in self.scope.symbols or name in self.scope.broken):
            return self.fault(
                variable,
                f"the name `{name}` is taken",
                "a name for an item that nothing else has",
                "write `x`",
            )
        if whole is ERROR:
            return ERROR
        if whole.kind != "list":
            return self.fault(
                pool,
                f"`{node.name}` over {whole.words}",
                "a field or a column of a table that holds a list",
                "",
            )
        slots = self._bind(name, whole)
        variable.op = "item"
        variable.value = self.bound.get(name)
        inside = self.visit(body)
        self.bound = {}
        if inside is ERROR:
            return ERROR
        if inside.kind != "bool":
            return self.fault(
                body,
                f"`{node.name}` asks {inside.words}",
                "a comparison, which gives yes or no",
                "",
            )
        node.run = _over(pool.run, body.run, slots, whole.parts, stop=node.name == "exists")
        return BOOL

    def _bind(self, name: str, whole: Type) -> tuple[int, ...]:
        """Give the item, or each part of it, a slot."""
        if not whole.parts:
            kind = Type(
                whole.of or "string", members=whole.members, unit=whole.unit, normal=whole.normal
            )
            self.bound = {name: Symbol(name, "item", kind, self.scope.slot())}
        else:
            self.bound = {name: Symbol(name, "item", Type("object"), self.scope.slot())}
            for part, kind, maybe in whole.parts:
                path = f"{name}.{part}"
                self.bound[path] = Symbol(path, "item", kind, self.scope.slot(), maybe)
        return tuple(symbol.slot for symbol in self.bound.values())

    def _item(self, node: Expr) -> Type:
        symbol = self.bound.get(node.name)
        if symbol is None:
            root = node.name.split(".")[0]
            parts = [path.partition(".")[2] for path in self.bound if "." in path]
            return self.fault(
                node,
                f"an item `{root}` has no `{node.name.partition('.')[2]}`",
                "one of " + ", ".join(parts) if parts else "the item itself",
                nearest(node.name, self.bound),
            )
        node.op, node.value = "item", symbol
        node.run = operator.itemgetter(symbol.slot)
        return symbol.type


def _over(
    pool: Callable[[list[Any]], Any],
    body: Callable[[list[Any]], Any],
    slots: tuple[int, ...],
    parts: tuple[Any, ...],
    *,
    stop: bool,
) -> Callable[[list[Any]], Any]:
    """Kleene over the items: `stop` where one item says so, else unknown where one is."""
    first, *rest = slots

    def over(env: list[Any]) -> Any:
        items = pool(env)
        if items is None:
            return None
        unknown = False
        for item in items:
            if parts:
                env[first] = True
                for slot, value in zip(rest, item, strict=True):
                    env[slot] = value
            else:
                env[first] = item
            value = body(env)
            if value is stop:
                return stop
            unknown = unknown or value is None
        return None if unknown else not stop

    return over


def clock(part: Callable[[datetime], Any], zone: ZoneInfo) -> Callable[[int], Any]:
    """A part of the wall-clock time in a zone; None before the year 1 and behind 9999."""

    def read(us: int) -> Any:
        try:
            return part((_EPOCH + timedelta(microseconds=us)).astimezone(zone))
        except OverflowError:
            return None

    return read


def mentioned(slot: int, memo: int, source: int) -> Callable[[list[Any], str], bool]:
    """Whether a source of the search in `slot` has a hit in a text."""

    def found(env: list[Any], text: str) -> bool:
        return any(hit.source == source for hit in hits(env, text, slot, memo))

    return found


def hits(env: list[Any], text: str, slot: int, memo: int) -> tuple[words.Hit, ...]:
    """Where the keywords of a text are; searched once in an evaluation."""
    last = env[memo]
    if last is not None and last[0] is text:
        return last[1]  # type: ignore[no-any-return]
    found: tuple[words.Hit, ...] = env[slot].find(text)
    env[memo] = (text, found)
    return found


def search(sought: Sought, lists: Mapping[str, tuple[Any, ...]]) -> words.Search:
    """The search of a text over the lists as they are now."""
    return words.Search(
        [
            (lists[source] if isinstance(source, str) else source, exact)
            for source, exact in sought.sources
        ]
    )


def cost(node: Expr) -> int:
    """Nodes visited by one evaluation, at most."""
    if node.op == "call" and node.name in MACROS:
        return 1 + cost(node.args[0]) + values.MAX_ITEMS * cost(node.args[2])
    return 1 + sum(cost(arg) for arg in node.args)


def _never(env: list[Any]) -> Any:
    raise AssertionError("an expression with a type error was evaluated")


def _elsewhere(name: str) -> str:
    """What to write for a function of CEL that is spelt otherwise here, or left out."""
    return {
        "map": "name what is asked for as a field",
        "filter": "ask `exists(list, x, …)`, or send the count as a field",
        "exists_one": "ask `exists(list, x, …)`, or send the count as a field",
        "getHours": 'write `hour(time, "Europe/Berlin")`',
        "getDayOfWeek": 'write `weekday(time, "Europe/Berlin")`',
        "getDate": 'write `day(time, "Europe/Berlin")`',
        "getMonth": 'write `month(time, "Europe/Berlin")`',
        "now": "read `at`, the time of the evaluation",
        "len": "write `size(x)`",
        "length": "write `size(x)`",
    }.get(name, "")
