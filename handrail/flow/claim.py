"""Take a seat at a review, so that two people do not work on one question."""

from __future__ import annotations

from handrail.access import may_decide
from handrail.flow.look import card, get_review, still_missing
from handrail.flow.ports import Ports
from handrail.flow.records import note, person_for
from handrail.model.commands import Claim, Seated
from handrail.model.errors import BadInput, Conflict, NotFound, Refused
from handrail.model.ids import new_id
from handrail.model.modes import ReviewStatus
from handrail.model.people import Actor, Person
from handrail.model.review import Review, Round, Seat
from handrail.model.wire import time_text
from handrail.ports import Transaction

LEAST, MOST = 5.0, 24 * 3600.0
LOOKED_AT = 50
"""How many candidates one claim looks at before it says that none is free."""


def claim(command: Claim, actor: Actor, ports: Ports) -> Seated:
    """A seat with a claim token, and the card. Raises `Conflict` where another holds it."""
    if not LEAST <= command.lease_seconds <= MOST:
        raise BadInput(f"expected {LEAST:.0f} to {MOST:.0f} seconds", "/lease_seconds")

    def use_case(tx: Transaction) -> Seated:
        person = person_for(tx, actor)
        if command.review_id is not None:
            return _sit(tx, ports, get_review(tx, command.review_id), person, command)
        to = (
            (*person.holds, person.id, f"person:{person.handle.casefold()}")
            if tx.people.registered()
            else None
        )
        for review in tx.reviews.claimable(
            workflow=command.workflow, to=to, now=tx.now(), limit=LOOKED_AT
        ):
            try:
                return _sit(tx, ports, review, person, command)
            except (Refused, Conflict):
                continue
        raise NotFound("no open review is free for you; nothing to decide now")

    return ports.store.write(use_case)


def _sit(tx: Transaction, ports: Ports, review: Review, person: Person, command: Claim) -> Seated:
    current = tx.reviews.round(review.id, review.round)
    require_open(tx, review)
    check_right(tx, review, current, person)
    require_free(tx, review, current, person)
    votes = tx.reviews.votes(review.id, review.round)
    if any(vote.person == person.id for vote in votes):
        raise Conflict(f"{person.handle} has voted in this round already")
    held = tx.reviews.seat(review.id, review.round, person.id)
    alive = held is not None and held.lease_until > tx.now()
    blind_drawn = any(coin.kind == "blind" and coin.drawn for coin in current.ruling.coins)
    blind = held.blind if held is not None else (blind_drawn and not votes and review.round == 1)
    seat = Seat(
        review=review.id,
        round=review.round,
        holder=person.id,
        token=held.token if held is not None and alive else new_id("k", tx.now()),
        lease_until=tx.now() + round(command.lease_seconds * 1_000_000),
        blind=blind,
    )
    tx.reviews.put_seat(seat)
    note(
        tx,
        "review.claimed",
        person.id,
        review=review.id,
        person=person.id,
        round=review.round,
        lease_until=seat.lease_until,
        blind=True if blind else None,
    )
    tx.wake("reviews")
    return Seated(
        card=card(tx, ports, review, person), token=seat.token, lease_until=seat.lease_until
    )


def require_open(tx: Transaction, review: Review) -> None:
    """Raise `Conflict` with winner, verdict and time unless `review` can be decided."""
    if review.status is not ReviewStatus.OPEN:
        by = tx.people.get(review.decided_by) if review.decided_by else None
        who = by.handle if by else "silence or the caller"
        when = time_text(review.decided_at) if review.decided_at else None
        raise Conflict(
            f"{review.id} is {review.status.value} already: {review.verdict} by {who} at {when}",
            {"by": who, "verdict": review.verdict, "at": when},
        )
    if review.behind is not None:
        raise Conflict(
            f"{review.id} waits behind {review.behind}, which is about the same subject; "
            f"decide that one first",
            {"review_id": review.behind},
        )


def check_right(tx: Transaction, review: Review, current: Round, person: Person) -> None:
    """Raise `Refused` unless the person may decide this review and all decisions on it."""
    may_decide(
        person,
        review,
        needs=current.ruling.approvals,
        requesters=[item.decision.requester for item in tx.decisions.of_review(review.id)],
        registered=tx.people.registered(),
    )


def require_free(tx: Transaction, review: Review, current: Round, person: Person) -> None:
    """Raise `Conflict` where others hold every seat that this round has."""
    votes = tx.reviews.votes(review.id, review.round)
    gaps = still_missing(tx, review, current, votes)
    places = max(1, sum(need.count for need in gaps))
    voted = {vote.person for vote in votes}
    others = [
        seat
        for seat in tx.reviews.seats(review.id, review.round, tx.now())
        if seat.holder != person.id and seat.holder not in voted
    ]
    mine = tx.reviews.seat(review.id, review.round, person.id)
    if len(others) >= places and not (mine and mine.lease_until > tx.now()):
        holder = tx.people.get(others[0].holder)
        name = holder.handle if holder else others[0].holder
        until = time_text(others[0].lease_until)
        raise Conflict(
            f"{name} has {review.id} until {until}; take another, or wait",
            {"by": name, "until": until},
        )


__all__ = ["check_right", "claim", "require_free", "require_open"]
