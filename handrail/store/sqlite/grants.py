"""Single-use grants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handrail.model.modes import GrantState
from handrail.model.outcome import Grant
from handrail.ports import StateRow
from handrail.store.rows import grant_of, grant_row
from handrail.store.sqlite.decisions import SqliteDecisions
from handrail.store.sqlite.line import Line, WritingLine
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("grants")
_INSERT = _SQL["insert"]
_GET = _SQL["get"]
_CURRENT = _SQL["current"]
_REPLACE = _SQL["replace"]


class SqliteGrants:
    """See `handrail.ports.Grants`."""

    def __init__(self, line: Line, decisions: SqliteDecisions) -> None:
        self._changes = line.changes
        self._execute: Execute = line.execute
        self._decisions = decisions
        self._line = line if isinstance(line, WritingLine) else None
        self._waiting = None if self._line is None else self._line.waiting(_INSERT)

    def insert(self, grant: Grant) -> None:
        line, waiting = self._line, self._waiting
        if line is not None and waiting is not None and self._decisions.waits(grant.decision_id):
            line.add(waiting, grant_row(grant))
        else:
            self._execute(_INSERT, grant_row(grant))

    def get(self, grant_id: str) -> Grant | None:
        row = self._execute(_GET, (grant_id,)).fetchone()
        return grant_of(row) if row else None

    def current(self, decision_id: str) -> Grant | None:
        row = self._execute(_CURRENT, (decision_id,)).fetchone()
        return grant_of(row) if row else None

    def replace(self, old: Grant, new: Grant) -> bool:
        self._execute(_REPLACE, (*grant_row(new), old.state, old.run))
        return self._changes() == 1

    def overdue(self, now: int, limit: int) -> list[Grant]:
        return [grant_of(row) for row in self._execute(_SQL["overdue"], (now, limit))]

    def in_state(self, states: Sequence[GrantState], limit: int) -> list[Grant]:
        rows = [
            row
            for state in dict.fromkeys(states)
            for row in self._execute(_SQL["in_state"], (state, limit))
        ]
        rows.sort(key=lambda row: int(row[-1]))
        return [grant_of(row) for row in rows[:limit]]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for id_, decision, state in self._execute(_SQL["state"]):
            yield StateRow(
                table="grants",
                id=id_,
                columns={"decision": decision, "state": state},
                decision_id=decision,
            )
