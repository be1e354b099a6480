"""What a loaded policy tells the other rooms: its fields, record, sampling and aggregates."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from handrail.model.errors import BadInput
from handrail.model.modes import Severity
from handrail.model.ruling import Route


class IfOpen(StrEnum):
    """What a new submit does while its subject is under review."""

    REPLACE = "replace"
    QUEUE = "queue"
    REFUSE = "refuse"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One typed field of a policy, as a form or a page shows it."""

    name: str
    """Dotted path, such as `daily_budget` or `customer.tier`."""
    kind: str
    """`string`, `double`, `int`, `bool`, `decimal`, `enum`, `person`, `timestamp`, `duration`,
    `list` or `object`."""
    of: str | None = None
    """Kind of the items of a list; None otherwise."""
    members: tuple[str, ...] = ()
    """Members of an enum (or of the enum a list holds), in the order of the file."""
    places: int | None = None
    """Digits after the point of a decimal; None otherwise."""
    optional: bool = False
    unit: str | None = None
    low: str | None = None
    """Smallest value allowed (stored form as text), None for no bound."""
    high: str | None = None
    """Largest value allowed (stored form as text), None for no bound."""
    normal: tuple[str, ...] = ()
    """Normal forms applied before a rule reads the text: `lower`, `url`."""
    proposed: bool = False
    """True where the value comes from the proposal: what will run, all that an edit may change."""
    derived: bool = False
    """True for a fact that tells of the proposal: a blind seat does not see it either."""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """How a form asks for the value of one field that may be edited."""

    name: str
    """Dotted path of the field."""
    shape: str
    """`select`, `yes_no`, `number`, `date`, `time`, `email`, `text` or `lines`: a long text, or
    JSON."""
    title: str = ""
    """What it is called; empty: by its name."""
    help: str = ""
    choices: tuple[str, ...] = ()
    """What a select offers, as text that is read by the field's kind."""
    titles: tuple[str, ...] = ()
    """What each choice is called; empty: as it is written."""
    low: str | None = None
    high: str | None = None
    step: str | None = None
    """Values are multiples of it; None: any."""
    most: int | None = None
    """Longest text, characters; None: as long as texts may be."""
    unit: str | None = None
    optional: bool = False

    @classmethod
    def of(cls, field: Field) -> Input:
        """The form of a declared field, where nothing more is said of it."""
        shapes = {"enum": "select", "bool": "yes_no", "list": "lines", "object": "lines"}
        shapes |= dict.fromkeys(("int", "decimal", "double"), "number")
        steps = {"int": "1", "decimal": format(Decimal(1).scaleb(-(field.places or 0)), "f")}
        choices = field.members if field.kind == "enum" else ()
        if field.kind == "bool":
            choices = ("true", "false")
        return cls(
            name=field.name,
            shape=shapes.get(field.kind, "text"),
            choices=choices,
            low=field.low,
            high=field.high,
            step=steps.get(field.kind),
            unit=field.unit,
            optional=field.optional,
        )


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities (0 to 1) of the coins thrown at decision time."""

    spot_check: float = 0.0
    """Uniform share of passed decisions that people check."""
    active_check: float = 0.0
    """Share of passed decisions that look wrong and are checked."""
    blind: float = 0.0
    """Share of reviews whose first seat does not see the proposal."""


class RouteLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the route table; the first that matches a ruling is taken."""

    severity: Severity | None = None
    """Only rulings of this severity; None matches all."""
    rule: str | None = None
    """Only rulings in which this rule fired (or held as unknown); None matches all."""
    route: Route


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule as a page lists it."""

    id: str
    when: str
    """The condition as written; for a matrix one line a row."""
    then: str
    """The mode it asks for; for a matrix the strictest of its rows."""
    severity: Severity
    because: str
    """The sentence as written, with its `{names}`."""
    on_unknown: str
    trial: bool
    line: int
    """Line of the policy file, counted from 1."""


class AggregateRead(msgspec.Struct, frozen=True, kw_only=True):
    """One aggregate as the store resolves it inside the decision's transaction.

    The value is taken over what came before: the current decision is not part of it.
    """

    name: str
    function: str
    series: str
    """Id of the series it reads."""
    key: str
    """The values of the `by` fields, as a JSON array of texts."""
    start: int
    """First bucket, µs UTC."""
    end: int
    """The buckets before this time, µs UTC."""
    summed: bool
    """Whether count and total of all these buckets together are enough."""


class AggregateAdd(msgspec.Struct, frozen=True, kw_only=True):
    """What one decision or observation adds to one series."""

    series: str
    keeps: str
    """What the series keeps beside count and total; see `handrail.gate.series`."""
    key: str
    """The values of the `by` fields, as a JSON array of texts."""
    bucket: int
    """Start of the bucket, µs UTC."""
    total: int
    """Whole number of 10^-places of the field's unit; 0 where nothing is summed."""
    at: int
    """When it happened, µs UTC."""
    value: Any = None
    """What is folded into the bucket's body."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of a series, or the sum of several."""

    bucket: int
    """Its start, µs UTC."""
    count: int
    total: int
    body: bytes | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One decision's facts and proposal, read by the types a policy declares.

    `facts` and `proposal` are the stored form: wire values, declared fields normalised.
    """

    facts: dict[str, Any]
    proposal: dict[str, Any]
    missing: tuple[str, ...] = ()
    """JSON pointers of required fields without a value, such as `/facts/channel`."""
    undeclared: tuple[str, ...] = ()
    """Names the policy does not declare: `x` for a fact, `proposal.x` for a proposed value."""
    slots: tuple[Any, ...] = ()
    """Typed values in the order of the policy's fields; None is unknown. For the gate only."""


class BadRecord(BadInput):
    """Facts or a proposal with values that the declared types refuse: every one at once.

    `problems` are (JSON pointer, sentence) pairs; `pointer` is the first of them.
    """

    title = "Bad facts or proposal"
    status = 422

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        pointer, first = problems[0]
        rest = "".join(f"\n{where}: {what}" for where, what in problems[1:])
        super().__init__(first + rest, pointer)

    def details(self) -> dict[str, Any]:
        return {
            "pointer": self.pointer,
            "problems": [{"pointer": where, "message": what} for where, what in self.problems],
        }
