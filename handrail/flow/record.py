"""Record observations in a stream: what happened elsewhere, for aggregates to read."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import msgspec

from handrail.access import Thing, allow
from handrail.audit.entry import commit_bytes, field_key
from handrail.flow.aggregates import active_policies, add_all
from handrail.flow.ports import Ports
from handrail.flow.records import WORKSPACE, key_of, note
from handrail.flow.who import enter
from handrail.gate import AggregateAdd, Series, Unreadable
from handrail.model.commands import Record
from handrail.model.errors import BadInput, Conflict, HandrailError
from handrail.model.ids import new_id
from handrail.model.observation import Observation, Recorded, Recording
from handrail.model.people import Actor
from handrail.model.problem import problem_of
from handrail.model.wire import check_wire, escape_pointer, read_time
from handrail.ports import Transaction

MOST_ROWS = 1_000
"""Rows of one batch."""
MAX_KEY = 200
"""Longest key, characters."""
MAX_ROW_BYTES = 16 * 1024
AHEAD_US = 24 * 3_600_000_000
"""How far ahead of now something may have happened: clocks differ, and so do days."""

_STREAM = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_encode = msgspec.json.Encoder(order="deterministic").encode


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row checked before the transaction."""

    key: str
    at: int
    day: bool
    facts: dict[str, Any]


class _Reader(msgspec.Struct, frozen=True, kw_only=True):
    """A series that reads the stream, and whose."""

    series: Series
    names: tuple[str, ...]


def record(command: Record, actor: Actor, ports: Ports) -> Recorded:
    """Store what is new and count it, all in one transaction. Answers each row, in order.

    A row with the key of an earlier one of the same submitter is that one (`repeated`, and not
    counted again), or bad where it says something else.
    """
    if not _STREAM.fullmatch(command.stream):
        raise BadInput(
            f"the stream is {command.stream[:80]!r}; expected small letters, digits, - and _, a "
            "letter first, at most 63",
            "/stream",
        )
    if len(command.rows) > MOST_ROWS:
        raise BadInput(
            f"{len(command.rows)} rows; at most {MOST_ROWS} are taken at once: send several "
            "batches",
            "/rows",
            status=413,
        )
    rows: list[_Row | HandrailError] = []
    for index, row in enumerate(command.rows):
        try:
            rows.append(_read(row.key, row.at, row.facts, f"/rows/{index}"))
        except HandrailError as error:
            rows.append(error)
    return ports.store.write(lambda tx: _file(tx, ports, actor, command.stream, rows))


def _read(key: str, at: str, facts: dict[str, Any], pointer: str) -> _Row:
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise BadInput(
            f"the key has {len(key)} characters; expected 1 to {MAX_KEY} printable ones",
            f"{pointer}/key",
        )
    check_wire(key, f"{pointer}/key")
    check_wire(facts, f"{pointer}/facts")
    size = len(_encode(facts))
    if size > MAX_ROW_BYTES:
        raise BadInput(
            f"the row has {size} bytes; at most {MAX_ROW_BYTES} are taken",
            f"{pointer}/facts",
            status=413,
        )
    if _DAY.fullmatch(at):
        try:
            read = date.fromisoformat(at)
        except ValueError:
            raise BadInput(f"{at!r} is no day of the calendar", f"{pointer}/at") from None
        return _Row(key=key, at=(read.toordinal() - _EPOCH) * 86_400_000_000, day=True, facts=facts)
    return _Row(key=key, at=read_time(at, f"{pointer}/at"), day=False, facts=facts)


_EPOCH = date(1970, 1, 1).toordinal()


