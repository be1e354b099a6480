"""`review.edit` as a JSON Schema (2020-12): what a person may enter, and how a form asks for it.

The schema is read with the policy: its keywords and their values, references, patterns and formats,
and that what it describes are fields `from: proposal`. An edit is then checked as a whole, with
exact decimals, and refused with a JSON pointer and a sentence for each thing that does not fit.

Nothing in a schema can reach out or run long. References lead to the schema's own `$defs` and never
in a circle, patterns are RE2's, and the visits that one check may take are counted beforehand. The
library `jsonschema` is loaded by the first policy that has a schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from decimal import Context, Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any
from uuid import UUID

import re2

from handrail.gate import values as val
from handrail.gate.draft import Plan
from handrail.gate.shapes import Shapes, plain
from handrail.gate.source import Node
from handrail.model.canonical import canonical_bytes
from handrail.model.policy import Field, Input
from handrail.model.text import nearest

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_VISITS = 20_000
"""Most visits of subschemas that one check may take; items count as often as there may be any."""
MAX_PATTERN = 1_000
"""Longest pattern, characters."""
MAX_PROBLEMS = 50
"""Most things that are named as wrong with one edit."""
MAX_DEEP = 16
"""Deepest nesting of subschemas, references followed."""

_ONE = ("not", "if", "then", "else", "additionalProperties", "propertyNames", "contains", "items")
_SEVERAL = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs")
_ITEMS = ("items", "contains")
_PLAIN = (
    "$schema", "$ref", "$comment", "type", "enum", "const", "multipleOf", "maximum",
    "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
    "maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "maxProperties",
    "minProperties", "required", "dependentRequired", "format", "title", "description", "default",
    "deprecated", "readOnly", "writeOnly", "examples",
)  # fmt: skip
KEYWORDS = frozenset((*_ONE, *_SEVERAL, *_NAMED, *_PLAIN))
"""The keywords of JSON Schema that are read. Another one is a mistake: it would be ignored."""

_KINDS: dict[str, tuple[str, ...]] = {
    "decimal": ("number", "integer"),
    "double": ("number", "integer"),
    "int": ("integer", "number"),
    "bool": ("boolean",),
    "list": ("array",),
    "object": ("object",),
}
"""Kind of a field → types of JSON its values have; those of all others are strings."""

_EXACT = Context(prec=2_000)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?", re.ASCII)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]{1,63}(\.[^@\s.]{1,63}){1,8}")


def _day(text: str) -> None:
    if len(text) != 10:
        raise ValueError
    date.fromisoformat(text)


def _clock(text: str) -> None:
    if not _TIME.fullmatch(text):
        raise ValueError
    time.fromisoformat(text)


def _email(text: str) -> None:
    if not _EMAIL.fullmatch(text):
        raise ValueError


FORMATS: dict[str, tuple[Any, str]] = {
    "date": (_day, "a day such as 2027-01-31"),
    "time": (_clock, "a time of day such as 07:30:00"),
    "date-time": (val.read_timestamp, "a time with an offset, such as 2027-01-31T08:00:00Z"),
    "email": (_email, "an e-mail address"),
    "uuid": (UUID, "a UUID"),
    "ipv4": (IPv4Address, "an IPv4 address"),
    "ipv6": (IPv6Address, "an IPv6 address"),
}
"""Formats that are checked: what raises `ValueError` for another text, and what is expected."""


class EditSchema:
    """A checked schema of what may be edited. Made by `read_schema`."""

    def __init__(self, schema: dict[str, Any], plans: Iterable[Plan]) -> None:
        self.schema = schema
        """As written, its numbers exact."""
        self.names = tuple(name for name, _, locked in _leaves(schema, plans) if not locked)
        """Fields that may be edited, by their dotted names."""
        self._plans = [plan for plan in plans if plan.key in schema["properties"]]
        self._validator = _validator(schema)

    def problems(self, proposal: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(JSON pointer into the proposal, sentence) of everything that does not fit.

        `proposal` is in stored form, as a whole; only what the schema's `properties` name is
        looked at.
        """
        instance = _as_json(self._plans, proposal, self.schema["properties"])
        found: dict[tuple[str, str], None] = {}
        for error in self._validator.iter_errors(instance):
            for problem in said(error):
                found[problem] = None
            if len(found) >= MAX_PROBLEMS:
                break
        return list(found)

    def inputs(self, fields: Mapping[str, Field]) -> tuple[Input, ...]:
        """How a form asks for each field that may be edited."""
        return tuple(
            _input(self.schema, fields[name], part)
            for name, part, locked in _leaves(self.schema, self._plans)
            if not locked
        )

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON holds it."""
        made = _json_numbers(self.schema)
        assert isinstance(made, dict)
        return made


# --------------------------------------------------------------------------------- reading one


def read_schema(reader: Shapes, node: Node) -> EditSchema | None:
    """The schema that a mapping under `edit:` is; None where it has a mistake."""
    before = len(reader.mistakes)
    schema = _Reading(reader, node).read()
    return None if len(reader.mistakes) > before else EditSchema(schema, reader.draft.plans)


class _Reading:
    """One schema while it is read: every mistake with its place."""

    def __init__(self, reader: Shapes, root: Node) -> None:
        self._wrong = reader.wrong
        self._mistakes = reader.mistakes
        self._draft = reader.draft
        self._root = root
        self._defs: dict[str, Node] = {}
        self._seen: dict[Node, tuple[int, int]] = {}

    def read(self) -> dict[str, Any]:
        root = self._root
        before = len(self._mistakes)
        for key, value in root.items:
            if key.text == "$defs" and value.kind == "map":
                self._defs = {name.text: part for name, part in value.items}
        self._keywords(root, 0)
        schema: dict[str, Any] = plain(root)
        if len(self._mistakes) == before:
            self._against_its_own_schema(schema)
        if len(self._mistakes) == before:
            visits, deep = self._visits(root)
            if visits > MAX_VISITS or deep > MAX_DEEP:
                self._wrong(
                    root,
                    f"checking one edit may take {visits:,} visits of the schema's parts, "
                    f"{deep} deep",
                    f"at most {MAX_VISITS:,}, {MAX_DEEP} deep",
                    "say `maxItems` of lists, and refer to a part of `$defs` less often",
                )
        if len(self._mistakes) == before:
            self._fields(root, schema, self._draft.plans, "")
        return schema

    def _keywords(self, node: Node, depth: int) -> None:
        """Known keywords only, everywhere; patterns, formats and references that can be used."""
        if node.kind != "map":
            if node.kind != "scalar" or not isinstance(node.value, bool):
                self._wrong(node, f"a schema is {node.shown}", "a mapping of keywords", "")
            return
        for key, value in node.items:
            name = key.text
            if name not in KEYWORDS:
                self._wrong(
                    key,
                    f"`{name}` is no keyword that is read here",
                    "one of JSON Schema 2020-12 but those that fetch, name or count what is not "
                    "in `properties`",
                    nearest(name, KEYWORDS),
                )
            elif name in _ONE:
                self._keywords(value, depth + 1)
            elif name in _SEVERAL and value.kind == "list":
                for part in value.items:
                    self._keywords(part, depth + 1)
            elif name in _NAMED and value.kind == "map":
                for label, part in value.items:
                    if name == "patternProperties":
                        self._pattern(label)
                    self._keywords(part, depth + 1)
            elif name == "$defs":
                self._wrong(value, f"$defs is {value.shown}", "a mapping of schemas", "")
            elif name == "pattern":
                self._pattern(value)
            elif name == "format" and value.text not in FORMATS:
                self._wrong(
                    value,
                    f"the format {value.shown} is not checked here",
                    "one of " + ", ".join(FORMATS),
                    nearest(value.text, FORMATS) or "say it with `pattern`",
                )
            elif name == "$schema" and value.text.rstrip("#") != DIALECT:
                self._wrong(value, f"$schema is {value.shown}", f"`{DIALECT}`", "leave it out")
            elif name == "$ref" and self._target(value) is None:
                self._wrong(
                    value,
                    f"$ref is {value.shown}",
                    "`#/$defs/NAME` with a part of this schema; nothing is fetched",
                    nearest(value.text.rpartition("/")[2], self._defs),
                )

    def _pattern(self, node: Node) -> None:
        if node.kind != "scalar" or len(node.text) > MAX_PATTERN:
            self._wrong(node, "the pattern is too long", f"at most {MAX_PATTERN} characters", "")
            return
        try:
            compiled(node.text)
        except re2.error as error:
            reason = error.args[0] if error.args else "unreadable"
            text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            self._wrong(
                node,
                f"the pattern does not compile: {text}",
                "RE2 syntax (no look-around, no back-references)",
                "see https://github.com/google/re2/wiki/Syntax",
            )

    def _target(self, node: Node) -> Node | None:
        start, _, name = node.text.rpartition("/")
        return self._defs.get(name) if start == "#/$defs" else None

    def _against_its_own_schema(self, schema: dict[str, Any]) -> None:
        from jsonschema import Draft202012Validator

        own = Draft202012Validator(Draft202012Validator.META_SCHEMA)
        for error in sorted(own.iter_errors(schema), key=lambda error: list(error.path)):
            for pointer, sentence in said(error):
                place = self._at(error.absolute_path)
                words = pointer.rpartition("/")[2] or "the schema"
                self._wrong(place, f"`{words}` {sentence}", "", "")

    def _at(self, path: Iterable[str | int]) -> Node:
        """The node at a path of keys and places; as near as there is one."""
        node = self._root
        for step in path:
            if isinstance(step, int):
                inside = node.items[step] if node.kind == "list" else None
            else:
                inside = next((v for k, v in node.items if k.text == step), None)
            if inside is None:
                return node
            node = inside
        return node

    def _fields(self, node: Node, schema: Any, plans: list[Plan], prefix: str) -> None:
        """What the schema describes are fields from the proposal, of a type it can have."""
        parts = schema.get("properties")
        if schema.get("type", "object") != "object" or not parts:
            self._wrong(
                node,
                "the schema of an edit describes no fields",
                "`type: object` and `properties:` with fields from the proposal",
                "write such as `properties: {amount: {maximum: 100}}`",
            )
            return
        known = {plan.key: plan for plan in plans}
        label = next(value for key, value in node.items if key.text == "properties")
        for key, part in label.items:
            plan = known.get(key.text)
            name = prefix + key.text
            if plan is None:
                if name not in self._draft.scope.broken:
                    self._wrong(
                        key,
                        f"edit names `{name}`, which is no field",
                        "a name under `fields:`",
                        nearest(key.text, known),
                    )
                continue
            if not plan.field.proposed:
                self._wrong(
                    key,
                    f"edit names `{name}`, which is a fact",
                    "fields with `from: proposal`: an edit changes only what will run",
                    f"declare `{name}` with `from: proposal`, or leave it out",
                )
                continue
            self._field(key, part, plan)

    def _field(self, key: Node, part: Node, plan: Plan) -> None:
        whole = _resolved(
            {"$defs": {name: plain(one) for name, one in self._defs.items()}}, plain(part)
        )
        kinds = _KINDS.get(plan.field.kind, ("string",))
        named = whole.get("type")
        types = [named] if isinstance(named, str) else named
        if types is not None and not set(types) & set(kinds):
            self._wrong(
                key,
                f"`{plan.field.name}` has the type {' or '.join(types)} here",
                f"{' or '.join(kinds)}: the field is declared as {plan.field.kind}",
                "",
            )
        if plan.field.kind == "enum" and "enum" in whole:
            for member in whole["enum"]:
                if member not in plan.field.members:
                    self._wrong(
                        key,
                        f"`{plan.field.name}` offers {val.shown(member)}",
                        "members of the field: " + ", ".join(plan.field.members),
                        nearest(str(member), plan.field.members),
                    )
        inner = part.kind == "map" and any(child.text == "properties" for child, _ in part.items)
        if plan.field.kind == "object" and inner:
            self._fields(part, whole, plan.parts, plan.field.name + ".")

    def _visits(self, node: Node, inside: tuple[Node, ...] = ()) -> tuple[int, int]:
        """How many subschemas one check visits at most, and how deep it goes; (0, 0) where they
        never end, which is a mistake."""
        if node.kind != "map":
            return 1, 1
        if node in self._seen:
            return self._seen[node]
        if node in inside:
            self._wrong(
                node, "the schema refers to itself", "references that end", "describe each level"
            )
            return 0, 0
        given = {key.text: value for key, value in node.items}
        most = given["maxItems"].value if "maxItems" in given else None
        items = min(most, val.MAX_ITEMS) if isinstance(most, int) else val.MAX_ITEMS
        total, deep = 1, 0
        for name, value in given.items():
            parts: list[Node] = []
            if name in _ONE:
                parts = [value]
            elif name in _SEVERAL:
                parts = value.items
            elif name in _NAMED and name != "$defs":
                parts = [part for _, part in value.items]
            elif name == "$ref" and (target := self._target(value)) is not None:
                parts = [target]
            for part in parts:
                visits, below = self._visits(part, (*inside, node))
                if not visits:
                    return 0, 0
                # The alternatives of `oneOf` are looked at once more at most.
                total += visits * (items if name in _ITEMS else 2)
                deep = max(deep, below)
        self._seen[node] = min(total, 10**12), deep + 1
        return self._seen[node]


# ------------------------------------------------------------------------------- checking an edit


def compiled(pattern: str) -> Any:
    """A pattern of a schema, as RE2 reads it. Raises `re2.error`."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return re2.compile(pattern, options)


