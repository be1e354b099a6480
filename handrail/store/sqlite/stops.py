"""The stop button."""

from __future__ import annotations

from typing import Any

import apsw

from handrail.model.feedback import Stop
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("stops")
_GET = _SQL["get"]


def _stop(row: tuple[Any, ...]) -> Stop:
    return Stop(workflow=row[0], reason=row[1], by=row[2], at=row[3])


class SqliteStops:
    """See `handrail.ports.Stops`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute: Execute = connection.execute

    def get(self, workflow: str) -> Stop | None:
        rows = self._execute(_GET, (workflow,)).fetchall()
        if not rows:
            return None
        own = [row for row in rows if row[0] == workflow]
        return _stop(own[0] if own else rows[0])

    def put(self, stop: Stop) -> None:
        self._execute(_SQL["put"], (stop.workflow, stop.reason, stop.by, stop.at))

    def clear(self, workflow: str) -> bool:
        self._execute(_SQL["clear"], (workflow,))
        return self._connection.changes() == 1

    def all(self) -> list[Stop]:
        return [_stop(row) for row in self._execute(_SQL["all"])]
