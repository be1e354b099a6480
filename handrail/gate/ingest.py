"""Reading a record: facts and proposal by the declared types.

What arrives as programs usually send it is read by a function generated from the declared fields.
Whatever that function does not expect (another type of mapping, a value its type refuses, a key in
the wrong place) makes it give up, and the thorough reading starts anew and names every mistake.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from types import CodeType, FunctionType
from typing import Any

from handrail.gate import values as val
from handrail.gate.declare import type_of
from handrail.gate.draft import Plan
from handrail.gate.scope import Type, kept
from handrail.model.policy import BadRecord, Field, Record

_MAX = repr(sys.float_info.max)
_AS_IT_IS = frozenset({"string", "person", "enum", "bool", "int", "double"})

Facts = Mapping[str, Any]


class Ingest:
    """Reads the records of one policy."""

    def __init__(self, plans: list[Plan], width: int) -> None:
        self._width = width
        self._facts = [plan for plan in plans if not plan.field.proposed]
        self._proposed = [plan for plan in plans if plan.field.proposed]
        self._sources = {plan.key: plan.field.proposed for plan in plans}
        self._quick: Callable[[Facts, Facts], Record | None] | None = None
        self.source = ""
        """The function for mappings as they should be, once it was generated."""

    def read(self, facts: Facts, proposal: Facts) -> Record:
        """The record; raises `BadRecord` with every value that its type refuses."""
        if type(facts) is dict and type(proposal) is dict:
            quick = self._quick
            if quick is None:
                quick = self._quick = self._generate()
            try:
                record = quick(facts, proposal)
            except val.Wrong:
                record = None
            if record is not None:
                return record
        return self.thorough(facts, proposal)

    # ---------------------------------------------------------------- thorough

    def thorough(self, facts: Facts, proposal: Facts) -> Record:
        """The same by the fields' own readers, one by one: the reference."""
        reading = _Reading(self._width)
        stored: list[dict[str, Any]] = []
        for given, plans, pointer, prefix in (
            (facts, self._facts, "/facts", ""),
            (proposal, self._proposed, "/proposal", "proposal."),
        ):
            if not is_mapping(given):
                reading.problems.append((pointer, f"is {val.shown(given)}; expected a mapping"))
                stored.append({})
                continue
            theirs = pointer == "/facts"
            for key in given:
                if self._sources.get(key) is theirs:
                    where = "`proposal` (it is declared `from: proposal`)" if theirs else "`facts`"
                    reading.problems.append(
                        (f"{pointer}/{val.escape(key)}", f"`{key}` belongs into {where}; move it")
                    )
            stored.append(reading.mapping(given, plans, pointer, prefix, self._sources))
        if reading.problems:
            raise BadRecord(reading.problems)
        return Record(
            facts=stored[0],
            proposal=stored[1],
            missing=tuple(reading.missing),
            undeclared=tuple(reading.undeclared),
            slots=tuple(reading.slots),
        )

    # ---------------------------------------------------------------- quick

    def _generate(self) -> Callable[[Facts, Facts], Record | None]:
        """The function for mappings as they should be; None: read it thoroughly.

        Its text holds no word of the policy: names and types are entries of its table.
        """
        writer = _Writer(self._width)
        slots = "".join(f"x{at}, " for at in range(self._width))
        more = f"undeclared=(*u,), slots=({slots})"
        lines = [
            "m = []",
            "u = []",
            *writer.mapping("f", "d0", self._facts, "/facts"),
            *self._others(writer, "f", "d0", "/facts", ""),
            *writer.mapping("p", "d1", self._proposed, "/proposal"),
            *self._others(writer, "p", "d1", "/proposal", "proposal."),
            f"return {writer.name(Record)}(facts=d0, proposal=d1, missing=(*m,), {more})",
        ]
        self.source = source = "def quick(f, p):\n" + "".join(f"    {line}\n" for line in lines)
        module = compile(source, "<fields>", "exec", dont_inherit=True)
        code = next(item for item in module.co_consts if isinstance(item, CodeType))
        return FunctionType(code, writer.names, "quick")

    def _others(
        self, writer: _Writer, given: str, into: str, pointer: str, prefix: str
    ) -> list[str]:
        """Keys beside those that were read: undeclared ones are kept, misplaced ones stop it."""
        theirs = pointer == "/facts"
        misplaced = frozenset(key for key, other in self._sources.items() if other is theirs)
        keep = writer.name(partial(_keep, self._sources, misplaced, pointer, prefix))
        return [f"if len({given}) != len({into}) and {keep}({given}, {into}, u):", "    return"]