def _validator(schema: dict[str, Any]) -> Validator:
    """The library's validator with exact numbers, RE2 and our formats; it fetches nothing."""
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend
    from referencing import Registry

    patterns: dict[str, Any] = {}

    def search(pattern: str, text: str) -> bool:
        if pattern not in patterns:
            patterns[pattern] = compiled(pattern)
        return patterns[pattern].search(text) is not None

    def pattern_(validator: Validator, pattern: str, instance: Any, schema: Any) -> Any:
        if isinstance(instance, str) and not search(pattern, instance):
            yield ValidationError("")

    def by_pattern(validator: Any, parts: dict[str, Any], instance: Any, schema: Any) -> Any:
        if isinstance(instance, dict):
            for pattern, part in parts.items():
                for name, value in instance.items():
                    if search(pattern, name):
                        yield from validator.descend(value, part, path=name, schema_path=pattern)

    def no_other(validator: Any, other: Any, instance: Any, schema: dict[str, Any]) -> Any:
        if not isinstance(instance, dict):
            return
        for name, value in instance.items():
            if name in schema.get("properties", {}) or any(
                search(pattern, name) for pattern in schema.get("patternProperties", {})
            ):
                continue
            if other is False:
                yield ValidationError("", path=[name])
            else:
                yield from validator.descend(value, other, path=name)

    def unique(validator: Any, wanted: bool, instance: Any, schema: Any) -> Any:
        if wanted and isinstance(instance, list):
            texts = [canonical_bytes(_json_numbers(item)) for item in instance]
            if len(set(texts)) < len(texts):
                yield ValidationError("")

    def multiple(validator: Any, step: Any, instance: Any, schema: Any) -> Any:
        if _is_number(instance) and _EXACT.remainder(Decimal(instance), Decimal(step)):
            yield ValidationError("")

    checker = FormatChecker(formats=())
    for name, (read, _) in FORMATS.items():
        checker.checks(name, raises=(ValueError, val.Wrong))(_checks(read))
    kinds = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "number": lambda _, value: _is_number(value),
            "integer": lambda _, value: _is_number(value) and value == int(value),
        }
    )
    made = extend(
        Draft202012Validator,
        {
            "pattern": pattern_,
            "patternProperties": by_pattern,
            "additionalProperties": no_other,
            "uniqueItems": unique,
            "multipleOf": multiple,
        },
        type_checker=kinds,
    )
    return made(schema, registry=Registry(), format_checker=checker)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _checks(read: Any) -> Any:
    """A check of a format as the library takes it: only texts have one."""

    def check(value: Any) -> bool:
        if isinstance(value, str):
            read(value)
        return True

    return check


