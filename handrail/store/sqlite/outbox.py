"""Notices that have to reach somebody."""

from __future__ import annotations

from typing import Any

import apsw

from handrail.model.feedback import Notice
from handrail.store.codec import decode_texts, encode_texts
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("outbox")


def _row(notice: Notice) -> tuple[Any, ...]:
    return (
        notice.id,
        notice.topic,
        encode_texts(notice.to),
        notice.review,
        notice.decision_id,
        notice.text,
        notice.made_at,
        notice.attempts,
        notice.next_at,
        notice.delivered_at,
        notice.error,
    )


def _notice(row: tuple[Any, ...]) -> Notice:
    return Notice(
        id=row[0],
        topic=row[1],
        to=decode_texts(row[2]),
        review=row[3],
        decision_id=row[4],
        text=row[5],
        made_at=row[6],
        attempts=row[7],
        next_at=row[8],
        delivered_at=row[9],
        error=row[10],
    )


class SqliteOutbox:
    """See `handrail.ports.Outbox`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute: Execute = connection.execute

    def add(self, notice: Notice) -> None:
        self._execute(_SQL["add"], _row(notice))

    def due(self, now: int, limit: int, *, calls: bool = False) -> list[Notice]:
        return [_notice(row) for row in self._execute(_SQL["due"], (now, limit, calls))]

    def put(self, notice: Notice) -> None:
        self._execute(_SQL["put"], _row(notice))

    def undelivered(self, limit: int) -> list[Notice]:
        return [_notice(row) for row in self._execute(_SQL["undelivered"], (limit,))]
