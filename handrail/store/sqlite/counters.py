"""Bucketed counters of what happens how often."""

from __future__ import annotations

from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("counters")
_ADD = _SQL["add"]
_READ = _SQL["read"]

_Bucket = tuple[str, str, int]


class SqliteCounters:
    """See `handrail.ports.Counters`.

    What a group of use cases adds to one bucket is added up here and written once, before the
    commit.
    """

    def __init__(self, line: Line, *, writing: bool) -> None:
        self._execute: Execute = line.execute
        self._executemany = line.executemany
        self._look: Execute = line.look
        self._writing = writing
        self._waiting: dict[_Bucket, tuple[int, int]] = {}
        self._mine: list[tuple[_Bucket, int, int]] = []
        """What the use case that runs added."""

    def keep(self) -> None:
        """The use case succeeded."""
        if self._mine:
            waiting = self._waiting
            for bucket, count, total in self._mine:
                before = waiting.get(bucket)
                if before is not None:
                    count, total = before[0] + count, before[1] + total
                waiting[bucket] = count, total
            self._mine.clear()

    def forget(self) -> None:
        """The use case failed."""
        self._mine.clear()

    def lose(self) -> None:
        """The group is lost, or committed."""
        self._mine.clear()
        self._waiting.clear()

    def seal(self) -> None:
        """Write what waits, before a commit."""
        if self._waiting:
            self._executemany(_ADD, [(*bucket, *sums) for bucket, sums in self._waiting.items()])
            self._waiting.clear()

    def add(self, scope: str, key: str, bucket: int, count: int, total: int) -> None:
        if self._writing:
            self._mine.append(((scope, key, bucket), count, total))
        else:
            self._execute(_ADD, (scope, key, bucket, count, total))

    def read(self, scope: str, key: str, start: int, end: int) -> tuple[int, int]:
        count, total = self._look(_READ, (scope, key, start, end)).fetchall()[0]
        for (of, its, bucket), more, sums in (
            *((bucket, *sums) for bucket, sums in self._waiting.items()),
            *self._mine,
        ):
            if of == scope and its == key and start <= bucket < end:
                count, total = count + more, total + sums
        return count, total
