"""Persons."""

from __future__ import annotations

from handrail.model.errors import Conflict
from handrail.model.people import Person
from handrail.store.codec import encode_limits, encode_texts
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session
from handrail.store.rows import person_of

_SQL = queries("people")
_GET = _SQL["get"]
_BY_HANDLE = _SQL["by_handle"]


class PostgresPeople:
    """See `handrail.ports.People`. Rights are covered by `standing`, not by locks on rows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, person_id: str) -> Person | None:
        def read() -> Person | None:
            row = self._session.one(_GET, (person_id,))
            return person_of(row) if row else None

        return self._session.known(("people",), ("id", person_id), read)

    def by_handle(self, handle: str) -> Person | None:
        folded = handle.casefold()

        def read() -> Person | None:
            row = self._session.one(_BY_HANDLE, (folded,))
            return person_of(row) if row else None

        found = self._session.known(("people",), ("handle", folded), read)
        if found is None:
            self._session.missed("person", folded)
        return found

    def put(self, person: Person) -> None:
        session = self._session
        session.forget("people")
        folded = person.handle.casefold()
        row = (
            person.id,
            person.handle,
            folded,
            encode_texts(person.holds),
            encode_limits(person.limits),
            person.active,
            person.added_at,
        )
        if person.holds:
            session.hold_standing()
        elif session.change(_SQL["insert"], row):
            # Somebody new who may do nothing takes nothing from what others go by.
            session.made("person", folded)
            return
        else:
            session.taken("person", folded)
            session.hold_standing()
        if session.change(_SQL["change"], row) or session.change(_SQL["insert"], row):
            session.made("person", folded)
            return
        there = self.by_handle(person.handle)
        if there is None:
            raise Conflict(f"{person.id} moved; read it again")
        raise Conflict(
            f"{there.handle} is {there.id}; give {person.id} another handle, "
            "or change the person that is there",
            {"person": there.id},
        )

    def all(self) -> list[Person]:
        return [person_of(row) for row in self._session.all(_SQL["all"])]

    def registered(self) -> bool:
        def read() -> bool:
            row = self._session.one(_SQL["registered"])
            return bool(row and row[0])

        return self._session.known(("people",), "registered", read)
