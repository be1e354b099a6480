"""Hand in the decisions of workflows that the clock starts: once a moment, however many look."""

from __future__ import annotations

import logging

import msgspec

from handrail.flow.ports import Ports
from handrail.flow.submit import file, prepare
from handrail.gate import SLOT, Policy
from handrail.model.commands import Submit
from handrail.model.decoding import decoder
from handrail.model.errors import HandrailError
from handrail.model.people import Actor
from handrail.model.wire import time_text
from handrail.ports import Transaction

SCHEDULER = Actor(name="scheduler")
"""Who hands them in. The program's name and the key make it once a moment."""
MOST_VALUES = 1_000
"""Most decisions of one moment; further values are left out, and that is logged."""

_log = logging.getLogger("handrail.scheduler")


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of one workflow."""

    workflow: str
    at: int
    """µs UTC."""
    facts: tuple[dict[str, object], ...]


def tick(ports: Ports, done: dict[str, int]) -> tuple[int, int | None]:
    """Hand in what is due: of each workflow the latest moment, since its policy rules.

    What was missed before that stays so: nobody wants the mornings of a week at once. `done` keeps
    the moments that need no second look. Returns how many decisions were handed in, and when the
    next moment is (µs UTC; None: no policy has `every`).
    """
    due, then = ports.store.read(lambda tx: _due(tx, ports, done))
    many = 0
    for one in due:
        for facts in one.facts:
            key = " ".join(
                ["every", time_text(one.at), *(str(v) for k, v in facts.items() if k != SLOT)]
            )
            command = Submit(workflow=one.workflow, facts=facts, key=key[:500])
            prepared = prepare(command, SCHEDULER)
            ruling = ports.store.write(lambda tx, prepared=prepared: file(tx, prepared, ports))  # type: ignore[misc]
            _log.info("%s %s: %s", one.workflow, key, ruling.lane)
            many += 1
        done[one.workflow] = one.at
    return many, then


def _due(tx: Transaction, ports: Ports, done: dict[str, int]) -> tuple[list[Due], int | None]:
    found, then = [], []
    now = tx.now()
    for workflow in tx.policies.workflows():
        version = tx.policies.active(workflow)
        stored = tx.policies.get(workflow, version) if version is not None else None
        if version is None or stored is None:
            continue
        try:
            policy = ports.shelf.version(tx, workflow, version)
        except HandrailError as error:
            _log.warning("%s cannot be read: %s", workflow, error)
            continue
        if policy.every is None:
            continue
        then.append(policy.every.next(now))
        at = policy.every.last(now)
        if at > (stored.activated_at or 0) and done.get(workflow) != at:
            found.append(Due(workflow=workflow, at=at, facts=tuple(_facts(tx, policy, at))))
    return found, min(then, default=None)


def _facts(tx: Transaction, policy: Policy, at: int) -> list[dict[str, object]]:
    base: dict[str, object] = {}
    if any(field.name == SLOT for field in policy.fields):
        base[SLOT] = time_text(at)
    each = policy.every.each if policy.every is not None else None
    if each is None:
        return [base]
    values = _values(tx, policy, each)
    if len(values) > MOST_VALUES:
        _log.warning(
            "%s has %d values of %s; the first %d are looked at",
            policy.workflow,
            len(values),
            each,
            MOST_VALUES,
        )
    return [{**base, each: value} for value in values[:MOST_VALUES]]


def _values(tx: Transaction, policy: Policy, each: str) -> list[str]:
    """Members of an enum; else whatever events said within what the aggregates look at."""
    field = next(one for one in policy.fields if one.name == each)
    if field.members:
        return list(field.members)
    values: set[str] = set()
    for series in policy.series:
        if [part.field.name for part in series.by] == [each] and series.source[:7] == "events:":
            start = tx.now() - policy.horizon_us(series)
            for key in tx.buckets.keys(series.id, start, MOST_VALUES + 1):
                if key[:1] == "[":  # not the digest of one too long
                    values.update(decoder(list[str]).decode(key))
    return sorted(values)


__all__ = ["SCHEDULER", "tick"]
