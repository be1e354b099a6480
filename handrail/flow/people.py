"""Who there is, and which teams and roles they hold."""

from __future__ import annotations

import msgspec

from handrail.flow.ports import Ports
from handrail.flow.records import actor_id, known, note
from handrail.model.commands import ListPeople, SetPerson
from handrail.model.errors import BadInput
from handrail.model.people import Actor, Person
from handrail.ports import Transaction


def set_person(command: SetPerson, actor: Actor, ports: Ports) -> Person:
    """Register a person, or replace what they hold.

    From the first registered person on, rights are by team and role; before, one person holds all.
    """
    for index, name in enumerate(command.holds):
        kind, _, rest = name.partition(":")
        if kind not in ("team", "role") or not rest or "@" in rest:
            raise BadInput(f"{name!r} is neither team:… nor role:…", f"/holds/{index}")

    def use_case(tx: Transaction) -> Person:
        person = msgspec.structs.replace(
            known(tx, command.handle), holds=command.holds, active=command.active
        )
        tx.people.put(person)
        note(
            tx,
            "person.changed",
            actor_id(tx, actor),
            person=person.id,
            holds=person.holds,
            active=person.active,
        )
        return person

    return ports.store.write(use_case)


def list_people(command: ListPeople, actor: Actor, ports: Ports) -> list[Person]:
    """Registered persons and those met so far, by handle."""
    return ports.store.read(lambda tx: tx.people.all())
