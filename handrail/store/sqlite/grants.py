"""Single-use grants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw

from handrail.model.modes import GrantState
from handrail.model.outcome import Grant
from handrail.ports import StateRow
from handrail.store.rows import grant_of, grant_row
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("grants")
_INSERT = _SQL["insert"]
_GET = _SQL["get"]
_CURRENT = _SQL["current"]
_REPLACE = _SQL["replace"]


class SqliteGrants:
    """See `handrail.ports.Grants`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute: Execute = connection.execute

    def insert(self, grant: Grant) -> None:
        self._execute(_INSERT, grant_row(grant))

    def get(self, grant_id: str) -> Grant | None:
        row = self._execute(_GET, (grant_id,)).fetchone()
        return grant_of(row) if row else None

    def current(self, decision_id: str) -> Grant | None:
        row = self._execute(_CURRENT, (decision_id,)).fetchone()
        return grant_of(row) if row else None

    def replace(self, old: Grant, new: Grant) -> bool:
        self._execute(_REPLACE, (*grant_row(new), old.state, old.run))
        return self._connection.changes() == 1

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
