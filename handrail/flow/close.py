"""How a decision ends: its outcome is set, waits for the undo time, is released, once."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.audit.entry import commit_bytes, field_key
from handrail.audit.events import SYSTEM
from handrail.flow.aggregates import count
from handrail.flow.change import carry_out
from handrail.flow.lists import remember
from handrail.flow.ports import Ports
from handrail.flow.records import commit, key_of, note, owner_of
from handrail.gate import Record
from handrail.model.canonical import digest
from handrail.model.decision import Decision
from handrail.model.errors import Conflict
from handrail.model.feedback import Notice
from handrail.model.ids import new_id
from handrail.model.modes import GrantState, ReviewKind, ReviewStatus, Verdict
from handrail.model.outcome import Grant, Outcome
from handrail.model.review import Review, Round
from handrail.ports import Filed, Transaction
from handrail.review.deadlines import first_dates

CALLBACK = "outcome.released"
"""Topic of a notice that goes to the decision's own address, not to persons."""


def effect_digest(decision: Decision, value: Any) -> str:
    """What was seen is what runs: RFC 8785 + SHA-256 over workflow, subject, facts and value."""
    what = {
        "workflow": decision.workflow,
        "subject": decision.subject,
        "facts": decision.facts,
        "value": value,
    }
    return digest(what if decision.reverses is None else {**what, "reverses": decision.reverses})


def settle(
    tx: Transaction,
    ports: Ports,
    filed: Filed,
    *,
    verdict: Verdict,
    why: str,
    actor: str,
    by: str | None,
    value: Any = None,
    edited: bool = False,
    reason: str | None = None,
    undo_us: int = 0,
    record: Record | None = None,
    key: bytes | None = None,
) -> Outcome[Any]:
    """Set the outcome of a decision; without undo time it is released in the same transaction.

    `record` and `key` (of the subject) spare a second look where the caller has them.
    """
    decision, now = filed.decision, tx.now()
    outcome: Outcome[Any] = Outcome(
        decision_id=decision.id,
        verdict=verdict,
        edited=edited,
        approved=value if verdict.allows else None,
        why=why,
        reason=reason,
        by=by,
        reverses=decision.reverses,
        at=now,
        digest=effect_digest(decision, value if verdict.allows else None),
        release_at=now + undo_us,
    )
    if undo_us > 0:
        note(
            tx,
            "outcome.set",
            actor,
            decision=decision.id,
            verdict=verdict,
            commit=_sealed(tx, decision, tx.outcomes.insert(outcome), key),
            review=filed.review_id,
            release_at=outcome.release_at,
        )
        tx.wake_at(outcome.release_at)
        return outcome
    grant = _mint(tx, ports, filed, outcome, record)
    outcome = msgspec.structs.replace(outcome, released=True, grant_id=grant.id if grant else None)
    body = tx.outcomes.insert(outcome)
    if not filed.settled:
        tx.decisions.settle(decision.id)
    _tell(tx, filed, outcome, grant, _sealed(tx, decision, body, key), actor)
    carry_out(tx, ports, filed, outcome, grant)
    remember(tx, ports, filed, outcome)
    return outcome


def release(
    tx: Transaction, ports: Ports, filed: Filed, outcome: Outcome[Any], *, actor: str = SYSTEM
) -> None:
    """Tell the caller, once: compare-and-set on the outcome, and one grant where it allows."""
    grant = _mint(tx, ports, filed, outcome, None)
    if not tx.outcomes.release(outcome.decision_id, grant.id if grant else None):
        raise Conflict(f"the outcome of {outcome.decision_id} is released already")
    tx.decisions.settle(outcome.decision_id)
    sealed = _sealed(tx, filed.decision, tx.outcomes.body(outcome.decision_id), None)
    _tell(tx, filed, outcome, grant, sealed, actor)
    carry_out(tx, ports, filed, outcome, grant)
    remember(tx, ports, filed, outcome)


def _mint(
    tx: Transaction, ports: Ports, filed: Filed, outcome: Outcome[Any], record: Record | None
) -> Grant | None:
    """The single-use grant of an outcome that allows, counted as released; None otherwise."""
    if not outcome.allowed:
        return None
    policy, now = ports.shelf.named(tx, filed.ruling.policy), tx.now()
    grant = Grant(
        id=new_id("g", now),
        decision_id=outcome.decision_id,
        state=GrantState.GRANTED,
        digest=outcome.digest,
        minted_at=now,
        valid_until=now + policy.valid_us if policy.valid_us else None,
    )
    tx.grants.insert(grant)
    if grant.valid_until is not None:
        tx.wake_at(grant.valid_until)
    ran = filed.decision
    if outcome.approved is not ran.proposal:
        ran = msgspec.structs.replace(ran, proposal=outcome.approved)
    count(tx, ports, ran, "released", policy, record)
    return grant


def _sealed(tx: Transaction, decision: Decision, body: bytes, key: bytes | None) -> str:
    owner = owner_of(decision.workflow, decision.subject, decision.id)
    return commit_bytes(field_key(key or key_of(tx, owner), "outcome"), body)


def _tell(
    tx: Transaction,
    filed: Filed,
    outcome: Outcome[Any],
    grant: Grant | None,
    sealed: str,
    actor: str,
) -> None:
    note(
        tx,
        "outcome.released",
        actor,
        decision=outcome.decision_id,
        verdict=outcome.verdict,
        commit=sealed,
        grant=grant.id if grant else None,
        valid_until=grant.valid_until if grant else None,
        review=filed.review_id,
    )
    tx.wake(f"outcome:{outcome.decision_id}")
    if filed.decision.callback is not None:
        tx.outbox.add(
            Notice(
                id=new_id("n", tx.now()),
                topic=CALLBACK,
                to=(),
                decision_id=outcome.decision_id,
                made_at=tx.now(),
                next_at=tx.now(),
            )
        )
        tx.wake_at(tx.now())


