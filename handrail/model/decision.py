"""The decision: the thing to be decided."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.noun import Noun


class Decision(Noun, frozen=True, kw_only=True, omit_defaults=True):
    """What a machine wants to do, as it was submitted. Never changes afterwards."""

    id: str
    workflow: str
    """Name of the workflow, which is the name of its policy."""
    subject: str | None = None
    """The object decided about (the policy's `subject` field, or what the caller gave)."""
    submitter: str
    """Who handed it in: the token's or process's own name; never a person who may decide it."""
    requester: str | None = None
    """The person on whose behalf; may never decide it."""
    key: str | None = None
    """Idempotency key, unique within (workflow, submitter)."""
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    """Typed fields a policy may read, stored form."""
    proposal: dict[str, Any] = msgspec.field(default_factory=dict)
    """What would run, stored form; all that an edit may change."""
    confidence: float | dict[str, float] | None = None
    """0 to 1: one number, or one a field of the proposal."""
    alternatives: tuple[Any, ...] = ()
    """Other answers the model had, best first."""
    model: str | None = None
    """Name and version of what proposed, such as `budgeter@3.2`."""
    current: dict[str, Any] | None = None
    """State before the effect, for the diff."""
    context: Any = None
    """Shown to people; no policy can read it."""
    links: dict[str, str] | None = None
    """Name to address; shown, never fetched."""
    callback: str | None = None
    """Address that is called with the outcome, once it is released."""
    occurred_at: int | None = None
    """When the thing happened in the caller's world."""
    expires_at: int | None = None
    """After this the decision is of no use: it expires undecided."""
    supersedes: str | None = None
    """Decision that this one replaces."""
    reverses: str | None = None
    """Decision that this one would undo; only `Reverse` sets it. `proposal` is then `{"undo": …}`
    with what had run, so that no program takes it for the same thing once more."""
    test: bool = False
    """Marked as a test: same walk, left out of every rate."""
    submitted_at: int
    body_digest: str
    """Digest of what the caller sent, before typing; makes a repeat recognisable."""


class CaseKey(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two held decisions one question: workflow, rules, subject, chosen values."""

    workflow: str
    rules: tuple[str, ...]
    subject: str | None
    """None where every rule that fired merges across subjects."""
    values: dict[str, Any] = msgspec.field(default_factory=dict)
