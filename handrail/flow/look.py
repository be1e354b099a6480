"""Load a review with everything around it, and show it through `access.view`."""

from __future__ import annotations

import msgspec

from handrail.access import Shown, Who, card_digest, over_limit, view
from handrail.flow.ports import Ports
from handrail.flow.records import handles_of
from handrail.flow.who import review_thing, stake_of
from handrail.gate import Policy
from handrail.model.errors import NotFound
from handrail.model.modes import ReviewStatus, Said
from handrail.model.people import Person
from handrail.model.review import Card, Review, Round, Vote
from handrail.model.ruling import Approval
from handrail.ports import Transaction
from handrail.review.quorum import missing


def policy_of(tx: Transaction, ports: Ports, current: Round) -> Policy:
    """The frozen policy of a round: the version that ruled, whatever is active now."""
    return ports.shelf.named(tx, current.ruling.policy)


def needs_of(review: Review, current: Round) -> tuple[Approval, ...]:
    """The approvals a round needs: those of its ruling, else any one whom the review asks."""
    return current.ruling.approvals or (Approval(of=review.to),)


def approvers(tx: Transaction, votes: list[Vote]) -> list[Person]:
    """Persons whose votes let the proposal stand. Who was switched off since does not count."""
    found = []
    for vote in votes:
        if vote.said is not Said.REJECT:
            person = tx.people.get(vote.person)
            if person is not None and person.active:
                found.append(person)
    return found


def still_missing(
    tx: Transaction, ports: Ports, review: Review, current: Round, votes: list[Vote]
) -> tuple[Approval, ...]:
    """Approvals that the standing votes do not satisfy yet.

    A vote counts while its person holds what is asked for, and may decide what is at stake.
    """
    voters = approvers(tx, votes)
    if any(person.limits for person in voters):
        filed = tx.decisions.of_review(review.id, 1_000_000)
        stake = stake_of(tx, ports, review, current, filed)
        voters = [person for person in voters if over_limit(person, review.workflow, stake) is None]
    return missing(needs_of(review, current), voters, everyone=not tx.people.registered())


def load(tx: Transaction, ports: Ports, review: Review, who: Who | None = None) -> Shown:
    """Everything a surface may need; only `access.view` decides who sees what of it."""
    current = tx.reviews.round(review.id, review.round)
    policy = policy_of(tx, ports, current)
    filed = tx.decisions.of_review(review.id)
    if not filed:
        lead = tx.decisions.get(review.lead)
        filed = [lead] if lead is not None else []
    if not filed:
        raise NotFound(f"{review.id} has no decision; run `handrail audit verify --against-state`")
    filed.sort(key=lambda item: item.decision.id != review.lead)
    votes = tx.reviews.votes(review.id, review.round)
    seats = tx.reviews.seats(review.id, review.round, tx.now())
    gaps = still_missing(tx, ports, review, current, votes)
    acts = tx.reviews.acts(review.id) if who is not None else []
    person = who.person if who is not None else None
    named = {
        *(vote.person for vote in votes),
        *(seat.holder for seat in seats),
        *review.to,
        *(name for need in gaps for name in need.of),
        review.decided_by,
        *(name for act in acts for name in (act.by, *act.to)),
    }
    proposed = tuple(field.name for field in policy.fields if field.proposed or field.derived)
    return Shown(
        thing=review_thing(
            tx, ports, review, current=current, filed=filed if review.attached == 1 else None
        ),
        review=review,
        round=current,
        lead=filed[0].decision,
        ruling=filed[0].ruling,
        attached=tuple(item.decision for item in filed),
        votes=tuple(votes),
        seats=tuple(seats),
        mine=tx.reviews.seat(review.id, review.round, person.id) if person is not None else None,
        acts=tuple(acts),
        missing=gaps,
        grant=None if review.status is ReviewStatus.OPEN else tx.grants.current(review.lead),
        handles=handles_of(tx, named),
        title=policy.title or review.workflow,
        reasons=policy.reasons,
        editable=() if filed[0].decision.reverses else policy.edit_fields,
        fields={
            field.name: msgspec.to_builtins(field)
            for field in policy.fields
            if field.name in policy.edit_fields
        },
        inputs=() if filed[0].decision.reverses else policy.inputs,
        edit_schema=policy.edit_schema,
        proposed=proposed,
        choices=policy.choices,
    )


def card(tx: Transaction, ports: Ports, review: Review, who: Who) -> Card:
    """The review as they may see it."""
    return view(load(tx, ports, review, who), who, ports.secret)


def card_now(tx: Transaction, ports: Ports, review: Review) -> str:
    """Digest of the card as it would be painted now."""
    return card_digest(load(tx, ports, review), ports.secret)
