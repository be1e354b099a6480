"""One unit of work on one connection."""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from handrail.model.decoding import convert
from handrail.ports import StateRow, Tallies
from handrail.store.rows import state_of_person, state_of_stop, state_of_token
from handrail.store.sqlite.access import SqliteAccess
from handrail.store.sqlite.audit import Mark, SqliteAudit
from handrail.store.sqlite.buckets import SqliteBuckets
from handrail.store.sqlite.counters import SqliteCounters
from handrail.store.sqlite.decisions import SqliteDecisions
from handrail.store.sqlite.grants import SqliteGrants
from handrail.store.sqlite.labels import SqliteLabels
from handrail.store.sqlite.line import Line, WritingLine
from handrail.store.sqlite.lists import SqliteLists
from handrail.store.sqlite.observations import SqliteObservations
from handrail.store.sqlite.outbox import SqliteOutbox
from handrail.store.sqlite.outcomes import SqliteOutcomes
from handrail.store.sqlite.people import SqlitePeople
from handrail.store.sqlite.policies import SqlitePolicies
from handrail.store.sqlite.queries import queries
from handrail.store.sqlite.reviews import SqliteReviews
from handrail.store.sqlite.stops import SqliteStops
from handrail.store.sqlite.subjects import SqliteSubjects

_TALLIES = queries("tallies")["now"]


class SqliteTransaction:
    """See `handrail.ports.Transaction`. One a connection, used for one unit of work after another.

    On the writer, units of work of one group share a database transaction: `start` and `kept`, or
    `back_to` and `undo`, bracket each one; `seal` ends the group before its commit, and `sealed` or
    `lose` after it.
    """

    def __init__(self, connection: apsw.Connection, *, writing: bool) -> None:
        self.writing = writing
        self._line = line = WritingLine(connection) if writing else Line(connection)
        self._execute = line.execute
        # Rows that wait are written in the order of these: decisions first, for the rest hang on
        # them.
        self.decisions = SqliteDecisions(line)
        self.outcomes = SqliteOutcomes(line, self.decisions)
        self.grants = SqliteGrants(line, self.decisions)
        self.subjects = SqliteSubjects(line)
        self.reviews = SqliteReviews(line, writing=writing)
        self.labels = SqliteLabels(line)
        self.people = SqlitePeople(line)
        self.access = SqliteAccess(line)
        self.policies = SqlitePolicies(line, writing=writing)
        self.lists = SqliteLists(line)
        self.stops = SqliteStops(line, writing=writing)
        self.outbox = SqliteOutbox(line)
        self.counters = SqliteCounters(line, writing=writing)
        self.buckets = SqliteBuckets(line, writing=writing)
        self.observations = SqliteObservations(line)
        self.audit = SqliteAudit(line, writing=writing)
        self._now = 0
        self.topics: set[str] = set()
        """Topics to wake after the commit."""
        self.earliest: int | None = None
        """Earliest time the scheduler is wanted (µs UTC)."""
        self._mine: list[str] = []
        self._mine_at: int | None = None

    def start(self, now: int) -> Mark:
        """Begin a unit of work at `now`; the mark takes the log back should it fail."""
        self._now = now
        self.subjects.forget()
        if isinstance(self._line, WritingLine):
            self._line.begin()
        return self.audit.mark()

    def kept(self) -> None:
        """The unit of work succeeded: its rows stay, and what it wants woken counts."""
        if isinstance(self._line, WritingLine):
            self._line.keep()
        self.counters.keep()
        self.buckets.keep()
        if self._mine:
            self.topics.update(self._mine)
            self._mine.clear()
        if self._mine_at is not None:
            if self.earliest is None or self._mine_at < self.earliest:
                self.earliest = self._mine_at
            self._mine_at = None

    def back_to(self, mark: Mark) -> None:
        """The unit of work failed: nothing of it is left in memory."""
        self.audit.back_to(mark)
        self.subjects.forget()
        self.stops.forget()
        self.policies.forget()
        self.counters.forget()
        self.buckets.forget()
        if isinstance(self._line, WritingLine):
            self._line.drop()
        self._mine.clear()
        self._mine_at = None

    def undo(self) -> None:
        """After `back_to`: roll back what the unit of work wrote, if it wrote anything."""
        if isinstance(self._line, WritingLine):
            self._line.undo()

    def seal(self) -> None:
        """Write all that waits, as the last thing before a commit."""
        if isinstance(self._line, WritingLine):
            self._line.end()
        self.counters.seal()
        self.buckets.seal()
        self.audit.seal()

    def sealed(self) -> None:
        """After the commit: nothing waits any more."""
        self.audit.sealed()

    def lose(self) -> None:
        """The group is lost: nothing of it is left in memory."""
        if isinstance(self._line, WritingLine):
            self._line.lose()
        self.counters.lose()
        self.buckets.lose()

    def taken(self) -> tuple[frozenset[str], int | None]:
        """What is to be woken, once; forgotten afterwards."""
        woken = frozenset(self.topics), self.earliest
        self.topics.clear()
        self.earliest = None
        return woken

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
        [row] = self._execute(_TALLIES, (self._now,)).fetchall()
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
        if not self.writing:
            raise RuntimeError("a query wakes nobody; do it in store.write")
