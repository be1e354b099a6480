"""Spend a grant: redeem it, confirm the run, settle what is in doubt.

One decision, at most one effect; exactly one where the effect honours the grant's id as its
idempotency key. A lease that lapses unconfirmed is in doubt: shown to a person, never rerun
silently, never hidden.
"""

from __future__ import annotations

import msgspec

from handrail.access import Who, allow
from handrail.flow.ports import Ports
from handrail.flow.records import commit, note, owner_of
from handrail.flow.who import decision_thing, enter, get_filed, person_in
from handrail.model.commands import Confirm, Doubt, ListDoubts, Redeem, Resolve
from handrail.model.errors import AlreadyRun, BadInput, Conflict, NotFound, Refused
from handrail.model.ids import new_id
from handrail.model.modes import GrantState, Verdict
from handrail.model.outcome import Grant, Receipt, Redeemed
from handrail.model.people import Actor
from handrail.model.wire import check_wire, time_text
from handrail.ports import Filed, Transaction

MAX_LEASE = 7 * 24 * 3600.0
DOUBTFUL = (GrantState.IN_DOUBT, GrantState.FAILED)


def receipt_of(grant: Grant) -> Receipt:
    """What a grant says about its run."""
    return Receipt(
        grant_id=grant.id,
        decision_id=grant.decision_id,
        state=grant.state,
        started_at=grant.redeemed_at,
        finished_at=grant.finished_at,
        lease_until=grant.lease_until,
        by=grant.by,
        error=grant.error,
    )


def no_grant(grant_id: str) -> str:
    """What is said of a grant that is not there, or that one may not know of."""
    return f"no grant {grant_id!r}; a released, allowing outcome names its grant"


def _get(tx: Transaction, grant_id: str) -> Grant:
    grant = tx.grants.get(grant_id)
    if grant is None:
        raise NotFound(no_grant(grant_id))
    return grant


def _allow(
    tx: Transaction, ports: Ports, who: Who, command: Redeem | Confirm | Resolve, filed: Filed
) -> None:
    thing = decision_thing(tx, ports, filed, who)
    allow(who, type(command), msgspec.structs.replace(thing, absent=no_grant(command.grant_id)))


def redeem(command: Redeem, actor: Actor, ports: Ports) -> Redeemed:
    """Start the run, once. Raises `AlreadyRun` with the receipt where it was started before."""
    if not 1 <= command.lease_seconds <= MAX_LEASE:
        raise BadInput(f"expected 1 to {MAX_LEASE:.0f} seconds", "/lease_seconds")
    if not 16 <= len(command.run) <= 200:
        raise BadInput("a run's name has 16 to 200 random characters", "/run")
    check_wire(command.run, "/run")

    def use_case(tx: Transaction) -> Redeemed:
        asker = enter(tx, actor)
        grant, now = _get(tx, command.grant_id), tx.now()
        filed = get_filed(tx, grant.decision_id)
        _allow(tx, ports, asker, command, filed)
        who = asker.id
        outcome = tx.outcomes.get(grant.decision_id)
        if outcome is None or not outcome.released or not outcome.allowed:
            raise Refused(f"{grant.decision_id} has no outcome that allows a run")
        if grant.digest != command.digest:
            raise Conflict(
                f"what would run is not what was approved: {command.digest} against "
                f"{grant.digest}; take the value from the outcome, or submit again",
                {"digest": grant.digest},
            )
        answer = Redeemed(
            grant_id=grant.id,
            decision_id=grant.decision_id,
            run=command.run,
            value=outcome.approved,
            digest=grant.digest,
            lease_until=now + round(command.lease_seconds * 1_000_000),
        )
        if grant.state is GrantState.REDEEMED and grant.run == command.run:
            return msgspec.structs.replace(answer, lease_until=grant.lease_until or now)
        if grant.state is GrantState.VOID:
            raise Refused(f"the grant {grant.id} was taken back: {grant.note}")
        if grant.state is GrantState.LAPSED:
            raise Refused(f"the approval lapsed unused at {_when(grant.valid_until)}")
        if grant.state is not GrantState.GRANTED:
            raise AlreadyRun(
                f"{grant.decision_id} was run before: {grant.state.value}, "
                f"started {_when(grant.redeemed_at)} by {grant.by}",
                receipt_of(grant),
            )
        if grant.valid_until is not None and now >= grant.valid_until:
            raise Refused(f"the approval lapsed unused at {_when(grant.valid_until)}")
        if filed.decision.expires_at is not None and now >= filed.decision.expires_at:
            raise Refused(f"the decision expired at {_when(filed.decision.expires_at)}")
        stop = tx.stops.get(filed.decision.workflow)
        if stop is not None and outcome.verdict is Verdict.PASSED:
            raise Refused(
                f"{filed.decision.workflow} is stopped: {stop.reason}. "
                f"What no person approved waits until it is started again"
            )
        redeemed = msgspec.structs.replace(
            grant,
            state=GrantState.REDEEMED,
            redeemed_at=now,
            lease_until=answer.lease_until,
            run=command.run,
            by=who,
        )
        ports.steps("redeem.before")
        if not tx.grants.replace(grant, redeemed):
            raise AlreadyRun(f"{grant.decision_id} was redeemed by somebody else", None)
        note(
            tx,
            "grant.redeemed",
            who,
            grant=grant.id,
            decision=grant.decision_id,
            lease_until=answer.lease_until,
        )
        tx.wake_at(answer.lease_until)
        return answer

    return ports.store.write(use_case)


