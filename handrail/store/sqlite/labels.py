"""Truth that arrived later."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.decoding import decoder
from handrail.model.feedback import Label
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("labels")

_label = decoder(Label).decode


class SqliteLabels:
    """See `handrail.ports.Labels`."""

    def __init__(self, line: Line) -> None:
        self._execute: Execute = line.execute

    def insert(self, label: Label) -> bytes:
        body = encode(label)
        self._execute(_SQL["insert"], (label.id, label.decision_id, body))
        return body

    def of(self, decision_id: str) -> list[Label]:
        return [_label(row[0]) for row in self._execute(_SQL["of"], (decision_id,))]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for id_, decision, body in self._execute(_SQL["state"]):
            yield StateRow(
                table="labels",
                id=id_,
                columns={"decision": decision},
                body=body,
                decision_id=decision,
            )
