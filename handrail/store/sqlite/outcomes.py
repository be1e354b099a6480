"""One outcome a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw

from handrail.model.errors import Conflict, NotFound
from handrail.model.outcome import Outcome
from handrail.ports import StateRow
from handrail.store.rows import outcome_of, outcome_row
from handrail.store.sqlite.decisions import SqliteDecisions
from handrail.store.sqlite.line import Line, WritingLine
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("outcomes")
_INSERT = _SQL["insert"]
_GET = _SQL["get"]
_RELEASE = _SQL["release"]


class SqliteOutcomes:
    """See `handrail.ports.Outcomes`."""

    def __init__(self, line: Line, decisions: SqliteDecisions) -> None:
        self._changes = line.changes
        self._execute: Execute = line.execute
        self._decisions = decisions
        self._line = line if isinstance(line, WritingLine) else None
        self._waiting = None if self._line is None else self._line.waiting(_INSERT)
        self._wave = 0
        self._ids: set[str] = set()
        """Decisions whose outcomes wait."""

    def insert(self, outcome: Outcome[Any]) -> bytes:
        row = outcome_row(outcome)
        body: bytes = row[-1]
        if self._line is not None and self._waiting is not None and self._may_wait(outcome):
            self._line.add(self._waiting, row)
            return body
        try:
            self._execute(_INSERT, row)
        except apsw.ConstraintError:
            there = self.get(outcome.decision_id)
            if there is None:
                raise
            raise Conflict(
                f"{outcome.decision_id} has an outcome: {there.verdict} by {there.by}; "
                "read it before deciding again",
                {"by": there.by, "verdict": there.verdict, "at": there.at},
            ) from None
        return body

    def _may_wait(self, outcome: Outcome[Any]) -> bool:
        """Whether no other outcome of the decision is anywhere; notes that this one waits now."""
        if not outcome.released or not self._decisions.waits(outcome.decision_id):
            return False
        if self._line is not None and self._wave != self._line.wave:
            self._wave = self._line.wave
            self._ids.clear()
        if outcome.decision_id in self._ids:
            return False
        self._ids.add(outcome.decision_id)
        return True

    def get(self, decision_id: str) -> Outcome[Any] | None:
        row = self._execute(_GET, (decision_id,)).fetchone()
        return outcome_of(row) if row else None

    def release(self, decision_id: str, grant_id: str | None) -> bool:
        self._execute(_RELEASE, (decision_id, grant_id))
        return self._changes() == 1

    def body(self, decision_id: str) -> bytes:
        row = self._execute(_SQL["body"], (decision_id,)).fetchone()
        if row is None:
            raise NotFound(f"{decision_id} has no outcome; read the decision to see where it is")
        found: bytes = row[0]
        return found

    def take_back(self, decision_id: str) -> bool:
        self._execute(_SQL["take_back"], (decision_id,))
        return self._changes() == 1

    def due(self, now: int, limit: int) -> list[Outcome[Any]]:
        return [outcome_of(row) for row in self._execute(_SQL["due"], (now, limit))]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for decision, verdict, released, body in self._execute(_SQL["state"]):
            yield StateRow(
                table="outcomes",
                id=decision,
                columns={"verdict": verdict, "released": released},
                body=body,
                decision_id=decision,
            )
