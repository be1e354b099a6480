"""The log as those read it who may: its signed head, its entries, proofs."""

from __future__ import annotations

from handrail.access import allow
from handrail.audit.proof import make_proof
from handrail.flow.ports import Ports
from handrail.flow.who import enter
from handrail.model.commands import (
    Command,
    EntryProof,
    GetCheckpoint,
    ListEntries,
    LogEntries,
    LogHead,
    ProveEntry,
)
from handrail.model.errors import BadInput, NotFound
from handrail.model.people import Actor
from handrail.ports import Checkpoint, Transaction

MOST = 10_000
"""Entries one answer holds."""


def _last(tx: Transaction, actor: Actor, kind: type[Command]) -> Checkpoint:
    allow(enter(tx, actor, meet=False), kind)
    found = tx.audit.last_checkpoint()
    if found is None:
        raise NotFound("no head of the log has been signed yet; the first is within a minute")
    return found


def get_checkpoint(command: GetCheckpoint, actor: Actor, ports: Ports) -> LogHead:
    """The latest signed head. Raises `NotFound` while there is none."""

    def query(tx: Transaction) -> LogHead:
        last = _last(tx, actor, GetCheckpoint)
        return LogHead(size=last.size, checkpoint=last.text, at=last.at)

    return ports.store.read(query)


def list_entries(command: ListEntries, actor: Actor, ports: Ports) -> LogEntries:
    """Entries from `start` on, at most `limit`; none where the log ends before."""
    if not 1 <= command.limit <= MOST:
        raise BadInput(f"expected 1 to {MOST:,}", "/limit")
    if command.start < 0:
        raise BadInput("expected the index of an entry, 0 or more", "/start")

    def query(tx: Transaction) -> LogEntries:
        allow(enter(tx, actor, meet=False), ListEntries)
        size = tx.audit.size()
        end = min(size, command.start + command.limit)
        found = tx.audit.entries(command.start, end) if command.start < end else ()
        return LogEntries(
            start=command.start, size=size, entries=[raw.decode("utf-8") for raw in found]
        )

    return ports.store.read(query)


def prove_entry(command: ProveEntry, actor: Actor, ports: Ports) -> EntryProof:
    """The proof of one entry. Raises `NotFound` for one the latest checkpoint does not cover."""

    def query(tx: Transaction) -> EntryProof:
        last = _last(tx, actor, ProveEntry)
        if not 0 <= command.index < last.size:
            raise NotFound(
                f"the latest signed head covers {last.size:,} entries; entry {command.index:,} is "
                "not among them (a new head is signed within a minute while the log grows)"
            )
        raw = next(iter(tx.audit.entries(command.index, command.index + 1)))
        proof = make_proof(command.index, last.text.encode(), tx.audit.node)
        return EntryProof(index=command.index, entry=raw.decode("utf-8"), proof=proof.decode())

    return ports.store.read(query)
