"""Persons."""

from __future__ import annotations

from typing import Any

import apsw

from handrail.model.errors import Conflict
from handrail.model.people import Person
from handrail.store.codec import decode_limits, decode_texts, encode_limits, encode_texts
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("people")


def _person(row: tuple[Any, ...]) -> Person:
    return Person(
        id=row[0],
        handle=row[1],
        holds=decode_texts(row[2]),
        limits=decode_limits(row[3]),
        active=bool(row[4]),
        added_at=row[5],
    )


class SqlitePeople:
    """See `handrail.ports.People`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute: Execute = connection.execute

    def get(self, person_id: str) -> Person | None:
        row = self._execute(_SQL["get"], (person_id,)).fetchone()
        return _person(row) if row else None

    def by_handle(self, handle: str) -> Person | None:
        row = self._execute(_SQL["by_handle"], (handle.casefold(),)).fetchone()
        return _person(row) if row else None

    def put(self, person: Person) -> None:
        try:
            self._execute(
                _SQL["put"],
                (
                    person.id,
                    person.handle,
                    person.handle.casefold(),
                    encode_texts(person.holds),
                    encode_limits(person.limits),
                    person.active,
                    person.added_at,
                ),
            )
        except apsw.ConstraintError:
            there = self.by_handle(person.handle)
            if there is None:
                raise
            raise Conflict(
                f"{there.handle} is {there.id}; give {person.id} another handle, "
                "or change the person that is there",
                {"person": there.id},
            ) from None

    def all(self) -> list[Person]:
        return [_person(row) for row in self._execute(_SQL["all"])]

    def registered(self) -> bool:
        return bool(self._execute(_SQL["registered"]).fetchall()[0][0])
