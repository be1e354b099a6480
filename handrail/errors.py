"""Every error Handrail raises on purpose; see `handrail.model.errors` for the tree."""

from handrail.model.errors import (
    AlreadyRun,
    BadInput,
    Conflict,
    HandrailError,
    Held,
    Mistake,
    NotAllowed,
    NotFound,
    PolicyErrors,
    Refused,
    TooMany,
    Unavailable,
    Unknown,
    WaitTimeout,
)

__all__ = [
    "AlreadyRun",
    "BadInput",
    "Conflict",
    "HandrailError",
    "Held",
    "Mistake",
    "NotAllowed",
    "NotFound",
    "PolicyErrors",
    "Refused",
    "TooMany",
    "Unavailable",
    "Unknown",
    "WaitTimeout",
]
