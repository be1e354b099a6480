"""Stored lists: what is in them, since when, and until when."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.decoding import decoder
from handrail.model.errors import Conflict
from handrail.model.versions import ListEntry, list_body
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session

_SQL = queries("lists")
_VERSION = _SQL["version"]

_entry = decoder(ListEntry).decode


class PostgresLists:
    """See `handrail.ports.Lists`. Covered by `standing`, as active policies are."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def version(self, workflow: str, name: str) -> int:
        def read() -> int:
            row = self._session.one(_VERSION, (workflow, name))
            return row[0] if row else 0

        return self._session.known(("lists",), (workflow, name), read)

    def at(self, workflow: str, name: str, version: int) -> list[ListEntry]:
        rows = self._session.all(_SQL["at"], (workflow, name, version))
        return [_entry(row[0]) for row in rows]

    def add(self, entry: ListEntry) -> None:
        self._session.hold_standing()
        self._session.change(
            _SQL["insert"],
            (entry.workflow, entry.list, entry.value, entry.since, entry.until, encode(entry)),
        )

    def end(self, entry: ListEntry) -> None:
        self._session.hold_standing()
        row = (entry.workflow, entry.list, entry.value, entry.since, entry.until, encode(entry))
        if self._session.change(_SQL["end"], row) != 1:
            raise Conflict(f"{entry.value!r} is not in {entry.list} any more; look at it again")

    def put_version(self, workflow: str, name: str, version: int) -> None:
        self._session.hold_standing()
        self._session.forget("lists")
        self._session.change(_SQL["put_version"], (workflow, name, version))

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for workflow, name, version in self._session.all(_SQL["state"]):
            yield StateRow(
                table="lists",
                id=f"{workflow}/{name}",
                columns={"version": version},
                body=list_body(self.at(workflow, name, version)),
            )
