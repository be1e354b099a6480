"""A policy while it is read: its parts in the order in which they depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as made
from typing import TYPE_CHECKING, Any

from handrail.gate import values as val
from handrail.gate.every import Every
from handrail.gate.scope import NamedList, Scope, Table
from handrail.gate.sentence import Sentence
from handrail.gate.series import Aggregate
from handrail.gate.source import Node
from handrail.gate.syntax import Expr
from handrail.model.modes import Mode, OnUnknown, Severity
from handrail.model.policy import Field, IfOpen, RouteLine, Sampling
from handrail.model.ruling import Approval

if TYPE_CHECKING:
    from handrail.gate.schema import EditSchema

DEFAULT_UNDO_US = 10_000_000
"""`review.undo` where the policy says nothing, µs."""


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


@dataclass(frozen=True)
class DraftRemember:
    """A value that joins a stored list once a person has approved it."""

    list: str
    field: str
    span_us: int | None
    """How long it stays, µs; None for good."""


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
    remember: tuple[DraftRemember, ...] = ()


@dataclass
class DraftValue:
    name: str
    slot: int
    expr: Expr
    source: str


@dataclass
class DraftCheck:
    """A check of a pack: which code, on which fields, and how its answer is read."""

    name: str
    run: str
    """`PACK.NAME`."""
    reads: tuple[str, ...]
    slot: int
    why_slot: int
    gives: Field
    read: val.Reader


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
    alternatives: tuple[Any, ...] = ()
    at: int = 0
    """Time of the evaluation, µs since 1970 UTC."""
    lists: dict[str, tuple[Any, ...]] = made(default_factory=dict)
    tables: dict[str, dict[str, tuple[Any, ...]]] = made(default_factory=dict)
    checks: dict[str, Any] = made(default_factory=dict)
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
    owner_approvals: tuple[Approval, ...] = ()
    review_by: str | None = None
    subject: tuple[str, ...] = ()
    requester: str | None = None
    if_open: IfOpen = IfOpen.REPLACE
    otherwise: Mode = Mode.IN_THE_LOOP
    plans: list[Plan] = made(default_factory=list)
    fields: dict[str, Field] = made(default_factory=dict)
    values: list[DraftValue] = made(default_factory=list)
    aggregates: list[Aggregate] = made(default_factory=list)
    every: Every | None = None
    lists: dict[str, NamedList] = made(default_factory=dict)
    list_digests: dict[str, str] = made(default_factory=dict)
    tables: dict[str, Table] = made(default_factory=dict)
    checks: list[DraftCheck] = made(default_factory=list)
    groups: tuple[str, ...] = ()
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
    edit_schema: EditSchema | None = None
    choices: tuple[str, ...] = ()
    if_approved: Sentence | None = None
    if_rejected: Sentence | None = None
    remember: tuple[DraftRemember, ...] = ()
    """What joins a list whatever rule held it."""
    undo_us: int = DEFAULT_UNDO_US
    valid_us: int | None = None
    sampling: Sampling = made(default_factory=Sampling)
    cases: list[DraftCase] = made(default_factory=list)
