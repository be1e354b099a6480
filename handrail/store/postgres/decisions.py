"""Decisions with their rulings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handrail.model.decision import Decision
from handrail.model.decoding import decoder
from handrail.model.errors import Conflict, NotFound
from handrail.model.modes import Lane
from handrail.model.ruling import Ruling
from handrail.ports import Filed, Past, StateRow
from handrail.store.codec import CLOCK_US, approved, encode
from handrail.store.postgres.columns import Rows, blobs, flags, numbers, texts, words
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import PAGE, Session
from handrail.store.rows import decision_row

_SQL = queries("decisions")
_INSERT = _SQL["insert"]
_ROWS = Rows(
    0,
    _SQL["insert_all"],
    texts,
    words,
    texts,
    words,
    texts,
    words,
    words,
    texts,
    flags,
    numbers,
    numbers,
    blobs,
    blobs,
    texts,
)
_GET = _SQL["get"]
_TAKE = _SQL["take"]
_BY_KEY = _SQL["by_key"]
_TAKE_BY_KEY = _SQL["take_by_key"]
_UNSETTLED_OF = _SQL["unsettled_of"]
_TAKE_UNSETTLED_OF = _SQL["take_unsettled_of"]
_OF_REVIEW = _SQL["of_review"]
_SETTLE = _SQL["settle"]

_decision = decoder(Decision).decode
_ruling = decoder(Ruling).decode

NEWEST = 2**63 - 1


def _filed(row: tuple[Any, ...]) -> Filed:
    body, ruling, review_id, settled = row[:4]
    return Filed(
        decision=_decision(body),
        ruling=_ruling(ruling),
        review_id=review_id,
        settled=settled,
    )


class PostgresDecisions:
    """See `handrail.ports.Decisions`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def insert(self, decision: Decision, ruling: Ruling, *, settled: bool) -> bytes:
        session = self._session
        body = encode(decision)
        ruled = encode(ruling)
        if decision.subject is not None and not settled:
            session.hold("subject", decision.workflow, decision.subject)
        if ruling.review_id is not None:
            session.hold_review(ruling.review_id)
        row = decision_row(decision, ruling, body, ruled, settled=settled)
        if session.later(_ROWS, row) or session.change(_INSERT, row):
            session.holds_decision(decision.id)
            session.forget("members")
            # Its key is made with the first commitment.
            session.found_now(None, "subject key", decision.workflow, decision.id)
            if decision.subject is not None and not settled:
                session.moved("unsettled", decision.workflow, decision.subject)
            if decision.key is not None:
                session.made("key", decision.workflow, decision.submitter, decision.key)
                session.moved("key", decision.workflow, decision.submitter, decision.key)
            return body + b"\0" + ruled
        if decision.key is not None:
            session.taken("key", decision.workflow, decision.submitter, decision.key)
            there = self.by_key(decision.workflow, decision.submitter, decision.key)
            if there is not None:
                raise Conflict(
                    f"{decision.submitter} has used the key {decision.key!r} in "
                    f"{decision.workflow} for {there.decision.id}; "
                    "read that decision, or use another key for another one",
                    {"decision_id": there.decision.id},
                )
        raise Conflict(f"{decision.id} is stored already; a new decision needs a new id")

    def get(self, decision_id: str) -> Filed | None:
        session = self._session

        def read() -> Filed | None:
            row = session.one(_TAKE if session.writing else _GET, (decision_id,))
            if row is None:
                return None
            if session.writing:
                session.holds_decision(decision_id)
                session.holds_review(row[4])
            return _filed(row)

        return session.known(("decision", decision_id), "filed", read)

    def by_key(self, workflow: str, submitter: str, key: str) -> Filed | None:
        session = self._session
        if not session.writing:
            row = session.one(_BY_KEY, (workflow, submitter, key))
            return _filed(row) if row else None
        if session.ahead("key", workflow, submitter, key):
            session.missed("key", workflow, submitter, key)
            return None
        row = session.one(_TAKE_BY_KEY, (workflow, submitter, key))
        if row is None:
            session.missed("key", workflow, submitter, key)
            return None
        session.holds_decision(row[5])
        session.holds_review(row[4])
        return _filed(row)

    def unsettled_of(self, workflow: str, subject: str) -> list[Filed]:
        session = self._session
        if not session.writing:
            return [_filed(row) for row in session.all(_UNSETTLED_OF, (workflow, subject))]
        session.hold("subject", workflow, subject)
        if session.ahead("unsettled", workflow, subject):
            return []
        found = session.all(_TAKE_UNSETTLED_OF, (workflow, subject))
        for row in found:
            session.holds_decision(row[5])
            session.holds_review(row[4])
        return [_filed(row) for row in found]

    def of_review(self, review_id: str, limit: int = 1000) -> list[Filed]:
        session = self._session
        session.hold_review(review_id)

        def read() -> list[Filed]:
            return [_filed(row) for row in session.all(_OF_REVIEW, (review_id, limit))]

        return list(session.known(("members",), (review_id, limit), read))

    def attach(self, decision_id: str, review_id: str | None) -> None:
        if review_id is not None:
            self._session.hold_review(review_id)
        self._session.hold_decision(decision_id)
        self._session.change(_SQL["attach"], (decision_id, review_id))
        self._moved(decision_id)

    def settle(self, decision_id: str) -> None:
        self._session.hold_decision(decision_id)
        self._session.change(_SETTLE, (decision_id,))
        self._moved(decision_id)

    def _moved(self, decision_id: str) -> None:
        self._session.forget("decision", decision_id)
        self._session.forget("members")

    def expiring(self, now: int, limit: int) -> list[Filed]:
        return [_filed(row) for row in self._session.all(_SQL["expiring"], (now, limit))]

    def past(self, workflow: str) -> Iterator[Past]:
        rows = self._session.pages(_SQL["past"], (workflow,))
        for _, body, ruling, review, said, label in rows:
            yield Past(body=body, ruling=ruling, review=review, said=said, label=label)

    def submitted(self, workflow: str, since: int, limit: int) -> list[tuple[int, Decision]]:
        found: list[tuple[int, Decision]] = []
        for _, at, body in self._pages("submitted", (workflow,)):
            if at < since - CLOCK_US or len(found) >= limit:
                break
            if at >= since:
                found.append((at, _decision(body)))
        return found

    def released(self, workflow: str, since: int, limit: int) -> list[tuple[int, Decision]]:
        found: list[tuple[int, Decision]] = []
        for _, at, of, body, outcome in self._pages("released", ()):
            if at < since - CLOCK_US or len(found) >= limit:
                break
            if at >= since and of == workflow:
                found.append((at, approved(_decision(body), outcome)))
        return found

    def _pages(self, name: str, params: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """All rows of a query that goes on before its first column, a page at a time."""
        last = NEWEST
        while rows := self._session.all(_SQL[name], (*params, last, PAGE)):
            yield from rows
            last = rows[-1][0]

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
            row = self._session.one(_SQL["seq_of"], (before,))
            if row is None:
                raise NotFound(f"there is no decision {before}; go on from one of the list before")
            newest = row[0]
        asked = {
            "workflow": workflow,
            "lane": lane,
            "settled": {"open": False, "done": True}.get(state or ""),
            "subject": subject,
            "key": key,
            "submitter": submitter,
            "requester": requester,
        }
        # The rarest thing asked for leads, so that no listing walks the whole table for it.
        if state == "in_doubt":
            name, lead = "find_in_doubt", None
        elif key is not None:
            name, lead = "find_by_key", "key"
        elif subject is not None:
            name, lead = "find_by_subject", "subject"
        elif requester is not None:
            name, lead = "find_by_requester", "requester"
        elif state == "open":
            name, lead = "find_open", None
            del asked["settled"]
        elif workflow is not None and lane == Lane.HOLD and state == "done":
            name, lead = "find_ended", "workflow"
            asked = {"workflow": workflow, "submitter": submitter}
        elif workflow is not None:
            name, lead = "find_by_workflow", "workflow"
        else:
            name, lead = "find_any", None
        first = [asked.pop(lead)] if lead is not None else []
        params = (*first, newest, *asked.values(), limit)
        return [_filed(row) for row in self._session.all(_SQL[name], params)]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for _, id_, workflow, lane, mode, body, ruling in self._session.pages(_SQL["state"]):
            yield StateRow(
                table="decisions",
                id=id_,
                columns={"workflow": workflow, "lane": lane, "mode": mode},
                body=body + b"\0" + ruling,
                decision_id=id_,
            )
