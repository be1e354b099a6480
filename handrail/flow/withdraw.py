"""The caller takes a decision back before it is released."""

from __future__ import annotations

from typing import Any

from handrail.access import allow
from handrail.flow.close import retire
from handrail.flow.ports import Ports
from handrail.flow.records import commit, note, owner_of
from handrail.flow.who import decision_thing, enter, get_filed
from handrail.model.commands import Withdraw
from handrail.model.errors import BadInput, Conflict
from handrail.model.modes import Verdict
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.wire import check_wire, time_text
from handrail.ports import Transaction


def withdraw(command: Withdraw, actor: Actor, ports: Ports) -> Outcome[Any]:
    """Withdraw it; a second time answers the same. Raises `Conflict` where it was released."""
    check_wire(command.reason, "/reason")
    if not 1 <= len(command.reason.strip()) <= 10_000:
        raise BadInput("say why in 1 to 10,000 characters", "/reason")

    def use_case(tx: Transaction) -> Outcome[Any]:
        asker = enter(tx, actor)
        filed = get_filed(tx, command.decision_id)
        allow(asker, Withdraw, decision_thing(tx, ports, filed, asker))
        who = asker.id
        if filed.settled:
            outcome = tx.outcomes.get(filed.decision.id)
            if outcome is not None and outcome.verdict is Verdict.WITHDRAWN:
                return outcome
            verdict = outcome.verdict.value if outcome is not None else "released"
            at = time_text(outcome.at) if outcome is not None else ""
            raise Conflict(
                f"{filed.decision.id} is {verdict} since {at}; it can no longer be withdrawn",
                {"verdict": verdict, "at": at},
            )
        decision = filed.decision
        note(
            tx,
            "decision.withdrawn",
            who,
            decision=decision.id,
            review=filed.review_id,
            commit=commit(
                tx,
                owner_of(decision.workflow, decision.subject, decision.id),
                "withdrawal",
                command.reason.encode(),
            ),
        )
        return retire(
            tx,
            ports,
            filed,
            verdict=Verdict.WITHDRAWN,
            why=command.reason,
            actor=who,
            by=who,
        )

    return ports.store.write(use_case)
