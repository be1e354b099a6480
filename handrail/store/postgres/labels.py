"""Truth that arrived later."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.decoding import decoder
from handrail.model.feedback import Label
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session

_SQL = queries("labels")

_label = decoder(Label).decode


class PostgresLabels:
    """See `handrail.ports.Labels`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def insert(self, label: Label) -> bytes:
        body = encode(label)
        self._session.hold_decision(label.decision_id)
        self._session.change(_SQL["insert"], (label.id, label.decision_id, body))
        return body

    def of(self, decision_id: str) -> list[Label]:
        self._session.hold_decision(decision_id)
        return [_label(row[0]) for row in self._session.all(_SQL["of"], (decision_id,))]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for _, id_, decision, body in self._session.pages(_SQL["state"]):
            yield StateRow(
                table="labels",
                id=id_,
                columns={"decision": decision},
                body=body,
                decision_id=decision,
            )
