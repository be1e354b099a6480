"""Reverse what passed or was approved: a grant taken back, or a new decision that people take.

Nothing is undone by us. The program that ran the effect gets the outcome of the reversal as it got
the first one, and undoes it under a grant of its own.
"""

from __future__ import annotations

import msgspec

from handrail.access import Who, allow
from handrail.flow.ports import Ports
from handrail.flow.records import commit, note, owner_of
from handrail.flow.submit import hold
from handrail.flow.who import decision_thing, enter, get_filed
from handrail.model.canonical import digest
from handrail.model.commands import Reversal, Reverse
from handrail.model.decision import Decision
from handrail.model.errors import BadInput, Conflict
from handrail.model.ids import new_id
from handrail.model.modes import GrantState, Lane, Mode, Severity
from handrail.model.outcome import Grant, Outcome
from handrail.model.people import Actor
from handrail.model.ruling import Ruling
from handrail.model.versions import BUILT_IN
from handrail.model.wire import check_wire
from handrail.ports import Filed, Transaction


def reverse(command: Reverse, actor: Actor, ports: Ports) -> Reversal:
    """Take the grant back where nothing has run; else ask people with a new, held decision.

    Asking again, by whomever, answers the first reversal. Raises `Conflict` where there is nothing
    to reverse: not released yet, not allowed, or never run.
    """
    check_wire(command.reason, "/reason")
    if not 1 <= len(command.reason.strip()) <= 1000:
        raise BadInput("say why in 1 to 1,000 characters", "/reason")

    def use_case(tx: Transaction) -> Reversal:
        who = enter(tx, actor)
        filed = get_filed(tx, command.decision_id)
        allow(who, Reverse, decision_thing(tx, ports, filed, who))
        if filed.decision.workflow in BUILT_IN:
            raise Conflict(
                f"{filed.decision.id} changed a policy; to go back, propose the version that ruled "
                "before: `handrail policy propose NAME@VERSION`"
            )
        earlier = reversal_of(tx, filed.decision)
        if earlier is not None:
            return Reversal(decision_id=filed.decision.id, ruling=earlier.ruling)
        outcome, grant = _ran(tx, filed)
        sealed = commit(
            tx,
            owner_of(filed.decision.workflow, filed.decision.subject, filed.decision.id),
            "reversal",
            command.reason.encode(),
        )
        if grant.state is GrantState.GRANTED:
            _take_back(tx, grant, who)
            note(
                tx,
                "decision.reversed",
                who.id,
                decision=filed.decision.id,
                grant=grant.id,
                commit=sealed,
            )
            return Reversal(decision_id=filed.decision.id)
        ruling = _ask_people(tx, ports, filed, outcome, who, command.reason)
        note(
            tx,
            "decision.reversed",
            who.id,
            decision=filed.decision.id,
            by=ruling.decision_id,
            commit=sealed,
        )
        return Reversal(decision_id=filed.decision.id, ruling=ruling)

    return ports.store.write(use_case)


def reversal_of(tx: Transaction, decision: Decision) -> Filed | None:
    """The decision that asks to undo this one, however it ended; None where nobody asked."""
    found = tx.decisions.find(
        workflow=decision.workflow,
        lane=Lane.HOLD.value,
        state=None,
        subject=None,
        key=_key(decision.id),
        before=None,
        limit=10,
    )
    return next((filed for filed in found if filed.decision.reverses == decision.id), None)


def _key(decision_id: str) -> str:
    return f"reverse:{decision_id}"


def _ran(tx: Transaction, filed: Filed) -> tuple[Outcome[object], Grant]:
    """What was let through, and its grant. Raises `Conflict` where nothing was or nothing ran."""
    name = filed.decision.id
    outcome = tx.outcomes.get(name)
    if outcome is None or not outcome.released:
        raise Conflict(
            f"{name} has no outcome yet, so there is nothing to reverse; withdraw it, or undo the "
            "verdict"
        )
    grant = tx.grants.current(name)
    if not outcome.allowed or grant is None:
        raise Conflict(f"{name} was {outcome.verdict.value}: nothing may run, nothing to reverse")
    if filed.decision.reverses is not None:
        raise Conflict(f"{name} is a reversal itself; submit a new decision instead")
    if grant.state in (GrantState.LAPSED, GrantState.VOID):
        raise Conflict(f"the grant of {name} is {grant.state.value}: it never ran")
    return outcome, grant


def _take_back(tx: Transaction, grant: Grant, who: Who) -> None:
    voided = msgspec.structs.replace(
        grant, state=GrantState.VOID, note=f"reversed by {who.name}", finished_at=tx.now()
    )
    if not tx.grants.replace(grant, voided):
        raise Conflict(f"{grant.id} moved; ask for the reversal again")
    note(tx, "grant.voided", who.id, grant=grant.id, decision=grant.decision_id)


def _ask_people(
    tx: Transaction, ports: Ports, filed: Filed, outcome: Outcome[object], who: Who, reason: str
) -> Ruling:
    """Hold a decision about undoing it, for those who are asked about such decisions."""
    first, now = filed.decision, tx.now()
    decision = Decision(
        id=new_id("d", now),
        workflow=first.workflow,
        subject=first.subject,
        submitter=who.id,
        key=_key(first.id),
        facts=first.facts,
        proposal={"undo": outcome.approved},
        links=first.links,
        callback=first.callback,
        reverses=first.id,
        test=first.test,
        submitted_at=now,
        body_digest=digest({"reverses": first.id, "reason": reason}),
    )
    ruling = msgspec.structs.replace(
        filed.ruling,
        decision_id=decision.id,
        lane=Lane.HOLD,
        mode=Mode.IN_THE_LOOP,
        severity=filed.ruling.severity or Severity.MEDIUM,
        fired=(),
        unknown=(),
        trials=(),
        tier=None,
        coins=(),
        why=f"{who.name} asks to reverse {first.id}: {reason}",
        if_approved="The program that ran it is told to undo it",
        if_rejected="It stays as it ran",
        stopped=None,
        evaluated_at=now,
    )
    return hold(tx, ports, decision, ruling)


__all__ = ["reversal_of", "reverse"]
