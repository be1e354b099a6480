"""Bucketed counters of what happens how often."""

from __future__ import annotations

import hashlib

from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session

_SQL = queries("counters")
_ADD = _SQL["add"]
_READ = _SQL["read"]

LONGEST_KEY = 500
"""Bytes of a key stored as it is; an index row holds some 2,700."""


def stored_key(key: str) -> str:
    """`key`, or its digest where it is too long for an index."""
    raw = key.encode()
    if len(raw) <= LONGEST_KEY and "\x00" not in key and "\x01" not in key:
        return key
    return "sha256:" + hashlib.sha256(raw).hexdigest()


class PostgresCounters:
    """See `handrail.ports.Counters`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, scope: str, key: str, bucket: int, count: int, total: int) -> None:
        key = stored_key(key)
        self._session.hold("counter", scope, key)
        self._session.change(_ADD, (scope, key, bucket, count, total))

    def read(self, scope: str, key: str, start: int, end: int) -> tuple[int, int]:
        key = stored_key(key)
        self._session.hold("counter", scope, key)
        row = self._session.one(_READ, (scope, key, start, end))
        return (row[0], row[1]) if row else (0, 0)
