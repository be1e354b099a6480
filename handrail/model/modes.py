"""The small closed vocabularies: modes, lanes, severities, verdicts, states.

They are `str` enums, so that JSON, SQL and screens show the glossary's own words.
"""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How much human control a decision gets, ordered: `auto < on_the_loop < …`."""

    AUTO = "auto"
    ON_THE_LOOP = "on_the_loop"
    IN_THE_LOOP = "in_the_loop"
    IN_COMMAND = "in_command"
    REFUSE = "refuse"

    @property
    def rank(self) -> int:
        """Position in the order of strictness, 0 (`auto`) to 4 (`refuse`)."""
        return _MODE_RANK[self]

    @property
    def lane(self) -> Lane:
        """Where a decision with this mode goes."""
        return _MODE_LANE[self]


class Lane(StrEnum):
    """What the gate answers: go on, wait for a person, or no."""

    PASS = "pass"
    HOLD = "hold"
    REFUSE = "refuse"


_MODE_RANK = {mode: rank for rank, mode in enumerate(Mode)}
_MODE_LANE = {
    Mode.AUTO: Lane.PASS,
    Mode.ON_THE_LOOP: Lane.PASS,
    Mode.IN_THE_LOOP: Lane.HOLD,
    Mode.IN_COMMAND: Lane.HOLD,
    Mode.REFUSE: Lane.REFUSE,
}


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        return ("low", "medium", "high").index(self.value)


class Silence(StrEnum):
    """What it means that nobody answered: never approval of what is irreversible."""

    BLOCK = "block"
    ESCALATE = "escalate"
    REJECT = "reject"
    APPROVE = "approve"


class OnUnknown(StrEnum):
    """What a rule does whose condition cannot be known."""

    HOLD = "hold"
    IGNORE = "ignore"
    FIRE = "fire"


class Said(StrEnum):
    """What one vote says."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"


class Verdict(StrEnum):
    """How a decision ended, as its outcome names it."""

    PASSED = "passed"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"

    @property
    def allows(self) -> bool:
        """Whether the effect may run."""
        return self in (Verdict.PASSED, Verdict.APPROVED, Verdict.EDITED)


class ReviewKind(StrEnum):
    """Why people have it: it waits for them, or it is a spot check of what passed."""

    HOLD = "hold"
    SPOT_CHECK = "spot_check"


class ReviewStatus(StrEnum):
    OPEN = "open"
    DECIDED = "decided"
    CLOSED = "closed"


class GrantState(StrEnum):
    """Life of a single-use grant.

    `granted → redeemed → done | failed | in_doubt`; `granted → lapsed | void`;
    `in_doubt | failed → done` (a person says it happened) or `→ void` (a new grant is minted).
    """

    GRANTED = "granted"
    REDEEMED = "redeemed"
    DONE = "done"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    LAPSED = "lapsed"
    VOID = "void"
