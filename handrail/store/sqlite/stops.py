"""The stop button."""

from __future__ import annotations

from handrail.model.feedback import Stop
from handrail.store.rows import stop_of
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("stops")
_GET = _SQL["get"]
_MOST_KNOWN = 1_000


class SqliteStops:
    """See `handrail.ports.Stops`.

    Every submit asks, and hardly any changes it: the writer, through whom alone it changes, keeps
    what it found until then.
    """

    def __init__(self, line: Line, *, writing: bool) -> None:
        self._line = line
        self._execute: Execute = line.execute
        self._writing = writing
        self._known: dict[str, Stop | None] = {}

    def forget(self) -> None:
        """Something was rolled back, or changes."""
        self._known.clear()

    def get(self, workflow: str) -> Stop | None:
        if not self._writing:
            return self._get(workflow)
        if workflow not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[workflow] = self._get(workflow)
        return self._known[workflow]

    def _get(self, workflow: str) -> Stop | None:
        rows = self._line.look(_GET, (workflow,)).fetchall()
        if not rows:
            return None
        own = [row for row in rows if row[0] == workflow]
        return stop_of(own[0] if own else rows[0])

    def put(self, stop: Stop) -> None:
        self.forget()
        self._execute(_SQL["put"], (stop.workflow, stop.reason, stop.by, stop.at))

    def clear(self, workflow: str) -> bool:
        self.forget()
        self._execute(_SQL["clear"], (workflow,))
        return self._line.changes() == 1

    def all(self) -> list[Stop]:
        return [stop_of(row) for row in self._execute(_SQL["all"])]
