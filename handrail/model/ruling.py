"""The ruling: what the gate answers, frozen with everything it was answered from."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.modes import Lane, Mode, Severity, Silence
from handrail.model.noun import Noun
from handrail.model.wire import time_text

Scalar = str | int | float | bool | None
"""A value as it is stored: decimals are strings with exactly their declared places."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword of `mentions`, where it stands in the text."""

    word: str
    """As the list spells it."""
    start: int
    """Where it starts, in code points of the text."""
    end: int
    """Where it ends, exclusive."""


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of a condition with the values that made it true."""

    text: str
    """The comparison as written, such as `daily_budget > 10000`."""
    op: str
    """`>`, `>=`, `<`, `<=`, `==`, `!=`, `in`, `not in`, or `is` for a bare boolean."""
    left: Any = None
    """Value of the left side (stored form)."""
    right: Any = None
    """Value of the right side (stored form); a list's name for `in lists.x`."""
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    """Each field or named value the comparison read, with its value."""
    found: tuple[Found, ...] = ()
    """For `mentions`: the keywords that were found, and where."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """`count` distinct persons out of `of` must approve."""

    of: tuple[str, ...]
    """Who: `role:director`, `team:x`, `person:y`; any one of them counts."""
    count: int = 1
    """How many distinct persons, at least 1."""


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that fired, with the values that made it fire."""

    rule: str
    mode: Mode
    severity: Severity
    because: str
    """The sentence a person reads, values filled in."""
    terms: tuple[Term, ...] = ()
    approvals: tuple[Approval, ...] = ()
    same_case: dict[str, Any] | None = None
    """Chosen values that merge repeats across subjects; None where repeats stay apart."""
    unknown: bool = False
    """True where the condition was unknown and the rule's `on_unknown` made it act."""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A rule whose condition could not be known, and what was missing."""

    rule: str
    missing: tuple[str, ...]
    """Fields, values or aggregates without a value."""
    why: str
    """Sentence: `median_budget is missing`, `impressions is 0 and divides clicks`."""
    acted: str
    """What the rule did about it: `hold`, `ignore` or `fire`."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of a pack answered about one decision."""

    value: Any = None
    """The answer, stored form; None where there is none."""
    problem: str = ""
    """Why there is none, as the end of a sentence that begins with the check's name."""


class TierCell(msgspec.Struct, frozen=True, kw_only=True):
    """The cell of the confidence × risk table that spoke."""

    risk: str
    at_least: float | None
    """Lower bound of the confidence band; None for the column `none` (no confidence given)."""
    confidence: float | None
    mode: Mode


class Stakes(msgspec.Struct, frozen=True, kw_only=True):
    """What is at stake. Undeclared means irreversible."""

    money: str | None = None
    """Decimal string in `unit`; None where not declared or unknown."""
    unit: str | None = None
    reversible: bool = False


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets it, by when, and what silence means."""

    to: tuple[str, ...]
    sla_seconds: int | None = None
    clock: str = "always"
    """`always`, or `business` (office hours of the workspace)."""
    fallback: tuple[str, ...] = ()
    silence: Silence = Silence.BLOCK


class Coin(msgspec.Struct, frozen=True, kw_only=True):
    """One independent draw at decision time; its probability is stored with it."""

    kind: str
    """`uniform` (spot check), `active` (spot check of what may be wrong) or `blind`."""
    probability: float
    """0 to 1, as the policy had it when the coin was thrown."""
    drawn: bool


class Ruling(Noun, frozen=True, kw_only=True):
    """What the gate answered about one decision, and from what. Never changes afterwards."""

    decision_id: str
    lane: Lane
    mode: Mode
    severity: Severity | None = None
    """Highest severity of the rules that fired or hold as unknown; None where there are none."""
    policy: str
    """`workflow@version`, version being the hash of the policy file."""
    gate_digest: str
    fired: tuple[Fired, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    trials: tuple[Fired, ...] = ()
    """Trial rules that would have fired; they never act."""
    tier: TierCell | None = None
    values: dict[str, Any] = msgspec.field(default_factory=dict)
    """Named values as they came out; None is unknown."""
    aggregates: dict[str, Any] = msgspec.field(default_factory=dict)
    """Aggregate values read inside the decision's transaction; None is unknown."""
    lists: dict[str, str] = msgspec.field(default_factory=dict)
    """Digest of each list the policy read."""
    list_versions: dict[str, int] = msgspec.field(default_factory=dict)
    """Version of each stored list among them; what it held then is what an edit is gated with."""
    tables: dict[str, str] = msgspec.field(default_factory=dict)
    """Digest of each table the policy read."""
    checks: dict[str, Checked] = msgspec.field(default_factory=dict)
    """What each check answered, run once for this decision."""
    margin: float | None = None
    """How far the most confident answer was ahead of the next one, where a rule reads it."""
    stakes: Stakes = Stakes()
    approvals: tuple[Approval, ...] = ()
    """Union over the rules that fired or hold as unknown, for a hold; empty means any one person
    the route names."""
    route: Route | None = None
    coins: tuple[Coin, ...] = ()
    why: str = ""
    """One sentence: why passed, held or refused."""
    if_approved: str = ""
    if_rejected: str = ""
    stopped: str | None = None
    """Reason given at the stop button, where it turned a pass into a hold."""
    evaluated_at: int
    review_id: str | None = None
    due: int | None = None
    """When the review's deadline falls (µs UTC); None where it has none."""
    undeclared: tuple[str, ...] = ()
    """Facts that the policy does not declare: stored, not readable by rules."""
    desk: str | None = None
    """Address of the desk where its review is decided; said with the answer, never stored."""

    @property
    def passed(self) -> bool:
        """Whether the decision goes on without waiting for a person."""
        return self.lane is Lane.PASS

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who may approve: the approvals asked for, else whom the route names."""
        if self.approvals:
            return tuple(dict.fromkeys(name for need in self.approvals for name in need.of))
        return self.route.to if self.route else ()

    @property
    def review_url(self) -> str | None:
        """Where the review is decided; only its path where nobody serves a desk just now.

        None where nothing is held.
        """
        return f"{self.desk or ''}/reviews/{self.review_id}" if self.review_id else None

    def _repr_html_(self) -> str:
        from handrail.model.html import html_table

        return html_table(
            f"Ruling on {self.decision_id}",
            [
                ("lane", self.lane),
                ("mode", self.mode),
                ("severity", self.severity),
                ("why", self.why),
                ("fired", [f"{fired.rule}: {fired.because}" for fired in self.fired]),
                ("unknown", [f"{unknown.rule}: {unknown.why}" for unknown in self.unknown]),
                ("approvers", self.approvers),
                ("due", None if self.due is None else time_text(self.due)),
                ("review", self.review_url),
                ("policy", self.policy),
            ],
        )
