"""Take back the act that closed a review, while nothing has been released."""

from __future__ import annotations

import msgspec

from handrail.access import allow
from handrail.flow.look import card
from handrail.flow.ports import Ports
from handrail.flow.records import note
from handrail.flow.vote import advance
from handrail.flow.who import enter, get_review, person_in, review_thing
from handrail.model.commands import Undo
from handrail.model.errors import Conflict, Refused
from handrail.model.modes import ReviewKind, ReviewStatus
from handrail.model.people import Actor
from handrail.model.review import Act, Card, Review, Round
from handrail.model.wire import time_text
from handrail.ports import Transaction


def undo(command: Undo, actor: Actor, ports: Ports) -> Card:
    """Open the review again: the waiting outcomes are gone, a new round begins.

    Only the person whose act closed it, and only within its undo time. An edit is taken back with
    it; the votes of others stay.
    """

    def use_case(tx: Transaction) -> Card:
        who = enter(tx, actor)
        person = person_in(who)
        review = get_review(tx, command.review_id)
        allow(who, Undo, review_thing(tx, ports, review))
        if review.status is not ReviewStatus.DECIDED or review.kind is not ReviewKind.HOLD:
            raise Conflict(
                f"{review.id} is {review.status.value}; only a decided one can be undone"
            )
        if review.decided_by != person.id:
            raise Refused(f"only who closed {review.id} may undo it, and that was not you")
        if review.undo_until is None or tx.now() >= review.undo_until:
            ended = time_text(review.undo_until or review.decided_at or tx.now())
            raise Conflict(
                f"the undo time of {review.id} ended at {ended}; "
                f"the outcome is out. Submit a new decision that supersedes it"
            )
        filed = tx.decisions.of_review(review.id, 1_000_000)
        for item in filed:
            if not tx.outcomes.take_back(item.decision.id):
                raise Conflict(f"{item.decision.id} is released already and cannot be undone")
        opened = msgspec.structs.replace(
            review,
            status=ReviewStatus.OPEN,
            verdict=None,
            decided_by=None,
            decided_at=None,
            undo_until=None,
            next_at=review.due,
        )
        if not tx.reviews.replace(review, opened):
            raise Conflict(f"{review.id} moved; look at it again")
        tx.reviews.add_act(
            Act(review=review.id, kind="undo", by=person.id, at=tx.now(), reason=command.reason)
        )
        taken_back = [
            vote for vote in tx.reviews.votes(review.id, review.round) if vote.person == person.id
        ]
        for vote in taken_back:
            tx.reviews.drop_vote(vote.id)
        note(
            tx,
            "review.undone",
            person.id,
            review=review.id,
            decisions=tuple(item.decision.id for item in filed),
            votes=tuple(vote.id for vote in taken_back),
            round=review.round,
        )
        opened = advance(
            tx,
            opened,
            _before(tx, review, person.id),
            keep=True,
            without=person.id,
            actor=person.id,
        )
        if opened.next_at is not None:
            tx.wake_at(opened.next_at)
        tx.wake("reviews")
        return card(tx, ports, opened, who)

    return ports.store.write(use_case)


def _before(tx: Transaction, review: Review, person_id: str) -> Round:
    """A fresh round with the proposal as it was before the act that is taken back."""
    last = tx.reviews.round(review.id, review.round)
    if last.editor == person_id and review.round > 1:
        last = tx.reviews.round(review.id, review.round - 1)
    return msgspec.structs.replace(last, number=review.round + 1, started_at=tx.now())
