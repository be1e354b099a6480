"""The log's own life: created, checkpointed and anchored, a restore recognised, state verified."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from handrail.audit.entry import commit_bytes, field_key
from handrail.audit.events import SYSTEM
from handrail.flow.ports import Ports
from handrail.flow.records import WORKSPACE, actor_id, commit, note, owner_of
from handrail.model.errors import BadInput, Refused
from handrail.model.people import Actor
from handrail.ports import Anchor, Checkpoint, Signer, StateRow, Transaction

FIELD_OF_TABLE = {
    "decisions": "decision",
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

    size, root, now = ports.store.read(head)
    last = anchor.last()
    if size == 0 or (last is not None and last.size >= size):
        return None
    signed = Checkpoint(size=size, text=signer.sign(size, root), at=now, anchored=True)
    anchor.publish(signed)
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

    size, root, now = ports.store.read(head)
    signed = Checkpoint(size=size, text=signer.sign(size, root), at=now, anchored=True)
    anchor.publish(signed)
    ports.store.write(lambda tx: tx.audit.add_checkpoint(signed))
    return signed


def state_rows(tx: Transaction) -> Iterator[StateRow]:
    """The state tables with `commit` recomputed from the stored content, while its key exists.

    So a changed fact is found, not only a changed column.
    """
    for row in tx.state_rows():
        field = FIELD_OF_TABLE.get(row.table)
        if field is None or row.body is None or row.decision_id is None:
            yield row
            continue
        filed = tx.decisions.get(row.decision_id)
        if filed is None:
            yield row
            continue
        decision = filed.decision
        key = tx.subjects.key_of(*owner_of(decision.workflow, decision.subject, decision.id))
        if key is None:
            yield row
            continue
        sealed = commit_bytes(field_key(key.key, field), row.body)
        yield msgspec.structs.replace(row, columns={**row.columns, "commit": sealed})
