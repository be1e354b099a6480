"""Stored lists: what they hold now, what they held when a ruling was made, and how they grow.

A policy that names a stored list rules with its values of that moment. The ruling keeps the
version of the list, so that an edit is gated again with what the list held then: nothing that
joins later changes what an open review means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from handrail.access import Thing, allow
from handrail.flow.ports import Ports
from handrail.flow.records import commit, handles_of, list_owner, note
from handrail.flow.who import enter
from handrail.gate import Policy
from handrail.model.commands import ListLists
from handrail.model.errors import BadInput
from handrail.model.ids import is_id
from handrail.model.modes import Verdict
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.ruling import Ruling
from handrail.model.versions import (
    BUILT_IN,
    ListEntry,
    StoredList,
    in_force,
    items_digest,
    list_body,
)
from handrail.ports import Filed, Transaction

DAY_US = 86_400_000_000


def filled(tx: Transaction, ports: Ports, policy: Policy) -> Policy:
    """The policy with what its stored lists hold now."""
    if not policy.stored_lists:
        return policy
    workflow = policy.workflow
    versions = {name: tx.lists.version(workflow, name) for name in policy.stored_lists}
    return ports.shelf.filled(
        policy, versions, tx.now(), lambda name: tx.lists.at(workflow, name, versions[name])
    )


def as_ruled(tx: Transaction, policy: Policy, ruling: Ruling) -> Policy:
    """The policy with what its stored lists held when this ruling was made."""
    if not policy.stored_lists:
        return policy
    held = {}
    for name in policy.stored_lists:
        entries = tx.lists.at(policy.workflow, name, ruling.list_versions.get(name, 0))
        held[name] = tuple(one.value for one in in_force(entries, ruling.evaluated_at))
    return policy.with_lists(held, ruling.list_versions)


def remember(tx: Transaction, ports: Ports, filed: Filed, outcome: Outcome[Any]) -> None:
    """What a person has approved joins the lists its policy says; silence and the gate add nothing.

    Called where the outcome is released, so that what is undone in time joins nothing.
    """
    decision = filed.decision
    if (
        outcome.verdict not in (Verdict.APPROVED, Verdict.EDITED)
        or not is_id(outcome.by, "p")
        or decision.test
        or decision.reverses is not None
        or decision.workflow in BUILT_IN
    ):
        return
    policy = ports.shelf.named(tx, filed.ruling.policy)
    if not policy.stored_lists:
        return
    record = policy.ingest(decision.facts, outcome.approved)
    for name, value, span in policy.remembered(record, filed.ruling):
        change_list(
            tx,
            decision.workflow,
            name,
            add=(value,),
            by=outcome.by or "",
            expires_at=None if span is None else tx.now() + span,
            decision_id=decision.id,
        )


def change_list(
    tx: Transaction,
    workflow: str,
    name: str,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    by: str,
    expires_at: int | None,
    decision_id: str | None,
    single_person: bool = False,
) -> None:
    """Let values join and leave a stored list, as its next version.

    A value that is there stays as it is, or longer where `expires_at` says so. Where nothing would
    change there is no new version.
    """
    version, now = tx.lists.version(workflow, name), tx.now()
    held = {entry.value: entry for entry in tx.lists.at(workflow, name, version)}
    ended = [held[value] for value in dict.fromkeys(remove) if value in held]
    joining = []
    for value in dict.fromkeys(add):
        there = held.get(value)
        if there is not None and there not in ended:
            if _lasts(there, expires_at):
                continue
            ended.append(there)
        joining.append(value)
    if not ended and not joining:
        return
    for entry in ended:
        tx.lists.end(replace(entry, until=version + 1, removed_at=now, removed_by=by))
    for value in joining:
        tx.lists.add(
            ListEntry(
                workflow=workflow,
                list=name,
                value=value,
                since=version + 1,
                added_at=now,
                added_by=by,
                expires_at=expires_at,
                decision_id=decision_id,
            )
        )
    tx.lists.put_version(workflow, name, version + 1)
    list_id = f"{workflow}/{name}"
    body = list_body(tx.lists.at(workflow, name, version + 1))
    note(
        tx,
        "list.changed",
        by,
        list=list_id,
        version=version + 1,
        commit=commit(tx, list_owner(list_id), "list", body),
        added=len(joining),
        removed=len(ended),
        decision=decision_id,
        single_person=True if single_person else None,
    )
    tx.wake("policies")


def _lasts(entry: ListEntry, expires_at: int | None) -> bool:
    """Whether an entry stays at least that long already."""
    if entry.expires_at is None:
        return True
    return expires_at is not None and entry.expires_at >= expires_at


def list_lists(command: ListLists, actor: Actor, ports: Ports) -> list[StoredList]:
    """The stored lists of the policy that rules, with what is in force now."""

    def query(tx: Transaction) -> list[StoredList]:
        allow(enter(tx, actor, meet=False), ListLists, Thing(workflow=command.workflow))
        policy = ports.shelf.active(tx, command.workflow)
        return [_shown(tx, policy.workflow, name) for name in policy.stored_lists]

    return ports.store.read(query)


def _shown(tx: Transaction, workflow: str, name: str) -> StoredList:
    version = tx.lists.version(workflow, name)
    entries = in_force(tx.lists.at(workflow, name, version), tx.now())
    names = handles_of(tx, [entry.added_by for entry in entries])
    return StoredList(
        workflow=workflow,
        name=name,
        version=version,
        digest=items_digest(entry.value for entry in entries),
        entries=tuple(
            replace(entry, added_by=names.get(entry.added_by, entry.added_by)) for entry in entries
        ),
    )


def stored_list(policy: Policy, name: str) -> str:
    """The name of a stored list of this policy, or `BadInput` with those there are."""
    if name not in policy.stored_lists:
        known = ", ".join(policy.stored_lists) or "none"
        raise BadInput(
            f"{policy.workflow} has no stored list {name!r}; it has: {known}. Declare one with "
            f"`lists: {{{name}: {{stored: true}}}}`",
            "/list",
            status=422,
        )
    return name
