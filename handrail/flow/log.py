"""The log's own life: created, checkpointed and anchored, a restore recognised, state verified."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from handrail.audit.entry import commit_bytes, decode, field_key
from handrail.audit.events import SYSTEM, TABLES, Difference, Folded, compare
from handrail.flow.people import limits_in_words
from handrail.flow.ports import Ports, read_policy
from handrail.flow.records import WORKSPACE, commit, list_owner, note, owner_of
from handrail.flow.who import actor_id
from handrail.model.errors import BadInput, HandrailError, Refused
from handrail.model.people import Actor
from handrail.ports import Anchor, Checkpoint, Signer, StateRow, Transaction

FIELD_OF_TABLE = {
    "decisions": "decision",
    "rounds": "round",
    "votes": "vote",
    "outcomes": "outcome",
    "labels": "label",
}
"""Which commitment field covers the body of a row of each table."""


def create_log(ports: Ports, signer: Signer) -> None:
    """Write the first entry of a new workspace; an existing log is left alone."""

    def use_case(tx: Transaction) -> None:
        if tx.audit.size() == 0:
            note(tx, "workspace.created", SYSTEM, origin=signer.origin)

    ports.store.write(use_case)


def checkpoint(ports: Ports, signer: Signer, anchor: Anchor) -> Checkpoint | None:
    """Sign the head and keep it outside the database; None where the log has not grown."""

    def head(tx: Transaction) -> tuple[int, bytes, int]:
        return tx.audit.size(), tx.audit.root(), tx.now()

    ports.store.settle_log()
    size, root, now = ports.store.read(head)
    last = anchor.last()
    if size == 0 or (last is not None and last.size >= size):
        return None
    signed = Checkpoint(size=size, text=signer.sign(size, root), at=now, anchored=True)
    ports.steps("checkpoint.before_anchor")
    anchor.publish(signed)
    ports.steps("checkpoint.after_anchor")
    ports.store.write(lambda tx: tx.audit.add_checkpoint(signed))
    return signed


def rolled_back(ports: Ports, anchor: Anchor) -> Checkpoint | None:
    """The anchored checkpoint that the store falls short of, or None where all is well."""
    last = anchor.last()
    if last is None:
        return None
    size = ports.store.read(lambda tx: tx.audit.size())
    return last if size < last.size else None


def accept_restore(
    ports: Ports, signer: Signer, anchor: Anchor, reason: str, actor: Actor
) -> Checkpoint:
    """An operator accepts a database older than its last anchor: logged, and anchored anew."""
    if not reason.strip():
        raise BadInput("say why the older database is accepted", "/reason")
    last = rolled_back(ports, anchor)
    if last is None:
        raise Refused("the log is not behind its last anchor; there is nothing to accept")
    anchored = last

    def use_case(tx: Transaction) -> None:
        note(
            tx,
            "restore.accepted",
            actor_id(tx, actor),
            size=tx.audit.size(),
            anchor_size=anchored.size,
            commit=commit(tx, WORKSPACE, "restore", reason.encode()),
        )

    ports.store.write(use_case)

    def head(tx: Transaction) -> tuple[int, bytes, int]:
        return tx.audit.size(), tx.audit.root(), tx.now()

    ports.store.settle_log()
    size, root, now = ports.store.read(head)
    signed = Checkpoint(size=size, text=signer.sign(size, root), at=now, anchored=True)
    anchor.publish(signed)
    ports.store.write(lambda tx: tx.audit.add_checkpoint(signed))
    return signed


def against_state(ports: Ports) -> list[Difference]:
    """Fold the log and compare it with the tables, on one snapshot: finds a silent change.

    Commitments are computed again from the stored content, so that a changed fact is found and not
    only a changed column. Only where the log says that a subject was erased are its commitments
    taken as they are: its key is gone.
    """

    def query(tx: Transaction) -> list[Difference]:
        folded = Folded()
        erased: set[str] = set()
        # The tables of this snapshot say what is committed, numbered or not.
        for raw in chain(tx.audit.entries(), tx.audit.waiting()):
            made = decode(raw)
            folded.add(made)
            if made["type"] == "subject.erased":
                erased.update(made["decisions"])
        stored: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        for row in tx.state_rows():
            table = TABLES[row.table]
            columns = {table.key: row.id, **row.columns}
            if row.table == "policies":
                columns["policy"] = _ruled_by(tx, row)
            if row.table == "people":
                columns["limits"] = limits_in_words(row.columns["limits"])
            if "commit" in table.columns:
                if row.decision_id in erased:
                    said = folded.rows[row.table].get(row.id, {}).get("commit")
                    columns["commit"] = said[0] if said else None
                else:
                    columns["commit"] = _sealed(tx, row)
            stored[row.table].append(columns)
        return compare(folded, stored)

    return ports.store.read(query)


def _ruled_by(tx: Transaction, row: StateRow) -> str:
    """`workflow@version` as the stored text makes it; a changed text has another version."""
    workflow, _, version = row.columns["policy"].rpartition("@")
    stored = tx.policies.get(workflow, version)
    if stored is None:
        return f"{workflow}@nothing"
    try:
        return f"{workflow}@{read_policy(stored).version}"
    except (HandrailError, KeyError):
        return f"{workflow}@unreadable"


def _sealed(tx: Transaction, row: StateRow) -> str | None:
    """The commitment to a row's content as it is stored now; None where it has no key."""
    if row.table == "lists" and row.body is not None:
        key = tx.subjects.key_of(*list_owner(row.id))
        return None if key is None else commit_bytes(field_key(key.key, "list"), row.body)
    if row.table == "people" and row.body is not None:
        key = tx.subjects.key_of(WORKSPACE[0], row.id)
        return None if key is None else commit_bytes(field_key(key.key, "handle"), row.body)
    if row.table == "stops" and row.body is not None:
        key = tx.subjects.key_of(*WORKSPACE)
        return None if key is None else commit_bytes(field_key(key.key, "stop"), row.body)
    if row.body is None or row.decision_id is None:
        return None
    try:
        name = row.decision_id
        # Another decision may lead the case by now; the key is that of the one that led then.
        if row.table == "votes":
            name = tx.reviews.round(row.columns["review"], row.columns["round"]).ruling.decision_id
        elif row.table == "rounds":
            review, _, number = row.id.partition("/")
            name = tx.reviews.round(review, int(number)).ruling.decision_id
        filed = tx.decisions.get(name)
    except msgspec.DecodeError:
        return "unreadable"
    if filed is None:
        return None
    decision = filed.decision
    key = tx.subjects.key_of(*owner_of(decision.workflow, decision.subject, decision.id))
    if key is None:
        return None
    return commit_bytes(field_key(key.key, FIELD_OF_TABLE[row.table]), row.body)