def _file(
    tx: Transaction,
    ports: Ports,
    actor: Actor,
    stream: str,
    rows: list[_Row | HandrailError],
) -> Recorded:
    """The use case: re-runnable."""
    who, now = enter(tx, actor), tx.now()
    readers, workflows = _readers(tx, ports, stream)
    # What is recorded changes what these workflows decide.
    for workflow in workflows or ("*",):
        allow(who, Record, Thing(workflow=workflow))
    kept_from = tx.observations.kept_from(stream)
    batch = new_id("b", now)
    answers: list[Recording] = []
    adds: list[AggregateAdd] = []
    late: dict[str, int] = {}
    sealed: list[Any] = []
    for index, row in enumerate(rows):
        try:
            if isinstance(row, HandrailError):
                raise row
            found = _one(tx, readers, stream, who.id, batch, row, kept_from, f"/rows/{index}")
        except HandrailError as error:
            answers.append(Recording(status="bad", error=problem_of(error)))
            continue
        if isinstance(found, str):
            answers.append(Recording(status=found))
            continue
        missed: list[str] = []
        for reader, add, too_late in found:
            if too_late:
                late[reader.series.id] = late.get(reader.series.id, 0) + 1
                missed += reader.names
            else:
                adds.append(add)
        assert isinstance(row, _Row)
        sealed.append([row.key, row.at, row.day, row.facts])
        answers.append(Recording(status="recorded", late=tuple(sorted(missed))))
    add_all(tx.buckets, adds)
    for series, many in sorted(late.items()):
        tx.buckets.late(series, many)
    if sealed:
        tx.observations.begin(stream)
        key = key_of(tx, (WORKSPACE[0], f"stream {stream}"))
        note(
            tx,
            "stream.recorded",
            who.id,
            stream=stream,
            rows=len(sealed),
            batch=batch,
            commit=commit_bytes(field_key(key, "observations"), _encode(sealed)),
        )
    counts = {
        status: sum(1 for one in answers if one.status == status)
        for status in ("recorded", "repeated", "late", "bad")
    }
    return Recorded(
        stream=stream,
        read_by=tuple(sorted(name for reader in readers for name in reader.names)),
        rows=tuple(answers),
        **counts,
    )


def _readers(tx: Transaction, ports: Ports, stream: str) -> tuple[list[_Reader], list[str]]:
    """The series that read a stream now, and the workflows whose policies do."""
    names: dict[str, list[str]] = {}
    series: dict[str, Series] = {}
    workflows = []
    for policy in active_policies(tx, ports):
        mine = [a for a in policy.aggregate_parts if a.series.source == f"events:{stream}"]
        if mine:
            workflows.append(policy.workflow)
        for made in mine:
            series[made.series.id] = made.series
            names.setdefault(made.series.id, []).append(f"{policy.workflow}/{made.name}")
    return [
        _Reader(series=one, names=tuple(names[id_])) for id_, one in sorted(series.items())
    ], workflows


def _one(
    tx: Transaction,
    readers: list[_Reader],
    stream: str,
    submitter: str,
    batch: str,
    row: _Row,
    kept_from: int,
    pointer: str,
) -> str | list[tuple[_Reader, AggregateAdd, bool]]:
    """`repeated`, `late`, or what a new row adds to each series, and whether it is too late."""
    now = tx.now()
    if row.at > now + AHEAD_US:
        raise BadInput("lies more than a day ahead of now; correct the clock or the year",
                       f"{pointer}/at")  # fmt: skip
    observation = Observation(
        stream=stream,
        submitter=submitter,
        key=row.key,
        batch=batch,
        at=row.at,
        day=row.day,
        recorded_at=now,
        facts=row.facts,
    )
    earlier = tx.observations.get(stream, submitter, row.key)
    if earlier is None and row.at < kept_from:
        return "late"
    if earlier is None:
        adds = []
        for reader in readers:
            at = reader.series.moment(row.at, row.day)
            try:
                add = reader.series.read(row.facts, {}, at)
            except Unreadable as error:
                path = "/".join(escape_pointer(step) for step in error.name.split("."))
                raise BadInput(
                    f"{error.message}, as {' and '.join(reader.names)} read it",
                    f"{pointer}/facts/{path}",
                    status=422,
                ) from error
            if add is not None:
                adds.append((reader, add, reader.series.too_late(at, now)))
        if tx.observations.insert(observation):
            return adds
        earlier = tx.observations.get(stream, submitter, row.key)
    if earlier is None or (earlier.at, earlier.day, _encode(earlier.facts)) != (
        row.at,
        row.day,
        _encode(row.facts),
    ):
        raise Conflict(
            f"the key {row.key!r} was used before in {stream} for something else; what happened "
            "again has a key of its own"
        )
    return "repeated"


__all__ = ["record"]
