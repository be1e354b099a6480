"""Rows of a file through a policy: one ruling a row, or every reason why a row has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from handrail.bulk.cells import read_cell
from handrail.bulk.names import name_columns
from handrail.bulk.read import Row, Source
from handrail.gate import Policy, read_confidence
from handrail.model.commands import Submit
from handrail.model.errors import BadInput
from handrail.model.ids import new_id
from handrail.model.policy import BadRecord, Field, Record
from handrail.model.ruling import Ruling

ROW_KEY = "@row"
"""Key column that stands for the name of the file and the number of the row in it."""


class Ranks(Protocol):
    """What gives the aggregates with `top:` their values in a file; see `handrail.bulk.ranks`."""

    def given(self, record: Record, row: Row) -> Mapping[str, Any]:
        """The values for one row, as `Policy.evaluate` takes them."""

    def columns(self, frame: Any, row: Callable[[int], Row]) -> list[Any]:
        """The values for the rows of a frame of typed columns."""


class Bad(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was not judged, or not taken, and why."""

    row: int
    line: int | None
    key: str | None
    reasons: tuple[dict[str, str], ...]
    """`pointer` into the decision and `message`."""
    values: dict[str, Any]
    """The row as it stands in the file."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A row, what would be submitted of it, and what the gate says."""

    row: Row
    submit: Submit | None = None
    ruling: Ruling | None = None
    record: Record | None = None
    """What the ruling was made of."""
    bad: Bad | None = None
    """Set where there is no ruling."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns of a file become what, under one policy."""

    policy: Policy
    source: Source
    facts: tuple[tuple[str, Field], ...]
    """(header, field) of each fact the file has."""
    proposal: tuple[tuple[str, Field], ...]
    keys: tuple[str, ...] = ()
    """Headers whose values together are the idempotency key."""
    confidence: str | None = None
    model: str | None = None
    unused: tuple[str, ...] = ()
    """Headers the policy does not declare: they are not sent."""
    absent: tuple[str, ...] = ()
    """Required fields that the file has no column for."""
    ranks: Ranks | None = None
    """Where the aggregates with `top:` begin in this file; None where nobody looked."""


def plan_columns(
    policy: Policy,
    source: Source,
    *,
    keys: Sequence[str] = (),
    proposal: Sequence[str] = (),
    confidence: str | None = None,
    model: str | None = None,
) -> Plan:
    """Match the headers of a file with the fields of a policy.

    A field takes the column of exactly its name, else the one whose header becomes its name. Fields
    `from: proposal` are read from their columns by themselves; `proposal` names columns that hold
    proposed values under other names as `COLUMN` or `FIELD=COLUMN`. Raises `BadInput` where a named
    column does not exist, or two headers would become one field.
    """
    names = name_columns(source.headers, str(source.path))
    by_field = {name: header for header, name in names.items()}
    by_field.update({header: header for header in source.headers})

    def column(wanted: str) -> str:
        found = by_field.get(wanted)
        if found is None:
            raise BadInput(
                f"{source.path} has no column {wanted!r}; it has {', '.join(source.headers)}"
            )
        return found

    fields = {field.name: field for field in policy.fields}
    columns = {name: by_field[name] for name in fields if name in by_field}
    for entry in proposal:
        name, _, other = entry.partition("=")
        header = column(other or name)
        name = name if other else next((n for n in (name, names[header]) if n in fields), name)
        if name not in fields or not fields[name].proposed:
            raise BadInput(
                f"{policy.workflow} has no field {name!r} with `from: proposal`; it has "
                + (", ".join(n for n, f in fields.items() if f.proposed) or "none")
                + ". Name one as FIELD=COLUMN"
            )
        columns[name] = header
    key_headers = tuple(key if key == ROW_KEY else column(key) for key in keys)
    confidence_header = column(confidence) if confidence else None
    used = {*columns.values(), *key_headers, confidence_header}
    return Plan(
        policy=policy,
        source=source,
        facts=tuple((h, fields[n]) for n, h in columns.items() if not fields[n].proposed),
        proposal=tuple((h, fields[n]) for n, h in columns.items() if fields[n].proposed),
        keys=key_headers,
        confidence=confidence_header,
        model=model,
        unused=tuple(header for header in source.headers if header not in used),
        absent=tuple(n for n, f in fields.items() if not f.optional and n not in columns),
    )


def judge(plan: Plan, rows: Iterable[Row], now: int) -> Iterator[Judged]:
    """Each row with its ruling, in order. `now` (µs UTC) is the time of every ruling.

    Aggregates are unknown in a file: rules over them do what their `on_unknown` says, and the
    store resolves them where the row is submitted.
    """
    for row in rows:
        yield judge_row(plan, row, now)


