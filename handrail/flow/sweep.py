"""What time does: release, remind, hand on, silence, expiry, lapsed leases.

Each item is one transaction that reads it again, so two sweepers or a kill in between do no harm;
after downtime each deadline still happens once, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from handrail.audit.events import SYSTEM
from handrail.flow.close import release, retire, unblock
from handrail.flow.look import policy_of
from handrail.flow.ports import Ports
from handrail.flow.queries import shown_outcome
from handrail.flow.records import audience, note
from handrail.flow.vote import approval_of, decide
from handrail.flow.who import able, judged_first, review_thing
from handrail.model.feedback import Notice
from handrail.model.ids import new_id
from handrail.model.modes import GrantState, ReviewStatus, Verdict
from handrail.model.outcome import Outcome
from handrail.model.review import Act, Review
from handrail.ports import Caller, Channel, Transaction
from handrail.review.deadlines import step

T = TypeVar("T")
BATCH = 500
CALLS = 20
RETRY_SECONDS = (1, 5, 30, 120, 600, 3600)
"""Pauses between attempts to deliver a notice; after the last it is parked until a start."""


def sweep(ports: Ports) -> int:
    """Do everything that is due; returns how many things were done (0: nothing is due).

    One thing that cannot be done holds up no other; the first such error is raised at the end.
    """
    done = 0
    errors: list[BaseException] = []
    for find, act in (
        (lambda tx: tx.outcomes.due(tx.now(), BATCH), _release),
        (lambda tx: tx.decisions.expiring(tx.now(), BATCH), _expire),
        (lambda tx: tx.reviews.due(tx.now(), BATCH), _deadline),
        (lambda tx: tx.grants.overdue(tx.now(), BATCH), _overdue),
    ):
        found: Iterable[Any] = ports.store.read(find)
        for result in ports.store.write_many([_case(ports, act, item) for item in found]):
            if isinstance(result, BaseException):
                errors.append(result)
            else:
                done += result
    if errors:
        raise errors[0]
    return done


def _case(
    ports: Ports, act: Callable[[Transaction, Ports, T], bool], item: T
) -> Callable[[Transaction], bool]:
    return lambda tx: act(tx, ports, item)


def _release(tx: Transaction, ports: Ports, seen: Any) -> bool:
    outcome = tx.outcomes.get(seen.decision_id)
    if outcome is None or outcome.released or outcome.release_at > tx.now():
        return False
    filed = tx.decisions.get(outcome.decision_id)
    if filed is None:
        return False
    ports.steps("release.before")
    release(tx, ports, filed, outcome)
    if filed.review_id is not None:
        review = tx.reviews.get(filed.review_id)
        if review is not None:
            unblock(tx, ports, review)
    return True


def _expire(tx: Transaction, ports: Ports, seen: Any) -> bool:
    filed = tx.decisions.get(seen.decision.id)
    now = tx.now()
    if filed is None or filed.settled or (filed.decision.expires_at or now + 1) > now:
        return False
    note(tx, "decision.expired", SYSTEM, decision=filed.decision.id, review=filed.review_id)
    retire(
        tx,
        ports,
        filed,
        verdict=Verdict.EXPIRED,
        why="Its time ran out before anybody decided",
        actor=SYSTEM,
        by="silence",
    )
    return True


def _deadline(tx: Transaction, ports: Ports, seen: Review) -> bool:
    review, now = tx.reviews.get(seen.id), tx.now()
    if (
        review is None
        or review.status is not ReviewStatus.OPEN
        or review.next_at is None
        or review.next_at > now
    ):
        return False
    current = tx.reviews.round(review.id, review.round)
    policy = policy_of(tx, ports, current)
    route = current.ruling.route
    if route is None or review.due is None:
        quiet = msgspec.structs.replace(review, next_at=None)
        return tx.reviews.replace(review, quiet)
    due = step(
        route=route,
        stage=review.stage,
        due=review.due,
        now=now,
        mode=current.ruling.mode,
        reversible=current.ruling.stakes.reversible,
        approvals=bool(current.ruling.approvals),
        owners=policy.owners,
        hours=ports.hours,
    )
    if due.kind == "silence":
        _silence(tx, ports, review, due.verdict or Verdict.EXPIRED)
        return True
    stake = review_thing(tx, ports, review, current=current).stake
    next_ones = audience(tx, due.to) if due.to is not None else review.to
    to = able(tx, (*next_ones, *audience(tx, due.add)), review.workflow, stake)
    if not to:
        to = able(tx, audience(tx, policy.owners), review.workflow, stake) or review.to
    to = tuple(dict.fromkeys(to))
    moved = msgspec.structs.replace(
        review, to=to, stage=due.stage, due=due.due, next_at=due.next_at
    )
    if not tx.reviews.replace(review, moved):
        return False
    tx.reviews.add_act(Act(review=review.id, kind=due.kind, by=None, at=now, to=to))
    note(
        tx,
        "review.reminded" if due.kind == "remind" else "review.escalated",
        SYSTEM,
        review=review.id,
        stage=due.stage,
        to=to,
        due=due.due,
    )
    tx.outbox.add(
        Notice(
            id=new_id("n", now),
            topic="review.reminded" if due.kind == "remind" else "review.escalated",
            to=to,
            review=review.id,
            decision_id=review.lead,
            text="" if judged_first(tx, review, current) else current.ruling.why,
            made_at=now,
            next_at=now,
        )
    )
    if moved.next_at is not None:
        tx.wake_at(moved.next_at)
    tx.wake(f"review:{review.id}")
    return True


def _silence(tx: Transaction, ports: Ports, review: Review, verdict: Verdict) -> None:
    """Nobody answered: what silence means happens, to every decision on the review."""
    current = tx.reviews.round(review.id, review.round)
    if verdict.allows:
        verdict = approval_of(tx, review, current.proposal)
    decide(
        tx,
        ports,
        policy_of(tx, ports, current),
        review,
        current,
        verdict=verdict,
        person=None,
    )


def _overdue(tx: Transaction, ports: Ports, seen: Any) -> bool:
    grant, now = tx.grants.get(seen.id), tx.now()
    if grant is None:
        return False
    if grant.state is GrantState.REDEEMED and (grant.lease_until or now + 1) <= now:
        doubtful = msgspec.structs.replace(grant, state=GrantState.IN_DOUBT)
        if not tx.grants.replace(grant, doubtful):
            return False
        note(tx, "grant.in_doubt", SYSTEM, grant=grant.id, decision=grant.decision_id)
        filed = tx.decisions.get(grant.decision_id)
        policy = ports.shelf.named(tx, filed.ruling.policy) if filed else None
        tx.outbox.add(
            Notice(
                id=new_id("n", now),
                topic="run.in_doubt",
                to=audience(tx, policy.owners) if policy else (),
                decision_id=grant.decision_id,
                text="The run was not confirmed in time; say whether it happened",
                made_at=now,
                next_at=now,
            )
        )
        tx.wake(f"grant:{grant.id}")
        return True
    if grant.state is GrantState.GRANTED and (grant.valid_until or now + 1) <= now:
        lapsed = msgspec.structs.replace(grant, state=GrantState.LAPSED, finished_at=now)
        if not tx.grants.replace(grant, lapsed):
            return False
        note(tx, "grant.lapsed", SYSTEM, grant=grant.id, decision=grant.decision_id)
        return True
    return False


def deliver(ports: Ports, channels: Iterable[Channel]) -> int:
    """Hand due notices to the channels: at least once, the same id on every attempt.

    A failure is kept on the notice and tried again after a pause; after the last pause the notice
    is parked, which `doctor` shows, until `try_again`.
    """
    told = list(channels)
    done = 0
    for notice in ports.store.read(lambda tx: tx.outbox.due(tx.now(), BATCH)):
        done += ports.store.write(_delivered(notice, _tell(told, notice)))
    return done


def try_again(ports: Ports) -> int:
    """Have what was given up delivered once more; returns how many notices that are.

    An owner does so when it starts: what was in the way may be gone by then.
    """

    def parked(tx: Transaction) -> list[Notice]:
        return [one for one in tx.outbox.undelivered(BATCH) if one.next_at is None]

    def use_case(tx: Transaction) -> int:
        found = parked(tx)
        for notice in found:
            tx.outbox.put(msgspec.structs.replace(notice, next_at=tx.now()))
        return len(found)

    return ports.store.write(use_case) if ports.store.read(parked) else 0


def call_back(ports: Ports, caller: Caller) -> int:
    """Tell the programs that asked to be called, as `deliver` tells persons.

    A receiver may be slow, so this runs beside the scheduler, never in it.
    """
    done = 0
    for notice in ports.store.read(lambda tx: tx.outbox.due(tx.now(), CALLS, calls=True)):
        done += ports.store.write(_delivered(notice, _call(ports, caller, notice)))
    return done


def _tell(channels: Iterable[Channel], notice: Notice) -> str | None:
    """What went wrong, None where every channel took the notice."""
    error = None
    for channel in channels:
        try:
            channel.deliver(notice)
        except Exception as failure:  # a channel may fail in any way; the row says how
            error = f"{channel.name}: {type(failure).__name__}: {failure}"
    return error


def _call(ports: Ports, caller: Caller, notice: Notice) -> str | None:
    """What went wrong, None where the waiting program took its outcome."""
    wanted = notice.decision_id or ""

    def query(tx: Transaction) -> tuple[str, Outcome[Any]] | None:
        filed, outcome = tx.decisions.get(wanted), tx.outcomes.get(wanted)
        if filed is None or outcome is None or filed.decision.callback is None:
            return None
        return filed.decision.callback, shown_outcome(tx, outcome)

    found = ports.store.read(query)
    if found is None:
        return f"{wanted} has no outcome or no address any more"
    try:
        caller.call(notice, *found)
    except Exception as failure:  # a network may fail in any way; the row says how
        return f"{caller.name}: {type(failure).__name__}: {failure}"
    return None


def _delivered(notice: Notice, error: str | None) -> Callable[[Transaction], bool]:
    def use_case(tx: Transaction) -> bool:
        attempts = notice.attempts + 1
        if error is None:
            kept = msgspec.structs.replace(
                notice, attempts=attempts, delivered_at=tx.now(), next_at=None, error=None
            )
        else:
            pause = RETRY_SECONDS[attempts - 1] if attempts <= len(RETRY_SECONDS) else None
            kept = msgspec.structs.replace(
                notice,
                attempts=attempts,
                error=error[:2000],
                next_at=tx.now() + pause * 1_000_000 if pause else None,
            )
        tx.outbox.put(kept)
        if kept.next_at is not None:
            tx.wake_at(kept.next_at)
        return error is None

    return use_case
