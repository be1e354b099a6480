"""Notices that have to reach somebody."""

from __future__ import annotations

from handrail.model.feedback import Notice
from handrail.store.rows import notice_of, notice_row
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("outbox")


class SqliteOutbox:
    """See `handrail.ports.Outbox`."""

    def __init__(self, line: Line) -> None:
        self._execute: Execute = line.execute

    def add(self, notice: Notice) -> None:
        self._execute(_SQL["add"], notice_row(notice))

    def due(self, now: int, limit: int, *, calls: bool = False) -> list[Notice]:
        return [notice_of(row) for row in self._execute(_SQL["due"], (now, limit, calls))]

    def put(self, notice: Notice) -> None:
        self._execute(_SQL["put"], notice_row(notice))

    def undelivered(self, limit: int) -> list[Notice]:
        return [notice_of(row) for row in self._execute(_SQL["undelivered"], (limit,))]
