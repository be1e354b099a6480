"""Series and their buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from handrail.model.policy import Bucket
from handrail.ports import SeriesTotal
from handrail.store.codec import joined, split
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("buckets")
_ADD = _SQL["add"]
_TOTAL = _SQL["total"]
_ROWS = _SQL["rows"]
_BODY = _SQL["body"]
_SET_BODY = _SQL["set_body"]
_NOTHING: dict[int, tuple[int, int]] = {}


_Key = tuple[str, str]
"""(series, key)."""

Sums = dict[int, tuple[int, int]]
"""Count and total to add, by bucket."""


class SqliteBuckets:
    """See `handrail.ports.Buckets`. There is one writer: nothing is locked.

    Counts and totals that a group of use cases adds are added up here and written once a bucket,
    before the commit or before anything but a total is read; totals are those of the database, read
    once, and what waits. Buckets with bodies are written at once.
    """

    def __init__(self, line: Line, *, writing: bool) -> None:
        self._line = line
        self._execute: Execute = line.execute
        self._writing = writing
        self._waiting: dict[_Key, Sums] = {}
        """What use cases added that have ended."""
        self._mine: list[tuple[_Key, int, int, int]] = []
        """(whose, bucket, count, total) that the use case that runs added."""
        self._written: dict[_Key, Sums] = {}
        """What waited, and was written by the use case that runs: rolled back, it waits again."""
        self._stored: dict[tuple[str, str, int, int], tuple[int | None, int, int]] = {}
        """Totals as they are in the database, by what was asked."""

    # ------------------------------------------------------------------ the writer's side

    def keep(self) -> None:
        """The use case succeeded: what it added waits with the rest."""
        for whose, bucket, count, total in self._mine:
            sums = self._waiting.setdefault(whose, {})
            before = sums.get(bucket)
            if before is not None:
                count, total = before[0] + count, before[1] + total
            sums[bucket] = count, total
        self._mine.clear()
        if self._written:
            self._written = {}

    def forget(self) -> None:
        """The use case failed: what it added is gone, what it wrote for others waits again."""
        self._mine.clear()
        self._stored.clear()
        if self._written:
            self._waiting, self._written = self._written, {}

    def lose(self) -> None:
        """The group is lost, or committed."""
        self._mine.clear()
        self._waiting.clear()
        self._written = {}
        self._stored.clear()

    def seal(self) -> None:
        """Write what waits, before a commit."""
        if self._waiting:
            self._add_up(self._waiting)
            self._waiting.clear()
        self._stored.clear()

    def _settled(self, sql: str, bindings: Any) -> Any:
        """Run a statement that is not a total, after all that waits."""
        if self._waiting:
            self._add_up(self._waiting)
            self._written, self._waiting = self._waiting, {}
        for (series, key), bucket, count, total in self._mine:
            self._execute(_ADD, (series, key, bucket, count, *split(total)))
        self._mine.clear()
        if self._stored:
            self._stored.clear()
        return self._execute(sql, bindings)

    def _add_up(self, waiting: dict[_Key, Sums]) -> None:
        self._line.executemany(
            _ADD,
            [
                (*whose, bucket, count, *split(total))
                for whose, sums in waiting.items()
                for bucket, (count, total) in sums.items()
            ],
        )

    # ------------------------------------------------------------------ the port

    def since(self, series: str) -> int | None:
        row = self._settled(_SQL["since"], (series,)).fetchone()
        return row[0] if row else None

    def start(self, series: str, source: str, since: int) -> None:
        self._settled(_SQL["empty"], (series,))
        self._settled(_SQL["start"], (series, source, since))

    def cover(self, series: str, since: int) -> None:
        self._settled(_SQL["cover"], (series, since))

    def all(self) -> list[tuple[str, str, int, int]]:
        return self._settled(_SQL["all"], ()).fetchall()  # type: ignore[no-any-return]

    def drop(self, series: str) -> None:
        self._settled(_SQL["empty"], (series,))
        self._settled(_SQL["forget"], (series,))

    def add(
        self,
        series: str,
        key: str,
        bucket: int,
        count: int,
        total: int,
        fold: Callable[[bytes | None], bytes] | None,
    ) -> None:
        if fold is None and self._writing:
            self._mine.append(((series, key), bucket, count, total))
            return
        self._settled(_ADD, (series, key, bucket, count, *split(total)))
        if fold is not None:
            [(body,)] = self._execute(_BODY, (series, key, bucket)).fetchall()
            self._execute(_SET_BODY, (series, key, bucket, fold(body)))

    def late(self, series: str, count: int) -> None:
        self._settled(_SQL["late"], (series, count))

    def total(self, series: str, key: str, start: int, end: int) -> SeriesTotal:
        asked = series, key, start, end
        stored = self._stored.get(asked)
        if stored is None:
            since, count, high, low = self._line.look(_TOTAL, asked).fetchall()[0]
            stored = since, count, joined(high, low)
            if self._writing:
                self._stored[asked] = stored
        since, count, whole = stored
        whose = series, key
        for bucket, (more, sums) in self._waiting.get(whose, _NOTHING).items():
            if start <= bucket < end:
                count, whole = count + more, whole + sums
        for its, bucket, more, sums in self._mine:
            if its == whose and start <= bucket < end:
                count, whole = count + more, whole + sums
        return SeriesTotal(since=since, count=count, total=whole)

    def rows(self, series: str, key: str, start: int, end: int) -> list[Bucket]:
        return [
            Bucket(bucket=bucket, count=count, total=joined(high, low), body=body)
            for bucket, count, high, low, body in self._settled(_ROWS, (series, key, start, end))
        ]

    def keys(self, series: str, start: int, limit: int) -> list[str]:
        return [key for (key,) in self._settled(_SQL["keys"], (series, start, limit))]

    def whole(self, series: str) -> Iterator[tuple[str, Bucket]]:
        for key, bucket, count, high, low, body in self._settled(_SQL["whole"], (series,)):
            yield key, Bucket(bucket=bucket, count=count, total=joined(high, low), body=body)

    def prune(self, series: str, before: int) -> int:
        self._settled(_SQL["prune"], (series, before))
        return self._line.changes()
