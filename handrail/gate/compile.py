"""A policy's rules as one generated program: which fired, which cannot be known.

Rules that ask a field for one of a few values are filed under those values, so that a record of
one kind meets the rules of its kind and of no other; that is done again within a kind, as long as
it pays. What lies under a value becomes a function when the first record asks for it. Under "no
value" lie the same rules once more, as what they are then: at best unknown.

The closures of the type check remain the reference; tests compare the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import CodeType, FunctionType
from typing import Any

from handrail.gate import explain
from handrail.gate.draft import Draft, DraftRule, Row
from handrail.gate.emit import UNSET, Emitter, Table, conjuncts, equality, together
from handrail.gate.syntax import Expr
from handrail.gate.tell import Teller
from handrail.model.modes import OnUnknown
from handrail.model.ruling import Term

FEW = 16
"""Most values under which one row is filed."""
LEVELS = 3
"""Most fields that rules are filed by, one within the other."""
RARE = 3
"""How often a row fires before its terms are worth compiling."""
WORTH = 2.0
"""Rows that a look-up must save on average to be worth it."""

Fields = Sequence[Any]
Rest = list[Any]
Judge = Callable[[Fields, Rest], list[int]]


@dataclass(frozen=True)
class Finding:
    """One row of one rule that is true, or that cannot be known."""

    rule: int
    """Place of the rule in the policy."""
    row: int
    """Place of the row in the rule; 0 but for a matrix."""
    unknown: bool
    place: int
    """Place of the row among all rows of the policy."""


@dataclass(frozen=True)
class _Part:
    """What is left to decide of one row: the conjuncts that nothing above has decided."""

    code: int
    """Twice the place of the row among all rows."""
    open: tuple[Expr, ...]
    unknown: bool = False
    """Whether a conjunct above is unknown: then the row cannot be true any more."""


@dataclass(frozen=True)
class _Rule:
    rule: DraftRule
    parts: tuple[_Part, ...]


@dataclass
class _Block:
    """One function: rules in a row, then look-ups that lead to further blocks."""

    rules: list[_Rule]
    looks: list[tuple[int, dict[Any, list[_Rule]]]] = field(default_factory=list)
    """(slot, value → rules)."""


class Program:
    """The generated functions of one policy.

    They take the values of the fields and of all other names (`Emitter` says how), and give codes:
    places in `findings`. Code 2n is the n-th row of all rules as true, 2n + 1 as unknown.
    """

    def __init__(self, draft: Draft, width: int) -> None:
        self.draft = draft
        self.width = width
        self.table = Table(draft.scope, width)
        self.findings: list[Finding] = []
        self.terms: list[Callable[[Fields, Rest], tuple[Term, ...]]] = []
        """By row: the comparisons that made it true, with their values."""
        self._fires: Counter[int] = Counter()
        self._sources: list[str] = []
        self._told: dict[tuple[int, bool], str] = {}
        self.lazy = [value.slot for value in draft.values]
        if draft.money is not None:
            self.lazy.append(draft.money.slot)
        self.table.names["e"] = self.everything
        self.table.define = self._define
        for value in (*draft.values, *([draft.money] if draft.money else [])):
            self._later(f"v{value.slot}", partial(self._value, value.slot, value.expr))
        rules = []
        for at, rule in enumerate(draft.rules):
            parts = []
            for place, row in enumerate(rule.rows):
                parts.append(_Part(len(self.findings), tuple(conjuncts(row.when))))
                count = len(self.terms)
                self.findings += [Finding(at, place, unknown, count) for unknown in (False, True)]
                self.terms.append(partial(self._tell, len(self.terms), row))
            rules.append(_Rule(rule, tuple(parts)))
        self._rules = rules
        self._given = frozenset(
            name
            for name, symbol in draft.scope.symbols.items()
            if symbol.origin == "field" and not symbol.maybe
        )
        self.judge: Judge = partial(self._start, "judge", frozenset())
        """(fields, rest) → codes of findings, in no order; exact whatever is missing."""
        self.judge_complete: Judge = partial(self._start, "judge_complete", self._given)
        """The same for records whose required fields all have a value, which saves asking."""

    # ---------------------------------------------------------------- values

    def value(self, slot: int, fields: Fields, rest: Rest) -> Any:
        """A named value (or the money at stake), computed at most once for one `rest`."""
        found = rest[slot - self.width]
        return self.table.names[f"v{slot}"](fields, rest) if found is UNSET else found

    def everything(self, fields: Fields, rest: Rest, lazy: Sequence[int]) -> list[Any]:
        """All values in the order of their slots, the named values `lazy` computed."""
        for slot in lazy:
            self.value(slot, fields, rest)
        return [*fields, *rest]

    def _value(self, slot: int, expr: Expr, name: str) -> str:
        emitter = Emitter(self.table)
        text = emitter.value(expr)
        return _function(name, "s, t", [f"t[{slot - self.width}] = x = {text}", "return x"])

    def condition(self, expr: Expr) -> Callable[[Fields, Rest], bool | None]:
        """A condition by itself: True, False or None."""

        def source(name: str) -> str:
            emitter = Emitter(self.table)
            text = emitter.three(emitter.test(expr, frozenset()))
            return _function(name, "s, t", [f"return {text}"])

        name, names = self.table.fresh("f"), self.table.names
        self._later(name, source)
        return lambda fields, rest: names[name](fields, rest)

    # ---------------------------------------------------------------- terms

    def _tell(self, at: int, row: Row, fields: Fields, rest: Rest) -> tuple[Term, ...]:
        """Tells by the reference while the row rarely fires, then compiles and takes its place."""
        self._fires[at] += 1
        if self._fires[at] <= RARE:
            env = self.everything(fields, rest, self.lazy)
            held = explain.tell(row.when, env, self.draft.scope, row.source)
            return tuple(one.term(env) for one in held)
        name = self.table.fresh("h")
        self.terms[at] = made = self._made(name, self._terms(row, name))
        found: tuple[Term, ...] = made(fields, rest)
        return found

    def _terms(self, row: Row, name: str) -> str:
        teller = Teller(self.table)
        lines = teller.statements(row.when, row.source, True, self._apart)
        if not lines:
            lines = [f"h.append({teller.term(row.when, row.source, True)})"]
        elif not any(line.startswith("h.append") for line in lines):
            lines += ["if not h:", f"    h.append({teller.term(row.when, row.source, True)})"]
        return _function(name, "s, t", ["h = []", *lines, "return (*h,)"])

    def _apart(self, node: Expr, text: str, want: bool) -> str:
        """Name of the function that tells of a part of a condition that came out as `want`."""
        key = (id(node), want)
        if key not in self._told:
            self._told[key] = name = self.table.fresh("h")
            self._later(name, partial(self._part_terms, node, text, want))
        return self._told[key]

    def _part_terms(self, node: Expr, text: str, want: bool, name: str) -> str:
        lines = Teller(self.table).statements(node, text, want, self._apart)
        return _function(name, "s, t", ["h = []", *lines, "return h"])

    # ---------------------------------------------------------------- rules

    def _start(self, name: str, sure: frozenset[str], fields: Fields, rest: Rest) -> list[int]:
        """Compiles itself when it is first called, and takes its own place."""
        body = self._body(self._filed(self._rules, frozenset()), frozenset(), sure)
        made = self._made(name, _function(name, "s, t", ["out = []", *body, "return out"]))
        setattr(self, name, made)
        found: list[int] = made(fields, rest)
        return found

    def interpret(self, fields: Fields, rest: Rest) -> list[int]:
        """What `judge` gives, in order, by the closures of the type check: the reference."""
        env = [*fields, *rest]
        for value in (*self.draft.values, *([self.draft.money] if self.draft.money else [])):
            env[value.slot] = value.expr.run(env)
        codes: list[int] = []
        code = 0
        for rule in self.draft.rules:
            over = False
            for row in rule.rows:
                outcome = None if over else row.when.run(env)
                if not over and outcome is not False:
                    if outcome or not rule.trial:
                        codes.append(code if outcome else code + 1)
                    over = bool(outcome) or rule.on_unknown is not OnUnknown.IGNORE
                code += 2
        return codes

    def _filed(self, rules: list[_Rule], done: frozenset[int]) -> _Block:
        """The rules of a block, as many as it pays filed under the values of fields."""
        block = _Block(rules)
        while len(done) < LEVELS:
            best, saved, chosen = -1, WORTH, {}
            for slot, asked in self._askable(block.rules, done).items():
                rows = [values for sets in asked.values() for values in sets]
                met = sum(map(len, rows)) / len(frozenset().union(*rows))
                if len(rows) - met >= saved:
                    best, saved = slot, len(rows) - met
                    chosen = {at: frozenset().union(*sets) for at, sets in asked.items()}
            if best < 0:
                break
            groups: dict[Any, list[_Rule]] = {None: []}
            for at, rule in enumerate(block.rules):
                if at not in chosen:
                    continue
                for value in sorted(chosen[at], key=repr):
                    groups.setdefault(value, []).append(self._under(rule, best, value))
                groups[None].append(self._under(rule, best, None))
            block.rules = [rule for at, rule in enumerate(block.rules) if at not in chosen]
            block.looks.append((best, groups))
            done = done | {best}
        return block

    def _askable(
        self, rules: list[_Rule], done: frozenset[int]
    ) -> dict[int, dict[int, list[frozenset[Any]]]]:
        """By slot: the rules (by place) whose every row asks that field, with the values of each
        row."""
        found: dict[int, dict[int, list[frozenset[Any]]]] = {}
        for at, rule in enumerate(rules):
            by_slot: dict[int, list[frozenset[Any]]] = {}
            for part in rule.parts:
                mine: dict[int, frozenset[Any]] = {}
                for node in part.open:
                    asked = equality(node, self.draft.scope.symbols)
                    if asked is not None and asked[0] not in done:
                        mine.setdefault(*asked)
                for slot, values in mine.items():
                    if len(values) <= FEW:
                        by_slot.setdefault(slot, []).append(values)
            for slot, sets in by_slot.items():
                if len(sets) == len(rule.parts):
                    found.setdefault(slot, {})[at] = sets
        return found

    def _under(self, rule: _Rule, slot: int, value: Any) -> _Rule:
        """The rule where the field is known to be `value`; None: where it has none."""
        parts = []
        for part in rule.parts:
            left, unknown, meets = [], part.unknown, True
            for node in part.open:
                asked = equality(node, self.draft.scope.symbols)
                if asked is None or asked[0] != slot:
                    left.append(node)
                elif value is None:
                    unknown = True
                else:
                    meets = meets and value in asked[1]
            if meets:
                parts.append(replace(part, open=tuple(left), unknown=unknown))
        return replace(rule, parts=tuple(parts))

    def _body(self, block: _Block, done: frozenset[int], sure: frozenset[str]) -> list[str]:
        emitter = Emitter(self.table)
        lines: list[str] = []
        for rule in block.rules:
            lines += self._rule(rule, emitter, sure)
        for slot, groups in block.looks:
            found = emitter.local()
            get = self.table.fresh("g")
            filed: dict[Any, Callable[..., Any]] = {}
            inner = done | {slot for slot, _ in block.looks}
            for value, rules in groups.items():
                filed[value] = self._opened(filed, value, rules, inner, sure)
            self.table.names[get] = filed.get
            lines += [
                f"if ({found} := {get}({emitter.place(slot)})) is not None:",
                f"    {found}(s, t, out)",
            ]
        return lines

    def _opened(
        self,
        filed: dict[Any, Any],
        value: Any,
        rules: list[_Rule],
        done: frozenset[int],
        sure: frozenset[str],
    ) -> Callable[..., Any]:
        """Compiles what is filed under `value` when it is asked for, and takes its place."""

        def first(s: Fields, t: Rest, out: list[int]) -> None:
            name = self.table.fresh("f")
            body = self._body(self._filed(rules, done), done, sure) or ["pass"]
            made = self._made(name, _function(name, "s, t, out", body))
            filed[value] = made
            made(s, t, out)

        return first

    def _rule(self, rule: _Rule, emitter: Emitter, sure: frozenset[str]) -> list[str]:
        """Statements that append the rule's codes: first true row, but none behind an unknown."""
        said = not rule.rule.trial
        ignores = rule.rule.on_unknown is OnUnknown.IGNORE
        lines: list[str] = []
        last = len(rule.parts) - 1
        for at, part in enumerate(rule.parts):
            test = together(emitter, part.open, sure)
            fired, unknown = f"out.append({part.code})", f"out.append({part.code + 1})"
            stop = ["    break"] if at < last else []
            unknown_stop = [] if ignores else stop
            if part.unknown:
                tell = [f"    {unknown}"] if said else []
                if tell or unknown_stop:
                    lines += [f"if {test.possible}:", *tell, *unknown_stop]
            elif not test.again:
                lines += [f"if {test.possible}:", f"    {fired}", *stop]
            elif not ignores and said:
                code = f"{part.code} if {test.again} else {part.code + 1}"
                lines += [f"if {test.possible}:", f"    out.append({code})", *stop]
            else:
                lines += [f"if {test.possible}:", f"    if {test.again}:", f"        {fired}"]
                lines += [f"    {line}" for line in stop]
                tell = [f"    {unknown}"] if said else []
                if tell or unknown_stop:
                    lines += ["    else:", *(f"    {line}" for line in (tell + unknown_stop))]
        if any(line.strip() == "break" for line in lines):
            lines = ["while True:", *(f"    {line}" for line in lines), "    break"]
        return lines

    # ---------------------------------------------------------------- from text to functions

    def _later(self, name: str, source: Callable[[str], str]) -> None:
        """An entry of the table that compiles itself when it is first called."""

        def first(*given: Any) -> Any:
            made = self.table.names[name] = self._made(name, source(name))
            return made(*given)

        self.table.names[name] = first

    def _define(self, name: str, source: str) -> None:
        self.table.names[name] = self._made(name, source)

    def _made(self, name: str, source: str) -> Callable[..., Any]:
        self._sources.append(source)
        module = compile(source, "<policy>", "exec", dont_inherit=True)
        code = next(item for item in module.co_consts if isinstance(item, CodeType))
        return FunctionType(code, self.table.names, name)

    def source(self) -> str:
        """The functions made so far."""
        return "\n".join(self._sources)


def _function(name: str, given: str, lines: list[str]) -> str:
    return "".join((f"def {name}({given}):\n", *(f"    {line}\n" for line in lines)))
