"""Notices that have to reach somebody."""

from __future__ import annotations

from handrail.model.feedback import Notice
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session
from handrail.store.rows import notice_of, notice_row

_SQL = queries("outbox")
_ADD = _SQL["add"]


class PostgresOutbox:
    """See `handrail.ports.Outbox`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, notice: Notice) -> None:
        self._session.change(_ADD, notice_row(notice))

    def due(self, now: int, limit: int, *, calls: bool = False) -> list[Notice]:
        return [notice_of(row) for row in self._session.all(_SQL["due"], (now, limit, calls))]

    def put(self, notice: Notice) -> None:
        self._session.change(_SQL["put"], notice_row(notice))

    def undelivered(self, limit: int) -> list[Notice]:
        return [notice_of(row) for row in self._session.all(_SQL["undelivered"], (limit,))]
