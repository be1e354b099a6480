"""One outcome a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handrail.model.errors import Conflict, NotFound
from handrail.model.outcome import Outcome
from handrail.ports import StateRow
from handrail.store.postgres.columns import Rows, blobs, flags, numbers, texts, words
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session
from handrail.store.rows import outcome_of, outcome_row

_SQL = queries("outcomes")
_INSERT = _SQL["insert"]
_ROWS = Rows(1, _SQL["insert_all"], texts, words, numbers, flags, texts, blobs)
_GET = _SQL["get"]
_RELEASE = _SQL["release"]


class PostgresOutcomes:
    """See `handrail.ports.Outcomes`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def insert(self, outcome: Outcome[Any]) -> bytes:
        session = self._session
        session.hold_decision(outcome.decision_id)
        session.forget("outcome", outcome.decision_id)
        row = outcome_row(outcome)
        body: bytes = row[-1]
        if session.later(_ROWS, row) or session.change(_INSERT, row):
            return body
        there = self.get(outcome.decision_id)
        if there is None:
            raise Conflict(f"the outcome of {outcome.decision_id} moved; read it again")
        raise Conflict(
            f"{outcome.decision_id} has an outcome: {there.verdict} by {there.by}; "
            "read it before deciding again",
            {"by": there.by, "verdict": there.verdict, "at": there.at},
        )

    def get(self, decision_id: str) -> Outcome[Any] | None:
        session = self._session
        session.hold_decision(decision_id)

        def read() -> Outcome[Any] | None:
            row = session.one(_GET, (decision_id,))
            return outcome_of(row) if row else None

        return session.known(("outcome", decision_id), "outcome", read, absence=True)

    def release(self, decision_id: str, grant_id: str | None) -> bool:
        self._session.hold_decision(decision_id)
        self._session.forget("outcome", decision_id)
        return self._session.change(_RELEASE, (decision_id, grant_id)) == 1

    def body(self, decision_id: str) -> bytes:
        self._session.hold_decision(decision_id)
        row = self._session.one(_SQL["body"], (decision_id,))
        if row is None:
            raise NotFound(f"{decision_id} has no outcome; read the decision to see where it is")
        found: bytes = row[0]
        return found

    def take_back(self, decision_id: str) -> bool:
        self._session.hold_decision(decision_id)
        self._session.forget("outcome", decision_id)
        return self._session.change(_SQL["take_back"], (decision_id,)) == 1

    def due(self, now: int, limit: int) -> list[Outcome[Any]]:
        return [outcome_of(row) for row in self._session.all(_SQL["due"], (now, limit))]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for _, decision, verdict, released, body in self._session.pages(_SQL["state"]):
            yield StateRow(
                table="outcomes",
                id=decision,
                columns={"verdict": verdict, "released": int(released)},
                body=body,
                decision_id=decision,
            )