class _Writer:
    """Statements that read mappings into the locals `x0` …, one for each slot."""

    def __init__(self, width: int) -> None:
        self.names: dict[str, Any] = {
            "__builtins__": {"len": len, "type": type, "dict": dict, "str": str, "float": float,
                             "int": int, "format": format}
        }  # fmt: skip
        self.width = width
        self._mappings = 2

    def name(self, value: Any) -> str:
        made = f"c{len(self.names)}"
        self.names[made] = value
        return made

    def mapping(self, given: str, into: str, plans: list[Plan], pointer: str) -> list[str]:
        lines = [f"{into} = {{}}"]
        for plan in plans:
            x, key = f"x{plan.slot}", self.name(plan.key)
            here = f"{pointer}/{plan.key}"
            lines.append(f"if ({x} := {given}.get({key})) is None:")
            absent = [] if plan.field.optional else [f"m.append({self.name(here)})"]
            absent += [f"x{slot} = None" for slot in _below(plan)]
            lines += [f"    {line}" for line in absent or ["pass"]]
            lines.append("else:")
            if plan.field.kind == "object":
                present = self.nested(x, plan, here, f"{into}[{key}]")
            else:
                stored = f"{into}[{key}] = {self.stored(x, plan.field)}"
                present = [*self.value(x, plan), stored]
            lines += [f"    {line}" for line in present]
        return lines

    def nested(self, x: str, plan: Plan, pointer: str, into: str) -> list[str]:
        """An object: its parts into their slots; keys that are no parts are read thoroughly."""
        inner = f"d{self._mappings}"
        self._mappings += 1
        return [
            f"if type({x}) is not dict:",
            "    return",
            *self.mapping(x, inner, plan.parts, pointer),
            f"if len({x}) != len({inner}):",
            "    return",
            f"{into} = {inner}",
            f"{x} = True",
        ]

    def value(self, x: str, plan: Plan) -> list[str]:
        """Read one value in place; where it is not plainly of its type, by the field's reader."""
        field = plan.field
        if plan.parts:
            return ["return"]
        plain = self.plain(x, field)
        read = f"{x} = {self.name(plan.read)}({x})"
        if plain is None:
            return [read]
        test, turn = plain
        if turn is None:
            return [f"if not ({test}):", f"    {read}"]
        return [f"if {test}:", f"    {x} = {turn}", "else:", f"    {read}"]

    def plain(self, x: str, field: Field) -> tuple[str, str | None] | None:
        """(what a value that needs no reader looks like, what it becomes), for common types."""
        kind, normal = field.kind, field.normal
        ascii_text = f"type({x}) is str and len({x}) <= {val.MAX_TEXT} and {x}.isascii()"
        if kind == "bool":
            return f"{x} is True or {x} is False", None
        if kind in ("double", "int"):
            turn, most = (float, _MAX) if kind == "double" else (int, str(val.MAX_INT))
            low = repr(turn(field.low)) if field.low is not None else f"-{most}"
            high = repr(turn(field.high)) if field.high is not None else most
            return f"type({x}) is {_python_type(kind)} and {low} <= {x} <= {high}", None
        if kind == "decimal":
            # Whole numbers, which no reader needs to look at; the rest as the reader has it.
            places = field.places or 0
            most = 10 ** min(12, val.MAX_DIGITS - 1 - places)
            low = -most if field.low is None else max(-most, math.ceil(Decimal(field.low)))
            high = most if field.high is None else min(most, math.floor(Decimal(field.high)))
            test = f"type({x}) is int and {low} <= {x} <= {high}"
            unit, exact = self.name(val.UNITS_OF[places]), self.name(val.EXACT)
            return test, f"{self.name(Decimal)}({x}).quantize({unit}, None, {exact})"
        if kind == "string" and not normal:
            return ascii_text, None
        if kind == "string" and normal == ("lower",):
            return ascii_text, f"{x}.lower().strip()"
        if kind == "enum" and not normal:
            return f"type({x}) is str and {x} in {self.name(frozenset(field.members))}", None
        return None

    def stored(self, x: str, field: Field) -> str:
        """The value as the record's facts keep it."""
        kind = field.kind
        if kind in _AS_IT_IS:
            return x
        if kind == "decimal":
            return f'format({x}, "f")'
        if kind == "list" and (field.of or "string") in _AS_IT_IS:
            return f"[*{x}]"
        return f"{self.name(partial(_kept, type_of(field)))}({x})"


