"""The stop button."""

from __future__ import annotations

from handrail.model.feedback import Stop
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session
from handrail.store.rows import stop_of

_SQL = queries("stops")
_GET = _SQL["get"]


class PostgresStops:
    """See `handrail.ports.Stops`.

    Covered by `standing`: once a stop is committed, nothing commits that went by its absence.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, workflow: str) -> Stop | None:
        def read() -> Stop | None:
            row = self._session.one(_GET, (workflow,))
            return stop_of(row) if row else None

        return self._session.lasting("stops", workflow, read, absence=True)

    def put(self, stop: Stop) -> None:
        self._session.hold_standing()
        self._session.forget("stops")
        self._session.change(_SQL["put"], (stop.workflow, stop.reason, stop.by, stop.at))

    def clear(self, workflow: str) -> bool:
        self._session.hold_standing()
        self._session.forget("stops")
        return self._session.change(_SQL["clear"], (workflow,)) == 1

    def all(self) -> list[Stop]:
        return [stop_of(row) for row in self._session.all(_SQL["all"])]
