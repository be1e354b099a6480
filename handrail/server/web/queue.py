"""What waits for a person, and what they may still take back."""

from __future__ import annotations

import msgspec

from handrail.model.commands import GetReview, ListReviews
from handrail.model.errors import HandrailError
from handrail.model.modes import ReviewKind, ReviewStatus
from handrail.model.review import Card
from handrail.server.web.site import Visit

LISTED = 100
"""Reviews the inbox lists at most."""
AHEAD = 30
"""Reviews a card page knows ahead: what `next` goes through before it is asked anew."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a person."""

    cards: list[Card]
    """To be decided now, most urgent first."""
    resting: list[Card]
    """Snoozed, or behind another review of the same subject."""

    @property
    def names(self) -> list[str]:
        """Ids of the reviews to be decided now."""
        return [card.review for card in self.cards]

    def after(self, review_id: str) -> str | None:
        """The review that follows this one, round to the first; None where there is no other."""
        names = self.names
        if review_id in names:
            place = names.index(review_id)
            names = names[place + 1 :] + names[:place]
        return names[0] if names else None


def queue_of(visit: Visit, limit: int = LISTED) -> Queue:
    """What waits for whoever visits."""
    if not visit.may(ListReviews) or visit.me.program:
        return Queue(cards=[], resting=[])
    found: list[Card] = visit.ask(ListReviews(mine=True, limit=limit))
    rests = [
        card.behind is not None
        or (card.snoozed_until is not None and card.snoozed_until > visit.now)
        for card in found
    ]
    return Queue(
        cards=[card for card, rest in zip(found, rests, strict=True) if not rest],
        resting=[card for card, rest in zip(found, rests, strict=True) if rest],
    )


def undo_of(visit: Visit, was: str | None) -> Card | None:
    """The review `was`, where this person closed it and can still take that back."""
    if not was:
        return None
    try:
        card: Card = visit.ask(GetReview(review_id=was))
    except HandrailError:
        return None
    return card if can_undo(visit, card) else None


def can_undo(visit: Visit, card: Card) -> bool:
    """Whether this person closed the review and its undo time runs."""
    return (
        card.status is ReviewStatus.DECIDED
        and card.kind is ReviewKind.HOLD
        and card.undo_until is not None
        and card.undo_until > visit.now
        and card.decided_by == visit.me.name
    )