def said(error: ValidationError) -> Iterator[tuple[str, str]]:
    """(JSON pointer, sentence) of what an error of the library means."""
    pointer = "".join(f"/{val.escape(str(step))}" for step in error.absolute_path)
    is_ = f"is {_shown(error.instance)}; expected"
    wanted, word = error.validator_value, str(error.validator)
    size = len(error.instance) if isinstance(error.instance, str | list | dict) else 0
    if word == "required":
        for name in wanted:
            if name not in error.instance:
                yield f"{pointer}/{val.escape(name)}", "is missing; the schema requires it"
    elif word == "dependentRequired":
        for name, needs in wanted.items():
            for need in needs if name in error.instance else ():
                if need not in error.instance:
                    yield f"{pointer}/{val.escape(need)}", f"is missing; {name} requires it"
    elif word in ("anyOf", "oneOf") and error.context:
        ways = []
        for part in error.context[:3]:
            where = "".join(f"/{step}" for step in part.relative_path)
            ways += [f"{where} {sentence}".strip() for _, sentence in said(part)]
        yield pointer, "fits none of the ways the schema allows: " + ", or ".join(ways)
    elif word in ("minItems", "maxItems", "minLength", "maxLength") and size:
        unit = "items" if word.endswith("Items") else "characters"
        side = "least" if word.startswith("min") else "most"
        yield pointer, f"has {size:,} {unit}; expected at {side} {wanted:,}"
    else:
        yield pointer, _SAYS.get(word, _other)(is_, wanted, word)


