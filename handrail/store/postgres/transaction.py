"""One unit of work on one connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from handrail.model.decoding import convert
from handrail.ports import StateRow, Tallies
from handrail.store.postgres.access import PostgresAccess
from handrail.store.postgres.audit import PostgresAudit
from handrail.store.postgres.buckets import PostgresBuckets
from handrail.store.postgres.counters import PostgresCounters
from handrail.store.postgres.decisions import PostgresDecisions
from handrail.store.postgres.grants import PostgresGrants
from handrail.store.postgres.labels import PostgresLabels
from handrail.store.postgres.lists import PostgresLists
from handrail.store.postgres.observations import PostgresObservations
from handrail.store.postgres.outbox import PostgresOutbox
from handrail.store.postgres.outcomes import PostgresOutcomes
from handrail.store.postgres.people import PostgresPeople
from handrail.store.postgres.policies import PostgresPolicies
from handrail.store.postgres.queries import queries
from handrail.store.postgres.reviews import PostgresReviews
from handrail.store.postgres.session import Session
from handrail.store.postgres.stops import PostgresStops
from handrail.store.postgres.subjects import PostgresSubjects
from handrail.store.rows import state_of_person, state_of_stop, state_of_token

_TALLIES = queries("tallies")["now"]

Mark = tuple[int, int]
"""Locks held and entries that wait, where a use case begins."""


class PostgresTransaction:
    """See `handrail.ports.Transaction`. One a connection and direction, used again and again."""

    def __init__(self, connection: psycopg.Connection[Any], *, schema: str, writing: bool) -> None:
        session = Session(connection, schema=schema, writing=writing)
        self.session = session
        self.decisions = PostgresDecisions(session)
        self.reviews = PostgresReviews(session)
        self.outcomes = PostgresOutcomes(session)
        self.grants = PostgresGrants(session)
        self.labels = PostgresLabels(session)
        self.people = PostgresPeople(session)
        self.access = PostgresAccess(session)
        self.policies = PostgresPolicies(session)
        self.lists = PostgresLists(session)
        self.subjects = PostgresSubjects(session)
        self.stops = PostgresStops(session)
        self.outbox = PostgresOutbox(session)
        self.counters = PostgresCounters(session)
        self.buckets = PostgresBuckets(session)
        self.observations = PostgresObservations(session)
        self.audit = PostgresAudit(session)
        self.topics: set[str] = set()
        """Topics to wake after the commit."""
        self.earliest: int | None = None
        """Earliest time the scheduler is wanted (µs UTC)."""
        self._now = 0
        self._mine: list[str] = []
        self._mine_at: int | None = None

    def fresh(self, *, alone: bool = False, shared: bool = False) -> None:
        """A database transaction begins."""
        self.session.fresh(alone=alone, shared=shared)
        self.audit.pending.clear()
        self.topics.clear()
        self.earliest = None

    def start(self, now: int) -> Mark:
        """A use case begins at `now`; the mark takes it back should it fail."""
        self._now = now
        self.session.start()
        self._mine.clear()
        self._mine_at = None
        return self.session.mark(), len(self.audit.pending)

    def kept(self) -> None:
        """The use case succeeded: what it wants woken counts."""
        self.topics.update(self._mine)
        if self._mine_at is not None and (self.earliest is None or self._mine_at < self.earliest):
            self.earliest = self._mine_at

    def back_to(self, mark: Mark) -> None:
        """The use case failed: nothing of it is left in memory."""
        held, pending = mark
        self.session.back_to(held)
        del self.audit.pending[pending:]

    # ------------------------------------------------------------------ the port

    def now(self) -> int:
        return self._now

    def wake(self, topic: str) -> None:
        self._refuse_query()
        self._mine.append(topic)

    def wake_at(self, at: int) -> None:
        self._refuse_query()
        if self._mine_at is None or at < self._mine_at:
            self._mine_at = at

    def tallies(self) -> Tallies:
        [row] = self.session.all(_TALLIES, (self._now,))
        return convert(dict(zip(Tallies.__struct_fields__, row, strict=True)), Tallies)

    def state_rows(self) -> Iterator[StateRow]:
        yield from self.decisions.state()
        yield from self.reviews.state()
        yield from self.reviews.rounds_state()
        yield from self.reviews.votes_state()
        yield from self.outcomes.state()
        yield from self.grants.state()
        yield from self.labels.state()
        yield from self.policies.state()
        yield from self.lists.state()
        yield from map(state_of_person, self.people.all())
        yield from map(state_of_token, self.access.tokens())
        yield from map(state_of_stop, self.stops.all())

    def _refuse_query(self) -> None:
        if not self.session.writing:
            raise RuntimeError("a query wakes nobody; do it in store.write")
