"""Bucketed counters of what happens how often."""

from __future__ import annotations

import apsw

from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("counters")
_ADD = _SQL["add"]
_READ = _SQL["read"]


class SqliteCounters:
    """See `handrail.ports.Counters`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute: Execute = connection.execute

    def add(self, scope: str, key: str, bucket: int, count: int, total: int) -> None:
        self._execute(_ADD, (scope, key, bucket, count, total))

    def read(self, scope: str, key: str, start: int, end: int) -> tuple[int, int]:
        count, total = self._execute(_READ, (scope, key, start, end)).fetchall()[0]
        return count, total
