"""What was recorded in streams."""

from __future__ import annotations

from handrail.model.observation import Observation
from handrail.store.codec import encode
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session
from handrail.store.rows import observation_of

_SQL = queries("observations")
_INSERT = _SQL["insert"]


class PostgresObservations:
    """See `handrail.ports.Observations`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def insert(self, observation: Observation) -> bool:
        made = self._session.change(
            _INSERT,
            (
                observation.stream,
                observation.submitter,
                observation.key,
                observation.batch,
                observation.at,
                observation.day,
                observation.recorded_at,
                encode(observation.facts),
            ),
        )
        return bool(made)

    def get(self, stream: str, submitter: str, key: str) -> Observation | None:
        row = self._session.one(_SQL["get"], (stream, submitter, key))
        return observation_of(row) if row else None

    def since(self, stream: str, start: int, limit: int) -> list[Observation]:
        found = self._session.all(_SQL["since"], (stream, start, limit))
        return [observation_of(row) for row in sorted(found, key=lambda row: row[8])]

    def of_batch(self, batch: str) -> list[Observation]:
        return [observation_of(row) for row in self._session.all(_SQL["of_batch"], (batch,))]

    def streams(self) -> list[tuple[str, int]]:
        return [(name, kept_from) for name, kept_from in self._session.all(_SQL["streams"])]

    def kept_from(self, stream: str) -> int:
        row = self._session.one(_SQL["kept_from"], (stream,))
        return row[0] if row else 0

    def begin(self, stream: str) -> None:
        self._session.change(_SQL["begin"], (stream,))

    def prune(self, stream: str, before: int, limit: int) -> int:
        self._session.change(_SQL["keep_from"], (stream, before))
        return self._session.change(_SQL["prune"], (stream, before, limit))
