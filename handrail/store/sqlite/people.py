"""Persons."""

from __future__ import annotations

import apsw

from handrail.model.errors import Conflict
from handrail.model.people import Person
from handrail.store.codec import encode_limits, encode_texts
from handrail.store.rows import person_of
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("people")


class SqlitePeople:
    """See `handrail.ports.People`."""

    def __init__(self, line: Line) -> None:
        self._look: Execute = line.look
        self._execute: Execute = line.execute

    def get(self, person_id: str) -> Person | None:
        row = self._look(_SQL["get"], (person_id,)).fetchone()
        return person_of(row) if row else None

    def by_handle(self, handle: str) -> Person | None:
        row = self._look(_SQL["by_handle"], (handle.casefold(),)).fetchone()
        return person_of(row) if row else None

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
        return [person_of(row) for row in self._execute(_SQL["all"])]

    def registered(self) -> bool:
        return bool(self._execute(_SQL["registered"]).fetchall()[0][0])
