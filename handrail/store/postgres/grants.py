"""Single-use grants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from handrail.model.modes import GrantState
from handrail.model.outcome import Grant
from handrail.ports import StateRow
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session

_SQL = queries("grants")
_INSERT = _SQL["insert"]
_GET = _SQL["get"]
_TAKE = _SQL["take"]
_CURRENT = _SQL["current"]
_REPLACE = _SQL["replace"]


def _row(grant: Grant) -> tuple[Any, ...]:
    return (
        grant.id,
        grant.decision_id,
        grant.state,
        grant.digest,
        grant.minted_at,
        grant.valid_until,
        grant.redeemed_at,
        grant.lease_until,
        grant.run,
        grant.by,
        grant.finished_at,
        grant.error,
        grant.resolved_by,
        grant.note,
        grant.replaced_by,
    )


def _grant(row: tuple[Any, ...]) -> Grant:
    return Grant(
        id=row[0],
        decision_id=row[1],
        state=GrantState(row[2]),
        digest=row[3],
        minted_at=row[4],
        valid_until=row[5],
        redeemed_at=row[6],
        lease_until=row[7],
        run=row[8],
        by=row[9],
        finished_at=row[10],
        error=row[11],
        resolved_by=row[12],
        note=row[13],
        replaced_by=row[14],
    )


class PostgresGrants:
    """See `handrail.ports.Grants`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def insert(self, grant: Grant) -> None:
        self._session.hold_decision(grant.decision_id)
        self._session.change(_INSERT, _row(grant))
        self._session.forget("grants", grant.decision_id)

    def get(self, grant_id: str) -> Grant | None:
        session = self._session
        if not session.writing:
            row = session.one(_GET, (grant_id,))
            return _grant(row) if row else None
        row = session.one(_TAKE, (grant_id,))
        if row is None:
            return None
        session.holds_decision(row[1])
        session.holds_review(row[15])
        return _grant(row)

    def current(self, decision_id: str) -> Grant | None:
        session = self._session
        session.hold_decision(decision_id)

        def read() -> Grant | None:
            row = session.one(_CURRENT, (decision_id,))
            return _grant(row) if row else None

        return session.known(("grants", decision_id), "current", read, absence=True)

    def replace(self, old: Grant, new: Grant) -> bool:
        self._session.hold_decision(new.decision_id)
        self._session.forget("grants", new.decision_id)
        return self._session.change(_REPLACE, (*_row(new), old.state, old.run)) == 1

    def overdue(self, now: int, limit: int) -> list[Grant]:
        return [_grant(row) for row in self._session.all(_SQL["overdue"], (now, limit))]

    def in_state(self, states: Sequence[GrantState], limit: int) -> list[Grant]:
        rows = [
            row
            for state in dict.fromkeys(states)
            for row in self._session.all(_SQL["in_state"], (state, limit))
        ]
        rows.sort(key=lambda row: int(row[-1]))
        return [_grant(row) for row in rows[:limit]]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for _, id_, decision, state in self._session.pages(_SQL["state"]):
            yield StateRow(
                table="grants",
                id=id_,
                columns={"decision": decision, "state": state},
                decision_id=decision,
            )
