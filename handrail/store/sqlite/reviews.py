"""Reviews with rounds, seats, votes and acts."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

from handrail.model.decoding import decoder
from handrail.model.errors import NotFound
from handrail.model.modes import ReviewStatus
from handrail.model.review import Act, Review, Round, Seat, Vote
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.rows import review_of, review_row, seat_of
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("reviews")
_INSERT = _SQL["insert"]
_GET = _SQL["get"]
_GET_SEQ = _SQL["get_seq"]
_REPLACE = _SQL["replace"]
_ADD_ASK = _SQL["add_ask"]
_FREE = _SQL["free"]
_ASKED = _SQL["asked"]

_round = decoder(Round).decode
_vote = decoder(Vote).decode
_act = decoder(Act).decode

EVERYBODY = ""
"""`who` of the ask that every open review has."""

NEVER = 2**63 - 1
"""Due of what has no deadline; busy until the review it waits for has ended."""


class SqliteReviews:
    """See `handrail.ports.Reviews`."""

    def __init__(self, line: Line, *, writing: bool) -> None:
        self._line = line
        self._execute: Execute = line.execute
        self._writing = writing

    def insert(self, review: Review, first: Round) -> bytes:
        self._execute(_INSERT, review_row(review))
        # Nobody has a seat yet.
        self._ask(self._line.last_insert_rowid(), review, 0)
        return self.add_round(first)

    def get(self, review_id: str) -> Review | None:
        row = self._execute(_GET, (review_id,)).fetchone()
        return review_of(row) if row else None

    def replace(self, old: Review, new: Review) -> bool:
        moved = self._execute(
            _REPLACE, (*review_row(new), old.status, old.round, old.stage)
        ).fetchall()
        if not moved:
            return False
        seq = moved[0][0]
        self._execute(_SQL["drop_asks"], (seq,))
        self._ask(seq, new, self._last_lease(new))
        return True

    def _ask(self, seq: int, review: Review, lease: int) -> None:
        """Make the asks of a review that has none: one for each one asked, one for everybody."""
        if review.status is not ReviewStatus.OPEN:
            return
        urgency = 3 if review.severity is None else 2 - review.severity.rank
        due = NEVER if review.due is None else review.due
        busy = _busy_until(review, lease)
        for who in {EVERYBODY, *review.to}:
            self._execute(
                _ADD_ASK, (who, review.workflow, urgency, due, review.opened_at, seq, busy)
            )

    def _last_lease(self, review: Review) -> int:
        """Until when the last seat of its round is kept; 0 where nobody took one."""
        found = self._execute(_SQL["last_lease"], (review.id, review.round)).fetchall()
        return found[0][0] or 0

    def add_round(self, new: Round) -> bytes:
        body = encode(new)
        self._execute(_SQL["add_round"], (new.review, new.number, body))
        return body

    def round(self, review_id: str, number: int) -> Round:
        row = self._execute(_SQL["round"], (review_id, number)).fetchone()
        if row is None:
            raise NotFound(f"{review_id} has no round {number}; read the review again")
        return _round(row[0])

    def add_vote(self, vote: Vote) -> bytes | None:
        body = encode(vote)
        self._execute(
            _SQL["add_vote"],
            (vote.id, vote.review, vote.round, vote.person, vote.said, body),
        )
        return body if self._line.changes() else None

    def votes(self, review_id: str, round_number: int | None = None) -> list[Vote]:
        rows = (
            self._execute(_SQL["all_votes"], (review_id,))
            if round_number is None
            else self._execute(_SQL["votes"], (review_id, round_number))
        )
        return [_vote(row[0]) for row in rows]

    def drop_vote(self, vote_id: str) -> None:
        self._execute(_SQL["drop_vote"], (vote_id,))

    def seat(self, review_id: str, round_number: int, holder: str) -> Seat | None:
        row = self._execute(_SQL["seat"], (review_id, round_number, holder)).fetchone()
        return seat_of(row) if row else None

    def seats(self, review_id: str, round_number: int, now: int) -> list[Seat]:
        rows = self._execute(_SQL["seats"], (review_id, round_number, now))
        return [seat_of(row) for row in rows]

    def put_seat(self, seat: Seat) -> None:
        self._execute(
            _SQL["put_seat"],
            (seat.review, seat.round, seat.holder, seat.token, seat.lease_until, seat.blind),
        )
        seq = self._execute(_SQL["seq_of"], (seat.review,)).fetchone()
        review = self.get(seat.review)
        if review is not None and seq is not None and review.status is ReviewStatus.OPEN:
            busy = _busy_until(review, self._last_lease(review))
            self._execute(_SQL["set_busy"], (seq[0], busy))

    def add_act(self, act: Act) -> None:
        self._execute(_SQL["add_act"], (act.review, encode(act)))

    def acts(self, review_id: str) -> list[Act]:
        return [_act(row[0]) for row in self._execute(_SQL["acts"], (review_id,))]

    def open_case(self, case_key: str) -> Review | None:
        row = self._execute(_SQL["open_case"], (case_key,)).fetchone()
        return review_of(row) if row else None

    def open_list(
        self, *, workflow: str | None, status: str | None, to: Sequence[str] | None, limit: int
    ) -> list[Review]:
        if status == ReviewStatus.OPEN:
            arms = [
                self._execute(_ASKED, (who, name, limit)).fetchall()
                for who in _distinct(to)
                for name in self._asked_workflows(who, workflow)
            ]
            return self._first(heapq.merge(*arms), limit)
        states = [status] if status is not None else list(ReviewStatus)
        names = [workflow] if workflow is not None else self._workflows()
        with closing(self._by_urgency(names, states)) as found:
            asked = None if to is None else set(to)
            return list(
                islice((r for r in found if asked is None or not asked.isdisjoint(r.to)), limit)
            )

    def claimable(
        self, *, workflow: str | None, to: Sequence[str] | None, now: int, limit: int
    ) -> list[Review]:
        arms = []
        for who in _distinct(to):
            # Leases and snoozes that are over. A writer puts them back among the free ones, so
            # that there are few; a reader can only look at them.
            if self._writing:
                self._execute(_SQL["free_lapsed"], (who, now))
            else:
                arms.append(sorted(self._execute(_SQL["lapsed"], (who, now, workflow))))
            arms.extend(
                self._execute(_FREE, (who, name, limit)).fetchall()
                for name in self._asked_workflows(who, workflow)
            )
        return self._first(heapq.merge(*arms), limit)

    def due(self, now: int, limit: int) -> list[Review]:
        return [review_of(row) for row in self._execute(_SQL["due"], (now, limit))]

    def behind(self, review_id: str) -> list[Review]:
        return [review_of(row) for row in self._execute(_SQL["behind"], (review_id,))]

    def _first(self, places: Iterable[tuple[Any, ...]], limit: int) -> list[Review]:
        """The reviews of the first places (…, seq), each once."""
        seqs = dict.fromkeys(place[-1] for place in places)
        return [
            review_of(self._execute(_GET_SEQ, (seq,)).fetchall()[0]) for seq in islice(seqs, limit)
        ]

    def _asked_workflows(self, who: str, workflow: str | None) -> list[str]:
        """Workflows with an ask of `who`, one seek each; or only the one that is wanted."""
        if workflow is not None:
            return [workflow]
        found: list[str] = []
        while row := self._execute(
            _SQL["next_asked_workflow"], (who, found[-1] if found else "")
        ).fetchone():
            found.append(row[0])
        return found

    def _workflows(self) -> list[str]:
        found: list[str] = []
        while row := self._execute(_SQL["next_workflow"], (found[-1] if found else "",)).fetchone():
            found.append(row[0])
        return found

    def _by_urgency(
        self, workflows: list[str], states: Sequence[str]
    ) -> Generator[Review, None, None]:
        arms = [
            self._execute(_SQL["by_urgency"], (workflow, state))
            for workflow in workflows
            for state in states
        ]
        try:
            for place in heapq.merge(*arms):
                yield review_of(self._execute(_GET_SEQ, (place[-1],)).fetchall()[0])
        finally:
            for arm in arms:
                arm.close()

    def state(self) -> Iterator[StateRow]:
        """Rows of reviews as `Transaction.state_rows` gives them."""
        for id_, status, round_, verdict, lead in self._execute(_SQL["state"]):
            yield StateRow(
                table="reviews",
                id=id_,
                columns={"status": status, "round": round_, "verdict": verdict},
                decision_id=lead,
            )

    def rounds_state(self) -> Iterator[StateRow]:
        """Rows of the rounds as `Transaction.state_rows` gives them."""
        for review, number, body, lead in self._execute(_SQL["rounds_state"]):
            yield StateRow(
                table="rounds", id=f"{review}/{number}", columns={}, body=body, decision_id=lead
            )

    def votes_state(self) -> Iterator[StateRow]:
        """Rows of votes as `Transaction.state_rows` gives them."""
        for id_, review, round_, person, said, body, lead in self._execute(_SQL["votes_state"]):
            yield StateRow(
                table="votes",
                id=id_,
                columns={"review": review, "round": round_, "person": person, "said": said},
                body=body,
                decision_id=lead,
            )


def _busy_until(review: Review, lease: int) -> int:
    """Until when nobody can claim it; 0 where it is free."""
    if review.behind is not None:
        return NEVER
    return max(lease, review.snoozed_until or 0, 0)


def _distinct(to: Sequence[str] | None) -> list[str]:
    return [EVERYBODY] if to is None else [who for who in dict.fromkeys(to) if who]
