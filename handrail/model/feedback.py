"""What comes back: feedback from verdicts, truth that arrives later, certificates."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.modes import Mode, Said
from handrail.model.noun import Noun


class Feedback(Noun, frozen=True, kw_only=True):
    """Original proposal, human version, reason code and seconds of one vote."""

    decision_id: str
    review: str
    workflow: str
    policy: str
    mode: Mode
    model: str | None
    confidence: float | dict[str, float] | None
    rules: tuple[str, ...]
    recommendation: dict[str, Any]
    """The machine's proposal, stored form."""
    human: dict[str, Any] | None
    """What the person let stand; None after a rejection."""
    said: Said
    reason: str | None
    comment: str | None
    seconds: float | None
    person: str
    at: int
    blind: bool
    test: bool


class Label(Noun, frozen=True, kw_only=True):
    """Truth about a decision that became known later."""

    id: str
    decision_id: str
    truth: Any = None
    """What was right; None where only `wrong` is known."""
    wrong: bool | None = None
    """Whether what ran (or would have run) was wrong."""
    loss: str | None = None
    """Decimal string in the workflow's money unit; what the mistake cost."""
    source: str
    """Where it is known from, such as `pathology` or `chargeback`."""
    at: int
    """When it became true in the world (µs UTC)."""
    added_at: int


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """Stored proof that what passes by itself errs below a bound. Void on change."""

    workflow: str
    model: str | None
    score: str
    """Name of the score whose threshold is certified."""
    population: str
    gate_digest: str
    threshold: float
    """Lowest confidence that passes."""
    bound: float
    """Error rate that is not exceeded, 0 to 1."""
    confidence: float
    """Probability with which the bound holds, 0 to 1."""
    labels: int
    """How many labelled decisions it rests on."""
    method: str
    made_at: int
    void_at: int | None = None


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a workflow's policy: it rules, has ruled, or was proposed."""

    workflow: str
    version: str
    """Hash of the file and its lists."""
    gate_digest: str
    text: str
    files: dict[str, str] = msgspec.field(default_factory=dict)
    """Text of each list file the policy names."""
    path: str
    activated_at: int | None = None
    """When it last came to rule (µs UTC); None where it never did."""
    activated_by: str | None = None
    active: bool = False


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the outbox: somebody has to be told something. Delivered at least once."""

    id: str
    """Stable over retries."""
    topic: str
    """`review.opened`, `review.reminded`, `review.escalated`, `run.in_doubt`."""
    to: tuple[str, ...]
    review: str | None = None
    decision_id: str | None = None
    text: str = ""
    made_at: int
    attempts: int = 0
    next_at: int | None = None
    """When to try (again); None once delivered or parked."""
    delivered_at: int | None = None
    error: str | None = None


class Stop(Noun, frozen=True, kw_only=True):
    """The stop button as pressed: no automatic pass while it stands."""

    workflow: str
    """A workflow, or `*` for all."""
    reason: str
    by: str
    """Whoever pressed it: a person's id where it is kept, their handle where it is answered."""
    at: int
