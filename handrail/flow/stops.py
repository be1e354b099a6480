"""The stop button: a row read inside every submit, so it holds at once and after restarts."""

from __future__ import annotations

import msgspec

from handrail.access import Thing, allow
from handrail.flow.ports import Ports
from handrail.flow.records import WORKSPACE, commit, handles_of, note
from handrail.flow.who import enter
from handrail.model.commands import ClearStop, ListStops, SetStop
from handrail.model.errors import BadInput, NotFound
from handrail.model.feedback import Stop
from handrail.model.people import Actor
from handrail.model.wire import check_wire
from handrail.ports import Transaction


def _reason(reason: str) -> None:
    check_wire(reason, "/reason")
    if not 1 <= len(reason.strip()) <= 1000:
        raise BadInput("say why in 1 to 1,000 characters", "/reason")


def set_stop(command: SetStop, actor: Actor, ports: Ports) -> Stop:
    """No automatic pass from this commit on; held decisions and people's verdicts go on."""
    _reason(command.reason)

    def use_case(tx: Transaction) -> Stop:
        asker = enter(tx, actor)
        allow(asker, SetStop, Thing(workflow=command.workflow))
        if command.workflow != "*" and tx.policies.active(command.workflow) is None:
            raise NotFound(
                f"no workflow {command.workflow!r}; active are: "
                + (", ".join(tx.policies.workflows()) or "none")
            )
        who = asker.id
        stop = Stop(workflow=command.workflow, reason=command.reason, by=who, at=tx.now())
        tx.stops.put(stop)
        note(
            tx,
            "stop.set",
            who,
            workflow=command.workflow,
            commit=commit(tx, WORKSPACE, "stop", command.reason.encode()),
        )
        tx.wake("stops")
        return msgspec.structs.replace(stop, by=asker.name)

    return ports.store.write(use_case)


def clear_stop(command: ClearStop, actor: Actor, ports: Ports) -> None:
    """Let automatic passes go on. Needs a reason, which the log commits to."""
    _reason(command.reason)

    def use_case(tx: Transaction) -> None:
        who = enter(tx, actor)
        allow(who, ClearStop, Thing(workflow=command.workflow))
        if not tx.stops.clear(command.workflow):
            raise NotFound(
                f"{command.workflow} is not stopped; standing stops: "
                + (", ".join(stop.workflow for stop in tx.stops.all()) or "none")
            )
        note(
            tx,
            "stop.cleared",
            who.id,
            workflow=command.workflow,
            commit=commit(tx, WORKSPACE, "stop", command.reason.encode()),
        )
        tx.wake("stops")

    ports.store.write(use_case)


def list_stops(command: ListStops, actor: Actor, ports: Ports) -> list[Stop]:
    """Stop buttons that stand."""

    def query(tx: Transaction) -> list[Stop]:
        who = enter(tx, actor, meet=False)
        allow(who, ListStops)
        found = [
            stop for stop in tx.stops.all() if stop.workflow == "*" or who.within(stop.workflow)
        ]
        names = handles_of(tx, [stop.by for stop in found])
        return [msgspec.structs.replace(stop, by=names.get(stop.by, stop.by)) for stop in found]

    return ports.store.read(query)