def judge_row(
    plan: Plan,
    row: Row,
    now: int,
    aggregates: Callable[[Record], Mapping[str, Any]] | None = None,
) -> Judged:
    """One row with its ruling, or with every reason why it has none.

    `aggregates` gives the values of the policy's aggregates for a record; without it they are
    unknown, but for those with `top:` where the plan has ranks.
    """
    if row.problem is not None:
        return Judged(row=row, bad=_bad(row, None, [("", row.problem)]))
    key = key_of(plan.keys, plan.source, row)
    problems: list[tuple[str, str]] = []
    if plan.keys and key is None:
        problems.append(("/key", f"no value in {' or '.join(plan.keys)}, which names the row"))
    facts = _cells(plan.facts, row)
    proposal = _cells(plan.proposal, row)
    confidence = None
    if plan.confidence is not None:
        try:
            cell = read_cell(_CONFIDENCE, row.values.get(plan.confidence))
            confidence = read_confidence(cell)
        except BadInput as error:
            problems.append((error.pointer, error.message))
    policy = plan.policy
    record = None
    try:
        record = policy.ingest(facts, proposal)
        problems += [(where, "missing; the policy requires it") for where in record.missing]
    except BadRecord as error:
        problems += error.problems
    except BadInput as error:
        problems.append((error.pointer, error.message))
    if problems or record is None:
        return Judged(row=row, bad=_bad(row, key, problems))
    known: Mapping[str, Any] | None = None
    if aggregates is not None:
        known = aggregates(record)
    elif plan.ranks is not None:
        known = plan.ranks.given(record, row)
    ruling = policy.evaluate(
        record,
        decision_id=new_id("d", now),
        evaluated_at=now,
        confidence=confidence,
        aggregates=known,
        checks=policy.run_checks(record),
    )
    submit = Submit(
        workflow=policy.workflow,
        facts=facts,
        proposal=proposal or None,
        key=key,
        confidence=confidence,
        model=plan.model,
    )
    return Judged(row=row, submit=submit, ruling=ruling, record=record)


_CONFIDENCE = Field(name="confidence", kind="double")


def _cells(columns: tuple[tuple[str, Field], ...], row: Row) -> dict[str, Any]:
    """Wire values by field; a dotted field becomes nested objects. Missing ones are left out."""
    found: dict[str, Any] = {}
    for header, field in columns:
        value = read_cell(field, row.values.get(header))
        if value is None:
            continue
        place = found
        *above, last = field.name.split(".")
        for step in above:
            place = place.setdefault(step, {})
        place[last] = value
    return found


def key_of(keys: Sequence[str], source: Source, row: Row) -> str | None:
    """The idempotency key of a row; None where a part of it is missing."""
    parts: list[str] = []
    for header in keys:
        if header == ROW_KEY:
            parts.append(f"{source.path.name}:{row.number}")
            continue
        value = row.values.get(header)
        text = "" if value is None else str(value).strip()
        if not text:
            return None
        parts.append(text)
    return ":".join(parts) or None


def _bad(row: Row, key: str | None, problems: list[tuple[str, str]]) -> Bad:
    return Bad(
        row=row.number,
        line=row.line,
        key=key,
        reasons=tuple({"pointer": where, "message": what} for where, what in problems),
        values=row.values,
    )


def rejected(judged: Judged, error: dict[str, Any]) -> Bad:
    """A row that was judged but not taken by the store; `error` is what the store answered."""
    message = str(error.get("detail") or error.get("message") or error.get("title") or "not taken")
    key = judged.submit.key if judged.submit is not None else None
    return _bad(judged.row, key, [(str(error.get("pointer", "")), message)])


class Tally(msgspec.Struct):
    """What came of a file: counts only."""

    rows: int = 0
    bad: int = 0
    lanes: Counter[str] = msgspec.field(default_factory=Counter)
    modes: Counter[str] = msgspec.field(default_factory=Counter)
    fired: Counter[str] = msgspec.field(default_factory=Counter)
    """Rows by rule that fired."""
    unknown: Counter[str] = msgspec.field(default_factory=Counter)
    """Rows by rule that could not be known."""
    trials: Counter[str] = msgspec.field(default_factory=Counter)
    """Rows by trial rule that would have fired."""
    tiers: int = 0
    """Rows that only the table of confidence and risk holds back."""

    def add(self, judged: Judged) -> None:
        """Count one row."""
        self.rows += 1
        ruling = judged.ruling
        if ruling is None:
            self.bad += 1
            return
        self.lanes[str(ruling.lane)] += 1
        self.modes[str(ruling.mode)] += 1
        self.fired.update({fired.rule for fired in ruling.fired if not fired.unknown})
        self.unknown.update({unknown.rule for unknown in ruling.unknown})
        self.trials.update({trial.rule for trial in ruling.trials})
        if not ruling.passed and not ruling.fired and not ruling.unknown:
            self.tiers += 1

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON holds them; `of` reads them back."""
        return {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in msgspec.structs.asdict(self).items()
        }

    @classmethod
    def of(cls, counts: dict[str, Any]) -> Tally:
        """The tally that `to_dict` wrote down."""
        read: dict[str, Any] = {
            name: Counter(value) if isinstance(value, dict) else value
            for name, value in counts.items()
        }
        return cls(**read)

    def merge(self, other: Tally) -> None:
        """Count the rows of another tally too."""
        self.rows += other.rows
        self.bad += other.bad
        self.tiers += other.tiers
        for mine, theirs in (
            (self.lanes, other.lanes),
            (self.modes, other.modes),
            (self.fired, other.fired),
            (self.unknown, other.unknown),
            (self.trials, other.trials),
        ):
            mine.update(theirs)

    @property
    def judged(self) -> int:
        """Rows that have a ruling: what every share is a share of."""
        return self.rows - self.bad
