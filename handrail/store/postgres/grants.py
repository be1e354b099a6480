"""Single-use grants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handrail.model.modes import GrantState
from handrail.model.outcome import Grant
from handrail.ports import StateRow
from handrail.store.postgres.columns import Rows, numbers, texts, words
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session
from handrail.store.rows import grant_of, grant_row

_SQL = queries("grants")
_INSERT = _SQL["insert"]
_ROWS = Rows(
    1,
    _SQL["insert_all"],
    texts,
    texts,
    words,
    texts,
    *(numbers,) * 4,
    texts,
    texts,
    numbers,
    *(texts,) * 4,
)
_GET = _SQL["get"]
_TAKE = _SQL["take"]
_CURRENT = _SQL["current"]
_REPLACE = _SQL["replace"]


class PostgresGrants:
    """See `handrail.ports.Grants`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def insert(self, grant: Grant) -> None:
        self._session.hold_decision(grant.decision_id)
        row = grant_row(grant)
        if not self._session.later(_ROWS, row):
            self._session.change(_INSERT, row)
        self._session.forget("grants", grant.decision_id)

    def get(self, grant_id: str) -> Grant | None:
        session = self._session
        if not session.writing:
            row = session.one(_GET, (grant_id,))
            return grant_of(row) if row else None
        row = session.one(_TAKE, (grant_id,))
        if row is None:
            return None
        session.holds_decision(row[1])
        session.holds_review(row[15])
        return grant_of(row)

    def current(self, decision_id: str) -> Grant | None:
        session = self._session
        session.hold_decision(decision_id)

        def read() -> Grant | None:
            row = session.one(_CURRENT, (decision_id,))
            return grant_of(row) if row else None

        return session.known(("grants", decision_id), "current", read, absence=True)

    def replace(self, old: Grant, new: Grant) -> bool:
        self._session.hold_decision(new.decision_id)
        self._session.forget("grants", new.decision_id)
        return self._session.change(_REPLACE, (*grant_row(new), old.state, old.run)) == 1

    def overdue(self, now: int, limit: int) -> list[Grant]:
        return [grant_of(row) for row in self._session.all(_SQL["overdue"], (now, limit))]

    def in_state(self, states: Sequence[GrantState], limit: int) -> list[Grant]:
        rows = [
            row
            for state in dict.fromkeys(states)
            for row in self._session.all(_SQL["in_state"], (state, limit))
        ]
        rows.sort(key=lambda row: int(row[-1]))
        return [grant_of(row) for row in rows[:limit]]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for _, id_, decision, state in self._session.pages(_SQL["state"]):
            yield StateRow(
                table="grants",
                id=id_,
                columns={"decision": decision, "state": state},
                decision_id=decision,
            )
