"""Series and their buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import apsw

from handrail.model.policy import Bucket
from handrail.ports import SeriesTotal
from handrail.store.codec import joined, split
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("buckets")
_ADD = _SQL["add"]
_TOTAL = _SQL["total"]
_ROWS = _SQL["rows"]
_BODY = _SQL["body"]
_SET_BODY = _SQL["set_body"]


class SqliteBuckets:
    """See `handrail.ports.Buckets`. There is one writer: nothing is locked."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute: Execute = connection.execute

    def since(self, series: str) -> int | None:
        row = self._execute(_SQL["since"], (series,)).fetchone()
        return row[0] if row else None

    def start(self, series: str, source: str, since: int) -> None:
        self._execute(_SQL["empty"], (series,))
        self._execute(_SQL["start"], (series, source, since))

    def cover(self, series: str, since: int) -> None:
        self._execute(_SQL["cover"], (series, since))

    def all(self) -> list[tuple[str, str, int, int]]:
        return self._execute(_SQL["all"]).fetchall()  # type: ignore[no-any-return]

    def drop(self, series: str) -> None:
        self._execute(_SQL["empty"], (series,))
        self._execute(_SQL["forget"], (series,))

    def add(
        self,
        series: str,
        key: str,
        bucket: int,
        count: int,
        total: int,
        fold: Callable[[bytes | None], bytes] | None,
    ) -> None:
        self._execute(_ADD, (series, key, bucket, count, *split(total)))
        if fold is not None:
            [(body,)] = self._execute(_BODY, (series, key, bucket)).fetchall()
            self._execute(_SET_BODY, (series, key, bucket, fold(body)))

    def late(self, series: str, count: int) -> None:
        self._execute(_SQL["late"], (series, count))

    def total(self, series: str, key: str, start: int, end: int) -> SeriesTotal:
        since, count, high, low = self._execute(_TOTAL, (series, key, start, end)).fetchall()[0]
        return SeriesTotal(since=since, count=count, total=joined(high, low))

    def rows(self, series: str, key: str, start: int, end: int) -> list[Bucket]:
        return [
            Bucket(bucket=bucket, count=count, total=joined(high, low), body=body)
            for bucket, count, high, low, body in self._execute(_ROWS, (series, key, start, end))
        ]

    def keys(self, series: str, start: int, limit: int) -> list[str]:
        return [key for (key,) in self._execute(_SQL["keys"], (series, start, limit))]

    def whole(self, series: str) -> Iterator[tuple[str, Bucket]]:
        for key, bucket, count, high, low, body in self._execute(_SQL["whole"], (series,)):
            yield key, Bucket(bucket=bucket, count=count, total=joined(high, low), body=body)

    def prune(self, series: str, before: int) -> int:
        self._execute(_SQL["prune"], (series, before))
        return self._connection.changes()
