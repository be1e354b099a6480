"""Truth that arrives later."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from handrail.access import allow
from handrail.flow.ports import Ports
from handrail.flow.records import commit, note, owner_of
from handrail.flow.who import decision_thing, enter, get_filed
from handrail.model.commands import AddLabel
from handrail.model.errors import BadInput
from handrail.model.feedback import Label
from handrail.model.ids import new_id
from handrail.model.people import Actor
from handrail.model.wire import check_wire, read_time
from handrail.ports import Transaction


def add_label(command: AddLabel, actor: Actor, ports: Ports) -> Label:
    """Attach the truth to a decision. Several may arrive; none replaces another."""
    check_wire(command.truth, "/truth")
    check_wire(command.source, "/source")
    if command.truth is None and command.wrong is None:
        raise BadInput("say what was right (truth) or whether it was wrong", "/truth")
    if not 1 <= len(command.source) <= 200:
        raise BadInput("name where it is known from, in 1 to 200 characters", "/source")
    loss = None
    if command.loss is not None:
        try:
            amount = Decimal(command.loss)
        except InvalidOperation:
            raise BadInput(
                f"{command.loss!r} is no decimal amount such as 12.50", "/loss"
            ) from None
        if not amount.is_finite() or amount < 0:
            raise BadInput("a loss is a finite amount of at least 0", "/loss")
        loss = format(amount, "f")
    at = None if command.at is None else read_time(command.at, "/at")

    def use_case(tx: Transaction) -> Label:
        who = enter(tx, actor)
        filed = get_filed(tx, command.decision_id)
        allow(who, AddLabel, decision_thing(tx, ports, filed, who))
        decision = filed.decision
        label = Label(
            id=new_id("l", tx.now()),
            decision_id=decision.id,
            truth=command.truth,
            wrong=command.wrong,
            loss=loss,
            source=command.source,
            at=at if at is not None else tx.now(),
            added_at=tx.now(),
        )
        body = tx.labels.insert(label)
        note(
            tx,
            "label.added",
            who.id,
            label=label.id,
            decision=decision.id,
            commit=commit(
                tx, owner_of(decision.workflow, decision.subject, decision.id), "label", body
            ),
            wrong=label.wrong,
            loss=label.loss,
        )
        return label

    return ports.store.write(use_case)