def _when(at: int | None) -> str:
    return time_text(at) if at is not None else "an unknown time"


def confirm(command: Confirm, actor: Actor, ports: Ports) -> Receipt:
    """Record how the run ended. The same confirm twice is one; another run's is a `Conflict`.

    A run that confirms after its lease lapsed settles its own doubt, while nobody else has.
    """
    if command.error is not None:
        check_wire(command.error, "/error")
    state = GrantState.DONE if command.done else GrantState.FAILED

    def use_case(tx: Transaction) -> Receipt:
        who = enter(tx, actor)
        grant = _get(tx, command.grant_id)
        _allow(tx, ports, who, command, get_filed(tx, grant.decision_id))
        if grant.run != command.run:
            raise Conflict(
                f"{grant.id} is not held by this run; its state is {grant.state.value}",
                {"state": grant.state.value},
            )
        if grant.state is state and grant.resolved_by is None:
            return receipt_of(grant)
        if grant.state not in (GrantState.REDEEMED, GrantState.IN_DOUBT):
            raise Conflict(
                f"{grant.id} is {grant.state.value} already; this run cannot change it",
                {"state": grant.state.value},
            )
        finished = msgspec.structs.replace(
            grant, state=state, finished_at=tx.now(), error=(command.error or "")[:2000] or None
        )
        if not tx.grants.replace(grant, finished):
            raise Conflict(f"{grant.id} moved; ask for it again")
        note(
            tx,
            "grant.confirmed",
            who.id,
            grant=grant.id,
            decision=grant.decision_id,
            state=state,
        )
        tx.wake(f"grant:{grant.id}")
        return receipt_of(finished)

    return ports.store.write(use_case)


def resolve(command: Resolve, actor: Actor, ports: Ports) -> Grant:
    """A person settles a doubt: it happened; try again with a new grant; or never."""
    check_wire(command.note, "/note")
    if not 1 <= len(command.note.strip()) <= 10_000:
        raise BadInput("say how you know, in 1 to 10,000 characters", "/note")

    def use_case(tx: Transaction) -> Grant:
        who = enter(tx, actor)
        person = person_in(who)
        grant, now = _get(tx, command.grant_id), tx.now()
        filed = get_filed(tx, grant.decision_id)
        _allow(tx, ports, who, command, filed)
        if grant.state not in DOUBTFUL:
            raise Conflict(
                f"{grant.id} is {grant.state.value}; only a run in doubt or failed is settled so",
                {"state": grant.state.value},
            )
        again = None
        if command.answer == "again":
            policy = ports.shelf.named(tx, filed.ruling.policy)
            again = Grant(
                id=new_id("g", now),
                decision_id=grant.decision_id,
                state=GrantState.GRANTED,
                digest=grant.digest,
                minted_at=now,
                valid_until=now + policy.valid_us if policy.valid_us else None,
            )
        settled = msgspec.structs.replace(
            grant,
            state=GrantState.DONE if command.answer == "happened" else GrantState.VOID,
            finished_at=now,
            resolved_by=person.id,
            note=command.note,
            replaced_by=again.id if again else None,
        )
        if not tx.grants.replace(grant, settled):
            raise Conflict(f"{grant.id} moved; look at it again")
        if again is not None:
            tx.grants.insert(again)
            if again.valid_until is not None:
                tx.wake_at(again.valid_until)
        decision = filed.decision
        note(
            tx,
            "grant.resolved",
            person.id,
            grant=grant.id,
            decision=grant.decision_id,
            state=settled.state,
            replaced_by=settled.replaced_by,
            commit=commit(
                tx,
                owner_of(decision.workflow, decision.subject, decision.id),
                "doubt",
                command.note.encode(),
            ),
        )
        tx.wake(f"outcome:{grant.decision_id}")
        return again or settled

    return ports.store.write(use_case)


def list_doubts(command: ListDoubts, actor: Actor, ports: Ports) -> list[Doubt]:
    """Runs nobody can vouch for: in doubt, or failed and not settled yet. Oldest first."""

    def query(tx: Transaction) -> list[Doubt]:
        who = enter(tx, actor, meet=False)
        allow(who, ListDoubts)
        found = []
        for grant in tx.grants.in_state(DOUBTFUL, command.limit):
            filed = get_filed(tx, grant.decision_id)
            if not who.within(filed.decision.workflow):
                continue
            outcome = tx.outcomes.get(grant.decision_id)
            found.append(
                Doubt(
                    grant=grant,
                    decision_id=grant.decision_id,
                    workflow=filed.decision.workflow,
                    subject=filed.decision.subject,
                    value=outcome.approved if outcome is not None else None,
                )
            )
        return found

    return ports.store.read(query)
