"""One condition, many engines: the reference, the generated program, columns, SQL, Google's CEL.

`compare(seed)` makes one random policy and many records with missing values, and counts the cells
(one rule of one record) in which an engine says something else than the reference, which is the
closures of the type check. A cell is true, false or unknown.

An engine answers only for what is its own: rows that the columns hand to the exact evaluator, rules
that SQL has no words for, and conditions that CEL means otherwise are not counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl

from handrail import gate
from handrail.bulk.columns import CONFIDENCE, Plan
from handrail.bulk.numbers import HIGH, LOW, TOP
from handrail.bulk.sql import conditions
from handrail.gate.outside import Given
from handrail.model.modes import OnUnknown
from handrail.model.policy import Record
from tests.gate_fuzz import Fuzz, cel, write

TRUE, UNKNOWN = 1, 2
CEL_RECORDS = 200
"""Records of a policy that CEL is asked about: it takes them one by one."""


@dataclass
class Counts:
    """Cells by engine, and the first differences in words."""

    cells: Counter[str] = field(default_factory=Counter)
    differ: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        self.cells.update(other.cells)
        self.differ.update(other.differ)
        self.unknown += other.unknown
        self.examples += other.examples[: 5 - len(self.examples)]

    def see(
        self, engine: str, wanted: list[int], got: list[int], where: Callable[[int], str]
    ) -> None:
        """Hold two lists of cells against each other; `where` names a cell by its place."""
        self.cells[engine] += len(wanted)
        if wanted == got:
            return
        for at, (one, other) in enumerate(zip(wanted, got, strict=True)):
            if one != other:
                self.differ[engine] += 1
                if len(self.examples) < 5:
                    self.examples.append(f"{engine}: {other} instead of {one}: {where(at)}")


def compare(seed: int, *, rules: int = 20, records: int = 200, plain: bool = False) -> Counts:
    """Every engine over one policy; `plain` policies are those that CEL can be asked about."""
    fuzz = Fuzz(seed, plain=plain)
    trees: list[Any] = []
    if plain:
        head = fuzz.head()
        while len(trees) < rules:
            tree = fuzz.condition()
            rule = f"  - {{id: r{len(trees)}, on_unknown: ignore, when: {yaml(write(tree))}}}\n"
            if cel(tree) is not None and not gate.check(head + rule):
                trees.append(tree)
        text = head + "".join(
            f"  - {{id: r{at}, on_unknown: ignore, when: {yaml(write(tree))}}}\n"
            for at, tree in enumerate(trees)
        )
    else:
        text = fuzz.policy(rules=rules)
    policy = gate.load(text)
    counts = Counts()
    facts = [tamed(fuzz.facts(), fuzz.random) for _ in range(records)]
    given = [
        fuzz.given() if not plain else {"confidence": None, "aggregates": {}}
        for _ in range(records)
    ]
    read = [policy.ingest(one) for one in facts]
    reference = singles(policy, read, given, counts)
    by_columns(policy, read, given, reference, counts)
    by_sql(policy, read, given, reference, counts)
    if plain:
        by_cel(trees, facts, reference, counts)
    counts.examples = [f"seed {seed}: {example}" for example in counts.examples]
    return counts


def yaml(condition: str) -> str:
    return "'" + condition.replace("'", "''") + "'"


def tamed(facts: dict[str, Any], r: random.Random) -> dict[str, Any]:
    """Most of the huge and tiny doubles brought near: columns leave those to the evaluator."""
    for place in (facts, facts.get("o1", {})):
        for name, value in place.items():
            far = isinstance(value, float) and value and not LOW <= abs(value) <= HIGH
            if far and r.random() < 0.95:
                place[name] = r.uniform(-5, 5)
    return facts


def outcomes(policy: gate.Policy, codes: list[int]) -> list[int]:
    found = [0] * len(policy.rules)
    for code in codes:
        item = policy._program.findings[code]
        found[item.rule] |= UNKNOWN if item.unknown else TRUE
    return found


def singles(
    policy: gate.Policy, read: list[Record], given: list[dict[str, Any]], counts: Counts
) -> list[list[int]]:
    """What the reference says; the generated program is held against it."""
    program = policy._program
    found = []
    for at, record in enumerate(read):
        rest = policy._tail.copy()
        told = Given(0, given[at]["confidence"])
        policy._fill(record.slots, rest, told, given[at]["aggregates"])
        generated = outcomes(policy, program.judge(record.slots, rest.copy()))
        wanted = outcomes(policy, program.interpret(record.slots, rest))
        found.append(wanted)
        counts.see(
            "generated",
            wanted,
            generated,
            lambda place, r=record: f"{policy.rules[place].when} over {r.facts}",
        )
        counts.unknown += sum(1 for one in wanted if one & UNKNOWN)
    return found


# ------------------------------------------------------------------------------------ columns


def column_of(kind: str, places: int, values: list[Any]) -> tuple[pl.Series, list[bool]]:
    """Typed values as the typed column of a plan, and which are out of its bounds."""
    if kind == "decimal":
        scaled = [None if v is None else int(Decimal(v).scaleb(places)) for v in values]
        far = [v is not None and abs(v) > TOP for v in scaled]
        kept = [None if bad else v for v, bad in zip(scaled, far, strict=True)]
        return pl.Series(kept, dtype=pl.Int64), far
    if kind == "double":
        far = [v is not None and v != 0 and not LOW <= abs(v) <= HIGH for v in values]
        return pl.Series(values, dtype=pl.Float64), far
    dtype: Any = {"bool": pl.Boolean, "object": pl.Boolean, "int": pl.Int64,
                  "timestamp": pl.Int64, "duration": pl.Int64}.get(kind, pl.String)  # fmt: skip
    return pl.Series(values, dtype=dtype), [False] * len(values)


def typed(
    policy: gate.Policy, read: list[Record], given: list[dict[str, Any]]
) -> tuple[pl.DataFrame, list[bool]]:
    """The records as a typed frame (`handrail/bulk/typed.py`), and which rows are odd."""
    made: list[pl.Series] = []
    odd = [False] * len(read)
    for slot, one in enumerate(policy.fields):
        values = [record.slots[slot] for record in read]
        if one.of == "object":
            made.append(pl.Series(one.name, values, dtype=pl.Object))
            continue
        if one.kind == "list":
            inner = {"int": pl.Int64, "double": pl.Float64}.get(one.of or "", pl.String)
            made.append(pl.Series(one.name, values, dtype=pl.List(inner)))
            continue
        series, far = column_of(one.kind, one.places or 0, values)
        odd = [a or b for a, b in zip(odd, far, strict=True)]
        made.append(series.alias(one.name))
    made.append(pl.Series(CONFIDENCE, [g["confidence"] for g in given], dtype=pl.Float64))
    for total in policy.draft.aggregates:
        values = [g["aggregates"].get(total.name) for g in given]
        made.append(pl.Series(total.name, values, dtype=pl.Int64))
    return pl.DataFrame(made), odd


def by_columns(
    policy: gate.Policy,
    read: list[Record],
    given: list[dict[str, Any]],
    reference: list[list[int]],
    counts: Counts,
) -> None:
    plan = Plan(policy)
    assert plan.rows_only is None, plan.rows_only
    frame, odd = typed(policy, read, given)
    found = plan.run(frame)
    doubt = found.doubt.to_list() if found.doubt is not None else [False] * len(read)
    sure = [at for at in range(len(read)) if not (odd[at] or doubt[at])]
    none = pl.Series([False]).new_from_index(0, len(read))
    for place, rule in enumerate(policy.draft.rules):
        fired = found.trials.get(rule.id, none) if rule.trial else found.fired.get(rule.id, none)
        lost = found.unknown.get(rule.id, none)
        if rule.on_unknown is OnUnknown.FIRE and not rule.trial:
            fired = fired & ~lost
        got = (fired.cast(pl.UInt8) * TRUE + lost.cast(pl.UInt8) * UNKNOWN).to_list()
        wanted = [row[place] for row in reference]
        counts.see(
            "columns",
            [wanted[at] for at in sure],
            [got[at] for at in sure],
            lambda k, p=place: f"{policy.rules[p].when} over {read[sure[k]].facts}",
        )
    counts.cells["columns: judged alone"] += (len(read) - len(sure)) * len(policy.rules)


# ---------------------------------------------------------------------------------------- SQL


def by_sql(
    policy: gate.Policy,
    read: list[Record],
    given: list[dict[str, Any]],
    reference: list[list[int]],
    counts: Counts,
) -> None:
    import duckdb

    said = conditions(policy)
    texts = {rule.id: said[rule.id].text for rule in policy.rules if said[rule.id].text}
    if not texts:
        return
    frame, _ = typed(policy, read, given)
    records = raw(policy, frame, read)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
    connection.register("raw", records.to_arrow())
    kinds = {one.name: f"DECIMAL(18, {one.places})" for one in policy.fields if one.places}
    columns = ", ".join(
        f'CAST("{name}" AS {kinds[name]}) AS "{name}"' if name in kinds else f'"{name}"'
        for name in records.columns
    )
    connection.execute(f"CREATE TABLE records AS SELECT {columns} FROM raw")
    wanted = ", ".join(f'({text}) AS "{name}"' for name, text in texts.items())
    rows = connection.execute(f"SELECT {wanted} FROM records").fetchall()
    places = {rule.id: place for place, rule in enumerate(policy.rules)}
    for name, answers in zip(texts, zip(*rows, strict=True), strict=True):
        place = places[name]
        trial = policy.rules[place].trial
        # A matrix may be unknown in one row and true in a later one: then it is true.
        wanted = [TRUE if row[place] & TRUE else row[place] for row in reference]
        got = [TRUE if one else UNKNOWN if one is None and not trial else 0 for one in answers]
        counts.see("sql", wanted, got, lambda at, t=texts[name]: f"{t} over {read[at].facts}")


def raw(policy: gate.Policy, frame: pl.DataFrame, read: list[Record]) -> pl.DataFrame:
    """The frame as a warehouse has it: decimals as text to be cast, times, objects as structs."""
    made = []
    for one in policy.fields:
        if "." in one.name:
            continue
        if one.of == "object":  # SQL asks only whether it is there
            there = [None if record.facts.get(one.name) is None else True for record in read]
            made.append(pl.Series(one.name, there, dtype=pl.Boolean))
            continue
        series = frame[one.name]
        if one.kind == "decimal":
            texts = [record.facts.get(one.name) for record in read]
            series = pl.Series(one.name, texts, dtype=pl.String)
        elif one.kind == "timestamp":
            series = pl.from_epoch(series, "us")
        elif one.kind == "object":
            shape = pl.Struct(
                {"f": pl.Float64, "s": pl.String, "deep": pl.Struct({"b": pl.Boolean})}
            )
            inner = [record.facts.get(one.name) for record in read]
            series = pl.Series(one.name, inner, dtype=shape)
        made.append(series.alias(one.name))
    return pl.DataFrame([*made, frame[CONFIDENCE]])


# ---------------------------------------------------------------------------------------- CEL


def by_cel(
    trees: list[Any], facts: list[dict[str, Any]], reference: list[list[int]], counts: Counts
) -> None:
    try:
        from cel_expr_python import cel as google
    except ImportError:
        return
    env = google.NewEnv(variables={"r": google.Type.DYN})
    programs = [env.compile(cel(tree)) for tree in trees]
    for at, record in enumerate(facts[:CEL_RECORDS]):
        answers = [program.eval(data={"r": record}).value() for program in programs]
        got = [int(answer) if isinstance(answer, bool) else UNKNOWN for answer in answers]
        counts.see(
            "cel",
            reference[at],
            got,
            lambda place, r=record: f"{write(trees[place])} over {r}",
        )
