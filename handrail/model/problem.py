"""Errors as values that travel: RFC 9457 problem documents, and back to the very same classes.

A program that talks to a server far away catches the same exceptions, with the same details, as
one that has the store in its own process.
"""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.decoding import convert
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
from handrail.model.outcome import Outcome, Receipt
from handrail.model.policy import BadRecord
from handrail.model.ruling import Ruling

CONTENT_TYPE = "application/problem+json"
PREFIX = "urn:handrail:problem:"

_KINDS: dict[str, type[HandrailError]] = {
    "bad-input": BadInput,
    "bad-policy": PolicyErrors,
    "bad-record": BadRecord,
    "refused": Refused,
    "unknown": Unknown,
    "held": Held,
    "not-allowed": NotAllowed,
    "timed-out": WaitTimeout,
    "already-run": AlreadyRun,
    "conflict": Conflict,
    "not-found": NotFound,
    "unavailable": Unavailable,
    "too-many": TooMany,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def problem_of(error: HandrailError) -> dict[str, Any]:
    """The problem document of `error`: `type`, `title`, `status`, `detail` and its details."""
    name = next((_NAMES[kind] for kind in type(error).__mro__ if kind in _NAMES), "error")
    problem: dict[str, Any] = {
        "type": PREFIX + name,
        "title": error.title,
        "status": error.status,
        "detail": error.message if isinstance(error, BadInput) else str(error),
        **error.details(),
    }
    if isinstance(error, Held):
        problem["ruling"] = error.ruling
    elif isinstance(error, NotAllowed):
        problem["outcome"] = error.outcome
    return msgspec.to_builtins(problem)  # type: ignore[no-any-return]


def error_of(problem: dict[str, Any]) -> HandrailError:
    """The error a problem document was made of. One of an unknown type by its status."""
    name = str(problem.get("type", "")).removeprefix(PREFIX)
    detail = str(problem.get("detail") or problem.get("title") or "the server gave no reason")
    status = problem.get("status")
    try:
        return _read(name, detail, problem)
    except (msgspec.ValidationError, KeyError, TypeError, IndexError):
        # Made by another version: what can be told is told, and nothing becomes a "yes".
        return _by_status(status if isinstance(status, int) else 0, detail)


def _read(name: str, detail: str, problem: dict[str, Any]) -> HandrailError:
    status = problem.get("status")
    if name == "bad-record":
        return BadRecord([(item["pointer"], item["message"]) for item in problem["problems"]])
    if name == "bad-policy":
        return PolicyErrors(
            [
                Mistake(
                    path=item["path"],
                    line=item["line"],
                    column=item["column"],
                    what=item["message"].removeprefix(
                        f"{item['path']}:{item['line']}:{item['column']}: "
                    ),
                )
                for item in problem["mistakes"]
            ]
        )
    if name == "bad-input":
        return BadInput(
            detail,
            str(problem.get("pointer", "")),
            status=status if isinstance(status, int) else None,
        )
    if name == "held":
        return Held(convert(problem["ruling"], Ruling))
    if name == "not-allowed":
        return NotAllowed(convert(problem["outcome"], Outcome[Any]))
    if name == "already-run":
        receipt = problem.get("receipt")
        return AlreadyRun(detail, convert(receipt, Receipt) if receipt else None)
    if name == "conflict":
        return Conflict(detail, problem.get("winner"))
    if name == "too-many":
        return TooMany(detail, int(problem["retry_after"]))
    return _KINDS[name](detail)


def _by_status(status: int, detail: str) -> HandrailError:
    if status == 401:
        return Unknown(detail)
    if status == 403:
        return Refused(detail)
    if status == 429:
        return TooMany(detail)
    if status == 404:
        return NotFound(detail)
    if status == 409:
        return Conflict(detail)
    if 400 <= status < 500:
        return BadInput(detail, status=status)
    return Unavailable(detail)
