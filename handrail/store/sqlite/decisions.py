"""Decisions with their rulings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw

from handrail.model.decision import Decision
from handrail.model.decoding import decoder
from handrail.model.errors import Conflict, NotFound
from handrail.model.modes import Lane
from handrail.model.ruling import Ruling
from handrail.ports import Filed, Past, StateRow
from handrail.store.codec import CLOCK_US, approved, encode
from handrail.store.rows import decision_row
from handrail.store.sqlite.line import Line, Row, WritingLine
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("decisions")
_INSERT = _SQL["insert"]
_GET = _SQL["get"]
_BY_KEY = _SQL["by_key"]
_UNSETTLED_OF = _SQL["unsettled_of"]
_OF_REVIEW = _SQL["of_review"]
_ATTACH = _SQL["attach"]
_SETTLE = _SQL["settle"]
_EXPIRING = _SQL["expiring"]

_decision = decoder(Decision).decode
_ruling = decoder(Ruling).decode

_Key = tuple[str, str, str]
"""(workflow, submitter, key)."""

NEWEST = 2**63 - 1
PAGE = 1_000
"""Rows read at a time where many are wanted."""


def _filed(row: tuple[Any, ...]) -> Filed:
    body, ruling, review_id, settled = row
    return Filed(
        decision=_decision(body),
        ruling=_ruling(ruling),
        review_id=review_id,
        settled=bool(settled),
    )


def _pages(execute: Execute, sql: str, params: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """All rows of a query that goes on before its first column, a page at a time."""
    last = NEWEST
    while rows := execute(sql, (*params, last, PAGE)).fetchall():
        yield from rows
        last = rows[-1][0]


class SqliteDecisions:
    """See `handrail.ports.Decisions`."""

    def __init__(self, line: Line) -> None:
        self._execute: Execute = line.execute
        self._look: Execute = line.look
        self._line = line if isinstance(line, WritingLine) else None
        self._waiting = None if self._line is None else self._line.waiting(_INSERT)
        self._wave = 0
        self._ids: set[str] = set()
        """Decisions whose rows wait."""
        self._keys: dict[_Key, Row] = {}
        """By key: those of them, as they will be read."""
        self._absent: _Key | None = None
        """The key that was looked for last, and is nowhere."""

    def waits(self, decision_id: str) -> bool:
        """Whether the row of this decision waits: then nothing in the database hangs on it."""
        return decision_id in self._notes()

    def _notes(self) -> set[str]:
        if self._line is not None and self._wave != self._line.wave:
            self._wave = self._line.wave
            self._ids.clear()
            self._keys.clear()
        return self._ids

    def insert(self, decision: Decision, ruling: Ruling, *, settled: bool) -> bytes:
        body = encode(decision)
        ruled = encode(ruling)
        row = decision_row(decision, ruling, body, ruled, settled=settled)
        key = None
        if decision.key is not None:
            key = decision.workflow, decision.submitter, decision.key
        absent, self._absent = self._absent, None
        # What is not settled is looked for by subject and by review: it does not wait.
        line, waiting = self._line, self._waiting
        if line is not None and waiting is not None and settled and (key is None or key == absent):
            self._notes().add(decision.id)
            if key is not None:
                self._keys[key] = (body, ruled, ruling.review_id, settled)
            line.add(waiting, row)
            return body + b"\0" + ruled
        try:
            self._execute(_INSERT, row)
        except apsw.ConstraintError:
            if decision.key is not None:
                there = self.by_key(decision.workflow, decision.submitter, decision.key)
                if there is not None:
                    raise Conflict(
                        f"{decision.submitter} has used the key {decision.key!r} in "
                        f"{decision.workflow} for {there.decision.id}; "
                        "read that decision, or use another key for another one",
                        {"decision_id": there.decision.id},
                    ) from None
            raise
        return body + b"\0" + ruled

    def get(self, decision_id: str) -> Filed | None:
        row = self._execute(_GET, (decision_id,)).fetchone()
        return _filed(row) if row else None

    def by_key(self, workflow: str, submitter: str, key: str) -> Filed | None:
        row = self._look(_BY_KEY, (workflow, submitter, key)).fetchone()
        if row is None and self._line is not None:
            asked = workflow, submitter, key
            row = self._keys.get(asked) if self._notes() else None
            if row is None:
                self._absent = asked
        return _filed(row) if row else None

    def unsettled_of(self, workflow: str, subject: str) -> list[Filed]:
        return [_filed(row) for row in self._look(_UNSETTLED_OF, (workflow, subject))]

    def of_review(self, review_id: str, limit: int = 1000) -> list[Filed]:
        return [_filed(row) for row in self._execute(_OF_REVIEW, (review_id, limit))]

    def attach(self, decision_id: str, review_id: str | None) -> None:
        self._execute(_ATTACH, (decision_id, review_id))

    def settle(self, decision_id: str) -> None:
        self._execute(_SETTLE, (decision_id,))

    def expiring(self, now: int, limit: int) -> list[Filed]:
        return [_filed(row) for row in self._execute(_EXPIRING, (now, limit))]

    def past(self, workflow: str) -> Iterator[Past]:
        for body, ruling, review, said, label in self._execute(_SQL["past"], (workflow,)):
            yield Past(body=body, ruling=ruling, review=review, said=said, label=label)

    def submitted(self, workflow: str, since: int, limit: int) -> list[tuple[int, Decision]]:
        found: list[tuple[int, Decision]] = []
        for _, at, body in _pages(self._execute, _SQL["submitted"], (workflow,)):
            if at < since - CLOCK_US or len(found) >= limit:
                break
            if at >= since:
                found.append((at, _decision(body)))
        return found

    def released(self, workflow: str, since: int, limit: int) -> list[tuple[int, Decision]]:
        found: list[tuple[int, Decision]] = []
        for _, at, of, body, outcome in _pages(self._execute, _SQL["released"], ()):
            if at < since - CLOCK_US or len(found) >= limit:
                break
            if at >= since and of == workflow:
                found.append((at, approved(_decision(body), outcome)))
        return found

    def find(
        self,
        *,
        workflow: str | None,
        lane: str | None,
        state: str | None,
        subject: str | None,
        key: str | None,
        before: str | None,
        limit: int,
        submitter: str | None = None,
        requester: str | None = None,
    ) -> list[Filed]:
        newest = NEWEST
        if before is not None:
            row = self._execute(_SQL["seq_of"], (before,)).fetchone()
            if row is None:
                raise NotFound(f"there is no decision {before}; go on from one of the list before")
            newest = row[0]
        # The rarest thing asked for leads, so that no listing walks the whole table for it.
        if state == "in_doubt":
            name = "find_in_doubt"
        elif key is not None:
            name = "find_by_key"
        elif subject is not None:
            name = "find_by_subject"
        elif requester is not None:
            name = "find_by_requester"
        elif state == "open":
            name = "find_open"
        elif workflow is not None and lane == Lane.HOLD and state == "done":
            name = "find_ended"
        elif workflow is not None:
            name = "find_by_workflow"
        else:
            name = "find_any"
        asked = {
            "workflow": workflow,
            "lane": lane,
            "settled": {"open": 0, "done": 1}.get(state or ""),
            "subject": subject,
            "key": key,
            "before": newest,
            "limit": limit,
            "submitter": submitter,
            "requester": requester,
        }
        return [_filed(row) for row in self._execute(_SQL[name], asked)]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for id_, workflow, lane, mode, body, ruling in self._execute(_SQL["state"]):
            yield StateRow(
                table="decisions",
                id=id_,
                columns={"workflow": workflow, "lane": lane, "mode": mode},
                body=body + b"\0" + ruling,
                decision_id=id_,
            )
