"""What the policies' aggregates are read from: resolved and added to inside the transaction, made
again from what is stored, and let go when nobody looks that far back any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from handrail.flow.ports import Ports
from handrail.gate import AggregateAdd, History, Policy, Record, Series, Unreadable, folder
from handrail.model.decision import Decision
from handrail.ports import Transaction

MOST_FILLED = 100_000
"""Most decisions or observations that a new series is made from, the latest ones; of what lies
before them its aggregates know nothing, and say so."""
PRUNED_AT_ONCE = 5_000
"""Observations that one transaction drops."""
_HOUR_US = 3_600_000_000
_ZONES_US = 14 * _HOUR_US
"""Farthest that a zone's day begins from that of UTC."""
_SPARE_US = 24 * _HOUR_US
"""Kept beyond what is looked at, should the clock be set back."""


# ------------------------------------------------------------------------- in the transaction


def resolve_aggregates(tx: Transaction, policy: Policy, record: Record) -> dict[str, object]:
    """Values of the policy's aggregates now, over what came before this decision."""
    found: dict[str, object] = {}
    now = tx.now()
    for read in policy.aggregate_reads(record, now):
        if read.summed:
            whole = tx.buckets.total(read.series, read.key, read.start, read.end)
            value = policy.aggregate_sum(read, whole.since, whole.count, whole.total)
        else:
            since = tx.buckets.since(read.series)
            rows = tx.buckets.rows(read.series, read.key, read.start, read.end)
            value = policy.aggregate_value(read.name, since, rows, now)
        found[read.name] = value
    return found


class _Adds(Protocol):
    """`Transaction.buckets`, or a `History`."""

    def add(
        self,
        series: str,
        key: str,
        bucket: int,
        count: int,
        total: int,
        fold: Callable[[bytes | None], bytes] | None,
    ) -> None: ...


def add_all(buckets: _Adds, adds: Iterable[AggregateAdd]) -> None:
    """Add to the buckets, each once, in the order in which everybody locks them."""
    adds = tuple(adds)
    if len(adds) == 1:
        [only] = adds
        fold = folder(only.keeps, [(only.at, only.value)])
        buckets.add(only.series, only.key, only.bucket, 1, only.total, fold)
        return
    gathered: dict[tuple[str, str, int], list[AggregateAdd]] = {}
    for add in adds:
        gathered.setdefault((add.series, add.key, add.bucket), []).append(add)
    for (series, key, bucket), parts in sorted(gathered.items()):
        buckets.add(
            series,
            key,
            bucket,
            len(parts),
            sum(part.total for part in parts),
            folder(parts[0].keeps, [(part.at, part.value) for part in parts]),
        )


def count(
    tx: Transaction,
    ports: Ports,
    decision: Decision,
    over: str,
    policy: Policy,
    record: Record | None = None,
) -> None:
    """Add a decision, `submitted` or `released` just now, to what the active policy keeps.

    `policy` is the one that ruled it and `record` what it read, where the caller has it.
    """
    if decision.test or decision.reverses is not None:
        return
    version = tx.policies.active(decision.workflow)
    if version is not None and version != policy.version:
        policy = ports.shelf.version(tx, decision.workflow, version)
        record = None
    if not policy.counts(over):
        return
    if record is not None:
        add_all(tx.buckets, policy.aggregate_adds(record, over, tx.now()))
        return
    adds = []
    for series in policy.series:
        if series.source != f"{over}:{decision.workflow}":
            continue
        try:
            add = series.read(decision.facts, decision.proposal or {}, tx.now())
        except Unreadable:
            # Made under another version, and it says something else now: better not to know.
            tx.buckets.cover(series.id, tx.now() + 1)
        else:
            if add is not None:
                adds.append(add)
    add_all(tx.buckets, adds)


# ------------------------------------------------------------------------- series and policies


def active_policies(tx: Transaction, ports: Ports) -> list[Policy]:
    """The policies that rule now."""
    return [ports.shelf.active(tx, workflow) for workflow in tx.policies.workflows()]


def keep_series(tx: Transaction, ports: Ports, policy: Policy) -> None:
    """Have what the aggregates of a policy need that rules from now on; drop what nobody reads.

    A series that is new, or is looked at further back than before, is made from what is stored.
    """
    for series in policy.series:
        horizon = tx.now() - policy.horizon_us(series) - _SPARE_US
        since = tx.buckets.since(series.id)
        if since is None or since > max(horizon, _kept_from(tx, series)):
            fill(tx, series, horizon)
    wanted = {series.id for one in active_policies(tx, ports) for series in one.series}
    for id_, *_ in tx.buckets.all():
        if id_ not in wanted:
            tx.buckets.drop(id_)


def _kept_from(tx: Transaction, series: Series) -> int:
    kind, _, name = series.source.partition(":")
    return tx.observations.kept_from(name) if kind == "events" else 0


def fill(tx: Transaction, series: Series, start: int) -> None:
    """Make a series again from what is stored, from `start` (µs UTC) on."""
    since, late, adds = made_again(tx, series, start)
    tx.buckets.start(series.id, series.source, since)
    add_all(tx.buckets, adds)
    if late:
        tx.buckets.late(series.id, late)


