"""A policy over columns: its checked conditions as Polars expressions, all rows at once.

Every rule gives one boolean column, where null is unknown (`&` and `|` of Polars are Kleene's), and
lanes and modes are folded from those columns as `Policy.evaluate` folds them for one record. The
plan never guesses. What it cannot express with certainty goes back to the exact evaluator:

- one condition over few columns: evaluated once for each distinct value, then joined;
- one row, where a number lies too near to a threshold or a cell is odd: judged alone (`doubt`);
- a whole policy that uses a part of the language unknown here: `Plan.rows_only`.

What is dear (patterns, parts of texts, lists) is looked at only where the cheap part of the same
rule does not already say no.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl

from handrail.bulk.numbers import (
    COMPARE,
    HIGH,
    LOW,
    TOP,
    Cannot,
    Const,
    Exact,
    Float,
    Near,
    Number,
    Numbers,
    double,
    fraction,
    integer,
)
from handrail.bulk.patterns import to_rust
from handrail.gate import Policy
from handrail.gate.checker import NUMBERS, TEXTS, Symbol
from handrail.gate.syntax import Expr
from handrail.gate.values import MAX_INT, normalise
from handrail.model.modes import Mode, OnUnknown
from handrail.model.policy import Field

MODES = tuple(Mode)
TIME_TOP = 260_000 * 10**12
"""Largest magnitude of a point in time, µs: the year 9999 and a bit."""
CONFIDENCE = "confidence"

_NO = pl.Series([False])
_PLAIN_CALLS = frozenset(
    {"has", "size", "abs", "contains", "startsWith", "endsWith", "matches", "timestamp", "duration"}
)
_BY_VALUE_CALLS = frozenset(
    {"mentions", "hour", "day", "month", "weekday", "date", "exists", "all"}
)
"""Functions that are evaluated once for each distinct value."""
_MACROS = frozenset({"exists", "all"})
_OPS = frozenset(
    {
        "lit",
        "name",
        "item",
        "lists",
        "array",
        "and",
        "or",
        "not",
        "neg",
        "?",
        "call",
        "in",
        "not in",
    }
    | {"==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/"}
)
_ORIGINS = frozenset({"field", "value", "aggregate", "confidence", "stakes", "table", "at"})


@dataclass(frozen=True)
class _Bool:
    expr: pl.Expr


@dataclass(frozen=True)
class _Text:
    expr: pl.Expr


@dataclass(frozen=True)
class _Items:
    expr: pl.Expr
    of: str


_Value = Number | _Bool | _Text | _Items


@dataclass
class _ByValue:
    """A condition that is evaluated once for each distinct value of the columns it reads."""

    column: str
    node: Expr
    reads: tuple[Symbol, ...]
    names: tuple[str, ...]
    """Named values to compute before, in the order of the policy."""


@dataclass
class _Outcome:
    """Where the outcome of one row of one rule comes from."""

    cheap: str | None
    """Column of the part that is looked at first; None where there is none."""
    dear: str | None
    """Column of the part that is looked at where the cheap one is not false."""


@dataclass
class _Dear:
    """Dear conditions that share their cheap part, with the columns they read."""

    mask: str | None
    exprs: list[pl.Expr] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)


class Plan:
    """The column form of one policy. Make it once, use it for any number of frames."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.draft = policy.draft
        self.rows_only: str | None = None
        """Why no column form exists; None where there is one."""
        self.numbers = Numbers()
        self._symbols: dict[str, _Value | None] = {}
        self._by_value: dict[str, _ByValue] = {}
        self._stages: list[list[pl.Expr]] = []
        self._atoms: dict[str, str] = {}
        self._atom_stage: list[pl.Expr] = []
        self._cheap: list[pl.Expr] = []
        self._dear: dict[str, _Dear] = {}
        self._outcomes: list[list[_Outcome]] = []
        self._early: list[_ByValue] = []
        """Those that are not only read where a cheap part holds."""
        self._tables: list[tuple[str, str, pl.DataFrame]] = []
        """(column, key field, key text → value) of each column of a table that is read."""
        self._places: dict[str, int] = {}
        self._reads_at = False
        self._base = policy.fields
        try:
            self._build()
        except _Whole as error:
            self.rows_only = str(error)

    # ---------------------------------------------------------------------- building

    def _build(self) -> None:
        draft = self.draft
        for f in self._base:
            self._symbols[f.name] = _of_field(f)
            self._places[f.name] = f.places or 0
        self._symbols[CONFIDENCE] = Float(pl.col(CONFIDENCE), 5e-324, 1.0)
        for made in draft.aggregates:
            self._places[made.name] = made.places
            if made.kind == "int":
                self._symbols[made.name] = Exact(pl.col(made.name), 1, MAX_INT)
            elif made.kind == "decimal":
                self._symbols[made.name] = Exact(pl.col(made.name), 10**made.places, TOP)
            else:
                self._symbols[made.name] = None
        staged = list(draft.values)
        if draft.money is not None:
            staged.append(draft.money)
        for value in staged:
            self._known_only(value.expr)
            self._stage(value.name, value.expr)
        trees = [row.when for rule in draft.rules for row in rule.rows]
        if draft.tiers is not None:
            trees += [tree for _, tree, _ in draft.tiers.risks if tree is not None]
        for tree in trees:
            self._known_only(tree)
        self._find_atoms(trees)
        for place, rule in enumerate(draft.rules):
            self._outcomes.append(
                [self._row(f"{place}:{at}", row.when) for at, row in enumerate(rule.rows)]
            )
        if draft.tiers is not None:
            for at, (_, risk, _) in enumerate(draft.tiers.risks):
                if risk is not None:
                    self._cheap.append(self._bool(risk).alias(f"risk:{at}"))
        for at, doubt in enumerate(self.numbers.doubts):
            self._cheap.append(doubt.alias(f"doubt:{at}"))
        early = [*self._cheap, *self._atom_stage, *(one for stage in self._stages for one in stage)]
        asked = {name for expr in early for name in expr.meta.root_names()}
        self._early = [task for task in self._by_value.values() if task.column in asked]

    def _known_only(self, tree: Expr) -> None:
        """Refuse what was added to the language later: its meaning is not known here."""
        for node in tree.walk():
            known = node.name in _PLAIN_CALLS or node.name in _BY_VALUE_CALLS
            if node.op not in _OPS or (node.op == "call" and not known):
                raise _Whole(f"`{node.name or node.op}` is evaluated row by row")
            if node.op == "name":
                symbol = self.draft.scope.symbols.get(node.name)
                if symbol is None or symbol.origin not in _ORIGINS:
                    raise _Whole(f"`{node.name}` is read row by row")
                if symbol.origin == "table" and node.name not in self._symbols:
                    self._table(symbol)
                if symbol.origin == "at":
                    self._reads_at = True
                    self._symbols[node.name] = Exact(pl.col(node.name), 1, TIME_TOP)

    def _table(self, symbol: Symbol) -> None:
        """A column of a table, joined by the text of its key."""
        table = next(
            table
            for table in self.draft.tables.values()
            if any(slot == symbol.slot for slot, _ in table.read.values())
        )
        label = next(name for name, (slot, _) in table.read.items() if slot == symbol.slot)
        place = list(table.columns).index(label)
        cells = {key: row[place] for key, row in table.rows.items() if row[place] is not None}
        key = next(f for f in self._base if f.name == table.key)
        kind = symbol.type.kind
        if key.kind not in (*TEXTS, "int") or kind == "object":
            raise _Whole(f"`{symbol.name}` is read row by row")
        value: _Value | None = None
        column = pl.col(symbol.name)
        dtype: Any = pl.Int64
        if kind in TEXTS:
            value, dtype = _Text(column), pl.String
        elif kind == "bool":
            value, dtype = _Bool(column), pl.Boolean
        elif kind == "double":
            dtype = pl.Float64
            if all(cell == 0 or LOW <= abs(cell) <= HIGH for cell in cells.values()):
                value = Float(column, LOW, HIGH)
        elif kind == "decimal":
            places = max((-int(cell.as_tuple().exponent) for cell in cells.values()), default=0)
            places = self._places[symbol.name] = max(places, 0)
            cells = {name: int(cell.scaleb(places)) for name, cell in cells.items()}
            top = max((abs(cell) for cell in cells.values()), default=0)
            if top > TOP:
                raise _Whole(f"`{symbol.name}` holds numbers of more than 15 digits")
            value = Exact(column, 10**places, top)
        elif kind in ("int", "duration", "timestamp"):
            value = Exact(column, 1, TIME_TOP if kind == "timestamp" else MAX_INT)
        elif kind == "list" and symbol.type.of in TEXTS:
            value, dtype = _Items(column, symbol.type.of or "string"), pl.List(pl.String)
        else:
            raise _Whole(f"`{symbol.name}` is read row by row")
        self._symbols[symbol.name] = value
        pairs = pl.DataFrame(
            {
                "key": pl.Series(list(cells), dtype=pl.String),
                symbol.name: pl.Series(list(cells.values()), dtype=dtype),
            }
        )
        self._tables.append((symbol.name, table.key, pairs))

    def _stage(self, name: str, tree: Expr) -> None:
        """A named value as columns of its own, so that it is computed once."""
        try:
            value = self._bool_value(tree) if tree.type.kind == "bool" else self._value(tree)
        except Cannot:
            self._symbols[name] = None
            return
        column = f"={name}"
        if isinstance(value, _Bool | _Text | _Items):
            self._stages.append([value.expr.alias(column)])
            self._symbols[name] = type(value)(pl.col(column), *_rest(value))
        elif isinstance(value, Const):
            self._symbols[name] = value
        elif isinstance(value, Float):
            self._stages.append([value.expr.alias(column)])
            self._symbols[name] = Float(pl.col(column), value.low, value.high)
        elif isinstance(value, Near):
            self._stages.append([value.value.alias(column), value.error.alias(f"{column}:error")])
            self._symbols[name] = Near(pl.col(column), pl.col(f"{column}:error"))
        else:
            whole = [value.num.alias(column)]
            den: pl.Expr | None = None
            if value.den is not None:
                whole.append(value.den.alias(f"{column}:den"))
                den = pl.col(f"{column}:den")
            self._stages.append(whole)
            self._symbols[name] = Exact(pl.col(column), value.scale, value.top, den, value.bottom)

    def _find_atoms(self, trees: Iterable[Expr]) -> None:
        """Comparisons that several rules share are computed once."""
        seen: Counter[str] = Counter()
        nodes: dict[str, Expr] = {}
        for tree in trees:
            for node in _outside_macros(tree):
                if node.op in ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "call"):
                    key = _key(node)
                    seen[key] += 1
                    nodes.setdefault(key, node)
        atoms: dict[str, str] = {}
        for key, count in seen.items():
            node = nodes[key]
            if count > 1 and node.type.kind == "bool" and not _dear(node):
                atoms[key] = f"atom:{len(atoms)}"
                self._atom_stage.append(self._bool(node).alias(atoms[key]))
        self._atoms = atoms

    def _row(self, name: str, tree: Expr) -> _Outcome:
        parts = tree.args if tree.op == "and" else (tree,)
        cheap = [part for part in parts if not _dear(part)]
        dear = [part for part in parts if _dear(part)]
        made = _Outcome(None, None)
        if cheap:
            made.cheap = f"cheap:{name}"
            self._cheap.append(_all([self._bool(part) for part in cheap]).alias(made.cheap))
        if dear:
            key = json.dumps([_key(part) for part in cheap])
            group = self._dear.setdefault(key, _Dear(made.cheap))
            made.dear = f"dear:{name}"
            group.exprs.append(_all([self._bool(part) for part in dear]).alias(made.dear))
            group.columns.update(
                found for expr in group.exprs[-1:] for found in expr.meta.root_names()
            )
        return made

    # ---------------------------------------------------------------------- expressions

    def _bool(self, node: Expr) -> pl.Expr:
        """A condition; by distinct values where it has no expression."""
        atom = self._atoms.get(_key(node)) if self._atoms else None
        if atom is not None:
            return pl.col(atom)
        before = len(self.numbers.doubts)
        try:
            return self._condition(node)
        except Cannot:
            del self.numbers.doubts[before:]
            return self._distinct(node)

    def _bool_value(self, node: Expr) -> _Bool:
        return _Bool(self._bool(node))

    def _condition(self, node: Expr) -> pl.Expr:
        op, args = node.op, node.args
        if op == "lit":
            return pl.lit(bool(node.value))
        if op in ("and", "or"):
            sides = [self._bool(arg) for arg in args]
            return _all(sides) if op == "and" else _any(sides)
        if op == "not":
            return self._bool(args[0]).not_()
        if op == "?":
            test = self._bool(args[0])
            yes, no = self._bool(args[1]), self._bool(args[2])
            return pl.when(test).then(yes).when(test.not_()).then(no)
        if op == "name":
            value = self._symbol(node.name)
            if isinstance(value, _Bool):
                return value.expr
            raise Cannot(f"`{node.name}` is not yes or no")
        if op == "call":
            return self._call(node)
        if op in ("in", "not in"):
            found = self._membership(node)
            return found.not_() if op == "not in" else found
        if op in COMPARE:
            return self._comparison(node)
        raise Cannot(f"`{op}`")

    def _comparison(self, node: Expr) -> pl.Expr:
        a, b = node.args
        kinds = (a.type.kind, b.type.kind)
        if kinds == ("bool", "bool"):
            return COMPARE[node.op](self._bool(a), self._bool(b))
        if kinds[0] in TEXTS:
            return COMPARE[node.op](self._text(a), self._text(b))
        return self.numbers.compare(node.op, self._number(a), self._number(b), kinds)

    def _call(self, node: Expr) -> pl.Expr:
        name, args = node.name, node.args
        if name in _BY_VALUE_CALLS:
            raise Cannot(f"`{name}`")
        if name == "has":
            value = self._symbol(args[0].name)
            if isinstance(value, _Bool | _Text | _Items):
                return value.expr.is_not_null()
            return self.numbers.known(value)
        text = self._text(args[0])
        if name == "matches":
            pattern = to_rust(args[1].value)
            if pattern is None or not _compiles(pattern):
                raise Cannot("a pattern that is only RE2's")
            return text.str.contains(pattern)
        part = self._text(args[1])
        if name == "contains":
            return text.str.contains(part, literal=True)
        if name == "startsWith":
            return text.str.starts_with(part)
        if name == "endsWith":
            return text.str.ends_with(part)
        raise Cannot(f"`{name}`")

    def _membership(self, node: Expr) -> pl.Expr:
        item, pool = node.args
        kind = item.type
        if pool.op == "array":
            if kind.kind in TEXTS:
                return self._text(item).is_in([member.value for member in pool.args])
            if kind.kind in NUMBERS and kind.kind != "number":
                value = self._number(item)
                return _any(
                    [
                        self.numbers.compare(
                            "==", value, Const(fraction(member.type.const)), (kind.kind, "number")
                        )
                        for member in pool.args
                    ]
                )
            raise Cannot("a list of neither texts nor numbers")
        if pool.op == "lists":
            items = self.policy.lists[pool.name]
            if kind.kind in TEXTS:
                if kind.normal:
                    items = tuple(normalise(one, kind.normal) for one in items)
                return self._text(item).is_in(list(items))
            if kind.kind in ("decimal", "int") and len(items) <= 40:
                value = self._number(item)
                return (
                    _any(
                        [
                            self.numbers.compare(
                                "==", value, Const(fraction(one)), (kind.kind, "number")
                            )
                            for one in items
                        ]
                    )
                    if items
                    else value_known_false(self.numbers, value)
                )
            raise Cannot("a long list of numbers")
        whole = self._value(pool)
        if not isinstance(whole, _Items) or whole.of not in TEXTS or kind.kind not in TEXTS:
            raise Cannot("a list of numbers")
        text = self._text(item)
        return pl.when(text.is_not_null()).then(whole.expr.list.contains(text))

    def _symbol(self, name: str) -> _Value:
        value = self._symbols.get(name)
        if value is None:
            raise Cannot(f"`{name}` has no column form")
        return value

    def _text(self, node: Expr) -> pl.Expr:
        value = self._value(node)
        if not isinstance(value, _Text):
            raise Cannot("no text")
        return value.expr

    def _number(self, node: Expr) -> Number:
        value = self._value(node)
        if isinstance(value, _Bool | _Text | _Items):
            raise Cannot("no number")
        return value

    def _value(self, node: Expr) -> _Value:
        op, args = node.op, node.args
        if node.type.kind == "number":
            return Const(fraction(node.type.const))
        if node.type.kind == "bool":
            return self._bool_value(node)
        if op == "lit":
            return _Text(pl.lit(node.value, dtype=pl.String))
        if op == "name":
            return self._symbol(node.name)
        if op == "neg":
            return self.numbers.negative(self._number(args[0]))
        if op == "?":
            return self._choice(node)
        if op == "call":
            if node.name in ("timestamp", "duration"):
                return Exact(integer(node.run([])), 1, abs(node.run([])))
            if node.name == "abs":
                return self.numbers.absolute(self._number(args[0]))
            if node.name == "size":
                value = self._value(args[0])
                if isinstance(value, _Items):
                    return Exact(value.expr.list.len().cast(pl.Int64), 1, 1_000)
                if isinstance(value, _Text):
                    return Exact(value.expr.str.len_chars().cast(pl.Int64), 1, 10**6)
            raise Cannot(f"`{node.name}`")
        if op in ("+", "-", "*", "/"):
            return self.numbers.arithmetic(
                op, self._number(args[0]), self._number(args[1]), node.type.kind
            )
        raise Cannot(f"`{op}`")

    def _choice(self, node: Expr) -> _Value:
        test = self._bool(node.args[0])
        yes, no = self._value(node.args[1]), self._value(node.args[2])
        if isinstance(yes, _Text) and isinstance(no, _Text):
            return _Text(pl.when(test).then(yes.expr).when(test.not_()).then(no.expr))
        if isinstance(yes, _Bool | _Text | _Items) or isinstance(no, _Bool | _Text | _Items):
            raise Cannot("`?` over these types")
        return self.numbers.choice(test, yes, no, node.type.kind)

    # ---------------------------------------------------------------------- by distinct value

    def _distinct(self, node: Expr) -> pl.Expr:
        key = _key(node)
        if key not in self._by_value:
            reads, names = self._reads(node)
            column = f"by:{len(self._by_value)}"
            self._by_value[key] = _ByValue(column, node, reads, names)
        return pl.col(self._by_value[key].column)

    def _reads(self, node: Expr) -> tuple[tuple[Symbol, ...], tuple[str, ...]]:
        """The columns a node hangs on, and the named values between."""
        symbols = self.draft.scope.symbols
        base: dict[str, Symbol] = {}
        names: set[str] = set()
        todo = [node]
        while todo:
            for inner in todo.pop().walk():
                if inner.op != "name" or inner.name in base or inner.name in names:
                    continue
                symbol = symbols[inner.name]
                if symbol.origin in ("value", "stakes"):
                    names.add(inner.name)
                    todo.append(self._expression(inner.name))
                else:
                    base[inner.name] = symbol
        ordered = [value.name for value in self.draft.values if value.name in names]
        if self.draft.money is not None and self.draft.money.name in names:
            ordered.append(self.draft.money.name)
        return tuple(base.values()), tuple(ordered)

    def _expression(self, name: str) -> Expr:
        money = self.draft.money
        if money is not None and money.name == name:
            return money.expr
        return next(value.expr for value in self.draft.values if value.name == name)

    def _evaluate(self, task: _ByValue, frame: pl.DataFrame) -> pl.Series:
        """The outcome of one condition for every row, through the exact evaluator."""
        env = self.policy.environment()
        symbols = self.draft.scope.symbols
        named = [(symbols[name].slot, self._expression(name).run) for name in task.names]
        run = task.node.run
        turns = [(symbol.slot, self._to_python(symbol)) for symbol in task.reads]

        def outcome(values: Sequence[Any]) -> bool | None:
            for (slot, turn), value in zip(turns, values, strict=True):
                env[slot] = None if value is None else turn(value)
            for slot, work in named:
                env[slot] = work(env)
            result: bool | None = run(env)
            return result

        columns = [symbol.name for symbol in task.reads]
        if not columns:
            return pl.Series([outcome(())], dtype=pl.Boolean).new_from_index(0, frame.height)
        whole = pl.List | pl.Object
        scalar = len(columns) == 1 and not isinstance(frame[columns[0]].dtype, whole)
        if scalar:
            values = frame[columns[0]]
            found = values.unique()
            outcomes = pl.Series([outcome((value,)) for value in found.to_list()], dtype=pl.Boolean)
            table = pl.DataFrame({columns[0]: found, "outcome": outcomes})
            joined = values.to_frame().join(
                table, on=columns[0], how="left", nulls_equal=True, maintain_order="left"
            )
            return joined["outcome"]
        return pl.Series(
            [outcome(row) for row in frame.select(columns).iter_rows()], dtype=pl.Boolean
        )

    def _to_python(self, symbol: Symbol) -> Any:
        """What turns a cell of a typed column into what the evaluator reads."""
        kind = symbol.type.kind
        places = self._places.get(symbol.name, 0)
        if kind == "list" and symbol.type.of == "decimal":
            return lambda items: [Decimal(item).scaleb(-places) for item in items]
        if kind == "decimal":
            return lambda number: Decimal(number).scaleb(-places)
        return lambda value: value

    def records(
        self, frame: pl.DataFrame
    ) -> Iterator[tuple[tuple[Any, ...], float | None, dict[str, Any]]]:
        """(slots of the record, confidence, aggregates) of each row of a typed frame."""
        symbols = self.draft.scope.symbols
        turns = [
            (at, self._to_python(symbols[f.name]))
            for at, f in enumerate(self._base)
            if f.kind == "decimal" or f.of == "decimal"
        ]
        width = len(self._base)
        names = [made.name for made in self.draft.aggregates]
        for cells in frame.select(self.columns).iter_rows():
            slots = list(cells[:width])
            for at, turn in turns:
                if slots[at] is not None:
                    slots[at] = turn(slots[at])
            yield tuple(slots), cells[width], dict(zip(names, cells[width + 1 :], strict=True))

    # ---------------------------------------------------------------------- running

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns a typed frame needs: fields, confidence and aggregates."""
        return (
            *(f.name for f in self._base),
            CONFIDENCE,
            *(made.name for made in self.draft.aggregates),
        )

    def run(self, frame: pl.DataFrame, now: int = 0) -> Outcomes:
        """Every rule over a frame of typed columns (`typed.py`); null is unknown.

        `now` (µs UTC) is what the name `at` reads.
        """
        if self._reads_at:
            moment = pl.Series("at", [now], dtype=pl.Int64)
            frame = frame.with_columns(moment.new_from_index(0, frame.height))
        for name, key, pairs in self._tables:
            keys = frame.select(pl.col(key).cast(pl.String).alias("key"))
            found_cells = keys.join(pairs, on="key", how="left", maintain_order="left")
            frame = frame.with_columns(found_cells[name])
        if self._early:
            frame = frame.with_columns(
                self._evaluate(task, frame).alias(task.column) for task in self._early
            )
        for stage in self._stages:
            frame = frame.with_columns_seq(stage)
        if self._atom_stage:
            frame = frame.with_columns_seq(self._atom_stage)
        cheap = frame.select_seq(self._cheap) if self._cheap else frame.select()
        size = frame.height
        found: dict[str, pl.Series] = {}
        for name in cheap.columns:
            series = cheap[name]
            found[name] = series if len(series) == size else series.new_from_index(0, size)
        for group in self._dear.values():
            self._run_dear(group, frame, found)
        rows = []
        for outcomes in self._outcomes:
            made = []
            for outcome in outcomes:
                parts = [found[name] for name in (outcome.cheap, outcome.dear) if name]
                made.append(parts[0] if len(parts) == 1 else parts[0] & parts[1])
            rows.append(made)
        doubts = [found[f"doubt:{at}"] for at in range(len(self.numbers.doubts))]
        return self._fold(frame, rows, found, doubts)

    def _run_dear(self, group: _Dear, frame: pl.DataFrame, found: dict[str, pl.Series]) -> None:
        size = frame.height
        part, places = frame, None
        tasks = [
            task
            for task in self._by_value.values()
            if task.column in group.columns and task.column not in frame.columns
        ]
        columns = group.columns - {task.column for task in tasks}
        columns |= {symbol.name for task in tasks for symbol in task.reads}
        if group.mask is not None and columns:
            mask = found[group.mask].fill_null(True)
            if not mask.all():
                part = pl.DataFrame([frame[name].filter(mask) for name in sorted(columns)])
                places = mask.arg_true()
        if tasks:
            part = part.with_columns(
                self._evaluate(task, part).alias(task.column) for task in tasks
            )
        result = part.select_seq(group.exprs)
        for name in result.columns:
            series = result[name]
            if len(series) != part.height:
                series = series.new_from_index(0, part.height)
            if places is not None:
                series = _NO.new_from_index(0, size).scatter(places, series)
            found[name] = series

    def _fold(
        self,
        frame: pl.DataFrame,
        rows: list[list[pl.Series]],
        found: dict[str, pl.Series],
        doubts: list[pl.Series],
    ) -> Outcomes:
        size = frame.height
        no = _NO.new_from_index(0, size)
        acting: dict[Mode, pl.Series] = {}
        held: dict[Mode, pl.Series] = {}
        fired: dict[str, pl.Series] = {}
        unknown: dict[str, pl.Series] = {}
        trials: dict[str, pl.Series] = {}

        def put(where: dict[Any, pl.Series], key: Any, mask: pl.Series) -> None:
            where[key] = where[key] | mask if key in where else mask

        for rule, series in zip(self.draft.rules, rows, strict=True):
            open_rows: pl.Series | None = None
            for row, outcome in zip(rule.rows, series, strict=True):
                blank = outcome.null_count()
                hit = outcome.fill_null(False) if blank else outcome
                lost = outcome.is_null() if blank else None
                if open_rows is not None:
                    hit = hit & open_rows
                    lost = None if lost is None else lost & open_rows
                if lost is not None and not rule.trial:
                    put(unknown, rule.id, lost)
                    if rule.on_unknown is OnUnknown.FIRE:
                        put(fired, rule.id, lost)
                        put(acting, row.then, lost)
                    elif rule.on_unknown is OnUnknown.HOLD:
                        mode = Mode.IN_THE_LOOP
                        put(held, Mode.IN_COMMAND if row.then is Mode.IN_COMMAND else mode, lost)
                put(trials if rule.trial else fired, rule.id, hit)
                if not rule.trial:
                    put(acting, row.then, hit)
                if row is not rule.rows[-1]:
                    done = hit
                    if lost is not None and rule.on_unknown is not OnUnknown.IGNORE:
                        done = done | lost
                    open_rows = ~done if open_rows is None else open_rows & ~done
        said = no
        for mask in acting.values():
            said = said | mask
        put(acting, self.draft.otherwise, ~said)
        for mode, mask in held.items():
            put(acting, mode, mask)
        rank = pl.Series([0], dtype=pl.UInt8).new_from_index(0, size)
        for mode in MODES[1:]:
            if mode in acting:
                rank = rank.set(acting[mode], mode.rank)
        if self.draft.tiers is not None:
            tier = self._tier(frame, found)
            rank = pl.select(pl.max_horizontal(rank, tier)).to_series()
        doubt = None
        for one in doubts:
            mask = one.fill_null(False)
            doubt = mask if doubt is None else doubt | mask
        return Outcomes(
            rank=rank.rename("rank"), fired=fired, unknown=unknown, trials=trials, doubt=doubt
        )

    def _tier(self, frame: pl.DataFrame, found: dict[str, pl.Series]) -> pl.Series:
        """The rank of the mode in the table of risk and confidence."""
        tiers = self.draft.tiers
        assert tiers is not None
        confidence = pl.col(CONFIDENCE)
        columns: dict[str, pl.Expr] = {}
        for name, _, _ in tiers.risks:
            cells = tiers.cells[name]
            cell: pl.Expr = pl.lit(cells[-1].rank, dtype=pl.UInt8)
            for bound, mode in reversed(list(zip(tiers.bounds, cells, strict=True))):
                rank = pl.lit(mode.rank, dtype=pl.UInt8)
                if bound is None:
                    cell = rank
                else:
                    cell = pl.when(confidence >= double(bound)).then(rank).otherwise(cell)
            columns[name] = cell
        last = tiers.risks[-1][0]
        rank = columns[last]
        risks = {
            f"risk:{at}": found[f"risk:{at}"]
            for at, (_, tree, _) in enumerate(tiers.risks)
            if tree is not None
        }
        for at, (name, tree, _) in reversed(list(enumerate(tiers.risks))):
            if tree is None:
                rank = columns[name]
            else:
                # A risk that cannot be ruled out counts as present.
                present = pl.col(f"risk:{at}").fill_null(True)
                rank = pl.when(present).then(columns[name]).otherwise(rank)
        table = frame.select(CONFIDENCE).with_columns(
            series.alias(name) for name, series in risks.items()
        )
        return table.select_seq(rank.alias("tier")).to_series()


@dataclass
class Outcomes:
    """What the rules said about every row of a frame, as columns."""

    rank: pl.Series
    """UInt8: rank of the mode, `MODES[rank]`."""
    fired: dict[str, pl.Series]
    """Rule → rows in which it fired (no nulls); rules that act only."""
    unknown: dict[str, pl.Series]
    """Rule → rows in which it could not be known; left out where there are none."""
    trials: dict[str, pl.Series]
    """Trial rule → rows in which it would have fired."""
    doubt: pl.Series | None
    """Rows that the exact evaluator has to judge; None for none."""


class _Whole(Exception):
    """The policy as a whole has no column form."""


def _of_field(f: Field) -> _Value | None:
    column = pl.col(f.name)
    if f.kind in TEXTS:
        return _Text(column)
    if f.kind in ("bool", "object"):
        return _Bool(column)  # of an object it is known only that it is there
    if f.kind == "int":
        return Exact(column, 1, MAX_INT)
    if f.kind == "double":
        return Float(column, LOW, HIGH)
    if f.kind == "decimal":
        return Exact(column, 10 ** (f.places or 0), TOP)
    if f.kind == "timestamp":
        return Exact(column, 1, TIME_TOP)
    if f.kind == "duration":
        return Exact(column, 1, MAX_INT)
    if f.kind == "list" and f.of != "object":
        return _Items(column, f.of or "string")
    return None  # lists of objects are asked by value


def _rest(value: _Bool | _Text | _Items) -> tuple[Any, ...]:
    return (value.of,) if isinstance(value, _Items) else ()


def value_known_false(numbers: Numbers, value: Number) -> pl.Expr:
    """False where the number is known, else unknown: membership in an empty list."""
    return pl.when(numbers.known(value)).then(pl.lit(False))


def _all(parts: Sequence[pl.Expr]) -> pl.Expr:
    made = parts[0]
    for part in parts[1:]:
        made = made & part
    return made


def _any(parts: Sequence[pl.Expr]) -> pl.Expr:
    made = parts[0]
    for part in parts[1:]:
        made = made | part
    return made


def _key(node: Expr) -> str:
    return json.dumps(node.tree(), ensure_ascii=False)


def _outside_macros(node: Expr) -> Iterable[Expr]:
    """The nodes of a tree, without what `exists` and `all` ask of each item."""
    yield node
    if not (node.op == "call" and node.name in _MACROS):
        for arg in node.args:
            yield from _outside_macros(arg)


def _dear(node: Expr) -> bool:
    """Whether a condition costs much more than a comparison."""
    for inner in node.walk():
        if inner.op == "call" and inner.name not in ("has", "abs", "timestamp", "duration"):
            return True
        if inner.op in ("in", "not in"):
            return True
    return False


def _compiles(pattern: str) -> bool:
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError:
        return False
    return True


__all__ = ["CONFIDENCE", "MODES", "Outcomes", "Plan"]