def _other(is_: str, wanted: Any, word: str) -> str:
    return f"does not fit `{word}` of the schema"


_SAYS: dict[str, Any] = {
    "type": lambda is_, wanted, _: (
        f"{is_} {' or '.join([wanted] if isinstance(wanted, str) else wanted)}"
    ),
    "enum": lambda is_, wanted, _: f"{is_} one of {', '.join(_bare(one) for one in wanted)}",
    "const": lambda is_, wanted, _: f"{is_} {_bare(wanted)}",
    "minimum": lambda is_, wanted, _: f"{is_} at least {_bare(wanted)}",
    "maximum": lambda is_, wanted, _: f"{is_} at most {_bare(wanted)}",
    "exclusiveMinimum": lambda is_, wanted, _: f"{is_} more than {_bare(wanted)}",
    "exclusiveMaximum": lambda is_, wanted, _: f"{is_} less than {_bare(wanted)}",
    "multipleOf": lambda is_, wanted, _: f"{is_} a multiple of {_bare(wanted)}",
    "pattern": lambda is_, wanted, _: f"{is_} text that matches {wanted}",
    "format": lambda is_, wanted, _: f"{is_} {FORMATS[wanted][1]}",
    "uniqueItems": lambda *_: "holds an item twice; expected each once",
    "not": lambda *_: "is what the schema excludes",
    "additionalProperties": lambda *_: "is not named by the schema",
}