def _kept(kind: Type, value: Any) -> Any:
    return kept(value, kind)


def _python_type(kind: str) -> str:
    return "float" if kind == "double" else "int"


def _below(plan: Plan) -> list[int]:
    """The slots of the parts of an object."""
    return [slot for part in plan.parts if plan.field.kind == "object"
            for slot in (part.slot, *_below(part))]  # fmt: skip


def _keep(
    sources: Mapping[str, bool],
    misplaced: frozenset[str],
    pointer: str,
    prefix: str,
    given: Facts,
    into: dict[str, Any],
    undeclared: list[str],
) -> bool:
    """Keep undeclared values; True where the record has to be read thoroughly."""
    problems: list[tuple[str, str]] = []
    for key, value in given.items():
        if key not in sources:
            if type(key) is not str:
                return True
            into[key] = val.wire(value, f"{pointer}/{val.escape(key)}", problems)
            undeclared.append(prefix + key)
        elif key in misplaced:
            return True
    return bool(problems)


def is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


class _Reading:
    """Collects what one pass over facts and proposal finds."""

    def __init__(self, width: int) -> None:
        self.slots: list[Any] = [None] * width
        self.missing: list[str] = []
        self.undeclared: list[str] = []
        self.problems: list[tuple[str, str]] = []

    def mapping(
        self,
        given: Mapping[str, Any],
        plans: list[Plan],
        pointer: str,
        prefix: str,
        declared: Mapping[str, Any],
    ) -> dict[str, Any]:
        stored: dict[str, Any] = {}
        for plan in plans:
            value = given.get(plan.key)
            if value is None:
                if not plan.field.optional:
                    self.missing.append(f"{pointer}/{plan.key}")
                continue
            if plan.field.of == "object":
                self.objects(value, plan, f"{pointer}/{plan.key}", prefix, stored)
                continue
            if plan.field.kind == "object":
                self.nested(value, plan, f"{pointer}/{plan.key}", prefix, stored)
                continue
            try:
                typed = plan.read(value)
            except val.Wrong as error:
                self.problems.append(
                    (f"{pointer}/{plan.key}{error.pointer}", f"{plan.key} {error.message}")
                )
                continue
            self.slots[plan.slot] = typed
            stored[plan.key] = kept(typed, type_of(plan.field))
        for key, value in given.items():
            if key in declared:
                continue
            if type(key) is not str:
                self.problems.append((pointer, f"has the key {val.shown(key)}; expected text"))
                continue
            stored[key] = val.wire(value, f"{pointer}/{val.escape(key)}", self.problems)
            self.undeclared.append(prefix + key)
        return stored

    def nested(
        self, value: Any, plan: Plan, pointer: str, prefix: str, stored: dict[str, Any]
    ) -> None:
        if not isinstance(value, Mapping):
            self.problems.append((pointer, f"{plan.key} is {val.shown(value)}; expected a mapping"))
            return
        self.slots[plan.slot] = True
        stored[plan.key] = self.mapping(
            value,
            plan.parts,
            pointer,
            f"{prefix}{plan.key}.",
            {part.key: True for part in plan.parts},
        )

    def objects(
        self, value: Any, plan: Plan, pointer: str, prefix: str, stored: dict[str, Any]
    ) -> None:
        """A list of objects: typed parts of each item, in the order of the declaration."""
        if not isinstance(value, list | tuple):
            self.problems.append((pointer, f"{plan.key} is {val.shown(value)}; expected a list"))
            return
        if len(value) > val.MAX_ITEMS:
            over = f"{plan.key} has {len(value):,} items; expected at most {val.MAX_ITEMS:,}"
            self.problems.append((pointer, over))
            return
        outer, items, kept_items = self.slots, [], []
        for at, item in enumerate(value):
            where = f"{pointer}/{at}"
            if not isinstance(item, Mapping):
                self.problems.append((where, f"is {val.shown(item)}; expected a mapping"))
                continue
            self.slots = [None] * len(plan.parts)
            kept_items.append(
                self.mapping(
                    item,
                    plan.parts,
                    where,
                    f"{prefix}{plan.key}.",
                    {part.key: True for part in plan.parts},
                )
            )
            items.append(tuple(self.slots))
        self.slots = outer
        self.slots[plan.slot] = items
        stored[plan.key] = kept_items
