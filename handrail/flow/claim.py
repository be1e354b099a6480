"""Take a seat at a review, so that two people do not work on one question."""

from __future__ import annotations

from handrail.access import Who, allow, is_blind
from handrail.flow.look import card, still_missing
from handrail.flow.ports import Ports
from handrail.flow.records import note
from handrail.flow.who import enter, get_review, person_in, review_thing
from handrail.model.commands import Claim, GetReview, Seated
from handrail.model.errors import BadInput, Conflict, NotFound, Refused
from handrail.model.ids import new_id
from handrail.model.modes import ReviewStatus
from handrail.model.people import Actor, Person
from handrail.model.review import Review, Round, Seat
from handrail.model.wire import time_text
from handrail.ports import Transaction

LEAST, MOST = 5.0, 24 * 3600.0
LOOKED_AT = (50, 1_000, 20_000)
"""How many candidates a claim looks at: more, where all of the first are not for this person."""


def claim(command: Claim, actor: Actor, ports: Ports) -> Seated:
    """A seat with a claim token, and the card. Raises `Conflict` where another holds it."""
    if not LEAST <= command.lease_seconds <= MOST:
        raise BadInput(f"expected {LEAST:.0f} to {MOST:.0f} seconds", "/lease_seconds")

    def use_case(tx: Transaction) -> Seated:
        who = enter(tx, actor)
        person = person_in(who)
        if command.review_id is not None:
            return _sit(tx, ports, get_review(tx, command.review_id), who, command)
        to = names_of(person) if who.registered else None
        seen: set[str] = set()
        for many in LOOKED_AT:
            found = tx.reviews.claimable(workflow=command.workflow, to=to, now=tx.now(), limit=many)
            for review in found:
                if review.id not in seen:
                    seen.add(review.id)
                    try:
                        return _sit(tx, ports, review, who, command)
                    except (Refused, Conflict, NotFound):
                        continue
            if len(found) < many:
                break
        raise NotFound("no open review is free for you; nothing to decide now")

    return ports.store.write(use_case)


def names_of(person: Person) -> tuple[str, ...]:
    """The names under which reviews may ask this person."""
    return (*person.holds, person.id, f"person:{person.handle.casefold()}")


def _sit(tx: Transaction, ports: Ports, review: Review, who: Who, command: Claim) -> Seated:
    person = person_in(who)
    current = tx.reviews.round(review.id, review.round)
    thing = review_thing(tx, ports, review, current=current)
    allow(who, GetReview, thing)
    require_open(tx, review)
    allow(who, Claim, thing)
    require_free(tx, ports, review, current, person)
    votes = tx.reviews.votes(review.id, review.round)
    if any(vote.person == person.id for vote in votes):
        raise Conflict(f"{person.handle} has voted in this round already")
    held = tx.reviews.seat(review.id, review.round, person.id)
    alive = held is not None and held.lease_until > tx.now()
    blind = is_blind(who, thing, review=review, ruling=current.ruling, votes=votes, mine=held)
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
    return Seated(card=card(tx, ports, review, who), token=seat.token, lease_until=seat.lease_until)


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


def require_free(
    tx: Transaction, ports: Ports, review: Review, current: Round, person: Person
) -> None:
    """Raise `Conflict` where others hold every seat that this round has.

    Who was switched off holds none.
    """
    votes = tx.reviews.votes(review.id, review.round)
    gaps = still_missing(tx, ports, review, current, votes)
    places = max(1, sum(need.count for need in gaps))
    voted = {vote.person for vote in votes}
    others = [
        seat
        for seat in tx.reviews.seats(review.id, review.round, tx.now())
        if seat.holder != person.id and seat.holder not in voted and _active(tx, seat.holder)
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


def _active(tx: Transaction, person_id: str) -> bool:
    person = tx.people.get(person_id)
    return person is not None and person.active


__all__ = ["claim", "names_of", "require_free", "require_open"]
