"""The review: a held or spot-checked decision while people have it."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.modes import ReviewKind, ReviewStatus, Said, Severity, Verdict
from handrail.model.noun import Noun
from handrail.model.policy import Input
from handrail.model.ruling import Approval, Ruling


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """One question for people. Several decisions of one case may hang on it."""

    id: str
    kind: ReviewKind
    workflow: str
    subject: str | None
    lead: str
    """Id of the decision that opened it."""
    attached: int = 1
    """How many decisions hang on it, the lead included."""
    status: ReviewStatus
    round: int = 1
    """Current pass over it, from 1; an edit that needs more approvals starts the next."""
    severity: Severity | None = None
    to: tuple[str, ...] = ()
    """Who is asked now: teams, roles or persons."""
    stage: int = 0
    """Steps of the deadline taken: 0 asked, 1 reminded at half, 2 fallback, 3 owners."""
    next_at: int | None = None
    """When the sweep has to look at it next."""
    due: int | None = None
    case_key: str | None = None
    """Digest of the case key while open to repeats; None where repeats stay apart."""
    behind: str | None = None
    """Review of the same subject that has to end first (`if_open: queue`)."""
    snoozed_until: int | None = None
    opened_at: int
    verdict: Verdict | None = None
    decided_by: str | None = None
    """Person id of who closed it; None while open, or where silence closed it."""
    decided_at: int | None = None
    closed_why: str | None = None
    undo_until: int | None = None
    """Until when the person who closed it may take it back."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over a review: one proposal under one ruling. An edit starts the next."""

    review: str
    number: int
    proposal: dict[str, Any]
    ruling: Ruling
    editor: str | None = None
    """Person whose edit started it; None for the first."""
    started_at: int


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """One place for one person in one round."""

    review: str
    round: int
    holder: str
    """Person id."""
    token: str
    """Claim token; a vote that shows an old one lost its seat."""
    lease_until: int
    blind: bool = False
    """True while the holder may not see the proposal."""


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said in one round. At most one per (review, round, person)."""

    id: str
    review: str
    round: int
    person: str
    said: Said
    reason: str | None = None
    """Reason code of the policy; required for edit and reject."""
    comment: str | None = None
    edits: dict[str, Any] = msgspec.field(default_factory=dict)
    """Changed proposal fields, stored form."""
    card: str
    """Digest of the card that was painted for the voter."""
    seconds: float | None = None
    """Time the person took, from painted to pressed."""
    at: int
    carried_from: int | None = None
    """Round the vote was first cast in, where an edit left it standing."""
    single_person: bool = False
    """True where the workspace has nobody registered and one person holds every role."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What people do to a review besides voting: escalate, ask, snooze, assign, comment, undo."""

    review: str
    kind: str
    by: str | None
    at: int
    to: tuple[str, ...] = ()
    reason: str | None = None
    comment: str | None = None
    until: int | None = None


class Card(Noun, frozen=True, kw_only=True):
    """What one person may see of a review, in the order it is read.

    Made by `handrail.access.view` only. Has no proposal while the person's seat is blind.
    """

    review: str
    digest: str
    """Covers everything that matters to the verdict; a vote carries it back."""
    round: int
    status: ReviewStatus
    kind: ReviewKind
    workflow: str
    title: str
    subject: str | None
    what: str
    """What happens, one sentence."""
    why: tuple[str, ...]
    """Why it is held: one sentence a rule."""
    rules: tuple[dict[str, Any], ...] = ()
    """Rule, severity, and the values and thresholds that made it fire."""
    unknown: tuple[str, ...] = ()
    blind: bool = False
    proposal: dict[str, Any] | None = None
    """None while blind."""
    confidence: float | dict[str, float] | None = None
    model: str | None = None
    alternatives: tuple[Any, ...] = ()
    if_approved: str = ""
    if_rejected: str = ""
    money: str | None = None
    reversible: bool = False
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    diff: tuple[tuple[str, Any, Any], ...] = ()
    """(field, now, proposed) of what the effect would change."""
    context: Any = None
    links: dict[str, str] = msgspec.field(default_factory=dict)
    attached: int = 1
    severity: Severity | None = None
    mode: str
    due: int | None = None
    opened_at: int
    to: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()
    """Approvals still missing."""
    votes: tuple[dict[str, Any], ...] = ()
    """Votes that stand in this round: who, said, reason, at. Empty while blind."""
    history: tuple[dict[str, Any], ...] = ()
    """What people did to it besides voting: kind, by, to, at, reason, comment, until. While blind,
    and for who does not decide it, only what they may know."""
    may: tuple[str, ...] = ()
    """Names of the commands that who looks may send about it now, such as `CastVote`."""
    reasons: dict[str, str] = msgspec.field(default_factory=dict)
    """Reason codes of the policy, code to words."""
    editable: tuple[str, ...] = ()
    """Proposal fields an edit may change."""
    fields: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """Type, unit and bounds of the editable fields."""
    inputs: tuple[Input, ...] = ()
    """How a form asks for each of them."""
    edit_schema: dict[str, Any] | None = None
    """JSON Schema that the edited proposal has to fit; None where `fields` say it all."""
    choices: tuple[str, ...] = ()
    requester: str | None = None
    holder: str | None = None
    """Handle of who has claimed it; None where free."""
    snoozed_until: int | None = None
    verdict: Verdict | None = None
    decided_by: str | None = None
    decided_at: int | None = None
    undo_until: int | None = None
    taken_back: str | None = None
    """Why nothing comes of what was approved: its permission was taken back before it ran."""
    behind: str | None = None
    test: bool = False
    decision_ids: tuple[str, ...] = ()
    """Decisions that hang on it, first the lead; at most 100 are listed."""
