"""What can be asked without changing anything."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.flow.look import card, get_review, viewer
from handrail.flow.ports import Ports
from handrail.flow.records import handles_of
from handrail.flow.withdraw import get_filed
from handrail.model.commands import (
    DecisionView,
    GetDecision,
    GetReview,
    ListDecisions,
    ListFeedback,
    ListReviews,
    WaitOutcome,
)
from handrail.model.errors import BadInput
from handrail.model.feedback import Feedback
from handrail.model.modes import ReviewKind, Said
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.review import Card
from handrail.ports import Filed, Transaction

MOST = 1000


def _limit(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise BadInput(f"expected 1 to {MOST}", "/limit")
    return limit


def shown_outcome(tx: Transaction, outcome: Outcome[Any]) -> Outcome[Any]:
    """The outcome with a handle for the person, and with the grant that holds now."""
    names = handles_of(tx, [outcome.by])
    grant = tx.grants.current(outcome.decision_id) if outcome.grant_id else None
    return msgspec.structs.replace(
        outcome,
        by=names.get(outcome.by or "", outcome.by),
        grant_id=grant.id if grant is not None else outcome.grant_id,
    )


def read_outcome(command: WaitOutcome, actor: Actor, ports: Ports) -> Outcome[Any] | None:
    """The released outcome, or None while there is none. Waiting is the transport's work."""

    def query(tx: Transaction) -> Outcome[Any] | None:
        get_filed(tx, command.decision_id)
        outcome = tx.outcomes.get(command.decision_id)
        if outcome is None or not outcome.released:
            return None
        return shown_outcome(tx, outcome)

    return ports.store.read(query)


def _view(tx: Transaction, filed: Filed, actor: Actor) -> DecisionView:
    decision = msgspec.to_builtins(filed.decision)
    person = viewer(tx, actor)
    outcome = tx.outcomes.get(filed.decision.id)
    review = tx.reviews.get(filed.review_id) if filed.review_id else None
    if review is not None and person is not None:
        seat = tx.reviews.seat(review.id, review.round, person.id)
        voted = any(vote.person == person.id for vote in tx.reviews.votes(review.id, review.round))
        if seat is not None and seat.blind and not voted and not filed.settled:
            # A blind seat learns nothing by another door.
            return DecisionView(
                decision={"id": filed.decision.id, "workflow": filed.decision.workflow},
                ruling=msgspec.structs.replace(
                    filed.ruling,
                    fired=(),
                    trials=(),
                    values={},
                    why="",
                    if_approved="",
                    if_rejected="",
                ),
            )
    return DecisionView(
        decision=decision,
        ruling=filed.ruling,
        outcome=shown_outcome(tx, outcome) if outcome is not None and outcome.released else None,
        grant=tx.grants.current(filed.decision.id),
        review=None
        if review is None
        else {
            "id": review.id,
            "kind": review.kind.value,
            "status": review.status.value,
            "round": review.round,
            "to": [handles_of(tx, [name]).get(name, name) for name in review.to],
            "due": review.due,
            "attached": review.attached,
            "verdict": review.verdict.value if review.verdict else None,
            "undo_until": review.undo_until,
        },
        labels=tuple(tx.labels.of(filed.decision.id)),
    )


def get_decision(command: GetDecision, actor: Actor, ports: Ports) -> DecisionView:
    """One decision with everything that became of it."""
    return ports.store.read(lambda tx: _view(tx, get_filed(tx, command.decision_id), actor))


def list_decisions(command: ListDecisions, actor: Actor, ports: Ports) -> list[DecisionView]:
    """Newest first."""
    if command.state not in (None, "open", "done", "in_doubt"):
        raise BadInput(f"{command.state!r} is none of open, done, in_doubt", "/state")

    def query(tx: Transaction) -> list[DecisionView]:
        found = tx.decisions.find(
            workflow=command.workflow,
            lane=command.lane,
            state=command.state,
            subject=command.subject,
            key=command.key,
            before=command.before,
            limit=_limit(command.limit),
        )
        return [_view(tx, filed, actor) for filed in found]

    return ports.store.read(query)


def show_review(command: GetReview, actor: Actor, ports: Ports) -> Card:
    """The card, as this person may see it."""
    return ports.store.read(
        lambda tx: card(tx, ports, get_review(tx, command.review_id), viewer(tx, actor))
    )


def list_reviews(command: ListReviews, actor: Actor, ports: Ports) -> list[Card]:
    """Most urgent first. `mine`: only those that ask the person who looks."""

    def query(tx: Transaction) -> list[Card]:
        person = viewer(tx, actor)
        to = None
        if command.mine and tx.people.registered():
            if person is None:
                return []
            to = (*person.holds, person.id, f"person:{person.handle.casefold()}")
        found = tx.reviews.open_list(
            workflow=command.workflow, status=command.status, to=to, limit=_limit(command.limit)
        )
        return [card(tx, ports, review, person) for review in found]

    return ports.store.read(query)


def list_feedback(command: ListFeedback, actor: Actor, ports: Ports) -> list[Feedback]:
    """One row a vote: original proposal, human version, reason, seconds. Newest decision first."""

    def query(tx: Transaction) -> list[Feedback]:
        rows: list[Feedback] = []
        before = None
        while len(rows) < command.limit:
            page = tx.decisions.find(
                workflow=command.workflow,
                lane=None,
                state=None,
                subject=None,
                key=None,
                before=before,
                limit=500,
            )
            if not page:
                break
            before = page[-1].decision.id
            for filed in page:
                if filed.review_id is not None:
                    rows.extend(_feedback(tx, filed))
        return rows[: command.limit]

    if not 1 <= command.limit <= 1_000_000:
        raise BadInput("expected 1 to 1,000,000", "/limit")
    return ports.store.read(query)


def _feedback(tx: Transaction, filed: Filed) -> list[Feedback]:
    assert filed.review_id is not None
    review = tx.reviews.get(filed.review_id)
    if review is None:
        return []
    rows = []
    votes = [vote for vote in tx.reviews.votes(review.id) if vote.carried_from is None]
    names = handles_of(tx, [vote.person for vote in votes])
    for vote in votes:
        current = tx.reviews.round(review.id, vote.round)
        seat = tx.reviews.seat(review.id, vote.round, vote.person)
        human: dict[str, Any] | None = None
        if vote.said is not Said.REJECT:
            lead = filed.decision.id == review.lead
            human = dict(current.proposal if lead else filed.decision.proposal)
            if review.kind is ReviewKind.SPOT_CHECK:
                human.update(vote.edits)
        rows.append(
            Feedback(
                decision_id=filed.decision.id,
                review=review.id,
                workflow=filed.decision.workflow,
                policy=filed.ruling.policy,
                mode=filed.ruling.mode,
                model=filed.decision.model,
                confidence=filed.decision.confidence,
                rules=tuple(fired.rule for fired in filed.ruling.fired),
                recommendation=filed.decision.proposal,
                human=human,
                said=vote.said,
                reason=vote.reason,
                comment=vote.comment,
                seconds=vote.seconds,
                person=names.get(vote.person, vote.person),
                at=vote.at,
                blind=bool(seat and seat.blind),
                test=filed.decision.test,
            )
        )
    return rows