def end_review(
    tx: Transaction, ports: Ports, review: Review, *, verdict: Verdict, why: str, actor: str
) -> None:
    """Close a review that is of no use any more (withdrawn, superseded, expired)."""
    closed = msgspec.structs.replace(
        review,
        status=ReviewStatus.CLOSED,
        verdict=verdict,
        closed_why=why,
        decided_by=None,
        decided_at=tx.now(),
        next_at=None,
        case_key=None,
        undo_until=None,
    )
    if not tx.reviews.replace(review, closed):
        raise Conflict(f"{review.id} moved; look at it again")
    note(tx, "review.closed", actor, review=review.id, verdict=verdict)
    unblock(tx, ports, review)
    tx.wake(f"review:{review.id}")


def unblock(tx: Transaction, ports: Ports, review: Review) -> None:
    """Let the reviews behind this one come forward (`if_open: queue`).

    Their time starts now, because nobody could decide them before. Where this one was waiting
    itself, they wait for what it waited for.
    """
    for waiting in tx.reviews.behind(review.id):
        if review.behind is not None:
            tx.reviews.replace(waiting, msgspec.structs.replace(waiting, behind=review.behind))
            continue
        route = tx.reviews.round(waiting.id, waiting.round).ruling.route
        due, next_at = first_dates(route, tx.now(), ports.hours)
        forward = msgspec.structs.replace(waiting, behind=None, due=due, next_at=next_at)
        tx.reviews.replace(waiting, forward)
        if next_at is not None:
            tx.wake_at(next_at)
        tx.wake("reviews")


def supersede(tx: Transaction, ports: Ports, old: Filed, new: Decision, *, actor: str) -> None:
    """A newer decision takes the place of one that was not settled yet."""
    note(
        tx,
        "decision.superseded",
        actor,
        decision=old.decision.id,
        by=new.id,
        review=old.review_id,
    )
    retire(
        tx,
        ports,
        old,
        verdict=Verdict.SUPERSEDED,
        why=f"Replaced by {new.id}",
        actor=actor,
        by=new.submitter,
    )


def retire(
    tx: Transaction,
    ports: Ports,
    filed: Filed,
    *,
    verdict: Verdict,
    why: str,
    actor: str,
    by: str | None,
    end_attached: bool = True,
) -> Outcome[Any]:
    """End an unsettled decision from outside: withdrawn, superseded, expired.

    A verdict that still waits for its undo time is taken back. The review ends with its last
    decision; a decision that leaves a case with others just leaves it.
    """
    decision = filed.decision
    review = tx.reviews.get(filed.review_id) if filed.review_id else None
    if tx.outcomes.get(decision.id) is not None and not tx.outcomes.take_back(decision.id):
        raise Conflict(f"{decision.id} is released already")
    if review is not None and review.kind is ReviewKind.HOLD:
        if review.attached > 1:
            _leave(tx, review, decision, actor)
        elif review.status is not ReviewStatus.CLOSED:
            end_review(tx, ports, review, verdict=verdict, why=why, actor=actor)
    return settle(tx, ports, filed, verdict=verdict, why=why, actor=actor, by=by)


def _leave(tx: Transaction, review: Review, decision: Decision, actor: str) -> None:
    """Take a decision out of its case. Where it led, the next one does, in a round of its own:
    what was proposed for the one that left is not what people decide about the others."""
    tx.decisions.attach(decision.id, None)
    rest = msgspec.structs.replace(review, attached=review.attached - 1)
    lead = tx.decisions.of_review(review.id, 1)[0]
    if decision.id == review.lead:
        rest = msgspec.structs.replace(rest, lead=lead.decision.id, round=review.round + 1)
        following = Round(
            review=review.id,
            number=rest.round,
            proposal=lead.decision.proposal,
            ruling=lead.ruling,
            started_at=tx.now(),
        )
        start_round(tx, review, rest, following, actor)
    elif not tx.reviews.replace(review, rest):
        raise Conflict(f"{review.id} moved; try again")


def start_round(tx: Transaction, old: Review, new: Review, following: Round, actor: str) -> None:
    """Store the next round and move the review to it, by compare-and-set."""
    body = tx.reviews.add_round(following)
    if not tx.reviews.replace(old, new):
        raise Conflict(f"{old.id} moved; look at it again")
    note(
        tx,
        "review.advanced",
        actor,
        review=old.id,
        round=following.number,
        round_id=f"{old.id}/{following.number}",
        person=following.editor,
        mode=following.ruling.mode,
        rules=tuple(fired.rule for fired in following.ruling.fired) or None,
        commit=seal_round(tx, following, body),
    )


def seal_round(
    tx: Transaction, sealed: Round, body: bytes, decision: Decision | None = None
) -> str:
    """Commitment to a round under the key of the decision that led its review then.

    `decision` spares a look where the caller has it.
    """
    if decision is None:
        filed = tx.decisions.get(sealed.ruling.decision_id)
        if filed is None:
            raise Conflict(f"the decision of {sealed.review} is gone; run `handrail audit verify`")
        decision = filed.decision
    owner = owner_of(decision.workflow, decision.subject, decision.id)
    return commit(tx, owner, "round", body)
