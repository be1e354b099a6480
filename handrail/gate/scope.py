"""What a condition can read: types, names with their slots, lists, tables and keyword searches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from handrail.gate import values
from handrail.gate.syntax import Expr

Run = Callable[[list[Any]], Any]

NUMBERS = frozenset({"int", "double", "decimal", "ratio", "number"})
TEXTS = frozenset({"string", "person", "enum", "text"})


@dataclass(frozen=True)
class Type:
    """What an expression gives. `number` and `text` are literals that fit what they meet."""

    kind: str
    of: str | None = None
    members: tuple[str, ...] = ()
    unit: str | None = None
    normal: tuple[str, ...] = ()
    const: Any = None
    """Exact value of a `number` literal or of arithmetic over them."""
    digits: int = values.MAX_DIGITS
    """Most digits an exact number of this type can have."""
    parts: tuple[tuple[str, Type, bool], ...] = ()
    """Of a list of objects: each part's name, its type, and whether it may be missing."""

    @property
    def words(self) -> str:
        return _WORDS.get(self.kind, self.kind) + (f" of {self.of}" if self.of else "")


_WORDS = {
    "bool": "yes or no",
    "text": "text",
    "string": "text",
    "person": "a person",
    "enum": "an enum",
    "number": "a number",
    "int": "an int",
    "double": "a double",
    "decimal": "a decimal",
    "ratio": "a quotient",
    "timestamp": "a timestamp",
    "duration": "a duration",
    "list": "a list",
    "object": "an object",
}
ERROR = Type("error")
BOOL = Type("bool")


@dataclass(frozen=True)
class Symbol:
    """A name a condition can read."""

    name: str
    origin: str
    """`field`, `value`, `aggregate`, `confidence`, `confidences` (one a field), `margin`, `stakes`,
    `table`, `check`, `at`, or `item` for what `exists` and `all` bind."""
    type: Type
    slot: int
    maybe: bool = False
    """Whether it may have no value although the input is complete."""
    implies: frozenset[str] = frozenset()
    """Names that surely have a value when this one has."""
    expr: Expr | None = None
    """The expression of a named value."""
    text: str = ""
    """The text of that expression."""
    why_slot: int | None = None
    """Slot of the sentence that says why it has no value; tables and checks have one."""


@dataclass(frozen=True)
class NamedList:
    """A list under `lists:`; `slots` get the sets that membership looks into."""

    name: str
    items: tuple[Any, ...]
    kind: str
    """`text` or `number`."""
    stored: bool = False
    """Kept in the store: empty here, filled when a decision is gated."""


@dataclass(frozen=True)
class Fault:
    """A mistake at an offset of an expression."""

    offset: int
    what: str
    expected: str = ""
    fix: str = ""


@dataclass
class Table:
    """A table under `tables:`: rows by the key's text, and the columns that are read."""

    name: str
    key: str
    """The field whose value names the row."""
    columns: dict[str, Type]
    rows: dict[str, tuple[Any, ...]]
    """Typed cells in the order of `columns`; None where a row says nothing."""
    plans: dict[str, Any] = field(default_factory=dict)
    """How a column's cell is read, by column."""
    digest: str = ""
    read: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Column → (slot of its value, slot of why it has none), for those that something reads."""


@dataclass
class Sought:
    """The keywords that are looked for in one text. Its `Search` lies in `slot`."""

    slot: int
    memo: int
    """Slot of (text, hits) of the last search of an evaluation."""
    sources: dict[tuple[str | tuple[str, ...], bool], int] = field(default_factory=dict)
    """(list name or keywords, exactly) → index of the source in the search."""


@dataclass
class Scope:
    """The names of one policy, and the slots their values lie in."""

    symbols: dict[str, Symbol] = field(default_factory=dict)
    lists: dict[str, NamedList | None] = field(default_factory=dict)
    tables: dict[str, Table | None] = field(default_factory=dict)
    checks: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    """Names whose definition has a mistake: reading them is no second mistake."""
    sets: dict[tuple[str, tuple[str, ...]], int] = field(default_factory=dict)
    """(list, normal forms) → slot of the set of its items."""
    sought: dict[str, Sought] = field(default_factory=dict)
    """Canonical text of an expression → what is looked for in it."""
    proposed: set[str] = field(default_factory=set)
    """Fields of the proposal, which may have a confidence each."""
    keywords: int = 0
    """How many keywords are looked for, over all texts."""
    size: int = 0

    def slot(self) -> int:
        self.size += 1
        return self.size - 1

    def set_slot(self, name: str, normal: tuple[str, ...]) -> int:
        key = (name, normal)
        if key not in self.sets:
            self.sets[key] = self.slot()
        return self.sets[key]

    def find(self, name: str) -> Symbol | None:
        """The symbol of a name. Those that nothing declares get their slot when first read."""
        found = self.symbols.get(name)
        return self._undeclared(name) if found is None else found

    def _undeclared(self, name: str) -> Symbol | None:
        root, _, rest = name.partition(".")
        if name == "at":
            made = Symbol(name, "at", Type("timestamp"), self.slot())
        elif name == "margin":
            made = Symbol(name, "margin", Type("double"), self.slot(), maybe=True)
        elif root == "confidence" and rest in self.proposed:
            made = Symbol(name, "confidences", Type("double"), self.slot(), maybe=True)
        elif root == "tables":
            table_name, _, column = rest.partition(".")
            table = self.tables.get(table_name)
            if table is None or column not in table.columns:
                return None
            slots = table.read[column] = self.slot(), self.slot()
            kind = table.columns[column]
            made = Symbol(name, "table", kind, slots[0], maybe=True, why_slot=slots[1])
        else:
            return None
        self.symbols[name] = made
        return made

    def sought_in(self, text: str) -> Sought:
        """What is looked for in the expression of this canonical text."""
        if text not in self.sought:
            self.sought[text] = Sought(self.slot(), self.slot())
        return self.sought[text]


def literal_type(const: Decimal | Fraction) -> Type:
    """The type of a number that is known when the policy is read."""
    if isinstance(const, Fraction):
        size = len(str(const.numerator)) + len(str(const.denominator))
    else:
        size = len(const.as_tuple().digits) + abs(const.adjusted())
    return Type("number", const=const, digits=size)


def binary(a: Run, b: Run, work: Callable[[Any, Any], Any]) -> Run:
    """`work` over two values, unknown where one of them is."""

    def both(env: list[Any]) -> Any:
        x = a(env)
        if x is None:
            return None
        y = b(env)
        return None if y is None else work(x, y)

    return both


def kept(value: Any, kind: Type) -> Any:
    """A typed value as rulings and the store hold it."""
    if value is None or kind.kind != "list":
        return values.to_stored(value, kind.kind)
    if not kind.parts:
        return [values.to_stored(item, kind.of or "string") for item in value]
    return [
        {
            part: values.to_stored(cell, inner.kind)
            for (part, inner, _), cell in zip(kind.parts, item, strict=True)
            if cell is not None
        }
        for item in value
    ]
