"""What was recorded in streams."""

from __future__ import annotations

from handrail.model.observation import Observation
from handrail.store.codec import encode
from handrail.store.rows import observation_of
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("observations")
_INSERT = _SQL["insert"]


class SqliteObservations:
    """See `handrail.ports.Observations`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._execute: Execute = line.execute

    def insert(self, observation: Observation) -> bool:
        self._execute(
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
        return bool(self._line.changes())

    def get(self, stream: str, submitter: str, key: str) -> Observation | None:
        row = self._execute(_SQL["get"], (stream, submitter, key)).fetchone()
        return observation_of(row) if row else None

    def since(self, stream: str, start: int, limit: int) -> list[Observation]:
        found = self._execute(_SQL["since"], (stream, start, limit)).fetchall()
        return [observation_of(row) for row in sorted(found, key=lambda row: row[8])]

    def of_batch(self, batch: str) -> list[Observation]:
        return [observation_of(row) for row in self._execute(_SQL["of_batch"], (batch,))]

    def streams(self) -> list[tuple[str, int]]:
        return self._execute(_SQL["streams"]).fetchall()  # type: ignore[no-any-return]

    def kept_from(self, stream: str) -> int:
        row = self._execute(_SQL["kept_from"], (stream,)).fetchone()
        return row[0] if row else 0

    def begin(self, stream: str) -> None:
        self._execute(_SQL["begin"], (stream,))

    def prune(self, stream: str, before: int, limit: int) -> int:
        self._execute(_SQL["keep_from"], (stream, before))
        self._execute(_SQL["prune"], (stream, before, limit))
        return self._line.changes()
