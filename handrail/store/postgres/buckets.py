"""Series and their buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from handrail.model.policy import Bucket
from handrail.ports import SeriesTotal
from handrail.store.codec import joined, split
from handrail.store.postgres.counters import stored_key
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import PAGE, Session

_SQL = queries("buckets")
_ADD = _SQL["add"]
_TOTAL = _SQL["total"]
_ROWS = _SQL["rows"]
_BODY = _SQL["body"]
_SET_BODY = _SQL["set_body"]


class PostgresBuckets:
    """See `handrail.ports.Buckets`. A key of a series is covered by an advisory lock on both, which
    series there are by `standing`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def since(self, series: str) -> int | None:
        row = self._session.one(_SQL["since"], (series,))
        return row[0] if row else None

    def start(self, series: str, source: str, since: int) -> None:
        self._session.hold_standing()
        self._session.change(_SQL["empty"], (series,))
        self._session.change(_SQL["start"], (series, source, since))

    def cover(self, series: str, since: int) -> None:
        self._session.change(_SQL["cover"], (series, since))

    def all(self) -> list[tuple[str, str, int, int]]:
        found = self._session.all(_SQL["all"])
        return [(id_, source, since, late) for id_, source, since, late in found]

    def drop(self, series: str) -> None:
        self._session.hold_standing()
        self._session.change(_SQL["empty"], (series,))
        self._session.change(_SQL["forget"], (series,))

    def add(
        self,
        series: str,
        key: str,
        bucket: int,
        count: int,
        total: int,
        fold: Callable[[bytes | None], bytes] | None,
    ) -> None:
        session, key = self._session, stored_key(key)
        session.hold("series", series, key)
        session.change(_ADD, (series, key, bucket, count, *split(total)))
        if fold is not None:
            row = session.one(_BODY, (series, key, bucket))
            session.change(_SET_BODY, (series, key, bucket, fold(row[0] if row else None)))

    def late(self, series: str, count: int) -> None:
        self._session.change(_SQL["late"], (series, count))

    def total(self, series: str, key: str, start: int, end: int) -> SeriesTotal:
        key = stored_key(key)
        self._session.hold("series", series, key)
        row = self._session.one(_TOTAL, (series, key, start, end))
        since, count, high, low = row if row is not None else (None, 0, 0, 0)
        return SeriesTotal(since=since, count=count, total=joined(high, low))

    def rows(self, series: str, key: str, start: int, end: int) -> list[Bucket]:
        key = stored_key(key)
        self._session.hold("series", series, key)
        return [
            Bucket(bucket=bucket, count=count, total=joined(high, low), body=body)
            for bucket, count, high, low, body in self._session.all(
                _ROWS, (series, key, start, end)
            )
        ]

    def keys(self, series: str, start: int, limit: int) -> list[str]:
        return [key for (key,) in self._session.all(_SQL["keys"], (series, start, limit))]

    def whole(self, series: str) -> Iterator[tuple[str, Bucket]]:
        last: tuple[str, int] = ("", -1)
        while rows := self._session.all(_SQL["whole"], (series, *last, PAGE)):
            for key, bucket, count, high, low, body in rows:
                yield (
                    key,
                    Bucket(bucket=bucket, count=count, total=joined(high, low), body=body),
                )
            last = rows[-1][:2]

    def prune(self, series: str, before: int) -> int:
        return self._session.change(_SQL["prune"], (series, before))
