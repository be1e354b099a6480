"""Who there is, which teams and roles they hold, and up to how much they may decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from handrail.access import Denied, allow
from handrail.flow.ports import Ports
from handrail.flow.records import known, note
from handrail.flow.who import enter
from handrail.model.commands import ListPeople, SetPerson
from handrail.model.errors import BadInput
from handrail.model.people import Actor, Person
from handrail.model.wire import check_wire
from handrail.ports import Transaction


def check_holds(holds: Sequence[str]) -> None:
    """Raise `BadInput` unless each is `team:…` or `role:…`."""
    for index, name in enumerate(holds):
        kind, _, rest = name.partition(":")
        if kind not in ("team", "role") or not rest or "@" in rest:
            raise BadInput(f"{name!r} is neither team:… nor role:…", f"/holds/{index}")


def check_limits(limits: Mapping[str, str]) -> None:
    """Raise `BadInput` unless each is a workflow (or `*`) with a decimal amount."""
    for workflow, text in limits.items():
        check_wire(workflow, "/limits")
        if not 1 <= len(workflow) <= 150 or not workflow.isprintable() or "@" in workflow:
            raise BadInput(f"{workflow!r} names no workflow; expected a name, or *", "/limits")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal(-1)
        if not amount.is_finite() or amount < 0 or len(text) > 40:
            raise BadInput(
                f"{text!r} is no amount of at least 0, such as 5000 or 250.50",
                f"/limits/{workflow}",
            )


def limits_in_words(limits: Mapping[str, str]) -> tuple[str, ...]:
    """`refund 500`, one a workflow, as the log names limits."""
    return tuple(f"{workflow} {amount}" for workflow, amount in sorted(limits.items()))


def set_person(command: SetPerson, actor: Actor, ports: Ports) -> Person:
    """Register a person, or replace what they hold.

    From the first registered person on, rights are by team and role; before, one person holds all.
    Whose teams, roles or being active change is signed out everywhere.
    """
    check_holds(command.holds)
    if command.limits is not None:
        check_limits(command.limits)

    def use_case(tx: Transaction) -> Person:
        who = enter(tx, actor)
        allow(who, SetPerson)
        before = known(tx, command.handle)
        if who.session is not None and who.id == before.id:
            raise Denied("nobody changes what they hold themselves; ask another admin")
        person = msgspec.structs.replace(
            before,
            holds=command.holds,
            limits=before.limits if command.limits is None else command.limits,
            active=command.active,
        )
        tx.people.put(person)
        note(
            tx,
            "person.changed",
            who.id,
            person=person.id,
            holds=person.holds,
            limits=limits_in_words(person.limits) or None,
            active=person.active,
        )
        if (set(person.holds), person.active) != (set(before.holds), before.active):
            ended = tx.access.end_sessions_of(person.id)
            if ended:
                note(tx, "session.ended", who.id, person=person.id, sessions=ended)
        return person

    return ports.store.write(use_case)


def list_people(command: ListPeople, actor: Actor, ports: Ports) -> list[Person]:
    """Registered persons and those met so far, by handle."""

    def query(tx: Transaction) -> list[Person]:
        allow(enter(tx, actor, meet=False), ListPeople)
        return tx.people.all()

    return ports.store.read(query)
