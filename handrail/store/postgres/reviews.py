"""Reviews with rounds, seats, votes and acts."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from handrail.model.decoding import decoder
from handrail.model.errors import NotFound
from handrail.model.modes import ReviewStatus
from handrail.model.review import Act, Review, Round, Seat, Vote
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import PAGE, Session
from handrail.store.rows import review_of, review_row, seat_of

_SQL = queries("reviews")
_INSERT = _SQL["insert"]
_GET = _SQL["get"]
_TAKE = _SQL["take"]
_REPLACE = _SQL["replace"]
_SET_BUSY = _SQL["set_busy"]

_round = decoder(Round).decode
_vote = decoder(Vote).decode
_act = decoder(Act).decode

EVERYBODY = ""
"""`who` of the ask that every open review has."""

LEAST_LOOKED_AT = 32
"""Most urgent reviews that a claim tries to lock before it waits for the first of them."""

NEVER = 2**63 - 1
"""Busy until the review it waits for has ended."""


class PostgresReviews:
    """See `handrail.ports.Reviews`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        session.recheck = self._recheck

    def insert(self, review: Review, first: Round) -> bytes:
        session = self._session
        if review.behind is not None:
            session.hold_review(review.behind)
        if review.case_key is not None:
            session.hold("case", review.case_key)
        asked = _asks(review)
        busy = NEVER if review.behind is not None else max(review.snoozed_until or 0, 0)
        session.change(_INSERT, (*review_row(review), asked, busy))
        session.holds_review(review.id)
        return self.add_round(first)

    def get(self, review_id: str) -> Review | None:
        session = self._session

        def read() -> Review | None:
            row = session.one(_TAKE if session.writing else _GET, (review_id,))
            if row is None:
                return None
            if session.writing:
                session.holds_review(review_id)
            return review_of(row)

        return session.known(("review", review_id), "review", read)

    def replace(self, old: Review, new: Review) -> bool:
        session = self._session
        session.hold_review(new.id)
        session.forget("review", new.id)
        if new.behind is not None:
            session.hold_review(new.behind)
        if new.case_key is not None and new.status is ReviewStatus.OPEN:
            session.hold("case", new.case_key)
        moved = session.one(_REPLACE, (*review_row(new), old.status, old.round, old.stage))
        if moved is None:
            return False
        seq, asks_moved, busy_moved = moved
        if asks_moved:
            session.change(_SQL["drop_asks"], (seq,))
            asked = _asks(new)
            if asked:
                session.change(_SQL["add_asks"], (seq, asked))
        elif busy_moved:
            session.change(_SET_BUSY, (new.id,))
        return True

    def add_round(self, new: Round) -> bytes:
        self._session.hold_review(new.review)
        self._session.forget("review", new.review)
        body = encode(new)
        self._session.change(_SQL["add_round"], (new.review, new.number, body))
        return body

    def round(self, review_id: str, number: int) -> Round:
        session = self._session
        session.hold_review(review_id)

        def read() -> Round:
            row = session.one(_SQL["round"], (review_id, number))
            if row is None:
                raise NotFound(f"{review_id} has no round {number}; read the review again")
            return _round(row[0])

        return session.known(("review", review_id), ("round", number), read)

    def add_vote(self, vote: Vote) -> bytes | None:
        self._session.hold_review(vote.review)
        self._session.forget("review", vote.review)
        body = encode(vote)
        made = self._session.change(
            _SQL["add_vote"],
            (vote.id, vote.review, vote.round, vote.person, vote.said, body),
        )
        return body if made else None

    def votes(self, review_id: str, round_number: int | None = None) -> list[Vote]:
        session = self._session
        session.hold_review(review_id)

        def read() -> list[Vote]:
            return [_vote(row[0]) for row in session.all(_SQL["votes"], (review_id,))]

        found = session.known(("review", review_id), "votes", read)
        return [vote for vote in found if round_number is None or vote.round == round_number]

    def drop_vote(self, vote_id: str) -> None:
        row = self._session.one(_SQL["drop_vote"], (vote_id,))
        if row is not None:
            self._session.hold_review(row[0])
            self._session.forget("review", row[0])

    def seat(self, review_id: str, round_number: int, holder: str) -> Seat | None:
        found = self._seats(review_id, round_number)
        return next((seat for seat in found if seat.holder == holder), None)

    def seats(self, review_id: str, round_number: int, now: int) -> list[Seat]:
        return [seat for seat in self._seats(review_id, round_number) if seat.lease_until > now]

    def _seats(self, review_id: str, round_number: int) -> list[Seat]:
        session = self._session
        session.hold_review(review_id)

        def read() -> list[Seat]:
            return [seat_of(row) for row in session.all(_SQL["seats"], (review_id, round_number))]

        return session.known(("review", review_id), ("seats", round_number), read)

    def put_seat(self, seat: Seat) -> None:
        self._session.hold_review(seat.review)
        self._session.forget("review", seat.review)
        self._session.change(
            _SQL["put_seat"],
            (seat.review, seat.round, seat.holder, seat.token, seat.lease_until, seat.blind),
        )
        self._session.change(_SET_BUSY, (seat.review,))

    def add_act(self, act: Act) -> None:
        self._session.hold_review(act.review)
        self._session.forget("review", act.review)
        self._session.change(_SQL["add_act"], (act.review, encode(act)))

    def acts(self, review_id: str) -> list[Act]:
        self._session.hold_review(review_id)
        return [_act(row[0]) for row in self._session.all(_SQL["acts"], (review_id,))]

    def open_case(self, case_key: str) -> Review | None:
        session = self._session
        if not session.writing:
            row = session.one(_SQL["open_case"], (case_key,))
            return review_of(row) if row else None
        session.hold("case", case_key)
        row = session.one(_SQL["take_open_case"], (case_key,))
        if row is None:
            return None
        session.holds_review(row[0])
        return review_of(row)

    def open_list(
        self, *, workflow: str | None, status: str | None, to: Sequence[str] | None, limit: int
    ) -> list[Review]:
        if status == ReviewStatus.OPEN:
            return self._first(self._places("asked", _distinct(to), workflow, limit), limit)
        states = [status] if status is not None else list(ReviewStatus)
        names = [workflow] if workflow is not None else self._workflows()
        asked = None if to is None else set(to)
        found = heapq.merge(*(self._by_urgency(name, state) for name in names for state in states))
        reviews = (review_of(row[4:]) for row in found)
        return list(
            islice((r for r in reviews if asked is None or not asked.isdisjoint(r.to)), limit)
        )

    def claimable(
        self, *, workflow: str | None, to: Sequence[str] | None, now: int, limit: int
    ) -> list[Review]:
        session = self._session
        whos = _distinct(to)
        if session.writing:
            return self._claim(whos, workflow, now, limit)
        lapsed = session.all(_SQL["lapsed"], (whos, now, workflow))
        return self._first([*self._places("free", whos, workflow, limit), *lapsed], limit)

    def _claim(self, whos: list[str], workflow: str | None, now: int, limit: int) -> list[Review]:
        """As `claimable`, with the first one locked.

        Claimers pass over reviews that others are busy with at this moment, so that they do not
        queue up for the same one; where all are, they wait for the most urgent one rather than say
        that there is none. The reviews after the first are locked when they are used.
        """
        session = self._session
        if session.all(_SQL["lapsed"], (whos, now, workflow)):
            session.change(_SQL["free_lapsed"], (whos, now))
        seen: set[int] = set()
        wait = False
        while True:
            places = self._places("free", whos, workflow, max(limit, LEAST_LOOKED_AT))
            places += session.all(_SQL["lapsed"], (whos, now, workflow))
            seqs = [seq for seq in dict.fromkeys(p[-1] for p in sorted(places)) if seq not in seen]
            if not seqs:
                return []
            for place, seq in enumerate(seqs):
                if session.one(_SQL["lock_seq" if wait else "try_seq"], (seq,)) is None:
                    continue
                wait = False
                # Looked at again now that it cannot change: it may have been claimed meanwhile.
                row = session.one(_SQL["still_free"], (seq, whos, now))
                if row is None:
                    seen.add(seq)
                    continue
                first = review_of(row)
                session.holds_review(first.id)
                rest = self._of_seqs(seqs[place + 1 : place + limit])
                session.offered.update((review.id, review) for review in rest)
                return [first, *rest]
            wait = True

    def due(self, now: int, limit: int) -> list[Review]:
        return [review_of(row) for row in self._session.all(_SQL["due"], (now, limit))]

    def behind(self, review_id: str) -> list[Review]:
        session = self._session
        if not session.writing:
            return [review_of(row) for row in session.all(_SQL["behind"], (review_id,))]
        session.hold_review(review_id)
        found = [review_of(row) for row in session.all(_SQL["take_behind"], (review_id,))]
        for review in found:
            session.holds_review(review.id)
        return found

    def _recheck(self, review_id: str, offered: object) -> bool:
        """Whether a review that is locked by now is as `claimable` offered it."""
        row = self._session.one(_GET, (review_id,))
        return row is not None and review_of(row) == offered

    def _first(self, places: Iterable[tuple[Any, ...]], limit: int) -> list[Review]:
        """The reviews of the first places (…, seq), each once."""
        seqs = dict.fromkeys(place[-1] for place in sorted(places))
        return self._of_seqs(list(islice(seqs, limit)))

    def _of_seqs(self, seqs: list[int]) -> list[Review]:
        if not seqs:
            return []
        found = {row[0]: row for row in self._session.all(_SQL["of_seqs"], (seqs,))}
        return [review_of(found[seq][1:]) for seq in seqs if seq in found]

    def _places(
        self, name: str, whos: list[str], workflow: str | None, limit: int
    ) -> list[tuple[Any, ...]]:
        """(urgency, due, opened_at, seq) of the first reviews that ask each of `whos`."""
        if workflow is None:
            return self._session.all(_SQL[name], (whos, limit))
        return self._session.all(_SQL[f"{name}_of"], (whos, limit, workflow))

    def _workflows(self) -> list[str]:
        found: list[str] = []
        while row := self._session.one(_SQL["next_workflow"], (found[-1] if found else "",)):
            found.append(row[0])
        return found

    def _by_urgency(self, workflow: str, status: str) -> Iterator[tuple[Any, ...]]:
        place: tuple[Any, ...] = (-1, -1, -1, -1)
        while rows := self._session.all(_SQL["by_urgency"], (workflow, status, *place, PAGE)):
            yield from rows
            place = rows[-1][:4]

    def state(self) -> Iterator[StateRow]:
        """Rows of reviews as `Transaction.state_rows` gives them."""
        for _, id_, status, round_, verdict, lead in self._session.pages(_SQL["state"]):
            yield StateRow(
                table="reviews",
                id=id_,
                columns={"status": status, "round": round_, "verdict": verdict},
                decision_id=lead,
            )

    def rounds_state(self) -> Iterator[StateRow]:
        """Rows of the rounds as `Transaction.state_rows` gives them."""
        place: tuple[Any, ...] = ("", 0)
        while rows := self._session.all(_SQL["rounds_state"], (*place, PAGE)):
            for review, number, body, lead in rows:
                yield StateRow(
                    table="rounds", id=f"{review}/{number}", columns={}, body=body, decision_id=lead
                )
            place = rows[-1][:2]

    def votes_state(self) -> Iterator[StateRow]:
        """Rows of votes as `Transaction.state_rows` gives them."""
        for row in self._session.pages(_SQL["votes_state"]):
            _, id_, review, round_, person, said, body, lead = row
            yield StateRow(
                table="votes",
                id=id_,
                columns={"review": review, "round": round_, "person": person, "said": said},
                body=body,
                decision_id=lead,
            )


def _asks(review: Review) -> list[str]:
    """Whom an open review asks: those it names, and everybody."""
    if review.status is not ReviewStatus.OPEN:
        return []
    return sorted({EVERYBODY, *review.to})


def _distinct(to: Sequence[str] | None) -> list[str]:
    return [EVERYBODY] if to is None else [who for who in dict.fromkeys(to) if who]