def made_again(tx: Transaction, series: Series, start: int) -> tuple[int, int, list[AggregateAdd]]:
    """(from when on it has everything, how many events came too late, what is added)."""
    kind, _, name = series.source.partition(":")
    start = max(start, 0)
    adds: list[AggregateAdd] = []
    late = 0
    if kind == "events":
        since = max(start, tx.observations.kept_from(name))
        # A day without a time may lie up to 14 hours away from where it is stored.
        found = tx.observations.since(name, since - _ZONES_US, MOST_FILLED)
        if len(found) == MOST_FILLED:
            since = max(since, min(one.at for one in found) + _ZONES_US)
        for one in found:
            at = series.moment(one.at, one.day)
            try:
                add = series.read(one.facts, {}, at)
            except Unreadable:
                since = max(since, at + 1)
                continue
            if add is not None and series.too_late(at, one.recorded_at):
                late += 1
            elif add is not None:
                adds.append(add)
        return since, late, adds
    walk = tx.decisions.submitted if kind == "submitted" else tx.decisions.released
    decided = walk(name, start, MOST_FILLED)
    since = start if len(decided) < MOST_FILLED else decided[-1][0] + 1
    for at, decision in reversed(decided):
        if decision.test or decision.reverses is not None:
            continue
        try:
            add = series.read(decision.facts, decision.proposal or {}, at)
        except Unreadable:
            since = max(since, at + 1)
            continue
        if add is not None:
            adds.append(add)
    return since, late, adds


# ------------------------------------------------------------------------- letting go


def let_go(ports: Ports) -> int:
    """Drop observations and buckets that no active policy can look back to any more.

    Observations stay at least `observation_days`, so that a new aggregate can be made from them.
    Returns how many rows went.
    """

    def plan(tx: Transaction) -> tuple[dict[str, int], dict[str, int]]:
        kept = int(ports.settings.observation_days * 24 * _HOUR_US)
        streams = {name: tx.now() - kept for name, _ in tx.observations.streams()}
        series: dict[str, int] = {}
        for policy in active_policies(tx, ports):
            for one in policy.series:
                before = tx.now() - policy.horizon_us(one) - _SPARE_US
                series[one.id] = min(series.get(one.id, before), before)
                kind, _, name = one.source.partition(":")
                if kind == "events" and name in streams:
                    late = one.lateness_us or 0
                    streams[name] = min(streams[name], before - late)
        return streams, series

    streams, series = ports.store.read(plan)
    gone = 0
    for name, before in streams.items():
        while True:
            dropped = ports.store.write(
                lambda tx, name=name, before=before: tx.observations.prune(  # type: ignore[misc]
                    name, before, PRUNED_AT_ONCE
                )
            )
            gone += dropped
            if dropped < PRUNED_AT_ONCE:
                break

    def prune(tx: Transaction) -> int:
        dropped = 0
        for id_, before in series.items():
            since = tx.buckets.since(id_)
            if since is not None and since < before:
                dropped += tx.buckets.prune(id_, before)
                tx.buckets.cover(id_, before)
        return dropped

    return gone + (ports.store.write(prune) if series else 0)


# ------------------------------------------------------------------------- looking after them


class Astray(msgspec.Struct, frozen=True, kw_only=True):
    """A series whose buckets are not what its source makes of them."""

    series: str
    source: str
    aggregates: tuple[str, ...]
    """`workflow/name` of each that reads it."""
    why: str


def astray(tx: Transaction, policies: Iterable[Policy]) -> Iterator[Astray]:
    """Make every series of these policies again in memory and compare, byte by byte."""
    readers: dict[str, tuple[Series, int, list[str]]] = {}
    for policy in policies:
        for made in policy.aggregate_parts:
            series = made.series
            _, horizon, names = readers.setdefault(series.id, (series, 0, []))
            horizon = max(horizon, policy.horizon_us(series))
            readers[series.id] = (series, horizon, [*names, f"{policy.workflow}/{made.name}"])
    for id_, (series, horizon, names) in sorted(readers.items()):
        since = tx.buckets.since(id_)
        why = "it is not there" if since is None else None
        if since is not None:
            start = max(since, tx.now() - horizon - _SPARE_US)
            covered, _, adds = made_again(tx, series, start)
            why = _difference(tx, series, max(start, covered), adds)
        if why is not None:
            yield Astray(series=id_, source=series.source, aggregates=tuple(names), why=why)


def mend(ports: Ports) -> list[Astray]:
    """Make again every series that is not what its source says; returns what was wrong."""

    def look(tx: Transaction) -> list[Astray]:
        return list(astray(tx, active_policies(tx, ports)))

    def use_case(tx: Transaction, wrong: Astray) -> None:
        for policy in active_policies(tx, ports):
            for series in policy.series:
                if series.id == wrong.series:
                    fill(tx, series, tx.now() - policy.horizon_us(series) - _SPARE_US)
                    keep_series(tx, ports, policy)

    found = ports.store.read(look)
    for wrong in found:
        ports.store.write(lambda tx, wrong=wrong: use_case(tx, wrong))  # type: ignore[misc]
    return found


def _difference(
    tx: Transaction, series: Series, start: int, adds: list[AggregateAdd]
) -> str | None:
    # The bucket in which the comparison begins may hold what lies before.
    start = series.grid.start(start) + max(series.grid.width_us, 25 * _HOUR_US)
    wanted = History()
    add_all(wanted, adds)
    should = {
        (key, bucket.bucket): bucket
        for key, bucket in wanted.whole(series.id)
        if bucket.bucket >= start
    }
    for key, bucket in tx.buckets.whole(series.id):
        if bucket.bucket < start:
            continue
        if should.pop((key, bucket.bucket), None) != bucket:
            return f"the bucket of {bucket.bucket} is not what its source says"
    return f"{len(should)} buckets are missing" if should else None
