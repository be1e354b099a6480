"""How a command reaches whoever owns the store, and what may be sent twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from handrail.model.commands import (
    ROUTES,
    CastVote,
    Command,
    Confirm,
    Preview,
    Record,
    Redeem,
    Submit,
    SubmitBatch,
    WaitOutcomes,
)
from handrail.model.people import Actor


class Here(threading.local):
    """What the current thread does, and whether anybody still wants it."""

    abandoned: Callable[[], bool] = staticmethod(lambda: False)
    """True once the task is cancelled that this thread works for."""


HERE = Here()


class Transport(Protocol):
    """Carries commands: in process, over a local socket, over the network."""

    def call(self, command: Command, actor: Actor) -> Any:
        """The answer to `command`, or its error from `handrail.errors`.

        Raises `Unavailable` where no answer can be had; it never means that something is allowed.
        """

    def close(self) -> None:
        """Let go of connections. Calling it again does nothing."""


def repeatable(command: Command) -> bool:
    """Whether sending `command` again after a lost answer leads to the same state and answer.

    Reads; a submit with a key; observations, which have keys; a vote, redeem and confirm, which the
    store recognises when they are repeated by the same person or under the same run name.
    """
    if isinstance(command, Submit):
        return command.key is not None
    if isinstance(command, SubmitBatch):
        return all(row.key is not None for row in command.rows)
    if isinstance(command, CastVote | Confirm | Preview | Record | Redeem | WaitOutcomes):
        return True
    return ROUTES[type(command)].method == "GET"


def unknown_whether(command: Command, why: str) -> str:
    """Sentence for a command that may or may not have happened."""
    return (
        f"{why} while {type(command).__name__} was under way; whether it happened is not known: "
        "look before you repeat it"
    )
