"""From nodes to a draft: every section read, every name resolved, every mistake collected."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from dataclasses import field as made
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from handrail.gate import values as val
from handrail.gate.check import (
    ERROR,
    NUMBERS,
    TEXTS,
    Checker,
    Fault,
    NamedList,
    Scope,
    Symbol,
    Type,
    nearest,
)
from handrail.gate.language import KINDS, NORMAL_FORMS, SECTIONS, UNAVAILABLE
from handrail.gate.sentence import Sentence, compile_sentence
from handrail.gate.source import Node, shorten
from handrail.gate.syntax import RESERVED, Expr, ExprError, parse
from handrail.model.canonical import digest
from handrail.model.errors import Mistake
from handrail.model.modes import Lane, Mode, OnUnknown, Severity, Silence
from handrail.model.policy import Field, IfOpen, RouteLine, Sampling
from handrail.model.ruling import Approval, Route

MAX_LIST_BYTES = 4 * 1024 * 1024
"""Largest list file, bytes."""
MAX_LIST_ITEMS = 200_000
"""Most items of one list."""
MAX_LIST_ITEM = 1_000
"""Longest item of a list, characters."""
MAX_RULES = 1_000
"""Most rules (matrix rows included) of one policy."""
DEFAULT_UNDO_US = 10_000_000

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_WORKFLOW = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_WHO = re.compile(r"(team|role|person):[^\s:,]{1,320}")
_COLUMN = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)\s*(==|!=|<=|>=|<|>|not\s+in|in)?", re.ASCII)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", re.ASCII)

ReadFile = Callable[[str], bytes]
T = TypeVar("T")


@dataclass
class Plan:
    """How one declared field is read from a mapping."""

    key: str
    field: Field
    slot: int
    read: val.Reader
    parts: list[Plan] = made(default_factory=list)
    """Fields of a nested object."""


@dataclass
class Row:
    """One condition with its consequence: a rule has one, a matrix one a row."""

    when: Expr
    source: str
    then: Mode
    severity: Severity
    approvals: tuple[Approval, ...]
    because: Sentence | None


@dataclass
class DraftRule:
    id: str
    line: int
    column: int
    rows: list[Row]
    on_unknown: OnUnknown
    trial: bool
    same_case: tuple[str, ...]
    matrix: bool


@dataclass
class DraftValue:
    name: str
    slot: int
    expr: Expr
    source: str


@dataclass
class DraftAggregate:
    name: str
    slot: int
    function: str
    over: str
    field: str | None
    by: tuple[str, ...]
    window_us: int
    places: int
    kind: str


@dataclass
class DraftTiers:
    risks: list[tuple[str, Expr | None, str]]
    """Name, condition (None for `else`), its text."""
    bounds: list[float | None]
    """Lower bounds of confidence; None for `none`."""
    cells: dict[str, list[Mode]]


@dataclass
class DraftCase:
    name: str
    node: Node
    facts: dict[str, Any] = made(default_factory=dict)
    proposal: dict[str, Any] = made(default_factory=dict)
    confidence: Any = None
    lists: dict[str, tuple[Any, ...]] = made(default_factory=dict)
    aggregates: dict[str, Any] = made(default_factory=dict)
    expected: dict[str, tuple[Node, Any]] = made(default_factory=dict)
    """`fires`, `unknown`, `trials`, `lane`, `mode`, `values` → (place, wanted)."""


@dataclass
class Draft:
    """All of a policy, read. Usable only when the reader found no mistake."""

    scope: Scope = made(default_factory=Scope)
    workflow: str = ""
    title: str = ""
    owners: tuple[str, ...] = ()
    review_by: str | None = None
    subject: tuple[str, ...] = ()
    requester: str | None = None
    if_open: IfOpen = IfOpen.REPLACE
    otherwise: Mode = Mode.IN_THE_LOOP
    plans: list[Plan] = made(default_factory=list)
    fields: dict[str, Field] = made(default_factory=dict)
    values: list[DraftValue] = made(default_factory=list)
    aggregates: list[DraftAggregate] = made(default_factory=list)
    lists: dict[str, NamedList] = made(default_factory=dict)
    list_digests: dict[str, str] = made(default_factory=dict)
    file_digests: dict[str, str] = made(default_factory=dict)
    rules: list[DraftRule] = made(default_factory=list)
    tiers: DraftTiers | None = None
    money: DraftValue | None = None
    money_unit: str | None = None
    money_places: int = 2
    reversible: bool = False
    confidence_slot: int = 0
    routes: list[RouteLine] = made(default_factory=list)
    reasons: dict[str, str] = made(default_factory=dict)
    edit: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    if_approved: Sentence | None = None
    if_rejected: Sentence | None = None
    undo_us: int = DEFAULT_UNDO_US
    valid_us: int | None = None
    sampling: Sampling = made(default_factory=Sampling)
    cases: list[DraftCase] = made(default_factory=list)


class Reader:
    """Reads one file's root node into a draft; `mistakes` holds all that is wrong."""

    def __init__(self, path: str, text: str, read_file: ReadFile | None) -> None:
        self.path = path
        self.lines = text.split("\n")
        self.read_file = read_file
        self.mistakes: list[Mistake] = []
        self.draft = Draft()
        self.rows = 0

    # ------------------------------------------------------------------ mistakes and places

    def wrong(
        self, node: Node, what: str, expected: str = "", fix: str = "", offset: int | None = None
    ) -> None:
        line, column = node.line, node.column
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

    # ------------------------------------------------------------------ shapes

    def section(self, node: Node, name: str, *, extra: bool = False) -> dict[str, Node]:
        """The keys of a section; unknown, unavailable and missing ones are mistakes."""
        if node.kind != "map":
            self.wrong(node, f"{name} is {node.shown}", "a mapping of keys", "see docs")
            return {}
        keys = SECTIONS[name]
        known = {key.name for key in keys}
        found: dict[str, Node] = {}
        for key, value in node.items:
            if key.text in known:
                if value.kind == "scalar" and value.style == "plain" and not value.text:
                    self.wrong(key, f"`{key.text}:` has no value", "a value", "write one")
                else:
                    found[key.text] = value
            elif (name, key.text) in UNAVAILABLE:
                self.wrong(
                    key,
                    f"`{key.text}` is not available yet",
                    f"the keys of a {name}",
                    UNAVAILABLE[name, key.text],
                )
            elif extra:
                found[key.text] = value
            else:
                self.wrong(
                    key,
                    f"`{shorten(key.text)}` is no key of a {name}",
                    "one of " + ", ".join(k.name for k in keys),
                    nearest(key.text, known),
                )
        present = {key.text for key, _ in node.items}
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
                    f"write `team:{item.text}`" if _ID.fullmatch(item.text) else "",
                )
            else:
                found[item.text] = None
        return tuple(found)

    def span(self, node: Node, what: str) -> int | None:
        """A positive duration in µs."""
        try:
            span = val.read_duration(node.text if node.kind == "scalar" else None)
        except val.Wrong as error:
            self.wrong(node, f"{what} {error.message.split(';')[0]}", "such as 30m, 4h or 7d", "")
            return None
        if span < 0 or (span == 0 and what != "undo"):
            self.wrong(node, f"{what} is {node.shown}", "a time longer than 0", "")
            return None
        return span

    # ------------------------------------------------------------------ the whole

    def read(self, root: Node) -> Draft:
        """Every section in the order of their dependence."""
        draft, scope = self.draft, self.draft.scope
        top = self.section(root, "policy")
        self.header(top)
        if "fields" in top:
            self.fields(top["fields"])
        if "lists" in top:
            self.lists(top["lists"])
        if "aggregates" in top:
            self.aggregates(top["aggregates"])
        draft.confidence_slot = scope.slot()
        scope.symbols["confidence"] = Symbol(
            "confidence", "confidence", Type("double"), draft.confidence_slot, maybe=True
        )
        if "values" in top:
            self.values(top["values"])
        if "stakes" in top:
            self.stakes(top["stakes"])
        self.people(top)
        if "review" in top:
            self.review(top["review"])
        if "rules" in top:
            self.rules(top["rules"])
        if "tiers" in top:
            self.tiers(top["tiers"])
        if "route" in top:
            self.route(top["route"])
        if "sampling" in top:
            self.sampling(top["sampling"])
        if "cases" in top:
            self.cases(top["cases"])
        self.in_command(root, top)
        return draft

    def header(self, top: dict[str, Node]) -> None:
        draft = self.draft
        if "handrail" in top and top["handrail"].value != 1:
            self.wrong(
                top["handrail"],
                f"version {top['handrail'].shown} of the policy language",
                "1",
                "write `handrail: 1`",
            )
        if "workflow" in top:
            name = top["workflow"]
            if name.kind != "scalar" or not _WORKFLOW.fullmatch(name.text):
                self.wrong(
                    name,
                    f"the workflow is {name.shown}",
                    "small letters, digits and `-`, a letter first, at most 63",
                    "such as `campaign-launch`",
                )
            else:
                draft.workflow = name.text
        draft.title = self.text(top["title"], "the title") if "title" in top else draft.workflow
        if "owners" in top:
            draft.owners = self.who(top["owners"], "owners")
            if top["owners"].kind == "list" and not top["owners"].items:
                self.wrong(top["owners"], "no owner", "at least one", "such as `[team:x]`")
        if "review_by" in top:
            node = top["review_by"]
            try:
                draft.review_by = date.fromisoformat(node.text).isoformat()
            except ValueError:
                self.wrong(node, f"review_by is {node.shown}", "a day: YYYY-MM-DD", "")
        if "if_open" in top:
            draft.if_open = self.one_of(top["if_open"], "if_open", IfOpen) or IfOpen.REPLACE
        if "tiers" in top:
            draft.otherwise = Mode.AUTO  # the table speaks for every decision
        if "otherwise" in top:
            draft.otherwise = self.one_of(top["otherwise"], "otherwise", Mode) or draft.otherwise

    def people(self, top: dict[str, Node]) -> None:
        draft = self.draft
        if "subject" in top:
            names = []
            for item in self.items(top["subject"], "the subject", single=True):
                found = self.known_field(item, "the subject")
                if found is None:
                    continue
                if found.optional or found.kind in ("list", "object", "double"):
                    self.wrong(
                        item,
                        f"the subject `{item.text}` is "
                        + ("optional" if found.optional else f"a {found.kind}"),
                        "a required text, number or enum, so that every decision has one",
                        "",
                    )
                names.append(item.text)
            draft.subject = tuple(names)
        if "requester" in top:
            node = top["requester"]
            found = self.known_field(node, "the requester")
            if found is not None:
                if found.kind not in ("person", "string"):
                    self.wrong(node, f"the requester is a {found.kind}", "a person", "")
                draft.requester = found.name

    def known_field(self, node: Node, what: str) -> Field | None:
        name = node.text if node.kind == "scalar" else ""
        found = self.draft.fields.get(name)
        if found is None and name not in self.draft.scope.broken:
            self.wrong(
                node,
                f"{what} names {node.shown}, which is no field",
                "a name under `fields:`",
                nearest(name, self.draft.fields),
            )
        return found

    # ------------------------------------------------------------------ fields

    def fields(self, node: Node) -> None:
        if node.kind != "map" or not node.items:
            self.wrong(node, f"fields is {node.shown}", "`name: type` lines", "declare one")
            return
        self.draft.plans = [
            plan
            for key, spec in node.items
            if (plan := self.field(key, spec, "", False, None, ())) is not None
        ]

    def field(
        self,
        key: Node,
        spec: Node,
        prefix: str,
        maybe: bool,
        proposed: bool | None,
        implied: tuple[str, ...],
    ) -> Plan | None:
        """One field; `proposed` is None at the top, else what the object around it says."""
        scope = self.draft.scope
        name = prefix + key.text
        if not self.usable_name(key, name):
            scope.broken.add(name)
            return None
        before = len(self.mistakes)
        plan = self.typed(key, spec, name, maybe, proposed, implied)
        if plan is None or len(self.mistakes) > before:
            scope.broken.add(name)
        return plan

    def usable_name(self, key: Node, name: str) -> bool:
        last = name.rsplit(".", 1)[-1]
        if not _NAME.fullmatch(last):
            self.wrong(
                key,
                f"the name `{shorten(last)}`",
                "letters, digits and `_`, a letter first, at most 63",
                f"such as `{re.sub(r'[^A-Za-z0-9]+', '_', last).strip('_')[:40] or 'amount'}`",
            )
            return False
        if last in RESERVED and "." not in name:
            self.wrong(key, f"the name `{last}` is a word of the language", "another name", "")
            return False
        if name in self.draft.scope.symbols:
            self.wrong(key, f"the name `{name}` is taken", "a name of its own", "rename one")
            return False
        return True

    def typed(
        self,
        key: Node,
        spec: Node,
        name: str,
        maybe: bool,
        proposed: bool | None,
        implied: tuple[str, ...],
    ) -> Plan | None:
        given: dict[str, Node] = {}
        if spec.kind == "scalar":
            kind = self.kind_name(spec)
        elif spec.kind == "map":
            given = self.section(spec, "field")
            kinds = [word for word in ("type", "enum", "list", "object") if word in given]
            if len(kinds) != 1:
                self.wrong(
                    spec,
                    f"`{name}` has {' and '.join(f'`{word}`' for word in kinds) or 'no type'}",
                    "one of `type`, `enum`, `list`, `object`",
                    "" if kinds else nearest_key(spec),
                )
                return None
            kind = self.kind_name(given["type"]) if kinds == ["type"] else kinds[0]
        else:
            self.wrong(spec, f"`{name}` is {spec.shown}", "a type or `{type: …}`", "")
            return None
        if kind is None:
            return None
        members: tuple[str, ...] = ()
        of: str | None = None
        places: int | None = None
        if kind == "enum":
            members = self.members(given["enum"])
        elif kind == "list":
            of, members, places = self.list_of(given["list"])
        if "places" in given:
            places = self.places(given["places"], kind, of)
        elif "decimal" in (kind, of) and places is None:
            self.wrong(spec, f"`{name}` has no `places`", "digits after the point", "`places: 2`")
        optional = self.flag(given["optional"], "optional") if "optional" in given else False
        unit = self.text(given["unit"], "the unit") if "unit" in given else None
        if unit and (len(unit) > 20 or not unit.isprintable()):
            self.wrong(given["unit"], f"the unit {given['unit'].shown}", "at most 20 letters", "")
        from_proposal = bool(proposed)
        if "from" in given:
            if proposed is not None:
                self.wrong(
                    given["from"], "`from` inside an object", "`from` of the whole object", ""
                )
            elif given["from"].text != "proposal":
                self.wrong(
                    given["from"], f"from is {given['from'].shown}", "`proposal`", "or delete it"
                )
            else:
                from_proposal = True
        normal = self.normal(given["normal"], kind, of) if "normal" in given else ()
        bounds = {
            word: self.bound(given[word], kind, places) for word in ("min", "max") if word in given
        }
        low, high = bounds.get("min", (None, None)), bounds.get("max", (None, None))
        if low[0] is not None and high[0] is not None and low[0] > high[0]:
            self.wrong(given["min"], f"min {low[1]} is over max {high[1]}", "min ≤ max", "")
        declared = Field(
            name=name,
            kind=kind,
            of=of,
            members=members,
            places=places,
            optional=optional,
            unit=unit,
            low=low[1],
            high=high[1],
            normal=normal,
            proposed=from_proposal,
        )
        slot = self.draft.scope.slot()
        symbol_type = Type(kind, of=of, members=members, unit=unit, normal=normal)
        self.draft.fields[name] = declared
        if kind == "object":
            return self.object(declared, given["object"], slot, maybe, implied)
        self.draft.scope.symbols[name] = Symbol(
            name, "field", symbol_type, slot, maybe or optional, frozenset(implied)
        )
        return Plan(key.text, declared, slot, val.field_reader(declared, low[0], high[0]))

    def object(
        self, declared: Field, node: Node, slot: int, maybe: bool, implied: tuple[str, ...]
    ) -> Plan | None:
        name = declared.name
        if node.kind != "map" or not node.items:
            self.wrong(node, f"`{name}` is {node.shown}", "`name: type` lines", "declare one")
            return None
        if name.count(".") >= 4:
            self.wrong(node, "objects nested deeper than 5", "at most 5", "write it flatter")
            return None
        absent = maybe or declared.optional
        plan = Plan(name.rsplit(".", 1)[-1], declared, slot, lambda value: value)
        inner = (*implied, name)
        for key, spec in node.items:
            part = self.field(key, spec, name + ".", absent, declared.proposed, inner)
            if part is not None:
                plan.parts.append(part)
        sure = {p.field.name for p in plan.parts if not p.field.optional}
        symbols = self.draft.scope.symbols
        for part in plan.parts:
            if not part.field.optional and part.field.name in symbols:
                sure |= symbols[part.field.name].implies
        symbols[name] = Symbol(
            name, "field", Type("object"), slot, absent, frozenset({*implied, *sure})
        )
        for part in plan.parts:
            symbol = symbols.get(part.field.name)
            if symbol is not None:
                symbols[part.field.name] = Symbol(
                    symbol.name,
                    "field",
                    symbol.type,
                    symbol.slot,
                    symbol.maybe,
                    symbol.implies | (sure - {symbol.name}),
                )
        return plan

    def kind_name(self, node: Node) -> str | None:
        if node.kind == "scalar" and node.text in KINDS:
            return node.text
        hint = nearest(node.text, KINDS) if node.kind == "scalar" else ""
        words = {
            "text": "string",
            "str": "string",
            "number": "double` or `decimal",
            "float": "double",
            "integer": "int",
            "boolean": "bool",
            "date": "timestamp",
            "datetime": "timestamp",
            "money": "decimal",
        }
        if node.text in words:
            hint = f"write `{words[node.text]}`"
        elif node.text in ("enum", "list", "object"):
            hint = f"write `{{{node.text}: …}}`"
        self.wrong(node, f"{node.shown} is no type", "one of " + ", ".join(KINDS), hint)
        return None

    def members(self, node: Node) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for item in self.items(node, "the enum"):
            if item.text in found:
                self.wrong(item, f"{item.shown} is in the enum twice", "once", "delete one")
            found[item.text] = None
        if not found and node.kind == "list":
            self.wrong(node, "an enum without members", "at least one", "such as `[a, b]`")
        if len(found) > 500:
            self.wrong(node, f"an enum of {len(found)} members", "at most 500", "use a list")
        return tuple(found)

    def list_of(self, node: Node) -> tuple[str | None, tuple[str, ...], int | None]:
        if node.kind == "map":
            given = self.section(node, "field")
            if set(given) == {"enum"}:
                return "enum", self.members(given["enum"]), None
            if "type" in given and set(given) <= {"type", "places"}:
                kind = self.kind_name(given["type"])
                places = self.places(given["places"], kind, None) if "places" in given else None
                return kind, (), places
            self.wrong(node, "a list of that", "a type, `{enum: [..]}` or decimals", "")
            return None, (), None
        return self.kind_name(node), (), None

    def places(self, node: Node, kind: str | None, of: str | None) -> int | None:
        if "decimal" not in (kind, of):
            self.wrong(node, f"`places` of a {kind}", "`places` of a decimal only", "delete it")
            return None
        places = node.value if node.kind == "scalar" else None
        if isinstance(places, bool) or not isinstance(places, int) or not 0 <= places <= 12:
            self.wrong(node, f"places is {node.shown}", "a whole number from 0 to 12", "")
            return None
        return places

    def normal(self, node: Node, kind: str, of: str | None) -> tuple[str, ...]:
        if kind not in ("string", "enum") and of not in ("string", "enum"):
            self.wrong(node, f"`normal` of a {kind}", "a text", "delete it")
            return ()
        forms = []
        for item in self.items(node, "normal", single=True):
            form = self.one_of(item, "normal", NORMAL_FORMS)
            if form:
                forms.append(form)
        return tuple(sorted(set(forms), reverse=True))

    def bound(self, node: Node, kind: str, places: int | None) -> tuple[Any, str | None]:
        if kind not in ("int", "double", "decimal", "timestamp", "duration"):
            self.wrong(node, f"a bound of a {kind}", "bounds of numbers and times only", "")
            return None, None
        try:
            value = val.scalar_reader(kind, (), places, ())(node.value)
        except val.Wrong as error:
            self.wrong(node, f"the bound {error.message}")
            return None, None
        return value, str(val.to_stored(value, kind))

    # ------------------------------------------------------------------ lists

    def lists(self, node: Node) -> None:
        if node.kind != "map":
            self.wrong(node, f"lists is {node.shown}", "`name: [..]` lines", "")
            return
        for key, spec in node.items:
            name = key.text
            if not _NAME.fullmatch(name):
                self.wrong(key, f"the list name `{shorten(name)}`", "letters, digits and `_`", "")
                continue
            named = self.named_list(name, spec)
            self.draft.scope.lists[name] = named
            if named is not None:
                self.draft.lists[name] = named
                self.draft.list_digests[name] = digest(
                    sorted(str(item) for item in set(named.items))
                )

    def named_list(self, name: str, spec: Node) -> NamedList | None:
        if spec.kind == "list":
            items = self.items(spec, f"the list {name}")
            return self.list_items(name, spec, items)
        if spec.kind == "map":
            given = self.section(spec, "list")
            if "file" not in given:
                return None
            return self.list_file(name, given)
        if spec.text == "stored":
            self.wrong(
                spec,
                "`stored` lists are not available yet",
                "`[..]` or `{file: lists/x.csv}`",
                "put the items into a file beside the policy",
            )
        else:
            self.wrong(spec, f"the list {name} is {spec.shown}", "`[..]` or `{file: …}`", "")
        return None

    def list_items(self, name: str, spec: Node, nodes: list[Node]) -> NamedList | None:
        loaded = [node.value for node in nodes]
        numbers = [isinstance(v, int | Decimal) and not isinstance(v, bool) for v in loaded]
        if loaded and all(numbers):
            return NamedList(name, tuple(Decimal(v) for v in loaded), "number")
        if any(numbers):
            odd = nodes[numbers.index(True)]
            self.wrong(
                odd,
                f"{odd.shown} is a number among texts",
                "all numbers or all texts",
                f'write "{odd.text}"',
            )
            return None
        return NamedList(name, tuple(node.text for node in nodes), "text")

    def list_file(self, name: str, given: dict[str, Node]) -> NamedList | None:
        node = given["file"]
        path = self.text(node, "file")
        if not path:
            return None
        if path.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", path) or ":" in path:
            self.wrong(node, f"the file {node.shown}", "a path below the policy's own folder", "")
            return None
        if self.read_file is None:
            self.wrong(node, f"the file {node.shown} cannot be read here", "an inline list", "")
            return None
        try:
            data = self.read_file(path)
        except (OSError, KeyError, ValueError) as error:
            self.wrong(
                node,
                f"the file {node.shown} cannot be read ({type(error).__name__})",
                "a readable file beside the policy",
                "check its name",
            )
            return None
        if len(data) > MAX_LIST_BYTES:
            self.wrong(
                node,
                f"the file {node.shown} has {len(data):,} bytes",
                f"at most {MAX_LIST_BYTES:,}",
                "send a membership field instead of a list this long",
            )
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.wrong(
                node, f"byte {error.start} of {node.shown} is not UTF-8", "UTF-8 text", "convert it"
            )
            return None
        items = self.column(node, text, given.get("column"))
        if items is None:
            return None
        self.draft.file_digests[path] = digest(items)
        return NamedList(name, tuple(items), "text")

    def column(self, node: Node, text: str, column: Node | None) -> list[str] | None:
        """The items of a list file: its first column, or the one a header names."""
        items: list[str] = []
        at = 0
        try:
            for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""))):
                if number == 0 and column is not None:
                    if column.text not in cells:
                        self.wrong(
                            column,
                            f"the file has no column {column.shown}",
                            "one of " + ", ".join(shorten(cell, 20) for cell in cells[:12]),
                            nearest(column.text, cells),
                        )
                        return None
                    at = cells.index(column.text)
                    continue
                item = cells[at].strip() if at < len(cells) else ""
                if len(item) > MAX_LIST_ITEM:
                    self.wrong(
                        node,
                        f"line {number + 1} of {node.shown} has {len(item):,} characters",
                        f"at most {MAX_LIST_ITEM:,} an item",
                        "one item a line",
                    )
                    return None
                if item:
                    items.append(item)
                if len(items) > MAX_LIST_ITEMS:
                    self.wrong(
                        node,
                        f"the file {node.shown} has more than {MAX_LIST_ITEMS:,} items",
                        f"at most {MAX_LIST_ITEMS:,}",
                        "send a membership field instead of a list this long",
                    )
                    return None
        except csv.Error as error:
            self.wrong(node, f"the file {node.shown} is no CSV file ({error})", "one item a line")
            return None
        return items

    # ------------------------------------------------------------------ aggregates and values

    def aggregates(self, node: Node) -> None:
        if node.kind != "map":
            self.wrong(node, f"aggregates is {node.shown}", "`name: {sum: …}` lines", "")
            return
        for key, spec in node.items:
            if not self.usable_name(key, key.text):
                continue
            before = len(self.mistakes)
            made = self.aggregate(key.text, spec)
            if made is None or len(self.mistakes) > before:
                self.draft.scope.broken.add(key.text)

    def aggregate(self, name: str, spec: Node) -> DraftAggregate | None:
        given = self.section(spec, "aggregate")
        functions = [word for word in ("sum", "count") if word in given]
        if len(functions) != 1:
            if spec.kind == "map" and not any(
                ("aggregate", key.text) in UNAVAILABLE for key, _ in spec.items
            ):
                self.wrong(spec, f"`{name}` has {len(functions)} functions", "`sum` or `count`", "")
            return None
        function = functions[0]
        over = given.get("over")
        stream = over.text if over is not None and over.kind == "scalar" else ""
        if over is not None and stream not in ("decisions:submitted", "decisions:released"):
            recorded = not stream.startswith("decisions")
            self.wrong(
                over,
                f"over is {over.shown}"
                + (": recorded events are not available yet" if recorded else ""),
                "`decisions:submitted` or `decisions:released`",
                nearest(stream, ("decisions:submitted", "decisions:released")),
            )
            return None
        window = self.span(given["window"], "window") if "window" in given else None
        by = []
        for item in self.items(given["by"], "by") if "by" in given else []:
            found = self.known_field(item, "by")
            if found is not None:
                if found.optional or found.kind in ("list", "object", "double"):
                    self.wrong(
                        item,
                        f"by names `{item.text}`, "
                        + ("which is optional" if found.optional else f"a {found.kind}"),
                        "required texts, numbers or enums",
                        "",
                    )
                by.append(found.name)
        summed: Field | None = None
        if function == "sum":
            summed = self.known_field(given["sum"], "sum")
            if summed is None:
                return None
            if summed.kind not in ("int", "decimal"):
                self.wrong(
                    given["sum"],
                    f"sum of `{summed.name}`, a {summed.kind}",
                    "an int or a decimal, so that the total is exact",
                    "declare it as `{type: decimal, places: 2}`" if summed.kind == "double" else "",
                )
                return None
        elif given["count"].text != "decisions":
            self.wrong(given["count"], f"count is {given['count'].shown}", "`decisions`", "")
        if window is None:
            return None
        kind = summed.kind if summed else "int"
        made = DraftAggregate(
            name=name,
            slot=self.draft.scope.slot(),
            function=function,
            over=stream.partition(":")[2],
            field=summed.name if summed else None,
            by=tuple(by),
            window_us=window,
            places=(summed.places or 0) if summed else 0,
            kind=kind,
        )
        self.draft.aggregates.append(made)
        self.draft.scope.symbols[name] = Symbol(
            name, "aggregate", Type(kind, unit=summed.unit if summed else None), made.slot
        )
        return made

    def values(self, node: Node) -> None:
        if node.kind != "map":
            self.wrong(node, f"values is {node.shown}", "`name: expression` lines", "")
            return
        scope = self.draft.scope
        parsed: dict[str, tuple[Node, Node, Expr]] = {}
        for key, spec in node.items:
            if not self.usable_name(key, key.text):
                continue
            tree = self.parse(spec, f"the value `{key.text}`")
            if tree is None:
                scope.broken.add(key.text)
            else:
                parsed[key.text] = (key, spec, tree)
        done: set[str] = set()
        path: list[str] = []

        def visit(name: str) -> None:
            if name in done or name not in parsed:
                return
            key, spec, tree = parsed[name]
            if name in path:
                ring = " → ".join([*path[path.index(name) :], name])
                self.wrong(key, f"values in a ring: {ring}", "values that end in fields", "")
                scope.broken.update(path[path.index(name) :])
                return
            path.append(name)
            for inner in tree.walk():
                if inner.op == "name":
                    visit(inner.name)
            path.pop()
            if name not in done and name not in scope.broken:
                self.value(name, spec, tree)
            done.add(name)

        for name in parsed:
            visit(name)

    def value(self, name: str, spec: Node, tree: Expr) -> None:
        scope = self.draft.scope
        checker = Checker(scope)
        kind = checker.visit(tree)
        self.faults(spec, checker.faults)
        if kind is not ERROR and kind.kind in ("list", "object"):
            self.wrong(spec, f"`{name}` gives {kind.words}", "a number, text, time or yes-or-no")
            kind = ERROR
        if kind is ERROR:
            scope.broken.add(name)
            return
        slot = scope.slot()
        self.draft.values.append(DraftValue(name, slot, tree, spec.text))
        scope.symbols[name] = Symbol(
            name,
            "value",
            Type("string") if kind.kind == "text" else kind,
            slot,
            maybe=bool(checker.unguarded(tree, frozenset())),
            implies=checker.implied(tree),
            expr=tree,
            text=spec.text,
        )

    def parse(self, node: Node, what: str) -> Expr | None:
        """The tree of an expression, or None with the mistake."""
        if node.kind != "scalar":
            self.wrong(
                node,
                f"{what} is {node.shown}",
                "an expression as text",
                "quote it if it starts with [ or {",
            )
            return None
        try:
            return parse(node.text)
        except ExprError as error:
            self.wrong(node, error.what, error.expected, error.fix, error.offset)
            return None

    def condition(self, node: Node, what: str, *, guarded: bool) -> Expr | None:
        tree = self.parse(node, what)
        if tree is None:
            return None
        checker = Checker(self.draft.scope)
        checker.condition(tree, guarded)
        self.faults(node, checker.faults)
        return tree

    def stakes(self, node: Node) -> None:
        draft, scope = self.draft, self.draft.scope
        given = self.section(node, "stakes")
        if "reversible" in given:
            draft.reversible = self.flag(given["reversible"], "reversible")
        if "money" not in given:
            return
        spec = given["money"]
        tree = self.parse(spec, "money")
        checker = Checker(scope)
        kind = checker.visit(tree) if tree is not None else ERROR
        self.faults(spec, checker.faults)
        if tree is None or kind is ERROR or kind.kind not in NUMBERS:
            if kind is not ERROR:
                self.wrong(spec, f"money gives {kind.words}", "a number", "")
            scope.broken.add("stakes.money")
            return
        slot = scope.slot()
        draft.money = DraftValue("stakes.money", slot, tree, spec.text)
        draft.money_unit = kind.unit
        alike = [f.places for f in draft.fields.values() if f.unit == kind.unit and f.places]
        draft.money_places = max(alike, default=2)
        scope.symbols["stakes.money"] = Symbol(
            "stakes.money",
            "stakes",
            kind,
            slot,
            maybe=bool(checker.unguarded(tree, frozenset())),
            implies=checker.implied(tree),
            expr=tree,
            text=spec.text,
        )

    # ------------------------------------------------------------------ rules

    def rules(self, node: Node) -> None:
        if node.kind != "list":
            self.wrong(node, f"rules is {node.shown}", "a list of rules: `- id: …`", "")
            return
        seen: dict[str, Node] = {}
        for spec in node.items:
            before = len(self.mistakes)
            is_matrix = spec.kind == "map" and any(key.text == "matrix" for key, _ in spec.items)
            rule = self.matrix(spec) if is_matrix else self.rule(spec)
            if rule is None:
                continue
            if rule.id in seen:
                self.wrong(
                    spec,
                    f"the rule id `{rule.id}` is here a second time",
                    f"an id of its own (first on line {seen[rule.id].line})",
                    "rename one",
                )
            seen.setdefault(rule.id, spec)
            if len(self.mistakes) == before or rule.rows:
                self.draft.rules.append(rule)
            self.rows += len(rule.rows)
            if self.rows > MAX_RULES:
                self.wrong(spec, f"more than {MAX_RULES:,} rules", f"at most {MAX_RULES:,}", "")
                return

    def rule_id(self, given: dict[str, Node], key: str, spec: Node) -> str:
        if key not in given:
            return f"(line {spec.line})"
        node = given[key]
        if node.kind != "scalar" or not _ID.fullmatch(node.text):
            self.wrong(
                node,
                f"the rule id is {node.shown}",
                "letters, digits, `-`, `_` and `.`, at most 63",
                "such as `over-the-cap`",
            )
            return f"(line {spec.line})"
        return node.text

    def rule(self, spec: Node) -> DraftRule | None:
        given = self.section(spec, "rule")
        if not given:
            return None
        name = self.rule_id(given, "id", spec)
        on_unknown = self.on_unknown(given)
        when = None
        if "when" in given:
            when = self.condition(
                given["when"], f"the condition of {name}", guarded="on_unknown" in given
            )
        then = self.mode(given.get("then"))
        severity = self.severity(given.get("severity"))
        approvals = self.approvals(given["approve"], then) if "approve" in given else ()
        because = self.sentence(given["because"]) if "because" in given else None
        trial = self.flag(given["trial"], "trial") if "trial" in given else False
        same_case = self.same_case(given["same_case"], then) if "same_case" in given else ()
        rows = []
        if when is not None:
            rows = [Row(when, given["when"].text, then, severity, approvals, because)]
        return DraftRule(
            name, spec.line, spec.column, rows, on_unknown, trial, same_case, matrix=False
        )

    def on_unknown(self, given: dict[str, Node]) -> OnUnknown:
        if "on_unknown" not in given:
            return OnUnknown.HOLD
        return self.one_of(given["on_unknown"], "on_unknown", OnUnknown) or OnUnknown.HOLD

    def mode(self, node: Node | None, default: Mode = Mode.IN_THE_LOOP) -> Mode:
        return default if node is None else self.one_of(node, "the mode", Mode) or default

    def severity(self, node: Node | None, default: Severity = Severity.MEDIUM) -> Severity:
        return default if node is None else self.one_of(node, "severity", Severity) or default

    def sentence(self, node: Node) -> Sentence | None:
        if node.kind != "scalar":
            self.wrong(
                node,
                f"the sentence is {node.shown}",
                "a text",
                'quote it: it starts with a sign that YAML reads, such as "{amount} is …"',
            )
            return None
        if not node.text.strip():
            self.wrong(node, "an empty sentence", "a sentence a person reads", "")
            return None
        faults: list[Fault] = []
        made = compile_sentence(node.text, self.draft.scope, faults)
        self.faults(node, faults)
        return made

    def same_case(self, node: Node, then: Mode) -> tuple[str, ...]:
        names = []
        for item in self.items(node, "same_case"):
            symbol = self.draft.scope.symbols.get(item.text)
            if symbol is None or symbol.type.kind in ("object", "ratio", "number"):
                if item.text not in self.draft.scope.broken:
                    self.wrong(
                        item,
                        f"same_case names {item.shown}",
                        "fields",
                        nearest(item.text, self.draft.fields),
                    )
            else:
                names.append(item.text)
        if then is Mode.IN_COMMAND:
            self.wrong(
                node,
                "same_case of a rule that is in_command",
                "each such decision by itself",
                "delete same_case",
            )
        if not self.draft.reversible:
            self.wrong(
                node,
                "same_case where the effect is irreversible",
                "`stakes: {reversible: true}`",
                "declare it, or delete same_case",
            )
        return tuple(names)

    def approvals(self, node: Node, then: Mode) -> tuple[Approval, ...]:
        if node.kind == "scalar" and node.text == "-":
            return ()
        if then.lane is not Lane.HOLD:
            self.wrong(
                node,
                f"approve on a rule whose mode is {then}",
                "in_the_loop or in_command: only what is held is approved",
                "change `then`, or delete approve",
            )
        needs: dict[Approval, None] = {}
        entries = node.items if node.kind == "list" else [node]
        for entry in entries:
            if entry.kind == "map":
                for need in self.approval_group(entry):
                    needs[need] = None
            else:
                for name in self.who(entry, "approve"):
                    needs[Approval(of=(name,))] = None
        return tuple(needs)

    def approval_group(self, node: Node) -> list[Approval]:
        given = self.section(node, "approve")
        if set(given) == {"all"}:
            return [Approval(of=(name,)) for name in self.who(given["all"], "all")]
        if set(given) == {"any", "of"}:
            count = given["any"].value if given["any"].kind == "scalar" else None
            if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 20:
                self.wrong(
                    given["any"], f"any is {given['any'].shown}", "a whole number, 1 to 20", ""
                )
                return []
            names = self.who(given["of"], "of")
            if names and all(n.startswith("person:") for n in names) and count > len(names):
                self.wrong(given["any"], f"{count} of {len(names)} persons", "enough persons", "")
            return [Approval(of=names, count=count)] if names else []
        self.wrong(node, "an approval of that form", "`{all: [..]}` or `{any: 2, of: team:x}`", "")
        return []

    def matrix(self, spec: Node) -> DraftRule | None:
        given = self.section(spec, "matrix")
        name = self.rule_id(given, "matrix", spec)
        on_unknown = self.on_unknown(given)
        trial = self.flag(given["trial"], "trial") if "trial" in given else False
        then = self.mode(given.get("then"))
        severity = self.severity(given.get("severity"))
        because = self.sentence(given["because"]) if "because" in given else None
        if "columns" not in given or "rows" not in given:
            return None
        columns: list[tuple[str, str]] = []
        for item in self.items(given["columns"], "columns"):
            match = _COLUMN.fullmatch(item.text.strip())
            if match is None:
                self.wrong(item, f"the column {item.shown}", "such as `amount >` or `then`", "")
                return None
            columns.append((match[1], re.sub(r"\s+", " ", match[2] or "")))
        if given["rows"].kind != "list" or not given["rows"].items:
            self.wrong(given["rows"], f"rows is {given['rows'].shown}", "a list of rows", "")
            return None
        rows = []
        for row in given["rows"].items:
            made = self.matrix_row(
                row, columns, then, severity, because, guarded="on_unknown" in given
            )
            if made is not None:
                rows.append(made)
        return DraftRule(name, spec.line, spec.column, rows, on_unknown, trial, (), matrix=True)

    def matrix_row(
        self,
        row: Node,
        columns: list[tuple[str, str]],
        then: Mode,
        severity: Severity,
        because: Sentence | None,
        *,
        guarded: bool,
    ) -> Row | None:
        if row.kind != "list" or len(row.items) != len(columns):
            have = f"{len(row.items)} cells" if row.kind == "list" else row.shown
            self.wrong(row, f"a row of {have}", f"{len(columns)}, one a column", "")
            return None
        cells = {name: cell for (name, op), cell in zip(columns, row.items, strict=True) if not op}
        said = {
            key: cells[key]
            for key in ("then", "severity", "approve", "because")
            if key in cells and cells[key].text != "-"
        }
        then = self.mode(said.get("then"), then)
        severity = self.severity(said.get("severity"), severity)
        approvals = self.approvals(said["approve"], then) if "approve" in said else ()
        if "because" in said:
            because = self.sentence(said["because"])
        parts: list[str] = []
        for (name, op), cell in zip(columns, row.items, strict=True):
            if not op and name in ("then", "severity", "approve", "because"):
                continue
            if cell.kind == "scalar" and cell.style == "plain" and cell.text == "-":
                continue
            text = f"{name} {op or '=='} {self.cell(cell)}"
            try:
                tree = parse(text)
            except ExprError as error:
                self.wrong(cell, error.what, error.expected, error.fix)
                return None
            checker = Checker(self.draft.scope)
            checker.condition(tree, guarded)
            for fault in checker.faults:
                self.wrong(cell, fault.what, fault.expected, fault.fix)
            parts.append(text)
        source = " and ".join(parts) or "true"
        whole = parse(source)
        Checker(self.draft.scope).visit(whole)
        return Row(whole, source, then, severity, approvals, because)

    def cell(self, node: Node) -> str:
        if node.kind == "list":
            return "[" + ", ".join(self.cell(item) for item in node.items) + "]"
        value = node.value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | Decimal):
            return format(value, "f")
        return json.dumps(str(value), ensure_ascii=False)

    # ------------------------------------------------------------------ tiers, route, review

    def tiers(self, node: Node) -> None:
        given = self.section(node, "tiers", extra=True)
        if "risk" not in given or "at_least" not in given:
            return
        risks = self.risks(given["risk"])
        bounds = self.bounds(given["at_least"])
        cells: dict[str, list[Mode]] = {}
        names = [name for name, _, _ in risks]
        for key, row in node.items:
            if key.text in ("risk", "at_least"):
                continue
            if key.text not in names:
                if risks:
                    self.wrong(
                        key,
                        f"`{shorten(key.text)}` is no risk of these tiers",
                        "one of " + ", ".join(names),
                        nearest(key.text, names),
                    )
                continue
            modes = [self.mode(item) for item in self.items(row, f"tier {key.text}")]
            if row.kind == "list" and bounds and len(modes) != len(bounds):
                self.wrong(row, f"{len(modes)} modes", f"{len(bounds)}, one a bound", "")
            cells[key.text] = modes
        for name, _, _ in risks:
            if name not in {key.text for key, _ in node.items}:
                self.wrong(node, f"no modes for the risk `{name}`", f"`{name}: [..]`", "add it")
        floats = [None if bound is None else float(bound) for bound in bounds]
        self.draft.tiers = DraftTiers(risks, floats, cells)

    def risks(self, node: Node) -> list[tuple[str, Expr | None, str]]:
        if node.kind != "map" or not node.items:
            self.wrong(node, f"risk is {node.shown}", "`{high: condition, low: else}`", "")
            return []
        found: list[tuple[str, Expr | None, str]] = []
        last = node.items[-1][0]
        for key, spec in node.items:
            if spec.kind == "scalar" and spec.text == "else":
                if key is not last:
                    self.wrong(key, "`else` before the last risk", "`else` last", "move it down")
                found.append((key.text, None, "else"))
                continue
            if key is last:
                self.wrong(key, "the last risk has a condition", "`else`, so that one holds", "")
            tree = self.condition(spec, f"the risk {key.text}", guarded=True)
            if tree is not None:
                found.append((key.text, tree, spec.text))
        return found

    def bounds(self, node: Node) -> list[Decimal | None]:
        found: list[Decimal | None] = []
        for item in self.items(node, "at_least"):
            value = item.value
            if item.text == "none":
                found.append(None)
            elif isinstance(value, bool) or not isinstance(value, int | Decimal):
                self.wrong(item, f"the bound {item.shown}", "a number from 0 to 1, or `none`", "")
            elif not 0 <= value <= 1:
                self.wrong(item, f"the bound {item.shown}", "a number from 0 to 1", "")
            elif found and (found[-1] is None or found[-1] <= value):
                self.wrong(item, f"{item.shown} after {found[-1]}", "falling bounds", "sort them")
            else:
                found.append(Decimal(value))
        if found and (found[-1] is not None or Decimal(0) not in found):
            self.wrong(
                node,
                "bounds that leave a gap",
                "`0` and then `none` at the end",
                "write such as `[0.95, 0.80, 0, none]`",
            )
        return found

    def route(self, node: Node) -> None:
        if node.kind != "list" or not node.items:
            self.wrong(node, f"route is {node.shown}", "a list of lines", "`- {to: team:x, …}`")
            return
        ids = {rule.id for rule in self.draft.rules}
        for spec in node.items:
            given = self.section(spec, "route")
            to = self.who(given["to"], "to") if "to" in given else ()
            sla = self.span(given["sla"], "sla") if "sla" in given else None
            silence = self.mute(given.get("silence"))
            if silence is Silence.APPROVE and not self.draft.reversible:
                self.wrong(
                    given["silence"],
                    "silence approves what is irreversible",
                    "block, escalate or reject; approve only with `stakes: {reversible: true}`",
                    "write `silence: block`",
                )
            clock = "always"
            if "clock" in given:
                clock = self.one_of(given["clock"], "clock", ("always", "business")) or clock
            fallback = self.who(given["fallback"], "fallback") if "fallback" in given else ()
            if sla is None and fallback:
                self.wrong(given["fallback"], "a fallback without `sla`", "when it is due", "")
            severity = None
            if "severity" in given:
                severity = self.one_of(given["severity"], "severity", Severity)
            rule = given["rule"].text if "rule" in given else None
            if rule is not None and rule not in ids and self.draft.rules:
                self.wrong(
                    given["rule"], f"there is no rule `{rule}`", "a rule's id", nearest(rule, ids)
                )
            unconditional = "severity" not in given and "rule" not in given
            if unconditional and spec is not node.items[-1]:
                self.wrong(
                    spec, "a line without condition before the last", "it last", "move it down"
                )
            if not unconditional and spec is node.items[-1]:
                self.wrong(
                    spec,
                    "the last route has a condition",
                    "a last line for all the rest",
                    "add `- {to: team:x, sla: 4h, silence: block}`",
                )
            self.draft.routes.append(
                RouteLine(
                    severity=severity,
                    rule=rule,
                    route=Route(
                        to=to,
                        sla_seconds=None if sla is None else max(1, sla // 1_000_000),
                        clock=clock,
                        fallback=fallback,
                        silence=silence,
                    ),
                )
            )

    def mute(self, node: Node | None) -> Silence:
        if node is None:
            return Silence.BLOCK
        return self.one_of(node, "silence", Silence) or Silence.BLOCK

    def review(self, node: Node) -> None:
        draft = self.draft
        given = self.section(node, "review")
        if "reasons" in given:
            reasons = given["reasons"]
            if reasons.kind != "map":
                self.wrong(reasons, f"reasons is {reasons.shown}", "`{code: Words}`", "")
            else:
                for key, words in reasons.items:
                    if not _ID.fullmatch(key.text):
                        self.wrong(key, f"the reason code {key.shown}", "letters, digits, `-`", "")
                    draft.reasons[key.text] = self.text(words, f"the reason {key.text}")
        if "edit" in given:
            self.edit(given["edit"])
        if "choices" in given:
            seen = [item.text for item in self.items(given["choices"], "choices")]
            if len(set(seen)) != len(seen):
                self.wrong(given["choices"], "a choice twice", "each choice once", "delete one")
            draft.choices = tuple(seen)
        if "if_approved" in given:
            draft.if_approved = self.sentence(given["if_approved"])
        if "if_rejected" in given:
            draft.if_rejected = self.sentence(given["if_rejected"])
        if "undo" in given:
            undo = self.span(given["undo"], "undo")
            draft.undo_us = draft.undo_us if undo is None else undo
        if "valid" in given:
            draft.valid_us = self.span(given["valid"], "valid")

    def edit(self, node: Node) -> None:
        if node.kind == "map":
            self.wrong(
                node,
                "a JSON Schema as `edit` is not available yet",
                "a list of fields",
                "write `edit: [field]`",
            )
            return
        names = []
        for item in self.items(node, "edit"):
            found = self.known_field(item, "edit")
            if found is None:
                continue
            if not found.proposed:
                self.wrong(
                    item,
                    f"edit names `{found.name}`, which is a fact",
                    "fields with `from: proposal`: an edit changes only what will run",
                    f"declare `{found.name}` with `from: proposal`, or leave it out",
                )
            names.append(found.name)
        self.draft.edit = tuple(dict.fromkeys(names))

    def sampling(self, node: Node) -> None:
        given = self.section(node, "sampling")
        shares: dict[str, float] = {}
        for key, spec in given.items():
            match = _SHARE.fullmatch(spec.text) if spec.kind == "scalar" else None
            value = spec.value if spec.kind == "scalar" else None
            if match:
                share = Decimal(match[1]) / 100
            elif isinstance(value, int | Decimal) and not isinstance(value, bool):
                share = Decimal(value)
            else:
                share = Decimal(-1)
            if not 0 <= share <= 1:
                self.wrong(spec, f"{key} is {spec.shown}", "a share such as 2% or 0.02", "")
            else:
                shares[key] = float(share)
        self.draft.sampling = Sampling(**shares)

    def in_command(self, root: Node, top: dict[str, Node]) -> None:
        """Where a person enters the value, there must be something to enter."""
        draft = self.draft
        modes = {row.then for rule in draft.rules for row in rule.rows} | {draft.otherwise}
        if draft.tiers is not None:
            modes |= {mode for row in draft.tiers.cells.values() for mode in row}
        review = top.get("review")
        tried = (
            review is not None
            and review.kind == "map"
            and any(key.text in ("edit", "choices") for key, _ in review.items)
        )
        if Mode.IN_COMMAND in modes and not tried:
            self.wrong(
                review or root,
                "a mode is in_command, and a person has nothing to enter",
                "`review.edit` (fields from the proposal) or `review.choices`",
                "add `edit: [field]`",
            )

    # ------------------------------------------------------------------ cases

    def cases(self, node: Node) -> None:
        if node.kind != "list":
            self.wrong(node, f"cases is {node.shown}", "a list of cases: `- name: …`", "")
            return
        known: dict[str, DraftCase] = {}
        ids = {rule.id for rule in self.draft.rules if not rule.trial}
        trials = {rule.id for rule in self.draft.rules if rule.trial}
        for spec in node.items:
            given = self.section(spec, "case")
            if not given:
                continue
            name = self.text(given["name"], "the name") if "name" in given else ""
            case = DraftCase(name, spec)
            if name in known:
                self.wrong(spec, f"the case {name!r} is here a second time", "another name", "")
            if "like" in given:
                base = known.get(given["like"].text)
                if base is None:
                    self.wrong(
                        given["like"],
                        f"like names {given['like'].shown}",
                        "an earlier case",
                        nearest(given["like"].text, known),
                    )
                else:
                    case.facts = base.facts
                    case.proposal = base.proposal
                    case.confidence = base.confidence
                    case.lists, case.aggregates = base.lists, base.aggregates
            if "facts" in given:
                case.facts = merged(case.facts, self.input(given["facts"], "facts"))
            if "proposal" in given:
                case.proposal = merged(case.proposal, self.input(given["proposal"], "proposal"))
            if "confidence" in given:
                case.confidence = plain(given["confidence"])
            if "given" in given:
                self.given(case, given["given"])
            for key, pool in (("fires", ids), ("unknown", ids), ("trials", trials)):
                if key in given:
                    case.expected[key] = (given[key], self.rule_ids(given[key], key, pool))
            if "lane" in given:
                lane = self.one_of(given["lane"], "lane", Lane)
                case.expected["lane"] = (given["lane"], lane)
            if "mode" in given:
                case.expected["mode"] = (given["mode"], self.one_of(given["mode"], "mode", Mode))
            if "values" in given:
                wanted = self.input(given["values"], "values")
                for key_name in wanted:
                    if key_name not in {value.name for value in self.draft.values}:
                        self.wrong(
                            given["values"],
                            f"there is no value `{key_name}`",
                            "names under `values:`",
                            nearest(key_name, [value.name for value in self.draft.values]),
                        )
                case.expected["values"] = (given["values"], wanted)
            if not case.expected:
                self.wrong(
                    spec, f"the case {name!r} expects nothing", "`fires`, `lane` or `mode`", ""
                )
            known.setdefault(name, case)
            self.draft.cases.append(case)

    def input(self, node: Node, what: str) -> dict[str, Any]:
        if node.kind != "map":
            self.wrong(node, f"{what} is {node.shown}", "a mapping", "")
            return {}
        return {key.text: plain(value) for key, value in node.items}

    def given(self, case: DraftCase, node: Node) -> None:
        given = self.section(node, "given")
        lists, aggregates = dict(case.lists), dict(case.aggregates)
        if "lists" in given and given["lists"].kind == "map":
            for key, spec in given["lists"].items:
                if key.text not in self.draft.scope.lists:
                    self.wrong(
                        key,
                        f"there is no list `{key.text}`",
                        "a name under `lists:`",
                        nearest(key.text, self.draft.scope.lists),
                    )
                    continue
                made = self.list_items(key.text, spec, self.items(spec, f"the list {key.text}"))
                if made is not None:
                    lists[key.text] = made.items
        if "aggregates" in given and given["aggregates"].kind == "map":
            for key, spec in given["aggregates"].items:
                found = next((a for a in self.draft.aggregates if a.name == key.text), None)
                if found is None:
                    names = [a.name for a in self.draft.aggregates]
                    self.wrong(
                        key,
                        f"there is no aggregate `{key.text}`",
                        "a name under `aggregates:`",
                        nearest(key.text, names),
                    )
                    continue
                value = plain(spec)
                try:
                    if value is not None:
                        places = found.places if found.kind == "decimal" else 0
                        value = int(val.read_decimal(value, places).scaleb(places))
                    aggregates[key.text] = value
                except val.Wrong as error:
                    self.wrong(spec, f"{key.text} {error.message}")
        case.lists, case.aggregates = lists, aggregates

    def rule_ids(self, node: Node, what: str, pool: set[str]) -> tuple[str, ...]:
        found = []
        for item in self.items(node, what):
            if item.text not in pool:
                self.wrong(
                    item,
                    f"{what} names {item.shown}",
                    "trial rules" if what == "trials" else "rules that act",
                    nearest(item.text, pool),
                )
            found.append(item.text)
        return tuple(found)


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


def nearest_key(spec: Node) -> str:
    return "" if spec.items else "write such as `{type: decimal, places: 2}`"


__all__ = ["TEXTS", "Draft", "DraftCase", "DraftRule", "Plan", "Reader", "Row", "merged"]