def _bare(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return val.shown(value).removeprefix("the text ")


def _shown(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else val.shown(value)


# ------------------------------------------------------------------------------------- conversion


def _json_numbers(value: Any) -> Any:
    """Exact numbers as JSON writes them."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _json_numbers(part) for name, part in value.items()}
    return [_json_numbers(part) for part in value] if isinstance(value, list) else value


def _as_json(
    plans: Iterable[Plan], stored: Mapping[str, Any], parts: Mapping[str, Any]
) -> dict[str, Any]:
    """The stored values of these fields as JSON has them: decimals are numbers, and exact."""
    made: dict[str, Any] = {}
    for plan in plans:
        value = stored.get(plan.key)
        if value is None or plan.key not in parts:
            continue
        if plan.field.kind == "object" and isinstance(value, Mapping):
            part = parts[plan.key]
            inner = part.get("properties") if isinstance(part, dict) else None
            made[plan.key] = _as_json(
                plan.parts, value, inner or {one.key: True for one in plan.parts}
            )
        else:
            made[plan.key] = _exact(value, plan.field.of or plan.field.kind)
    return made


def _exact(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [_exact(item, kind) for item in value]
    if isinstance(value, float):
        return Decimal(repr(value))
    return Decimal(value) if kind == "decimal" and isinstance(value, str) else value


# ------------------------------------------------------------------------------------------ forms


def _leaves(
    schema: dict[str, Any], plans: Iterable[Plan], prefix: str = ""
) -> Iterator[tuple[str, Any, bool]]:
    """(field, what the schema says of it, whether it is only read) of what a person may enter."""
    known = {plan.key: plan for plan in plans}
    for key, part in schema["properties"].items():
        plan, name = known[key], prefix + key
        inner = part.get("properties") if isinstance(part, dict) else None
        if plan.field.kind == "object" and inner:
            yield from _leaves(part, plan.parts, name + ".")
        else:
            yield name, part, isinstance(part, dict) and part.get("readOnly") is True


def _resolved(root: Mapping[str, Any], part: Any, deep: int = MAX_DEEP) -> dict[str, Any]:
    """What a part says of its value at any rate: by itself, by reference, and by `allOf`."""
    if not isinstance(part, dict) or not deep:
        return {}
    made: dict[str, Any] = {}
    name = str(part.get("$ref", "")).rpartition("/")[2]
    for other in (root.get("$defs", {}).get(name), *part.get("allOf", ())):
        made.update(_resolved(root, other, deep - 1))
    return {**made, **part}


def _input(root: Mapping[str, Any], field: Field, part: Any) -> Input:
    """A field's form, narrowed by what the schema says of it."""
    says = _resolved(root, part)
    own = Input.of(field)
    choices, titles = own.choices, own.titles
    if "enum" in says:
        choices, titles = tuple(_text(one) for one in says["enum"] if one is not None), ()
    elif "const" in says:
        choices, titles = (_text(says["const"]),), ()
    elif _offered(says.get("oneOf")):
        choices = tuple(_text(one["const"]) for one in says["oneOf"])
        titles = tuple(str(one.get("title", _text(one["const"]))) for one in says["oneOf"])
    shape = own.shape
    if choices and field.kind != "list":
        shape = "yes_no" if field.kind == "bool" and set(choices) == {"true", "false"} else "select"
    elif own.shape == "text" and says.get("format") in ("date", "time", "email"):
        shape = says["format"]
    low = says.get("minimum", says.get("exclusiveMinimum"))
    high = says.get("maximum", says.get("exclusiveMaximum"))
    step = says.get("multipleOf")
    return Input(
        name=field.name,
        shape=shape,
        title=str(says.get("title", "")),
        help=str(says.get("description", "")),
        choices=choices,
        titles=titles,
        low=_tighter(own.low, low, max),
        high=_tighter(own.high, high, min),
        step=own.step if step is None else _text(step),
        most=says.get("maxLength"),
        unit=field.unit,
        optional=field.optional,
    )


def _offered(ways: Any) -> bool:
    """Whether `oneOf` is a list of constants, each with a title maybe."""
    return bool(ways) and all(isinstance(one, dict) and "const" in one for one in ways)


def _tighter(own: str | None, bound: Any, pick: Any) -> str | None:
    if not _is_number(bound):
        return own
    if own is None or not _NUMBER.fullmatch(own):
        return _text(bound)
    return format(pick(Decimal(own), Decimal(bound)), "f")


_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


def _text(value: Any) -> str:
    """A value as a form sends it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)
