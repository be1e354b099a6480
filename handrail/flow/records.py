"""Small things that every verb writes the same way: persons, commitments, audit entries."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from handrail.audit.entry import commit_bytes, field_key
from handrail.audit.events import SYSTEM
from handrail.audit.lines import line
from handrail.model.errors import BadInput
from handrail.model.ids import is_id, new_id
from handrail.model.people import Person, SubjectKey
from handrail.ports import Transaction

WORKSPACE = ("*", "workspace")
"""Whose key commits to what belongs to no decision: reasons at the stop button, handles."""


def note(tx: Transaction, type_: str, actor: str, /, **fields: Any) -> None:
    """Append one audit entry in this transaction."""
    tx.audit.append(line(type_, tx.now(), actor, fields))


def key_of(tx: Transaction, owner: tuple[str, str]) -> bytes:
    """The key of a subject, made when first needed."""
    workflow, subject = owner
    found = tx.subjects.key_of(workflow, subject)
    if found is None:
        found = SubjectKey(
            workflow=workflow, subject=subject, key=secrets.token_bytes(32), made_at=tx.now()
        )
        tx.subjects.insert(found)
    return found.key


def commit(tx: Transaction, owner: tuple[str, str], field: str, content: bytes) -> str:
    """Commitment to `content` under the key of its subject."""
    return commit_bytes(field_key(key_of(tx, owner), field), content)


def owner_of(workflow: str, subject: str | None, decision_id: str) -> tuple[str, str]:
    """Whose key a decision's commitments are made with: its subject's, else its own."""
    return workflow, subject if subject is not None else decision_id


def known(tx: Transaction, handle: str) -> Person:
    """The person with this handle; met for the first time, they get an id and hold nothing."""
    handle = handle.strip()
    if not 1 <= len(handle) <= 200 or any(ord(c) < 32 for c in handle):
        raise BadInput(f"{handle!r} is not a person's handle; give 1 to 200 plain characters")
    found = tx.people.by_handle(handle)
    if found is None:
        found = Person(id=new_id("p", tx.now()), handle=handle, added_at=tx.now())
        tx.people.put(found)
        note(tx, "person.added", SYSTEM, person=found.id, commit=_handle(tx, found))
    return found


def _handle(tx: Transaction, person: Person) -> str:
    return commit(tx, (WORKSPACE[0], person.id), "handle", person.handle.encode())


def audience(tx: Transaction, names: Iterable[str]) -> tuple[str, ...]:
    """`person:handle` as person ids, teams and roles as they are: what log and reviews keep."""
    return tuple(
        known(tx, name.removeprefix("person:")).id if name.startswith("person:") else name
        for name in names
    )


def list_owner(list_id: str) -> tuple[str, str]:
    """Whose key commits to a stored list; `list_id` is `workflow/name`."""
    return WORKSPACE[0], f"list:{list_id}"


def handles_of(tx: Transaction, names: Iterable[str | None]) -> dict[str, str]:
    """Handle of each person id among `names`."""
    found: dict[str, str] = {}
    for name in names:
        if name is not None and name not in found and is_id(name, "p"):
            person = tx.people.get(name)
            if person is not None:
                found[name] = person.handle
    return found
