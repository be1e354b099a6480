"""Persons, and who is acting."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from handrail.model.noun import Noun


class Person(Noun, frozen=True, kw_only=True):
    """Somebody who may decide. Logs and tables know only the id."""

    id: str
    handle: str
    """How people call them, usually an e-mail address; compared without case."""
    holds: tuple[str, ...] = ()
    """`team:…` and `role:…` memberships."""
    limits: dict[str, str] = msgspec.field(default_factory=dict)
    """Workflow, or `*` for the others, to the largest stake in money that this person may decide
    (decimal string in the workflow's unit). Absent: no limit."""
    active: bool = True
    added_at: int

    def is_one_of(self, names: Iterable[str]) -> bool:
        """Whether this person is among `team:…`, `role:…`, `person:handle` or person ids."""
        own = {*self.holds, self.id, f"person:{self.handle.casefold()}"}
        return any(
            (name.casefold() if name.startswith("person:") else name) in own for name in names
        )


def folded(name: str) -> str:
    """A person's name as it is compared: without case, space around it and `person:`.

    >>> folded(" person:Ann@Example.com")
    'ann@example.com'
    """
    return name.strip().casefold().removeprefix("person:").strip()


class Via(StrEnum):
    """How we know who sends a command."""

    LOCAL = "local"
    """Whoever can open the workspace: its owner, and who its local socket lets in. Believed."""
    SESSION = "session"
    """A person who signed in."""
    TOKEN = "token"
    """A program that showed an API token."""
    NOBODY = "nobody"
    """Not known: may sign in, and nothing else."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a command: a person by handle, or a program by name."""

    name: str
    """Handle of a person, or the name of a program."""
    program: bool = True
    """True for callers that submit and run; False for a person at a desk or terminal."""
    via: Via = Via.LOCAL
    credential: str | None = None
    """What is looked up again in each transaction: the token's id, or the session's hash."""


class SubjectKey(msgspec.Struct, frozen=True, kw_only=True):
    """Random key of one subject. Commitments in the log are keyed by it; destroying it erases."""

    workflow: str
    subject: str
    """Subject, or the decision's id where it names none."""
    key: bytes
    """32 random bytes."""
    made_at: int
