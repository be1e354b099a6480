"""Declarations: fields, lists, aggregates, named values and stakes."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

from handrail.gate import values as val
from handrail.gate.checker import ERROR, NUMBERS, Checker, NamedList, Symbol, Type
from handrail.gate.draft import DraftCheck, DraftValue, Plan
from handrail.gate.language import FUNCTIONS, KINDS, NORMAL_FORMS
from handrail.gate.scope import Table, kept
from handrail.gate.series import (
    DAY_US,
    MOST_BUCKETS,
    SECOND_US,
    Aggregate,
    Grid,
    Keeps,
    Part,
    Series,
    known_zone,
    width_for,
)
from handrail.gate.shapes import MAX_NAMES, NAME, Shapes, plain
from handrail.gate.source import Node, lookalike, shorten
from handrail.gate.syntax import RESERVED, Expr, ExprError, parse
from handrail.model.canonical import digest
from handrail.model.policy import Field
from handrail.model.text import nearest
from handrail.model.versions import items_digest

MAX_LIST_BYTES = 4 * 1024 * 1024
"""Largest list file, bytes."""
MAX_LIST_ITEMS = 200_000
"""Most items of one list."""
MAX_LIST_ITEM = 1_000
"""Longest item of a list, characters."""

MAX_TABLE_ROWS = 50_000
"""Most rows of one table."""
MAX_COLUMNS = 50
"""Most columns of one table."""
MAX_CHECKS = 50
"""Most checks of one policy."""

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?(%?)", re.ASCII)
_CHECK = re.compile(r"[a-z][a-z0-9_-]{0,62}\.[a-z][a-z0-9_-]{0,62}", re.ASCII)


SUBMITTED = "decisions:submitted"
RELEASED = "decisions:released"
STREAM = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
"""Names of streams."""
KEEPS = {
    "sum": Keeps.TOTAL,
    "count": Keeps.TOTAL,
    "mean": Keeps.TOTAL,
    "stddev": Keeps.SQUARES,
    "smallest": Keeps.ENDS,
    "largest": Keeps.ENDS,
    "last": Keeps.LAST,
    "distinct": Keeps.DISTINCT,
    "quantile": Keeps.BINS,
    "top": Keeps.BINS,
}


class Declarations(Shapes):
    """Reads what rules may refer to, and gives every name its slot and type."""

    # ------------------------------------------------------------------ fields

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
        if len(self.draft.scope.symbols) >= MAX_NAMES:
            self.wrong(key, f"more than {MAX_NAMES} names", f"at most {MAX_NAMES}", "split it")
            return False
        if not NAME.fullmatch(last):
            self.bad_name(key, last)
            return False
        if last in RESERVED and "." not in name:
            self.wrong(key, f"the name `{last}` is a word of the language", "another name", "")
            return False
        if name in self.draft.scope.symbols:
            self.wrong(key, f"the name `{name}` is taken", "a name of its own", "rename one")
            return False
        return True

    def bad_name(self, node: Node, name: str) -> None:
        odd = lookalike(name)
        good = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40] or "amount"
        self.wrong(
            node,
            f"the name `{shorten(name)}`" + (f" holds {odd}" if odd else ""),
            "letters a to z, digits and `_`, a letter first, at most 63",
            f"such as `{good}`" if not odd else "type the name anew",
        )

    def one_script(self, node: Node) -> None:
        """A word of letters that look alike in two scripts is a mistake."""
        odd = lookalike(node.text)
        if odd:
            self.wrong(
                node,
                f"{node.shown} holds {odd} beside Latin ones",
                "letters of one script in a word",
                "type it anew",
            )

    def typed(
        self,
        key: Node,
        spec: Node,
        name: str,
        maybe: bool,
        proposed: bool | None,
        implied: tuple[str, ...],
    ) -> Plan | None:
        made = self.declared(spec, name, "field", proposed)
        if made is None:
            return None
        declared, given, low, high = made
        slot = self.draft.scope.slot()
        self.draft.fields[name] = declared
        if declared.kind == "object":
            return self.object(declared, given["object"], slot, maybe, implied)
        if declared.of == "object":
            return self.list_of_objects(declared, given["list"], slot, maybe, implied)
        self.draft.scope.symbols[name] = Symbol(
            name, "field", type_of(declared), slot, maybe or declared.optional, frozenset(implied)
        )
        return Plan(key.text, declared, slot, val.field_reader(declared, low, high))

    def declared(
        self, spec: Node, name: str, section: str, proposed: bool | None
    ) -> tuple[Field, dict[str, Node], Any, Any] | None:
        """A typed declaration: the field, its keys, and its bounds as typed values."""
        given: dict[str, Node] = {}
        if spec.kind == "scalar":
            kind = self.kind_name(spec)
        elif spec.kind == "map":
            given = self.section(spec, section)
            shapes = ("type", "enum", "list", "object")[: None if section == "field" else 3]
            kinds = [word for word in shapes if word in given]
            if len(kinds) != 1 and any(key.text == "object" for key, _ in spec.items) > len(kinds):
                return None  # said already: it is no key here
            if len(kinds) != 1:
                self.wrong(
                    spec,
                    f"`{name}` has {' and '.join(f'`{word}`' for word in kinds) or 'no type'}",
                    "one of " + ", ".join(f"`{word}`" for word in shapes),
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
            if of == "object" and section != "field":
                self.wrong(given["list"], f"`{name}` lists objects", "plain items", "")
                return None
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
        derived = False
        if "derived_from" in given:
            node = given["derived_from"]
            if from_proposal:
                self.wrong(node, "`derived_from` beside `from`", "one of them", "delete one")
            elif node.text != "proposal":
                self.wrong(node, f"derived_from is {node.shown}", "`proposal`", "or delete it")
            elif "." in name:
                self.wrong(node, "`derived_from` inside an object", "it of the whole object", "")
            else:
                derived = True
        normal = self.normal(given["normal"], kind, of) if "normal" in given else ()
        for member in members:
            if val.normalise(member, normal) != member:
                self.wrong(
                    given["normal"],
                    f"the member `{member}` can never be read: it is not in its normal form",
                    f"`{val.normalise(member, normal)}`",
                    "write the members in the normal form",
                )
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
            derived=derived,
        )
        return declared, given, low[0], high[0]

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

    def list_of_objects(
        self, declared: Field, node: Node, slot: int, maybe: bool, implied: tuple[str, ...]
    ) -> Plan | None:
        """A list whose items are objects of plain parts: read by `exists` and `all`."""
        name = declared.name
        body = next((value for key, value in node.items if key.text == "object"), node)
        if body.kind != "map" or not body.items:
            self.wrong(body, f"the items of `{name}` are {body.shown}", "`name: type` lines", "")
            return None
        plan = Plan(name.rsplit(".", 1)[-1], declared, slot, lambda value: value)
        kinds = []
        for key, spec in body.items:
            if not NAME.fullmatch(key.text):
                self.bad_name(key, key.text)
                continue
            made = self.declared(spec, f"{name}.{key.text}", "field", declared.proposed)
            if made is None:
                continue
            part, _, low, high = made
            if part.kind in ("object", "list"):
                self.wrong(
                    spec, f"a {part.kind} inside the items of `{name}`", "plain parts", "flatten it"
                )
                continue
            at = len(plan.parts)
            plan.parts.append(Plan(key.text, part, at, val.field_reader(part, low, high)))
            kinds.append((key.text, type_of(part), part.optional))
        self.draft.scope.symbols[name] = Symbol(
            name,
            "field",
            Type("list", of="object", parts=tuple(kinds)),
            slot,
            maybe or declared.optional,
            frozenset(implied),
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
            self.one_script(item)
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
            if set(given) == {"object"}:
                return "object", (), None
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
            if not NAME.fullmatch(name):
                self.wrong(key, f"the list name `{shorten(name)}`", "letters, digits and `_`", "")
                continue
            named = self.named_list(name, spec)
            self.draft.scope.lists[name] = named
            if named is not None:
                self.draft.lists[name] = named
                # What a stored list holds is no part of a version: a hole, filled by rulings.
                self.draft.list_digests[name] = (
                    "stored" if named.stored else items_digest(named.items)
                )

    def named_list(self, name: str, spec: Node) -> NamedList | None:
        if spec.kind == "list":
            items = self.items(spec, f"the list {name}")
            return self.list_items(name, spec, items)
        if spec.kind == "map":
            return self.made_list(name, spec)
        if spec.text == "stored":
            return NamedList(name, (), "text", stored=True)
        self.wrong(
            spec, f"the list {name} is {spec.shown}", "`[..]`, `{file: …}` or `{stored: true}`", ""
        )
        return None

    def made_list(self, name: str, spec: Node) -> NamedList | None:
        """A list that is read from a file, or kept in the store."""
        given = self.section(spec, "list")
        if "stored" in given:
            if "file" in given or "column" in given:
                self.wrong(spec, f"the list {name} is stored and has a file", "one of them", "")
            elif self.flag(given["stored"], "stored"):
                return NamedList(name, (), "text", stored=True)
            else:
                self.wrong(given["stored"], "stored is false", "true", "or give the items")
            return None
        if "file" not in given:
            self.wrong(
                spec,
                f"the list {name} says not where its items are",
                "`file` or `stored`",
                "write `{file: lists/x.csv}` or `{stored: true}`",
            )
            return None
        return self.list_file(name, given)

    def list_items(self, name: str, spec: Node, nodes: list[Node]) -> NamedList | None:
        for node in nodes:
            self.one_script(node)
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
        text = self.file_text(node)
        if text is None:
            return None
        items = self.column(node, text, given.get("column"))
        if items is None:
            return None
        self.draft.file_digests[node.text.strip()] = digest(items)
        return NamedList(name, tuple(items), "text")

    def file_text(self, node: Node) -> str | None:
        """The text of a file beside the policy, bounded."""
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
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.wrong(
                node, f"byte {error.start} of {node.shown} is not UTF-8", "UTF-8 text", "convert it"
            )
            return None

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

    # ------------------------------------------------------------------ tables and checks

    def tables(self, node: Node) -> None:
        if node.kind != "map":
            self.wrong(node, f"tables is {node.shown}", "`name: {key: …, columns: …}` lines", "")
            return
        for key, spec in node.items:
            name = key.text
            if not NAME.fullmatch(name):
                self.bad_name(key, name)
                continue
            before = len(self.mistakes)
            table = self.table(name, spec)
            good = table is not None and len(self.mistakes) == before
            self.draft.scope.tables[name] = table if good else None
            if table is not None and good:
                self.draft.tables[name] = table
            else:
                self.draft.scope.broken.add("tables")

    def table(self, name: str, spec: Node) -> Table | None:
        given = self.section(spec, "table")
        if not {"key", "columns"} <= set(given):
            return None
        field = self.known_field(given["key"], f"the key of {name}")
        if field is None:
            return None
        if field.kind not in ("string", "enum", "person", "int"):
            self.wrong(
                given["key"],
                f"the key of {name} is `{field.name}`, a {field.kind}",
                "a text, an enum or an int",
                "",
            )
            return None
        columns: dict[str, Plan] = {}
        if given["columns"].kind != "map" or not given["columns"].items:
            self.wrong(
                given["columns"], f"columns is {given['columns'].shown}", "`name: type` lines", ""
            )
            return None
        for key, kind in given["columns"].items:
            if not NAME.fullmatch(key.text):
                self.bad_name(key, key.text)
                continue
            made = self.declared(kind, f"{name}.{key.text}", "column", None)
            if made is not None:
                column, _, low, high = made
                columns[key.text] = Plan(key.text, column, -1, val.field_reader(column, low, high))
        if len(columns) > MAX_COLUMNS:
            self.wrong(
                given["columns"], f"{len(columns)} columns", f"at most {MAX_COLUMNS}", "split it"
            )
        if ("rows" in given) == ("file" in given):
            self.wrong(spec, f"the table {name} has " + ("both" if "rows" in given else "neither")
                       + " of `rows` and `file`", "one of them", "")  # fmt: skip
            return None
        kinds = {c: type_of(p.field) for c, p in columns.items()}
        table = Table(name, field.name, kinds, {}, columns)
        if "rows" in given:
            rows = self.table_rows(given["rows"], table, columns, field)
        else:
            rows = self.table_file(given["file"], table, columns, field)
        if rows is None:
            return None
        table.rows = rows
        table.digest = digest(
            {
                "key": field.name,
                "columns": {c: described(p.field) for c, p in columns.items()},
                "rows": {
                    key: [
                        kept(c, type_of(p.field))
                        for c, p in zip(cells, columns.values(), strict=True)
                    ]
                    for key, cells in rows.items()
                },
            }
        )
        return table

    def table_rows(
        self, node: Node, table: Table, columns: dict[str, Plan], key_field: Field
    ) -> dict[str, tuple[Any, ...]] | None:
        """Rows written into the file, by key."""
        if node.kind != "map":
            self.wrong(node, f"rows is {node.shown}", "`key: {column: value}` lines", "")
            return None
        rows: dict[str, tuple[Any, ...]] = {}
        for key, spec in node.items:
            cells: dict[str, Any] = {}
            if spec.kind != "map":
                self.wrong(spec, f"the row {key.shown} is {spec.shown}", "`{column: value}`", "")
                continue
            for column, cell in spec.items:
                plan = columns.get(column.text)
                if plan is None:
                    self.wrong(
                        column,
                        f"the table {table.name} has no column {column.shown}",
                        "one of " + ", ".join(columns),
                        nearest(column.text, columns),
                    )
                    continue
                try:
                    value = plain(cell)
                    cells[column.text] = None if value is None else plan.read(value)
                except val.Wrong as error:
                    self.wrong(cell, f"{column.text} {error.message}")
            self.table_row(key, key.text, rows, cells, columns, key_field)
        return rows

    def table_row(
        self,
        node: Node,
        key: str,
        rows: dict[str, tuple[Any, ...]],
        cells: dict[str, Any],
        columns: dict[str, Plan],
        key_field: Field,
    ) -> None:
        name = val.normalise(key, key_field.normal)
        if node.text == key:
            self.one_script(node)
        if key_field.members and name not in key_field.members:
            self.wrong(
                node,
                f"the row `{shorten(key)}` is no member of `{key_field.name}`",
                "one of " + ", ".join(key_field.members[:12]),
                nearest(key, key_field.members),
            )
        if name in rows:
            self.wrong(node, f"a second row for `{shorten(name)}`", "one row a key", "delete one")
        rows[name] = tuple(cells.get(column) for column in columns)
        if len(rows) == MAX_TABLE_ROWS + 1:
            self.wrong(
                node, f"more than {MAX_TABLE_ROWS:,} rows", f"at most {MAX_TABLE_ROWS:,}",
                "send the looked-up value as a field",
            )  # fmt: skip

    def table_file(
        self, node: Node, table: Table, columns: dict[str, Plan], key_field: Field
    ) -> dict[str, tuple[Any, ...]] | None:
        """Rows of a CSV file: a header with the key field's name and the columns."""
        text = self.file_text(node)
        if text is None:
            return None
        rows: dict[str, tuple[Any, ...]] = {}
        try:
            lines = csv.reader(io.StringIO(text, newline=""))
            header = [cell.strip() for cell in next(lines, [])]
            lacking = [name for name in (key_field.name, *columns) if name not in header]
            if lacking:
                self.wrong(
                    node,
                    f"the file {node.shown} has no column `{lacking[0]}`",
                    "a header line with " + ", ".join((key_field.name, *columns)),
                    nearest(lacking[0], header),
                )
                return None
            at = header.index(key_field.name)
            for number, cells in enumerate(lines, 2):
                key = cells[at].strip() if at < len(cells) else ""
                if not key:
                    continue
                named = dict(zip(header, cells, strict=False))
                typed: dict[str, Any] = {}
                for name, plan in columns.items():
                    try:
                        typed[name] = from_cell(plan, named.get(name, "").strip())
                    except val.Wrong as error:
                        self.wrong(node, f"line {number} of {node.shown}: {name} {error.message}")
                self.table_row(node, key, rows, typed, columns, key_field)
                if len(rows) > MAX_TABLE_ROWS:
                    return None
        except csv.Error as error:
            self.wrong(node, f"the file {node.shown} is no CSV file ({error})", "a CSV file")
            return None
        self.draft.file_digests[node.text.strip()] = digest(text)
        return rows

    def checks(self, node: Node) -> None:
        if node.kind != "map":
            self.wrong(node, f"checks is {node.shown}", "`name: {run: PACK.NAME, …}` lines", "")
            return
        scope = self.draft.scope
        for key, spec in node.items:
            name = f"checks.{key.text}"
            if not NAME.fullmatch(key.text):
                self.bad_name(key, key.text)
                continue
            before = len(self.mistakes)
            made = self.check(key.text, spec)
            if made is None or len(self.mistakes) > before:
                scope.broken.add(name)
                continue
            self.draft.checks.append(made)
            scope.symbols[name] = Symbol(
                name, "check", type_of(made.gives), made.slot, maybe=True, why_slot=made.why_slot
            )
        if len(self.draft.checks) > MAX_CHECKS:
            self.wrong(
                node, f"{len(self.draft.checks)} checks", f"at most {MAX_CHECKS}", "delete some"
            )

    def check(self, name: str, spec: Node) -> DraftCheck | None:
        given = self.section(spec, "check")
        if not {"run", "reads", "gives"} <= set(given):
            return None
        run = given["run"]
        if run.kind != "scalar" or not _CHECK.fullmatch(run.text):
            self.wrong(run, f"run is {run.shown}", "`PACK.NAME`", "such as `support.pii`")
            return None
        reads = []
        for item in self.items(given["reads"], "reads"):
            found = self.known_field(item, "reads")
            if found is not None:
                reads.append(found.name)
        if not reads and not self.items(given["reads"], "reads"):
            self.wrong(given["reads"], "a check that reads nothing", "at least one field", "")
        made = self.declared(given["gives"], name, "column", None)
        if made is None:
            return None
        field, _, low, high = made
        scope = self.draft.scope
        return DraftCheck(
            name=name,
            run=run.text,
            reads=tuple(reads),
            slot=scope.slot(),
            why_slot=scope.slot(),
            gives=field,
            read=val.field_reader(field, low, high),
        )

    def groups(self, node: Node) -> None:
        names = []
        for item in self.items(node, "groups"):
            found = self.known_field(item, "groups")
            if found is None:
                continue
            if found.proposed:
                self.wrong(
                    item,
                    f"the group `{found.name}` is part of the proposal",
                    "a fact about whom the decision is for",
                    "",
                )
            elif found.kind not in ("enum", "bool", "string"):
                self.wrong(
                    item,
                    f"the group `{found.name}` is a {found.kind}",
                    "an enum, a yes-or-no field or a text with few values",
                    "send the band, such as `60+`, as an enum",
                )
            names.append(found.name)
        self.draft.groups = tuple(dict.fromkeys(names))

    # ------------------------------------------------------------------ aggregates and values

    def aggregates(self, node: Node) -> None:
        if node.kind != "map":
            self.wrong(node, f"aggregates is {node.shown}", "`name: {sum: …}` lines", "")
            return
        earlier: dict[str, dict[str, Node]] = {}
        for key, spec in node.items:
            if not self.usable_name(key, key.text):
                continue
            before = len(self.mistakes)
            made = self.aggregate(key, spec, earlier)
            if made is None or len(self.mistakes) > before:
                self.draft.scope.broken.add(key.text)

    def aggregate(
        self, key: Node, spec: Node, earlier: dict[str, dict[str, Node]]
    ) -> Aggregate | None:
        name = key.text
        before = len(self.mistakes)
        given = self.section(spec, "aggregate")
        if "like" in given:
            base = earlier.get(given["like"].text)
            if base is None:
                self.wrong(
                    given["like"],
                    f"like names {given['like'].shown}, which is no aggregate above it",
                    "an aggregate that stands before this one",
                    nearest(given["like"].text, earlier),
                )
                return None
            # Another function takes the place of that of the aggregate it is like.
            own = any(word in given for word in FUNCTIONS)
            base = {k: v for k, v in base.items() if not (own and k in (*FUNCTIONS, "of"))}
            given = {**base, **given}
        earlier[name] = {word: value for word, value in given.items() if word != "like"}
        functions = [word for word in FUNCTIONS if word in given]
        if len(functions) != 1:
            if len(self.mistakes) == before:
                self.wrong(spec, f"`{name}` has {len(functions)} functions", one_of(FUNCTIONS), "")
            return None
        for word, what in (("over", "what it looks at"), ("window", "how far back it looks")):
            if word not in given and spec.kind == "map":
                self.wrong(
                    spec,
                    f"`{word}` is missing",
                    f"{what}, such as `{word}: {'24h' if word == 'window' else SUBMITTED}`",
                    f"add `{word}:`",
                )
        function = functions[0]
        over = self.over(given["over"]) if "over" in given else None
        if over is None:
            return None
        source, events = over
        by = self.by(given, events)
        field = self.aggregated(name, function, given, events)
        timing = self.timing(given, events, 96 if KEEPS[function] is Keeps.TOTAL else 24)
        if field is None or timing is None:
            return None
        part, kind, places, unit, ends = field
        grid, window, offset, complete, weekday = timing
        if weekday and function not in ("count", "sum"):
            self.wrong(
                given["same"],
                f"`same: weekday` of a {function}",
                "it with `count` or `sum`: the median over these days",
                "",
            )
        least = self.least(given["min"]) if "min" in given else 0
        late = self.span(given["lateness"], "lateness") if "lateness" in given else None
        if late is not None and not events:
            self.wrong(
                given["lateness"],
                "`lateness` over decisions",
                "it over `events:…` only: decisions are counted as they come",
                "delete it",
            )
        share = Fraction(1, 2)
        if function == "quantile":
            share = self.quantile_share(given["quantile"])
        elif function == "top":
            share = 1 - self.top_share(given)
        keeps = KEEPS[function]
        series = Series(
            source=source,
            by=by,
            field=part,
            keeps=keeps,
            places=places,
            grid=grid,
            lateness_us=late,
            low=ends[0] if keeps is Keeps.BINS else None,
            high=ends[1] if keeps is Keeps.BINS else None,
        )
        finer = {"mean": 4, "stddev": 4, "quantile": 0, "top": 0}.get(function, 1 if weekday else 0)
        numeric = function != "last" or kind in ("int", "decimal")
        result = kind
        if function in ("count", "distinct") or (numeric and kind == "int"):
            result = "decimal" if finer else "int"
        elif function in ("quantile", "top"):
            result, finer = "decimal", 9 if kind == "double" else 2
        made = Aggregate(
            name=name,
            slot=self.draft.scope.slot(),
            function=function,
            series=series,
            window_us=window,
            offset_us=offset,
            complete=complete,
            weekday=weekday,
            least=least,
            share=share,
            kind=result,
            places=places + finer if numeric else 0,
            unit=unit if function not in ("count", "distinct") else None,
            members=part.field.members if part is not None and function == "last" else (),
            written=tuple((word, words_of(node)) for word, node in earlier[name].items()),
            said=(
                function,
                source,
                None if part is None else part.field.name,
                [one.field.name for one in by],
                str(window),
                str(offset),
                str(grid.width_us),
                grid.zone,
                complete,
                weekday,
                least,
                str(share),
                places,
                None if late is None else str(late),
                [str(end) for end in ends],
            ),
        )
        self.draft.aggregates.append(made)
        self.draft.scope.symbols[name] = Symbol(
            name, "aggregate", Type(result, members=made.members, unit=made.unit), made.slot
        )
        return made

    def over(self, node: Node) -> tuple[str, bool] | None:
        """(source of the series, whether it is a stream)."""
        said = node.text if node.kind == "scalar" else ""
        if said in (SUBMITTED, RELEASED):
            return f"{said.partition(':')[2]}:{self.draft.workflow}", False
        if said.startswith("events:"):
            stream = said.removeprefix("events:")
            if STREAM.fullmatch(stream):
                return said, True
            self.wrong(
                node,
                f"over names the stream {shorten(stream)!r}",
                "small letters, digits, `-` and `_`, a letter first, at most 63",
                "such as `events:spend`",
            )
            return None
        self.wrong(
            node,
            f"over is {node.shown}",
            f"`{SUBMITTED}`, `{RELEASED}` or `events:STREAM`",
            nearest(said, (SUBMITTED, RELEASED)),
        )
        return None

    def by(self, given: dict[str, Node], events: bool) -> tuple[Part, ...]:
        found = []
        for item in self.items(given["by"], "by") if "by" in given else []:
            field = self.known_field(item, "by")
            if field is None:
                continue
            if field.optional or field.kind in ("list", "object", "double"):
                self.wrong(
                    item,
                    f"by names `{item.text}`, "
                    + ("which is optional" if field.optional else f"a {field.kind}"),
                    "required texts, numbers or enums",
                    "",
                )
            found.append(self.part(field, events))
        return tuple(found)

    def part(self, field: Field, events: bool) -> Part:
        """How a series reads this field; an event may have texts that no decision may have."""
        if events:
            kind = "string" if field.kind == "enum" else field.kind
            field = Field(
                name=field.name,
                kind=kind,
                places=field.places,
                normal=field.normal,
                unit=field.unit,
            )
        kind = field.kind
        if field.kind in ("list", "object"):  # a mistake already
            kind = "string"
        return Part(
            field,
            val.scalar_reader(kind, field.members, field.places, field.normal),
            lambda value: val.to_stored(value, kind),
        )

    def aggregated(
        self, name: str, function: str, given: dict[str, Node], events: bool
    ) -> tuple[Part | None, str, int, str | None, tuple[Any, Any]] | None:
        """The field a function reads, its kind, places, unit, and the ends of its histogram."""
        ranked = function in ("quantile", "top")
        word = "of" if ranked else function
        if function == "count":
            wanted = "events" if events else "decisions"
            if given["count"].text != wanted:
                self.wrong(given["count"], f"count is {given['count'].shown}", f"`{wanted}`", "")
            self.not_of(given, function, ("of", "places", "unit", "between"))
            return None, "int", 0, None, (None, None)
        if word not in given:
            self.wrong(
                given[function],
                f"`{name}` does not say what it is the {function} of",
                "the field under `of:`",
                "add `of: risk_score`",
            )
            return None
        if not ranked:
            self.not_of(given, function, ("of", "between"))
        node = given[word]
        declared = self.draft.fields.get(node.text)
        own = [key for key in ("places", "unit") if key in given]
        if declared is None and events and NAME.fullmatch(node.text):
            field = self.event_field(name, function, node, given)
            if field is None:
                return None
        else:
            field = self.known_field(node, word)
            if field is None:
                return None
            for key in own:
                self.wrong(
                    given[key],
                    f"`{key}` of `{field.name}`, which is a field with its own",
                    f"`{key}` for fields of events that the policy does not declare",
                    "delete it",
                )
        allowed = {
            "distinct": ("string", "person", "enum", "bool", "int", "decimal"),
            "last": ("string", "person", "enum", "bool", "int", "decimal"),
            "quantile": ("int", "decimal", "double"),
            "top": ("int", "decimal", "double"),
        }.get(function, ("int", "decimal"))
        if field.kind not in allowed:
            text = {
                "distinct": "a text, number or enum",
                "last": "a text, number or enum",
                "quantile": "a number",
                "top": "a number",
            }.get(function, "an int or a decimal, so that the total is exact")
            self.wrong(
                node,
                f"{function} of `{field.name}`, a {field.kind}",
                text,
                "declare it as `{type: decimal, places: 2}`" if field.kind == "double" else "",
            )
            return None
        ends: tuple[Any, Any] = (None, None)
        if ranked:
            ends = self.ends(node, field, given)
            if None in ends:
                return None
        return self.part(field, events), field.kind, field.places or 0, field.unit, ends

    def not_of(self, given: dict[str, Node], function: str, words: tuple[str, ...]) -> None:
        for word in words:
            if word in given:
                self.wrong(given[word], f"`{word}` beside `{function}`", "it not", "delete it")

    def event_field(
        self, name: str, function: str, node: Node, given: dict[str, Node]
    ) -> Field | None:
        """A field of events that no decision has: its type is said by the aggregate."""
        if function == "distinct":
            return Field(name=node.text, kind="string")
        if "places" not in given:
            self.wrong(
                node,
                f"`{node.text}` is no field of the policy, and `{name}` does not say its places",
                "digits after the point of a number of the events, so that it is exact",
                "add `places: 2`, or declare the field",
            )
            return None
        places = self.places(given["places"], "decimal", None)
        if places is None:
            return None
        unit = self.text(given["unit"], "the unit") if "unit" in given else None
        if places == 0:
            return Field(name=node.text, kind="int", unit=unit)
        return Field(name=node.text, kind="decimal", places=places, unit=unit)

    def ends(self, node: Node, field: Field, given: dict[str, Node]) -> tuple[Any, Any]:
        """The typed ends of a quantile's histogram: `between`, or the field's `min` and `max`."""
        read = val.scalar_reader(field.kind, (), field.places, ())
        if "between" in given:
            items = given["between"].items if given["between"].kind == "list" else []
            try:
                low, high = (read(item.value) for item in items)
            except (ValueError, val.Wrong):
                self.wrong(
                    given["between"],
                    f"between is {given['between'].shown}",
                    f"two numbers as `{field.name}` may be: `[0, 1]`",
                    "",
                )
                return None, None
            where = given["between"]
        elif field.low is not None and field.high is not None:
            low, high, where = read(field.low), read(field.high), node
        else:
            self.wrong(
                node,
                f"`{field.name}` has no `min` and `max`",
                "between which numbers the histogram of a quantile lies",
                "add `min:` and `max:` to the field, or `between: [0, 1]` to the aggregate",
            )
            return None, None
        if not low < high:
            self.wrong(where, f"{low} is not below {high}", "the lower number first", "")
            return None, None
        return low, high

    def quantile_share(self, node: Node) -> Fraction:
        value = node.value if node.kind == "scalar" else None
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 < value < 1:
            self.wrong(
                node, f"quantile is {node.shown}", "a share between 0 and 1, such as 0.95", ""
            )
            return Fraction(1, 2)
        return Fraction(value)

    def top_share(self, given: dict[str, Node]) -> Fraction:
        """The share of `top:`, and that nothing beside it makes a rank meaningless."""
        node = given["top"]
        text = node.text.strip() if node.kind == "scalar" else ""
        match = _PERCENT.fullmatch(text)
        value = Fraction(match[1]) / (100 if match[2] else 1) if match else Fraction(0)
        if not 0 < value < 1:
            self.wrong(node, f"top is {node.shown}", "a share such as 5% or 0.05", "")
            value = Fraction(1, 2)
        for word in ("offset", "complete", "same"):
            if word in given:
                self.wrong(given[word], f"`{word}` beside `top`", "it not", "delete it")
        if "over" in given and given["over"].text != SUBMITTED:
            self.wrong(
                given["over"],
                f"`top` over {given['over'].shown}",
                f"`{SUBMITTED}`: a decision is ranked among decisions",
                "",
            )
        return value

    def least(self, node: Node) -> int:
        value = node.value if node.kind == "scalar" else None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.wrong(
                node,
                f"min is {node.shown}",
                "the smallest number of samples that says something, such as 10",
                "for the smallest value write `smallest: field`",
            )
            return 0
        return value

    def timing(
        self, given: dict[str, Node], events: bool, parts: int
    ) -> tuple[Grid, int, int, bool, bool] | None:
        """Grid, window, offset, whether complete, whether by weekday."""
        if "window" not in given:
            return None
        window = self.span(given["window"], "window")
        offset = self.span(given["offset"], "offset") if "offset" in given else 0
        complete = "complete" in given
        if complete:
            self.one_of(given["complete"], "complete", ("day",))
        weekday = "same" in given
        if weekday:
            self.one_of(given["same"], "same", ("weekday",))
        zone = self.zone(given["tz"]) if "tz" in given else "UTC"
        if window is None or offset is None or zone is None:
            return None
        if "tz" in given and not complete and not events:
            self.wrong(
                given["tz"],
                "`tz` without `complete: day`",
                "it where days count: with `complete: day`, or for events that have only a day",
                "add `complete: day`, or delete it",
            )
        if weekday and not complete:
            self.wrong(
                given["same"],
                "`same: weekday` without `complete: day`",
                "whole days to compare",
                "add `complete: day`",
            )
            return None
        if complete:
            unit, words = (7 * DAY_US, "weeks, such as 8w") if weekday else (DAY_US, "days")
            for word, span, whole in (("window", window, unit), ("offset", offset, DAY_US)):
                if span % whole:
                    self.wrong(
                        given[word],
                        f"{word} is {given[word].shown} with "
                        + ("`same: weekday`" if weekday else "`complete: day`"),
                        f"whole {words if whole == unit else 'days'}",
                        "",
                    )
            if "bucket" in given:
                self.wrong(
                    given["bucket"], "`bucket` beside `complete: day`", "days are its buckets",
                    "delete it",
                )  # fmt: skip
            if window > MOST_BUCKETS * DAY_US:
                self.wrong(
                    given["window"],
                    f"window is {given['window'].shown}",
                    f"at most {MOST_BUCKETS} days",
                    "",
                )
            return Grid(0, zone), window, offset, True, weekday
        width = width_for(window, parts)
        if "bucket" in given:
            named = self.span(given["bucket"], "bucket")
            if named is None:
                return None
            width = named
            if named < SECOND_US or named > window or window > MOST_BUCKETS * named:
                self.wrong(
                    given["bucket"],
                    f"bucket is {given['bucket'].shown} of a window of {given['window'].shown}",
                    f"1s or longer, and 1 to {MOST_BUCKETS:,} of them in the window",
                    "",
                )
        elif window > MOST_BUCKETS * width:
            self.wrong(
                given["window"],
                f"window is {given['window'].shown}",
                f"at most {MOST_BUCKETS} days",
                "",
            )
        return Grid(width, zone), window, offset, False, False

    def zone(self, node: Node) -> str | None:
        name = self.text(node, "tz")
        if not name:
            return None
        if not known_zone(name):
            self.wrong(
                node,
                f"tz is {node.shown}, which is no time zone known here",
                "a name of the IANA list, such as Europe/Berlin",
                "",
            )
            return None
        return name

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


def words_of(node: Node) -> str:
    """A scalar or a list of them, as written."""
    if node.kind == "list":
        return ", ".join(item.text for item in node.items)
    return node.text


def one_of(words: tuple[str, ...]) -> str:
    return "one of " + ", ".join(f"`{word}`" for word in words)


def type_of(field: Field) -> Type:
    """The type of a declared field, column or answer."""
    return Type(
        field.kind, of=field.of, members=field.members, unit=field.unit, normal=field.normal
    )


def described(field: Field) -> list[Any]:
    """What a column means, for digests."""
    return [field.kind, field.of, sorted(field.members), field.places, field.unit,
            list(field.normal)]  # fmt: skip


def from_cell(plan: Plan, cell: str) -> Any:
    """A cell of a CSV file by its column's type; an empty one says nothing."""
    if not cell:
        return None
    field = plan.field
    if field.kind == "list":
        return plan.read([val.from_text(item.strip(), field.of) for item in cell.split("|")])
    return plan.read(val.from_text(cell, field.kind))


def nearest_key(spec: Node) -> str:
    return "" if spec.items else "write such as `{type: decimal, places: 2}`"
