"""Notices that have to reach somebody."""

from __future__ import annotations

from typing import Any

from handrail.model.feedback import Notice
from handrail.store.codec import decode_texts, encode_texts
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session

_SQL = queries("outbox")
_ADD = _SQL["add"]


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


class PostgresOutbox:
    """See `handrail.ports.Outbox`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, notice: Notice) -> None:
        self._session.change(_ADD, _row(notice))

    def due(self, now: int, limit: int, *, calls: bool = False) -> list[Notice]:
        return [_notice(row) for row in self._session.all(_SQL["due"], (now, limit, calls))]

    def put(self, notice: Notice) -> None:
        self._session.change(_SQL["put"], _row(notice))

    def undelivered(self, limit: int) -> list[Notice]:
        return [_notice(row) for row in self._session.all(_SQL["undelivered"], (limit,))]
