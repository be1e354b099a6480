"""What can be asked without changing anything."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.access import (
    Known,
    Thing,
    Who,
    allow,
    decision_view,
    may,
    over_limit,
    view,
)
from handrail.flow.claim import names_of
from handrail.flow.look import load
from handrail.flow.ports import Ports
from handrail.flow.records import handles_of
from handrail.flow.reverse import reversal_of
from handrail.flow.who import decision_thing, enter, get_filed, get_review, no_decision
from handrail.model.commands import (
    CastVote,
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
from handrail.model.modes import Lane, Mode, ReviewKind, ReviewStatus, Said
from handrail.model.outcome import Outcome
from handrail.model.people import Actor, Person, folded
from handrail.model.review import Card, Review
from handrail.ports import Filed, Transaction

MOST = 1000
MOST_LOOKED_AT = 100_000
"""How many reviews a list looks at where most are not for who asks."""


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
        who = enter(tx, actor, meet=False)
        filed = get_filed(tx, command.decision_id)
        allow(who, WaitOutcome, decision_thing(tx, ports, filed, who))
        outcome = tx.outcomes.get(command.decision_id)
        if outcome is None or not outcome.released:
            return None
        return shown_outcome(tx, outcome)

    return ports.store.read(query)


def _known(tx: Transaction, ports: Ports, filed: Filed, who: Who) -> Known:
    """A decision with everything around it; only `access.decision_view` says who sees what."""
    outcome = tx.outcomes.get(filed.decision.id)
    review = tx.reviews.get(filed.review_id) if filed.review_id else None
    person = who.person
    known = Known(
        thing=_thing(tx, ports, filed, review, who),
        decision=filed.decision,
        ruling=filed.ruling,
        outcome=shown_outcome(tx, outcome) if outcome is not None and outcome.released else None,
        grant=tx.grants.current(filed.decision.id),
        review=review,
        round=None,
        handles=handles_of(tx, review.to) if review is not None else {},
        labels=tuple(tx.labels.of(filed.decision.id)),
        reversed_by=_reversed_by(tx, filed, outcome),
    )
    if review is None or review.status is not ReviewStatus.OPEN:
        return known
    seats = tx.reviews.seats(review.id, review.round, tx.now())
    names = handles_of(tx, [seat.holder for seat in seats])
    return msgspec.structs.replace(
        known,
        round=tx.reviews.round(review.id, review.round).ruling,
        votes=tuple(tx.reviews.votes(review.id, review.round)),
        holders=tuple(names.get(seat.holder, seat.holder) for seat in seats),
        mine=tx.reviews.seat(review.id, review.round, person.id) if person is not None else None,
    )


def _thing(tx: Transaction, ports: Ports, filed: Filed, review: Review | None, who: Who) -> Thing:
    """A decision as access asks about it in order to show it.

    Who reads every decision of a workflow is asked for no tie, and of what is not open nothing is
    kept from them: then nobody has to look up who was asked and who voted.
    """
    if review is None or review.status is ReviewStatus.OPEN or not may(who, "decisions.read"):
        return decision_thing(tx, ports, filed, who)
    decision = filed.decision
    return Thing(
        absent=no_decision(decision.id),
        workflow=decision.workflow,
        submitters=(decision.submitter,),
        requesters=() if decision.requester is None else (decision.requester,),
    )


def _reversed_by(tx: Transaction, filed: Filed, outcome: Outcome[Any] | None) -> str | None:
    if outcome is None or not outcome.released or not outcome.allowed:
        return None
    found = reversal_of(tx, filed.decision)
    return found.decision.id if found is not None else None


def get_decision(command: GetDecision, actor: Actor, ports: Ports) -> DecisionView:
    """One decision with everything that became of it."""

    def query(tx: Transaction) -> DecisionView:
        who = enter(tx, actor, meet=False)
        known = _known(tx, ports, get_filed(tx, command.decision_id), who)
        allow(who, GetDecision, known.thing)
        return decision_view(known, who)

    return ports.store.read(query)


def list_decisions(command: ListDecisions, actor: Actor, ports: Ports) -> list[DecisionView]:
    """Newest first: all of them, or what one handed in, asked for, watches or is to decide."""
    if command.state not in (None, "open", "done", "in_doubt"):
        raise BadInput(f"{command.state!r} is none of open, done, in_doubt", "/state")
    if command.lane is not None and command.lane not in tuple(Lane):
        raise BadInput(f"{command.lane!r} is none of {', '.join(Lane)}", "/lane")
    limit = _limit(command.limit)

    def query(tx: Transaction) -> list[DecisionView]:
        who = enter(tx, actor, meet=False)
        allow(who, ListDecisions, Thing(workflow=command.workflow))
        found: dict[str, Filed] = {}
        if may(who, "decisions.read") and not command.mine:
            found = _found(tx, who, command, limit)
        else:
            found = _found(tx, who, command, limit, submitter=who.id)
            if not who.program:
                found |= _found(tx, who, command, limit, requester=folded(who.name))
            if who.person is not None and not command.mine:
                found |= _waiting(tx, who.person, command, limit)
                found |= _watched(tx, ports, who, command, limit)
        views = []
        newest = sorted(found.values(), key=_submitted_at, reverse=True)
        for filed in newest[:limit]:
            known = _known(tx, ports, filed, who)
            if may(who, GetDecision, known.thing):
                views.append(decision_view(known, who))
        return views

    return ports.store.read(query)


def _submitted_at(filed: Filed) -> int:
    return filed.decision.submitted_at


def _found(
    tx: Transaction, who: Who, command: ListDecisions, limit: int, **tie: str
) -> dict[str, Filed]:
    """Decisions as the command asks for them, by id, in the workflows that `who` may look at."""
    found: dict[str, Filed] = {}
    for workflow in [command.workflow] if "*" in who.workflows else who.workflows:
        if command.workflow not in (None, workflow):
            continue
        for filed in tx.decisions.find(
            workflow=workflow,
            lane=command.lane,
            state=command.state,
            subject=command.subject,
            key=command.key,
            before=command.before,
            limit=limit,
            **tie,
        ):
            found[filed.decision.id] = filed
    return found


def _waiting(
    tx: Transaction, person: Person, command: ListDecisions, limit: int
) -> dict[str, Filed]:
    """Decisions of the open reviews that ask this person."""
    found: dict[str, Filed] = {}
    if command.state not in (None, "open") or command.lane not in (None, Lane.HOLD):
        return found
    for review in tx.reviews.open_list(
        workflow=command.workflow, status=ReviewStatus.OPEN, to=names_of(person), limit=limit
    ):
        for filed in tx.decisions.of_review(review.id):
            decision = filed.decision
            if (
                command.subject in (None, decision.subject)
                and command.key in (None, decision.key)
                and (command.before is None or decision.id < command.before)
            ):
                found[decision.id] = filed
    return found


def _watched(
    tx: Transaction, ports: Ports, who: Who, command: ListDecisions, limit: int
) -> dict[str, Filed]:
    """What passed on the loop in the workflows whose policy sends reviews to this person."""
    found: dict[str, Filed] = {}
    if who.person is None or command.lane not in (None, Lane.PASS):
        return found
    for workflow in tx.policies.workflows():
        routes = ports.shelf.active(tx, workflow).routes
        if not who.person.is_one_of(name for line in routes for name in line.route.to):
            continue
        if command.workflow in (None, workflow):
            narrowed = msgspec.structs.replace(command, workflow=workflow, lane=Lane.PASS.value)
            for name, filed in _found(tx, who, narrowed, limit).items():
                if filed.ruling.mode is Mode.ON_THE_LOOP:
                    found[name] = filed
    return found


def show_review(command: GetReview, actor: Actor, ports: Ports) -> Card:
    """The card, as they may see it."""

    def query(tx: Transaction) -> Card:
        who = enter(tx, actor, meet=False)
        shown = load(tx, ports, get_review(tx, command.review_id), who)
        allow(who, GetReview, shown.thing)
        return view(shown, who, ports.secret)

    return ports.store.read(query)


def list_reviews(command: ListReviews, actor: Actor, ports: Ports) -> list[Card]:
    """Most urgent first. `mine`: only those that ask who looks, and that they may decide.

    Who may not read every review gets their own in any case.
    """
    limit = _limit(command.limit)

    def query(tx: Transaction) -> list[Card]:
        who = enter(tx, actor, meet=False)
        allow(who, ListReviews, Thing(workflow=command.workflow))
        person = who.person
        only_mine = command.mine or not may(who, "reviews.read")
        to = None
        if only_mine and who.registered:
            if person is None:
                return []
            to = names_of(person)
        cards: list[Card] = []
        many = limit
        seen: set[str] = set()
        while True:
            found = tx.reviews.open_list(
                workflow=command.workflow, status=command.status, to=to, limit=many
            )
            for review in found:
                if review.id in seen or not who.within(review.workflow):
                    continue
                seen.add(review.id)
                shown = load(tx, ports, review, who)
                if command.mine and not may(who, CastVote, shown.thing):
                    continue  # their own request, or above what they may decide
                if (
                    only_mine
                    and person is not None
                    and over_limit(person, review.workflow, shown.thing.stake)
                ):
                    continue
                cards.append(view(shown, who, ports.secret))
                if len(cards) == limit:
                    return cards
            if len(found) < many or many >= MOST_LOOKED_AT:
                return cards
            many *= 10

    return ports.store.read(query)


def list_feedback(command: ListFeedback, actor: Actor, ports: Ports) -> list[Feedback]:
    """One row a vote: original proposal, human version, reason, seconds. Newest decision first."""

    def query(tx: Transaction) -> list[Feedback]:
        who = enter(tx, actor, meet=False)
        allow(who, ListFeedback, Thing(workflow=command.workflow))
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
                if filed.review_id is not None and who.within(filed.decision.workflow):
                    rows.extend(_feedback(tx, ports, filed, who))
        return rows[: command.limit]

    if not 1 <= command.limit <= 1_000_000:
        raise BadInput("expected 1 to 1,000,000", "/limit")
    return ports.store.read(query)


def _feedback(tx: Transaction, ports: Ports, filed: Filed, who: Who) -> list[Feedback]:
    """One row a vote. None of a review that `who` is to judge blind and has not yet."""
    assert filed.review_id is not None
    review = tx.reviews.get(filed.review_id)
    if review is None or filed.decision.reverses is not None:
        return []  # a reversal is no proposal of a machine
    if review.status is ReviewStatus.OPEN and who.person is not None:
        known = _known(tx, ports, filed, who)
        if decision_view(known, who).blind:
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
