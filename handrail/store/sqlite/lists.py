"""Stored lists: what is in them, since when, and until when."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.decoding import decoder
from handrail.model.errors import Conflict
from handrail.model.versions import ListEntry, list_body
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("lists")
_VERSION = _SQL["version"]

_entry = decoder(ListEntry).decode


class SqliteLists:
    """See `handrail.ports.Lists`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._execute: Execute = line.execute

    def version(self, workflow: str, name: str) -> int:
        row = self._line.look(_VERSION, (workflow, name)).fetchone()
        return row[0] if row else 0

    def at(self, workflow: str, name: str, version: int) -> list[ListEntry]:
        return [_entry(row[0]) for row in self._line.look(_SQL["at"], (workflow, name, version))]

    def add(self, entry: ListEntry) -> None:
        self._execute(
            _SQL["insert"],
            (entry.workflow, entry.list, entry.value, entry.since, entry.until, encode(entry)),
        )

    def end(self, entry: ListEntry) -> None:
        row = (entry.workflow, entry.list, entry.value, entry.since, entry.until, encode(entry))
        self._execute(_SQL["end"], row)
        if self._line.changes() != 1:
            raise Conflict(f"{entry.value!r} is not in {entry.list} any more; look at it again")

    def put_version(self, workflow: str, name: str, version: int) -> None:
        self._execute(_SQL["put_version"], (workflow, name, version))

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for workflow, name, version in self._execute(_SQL["state"]).fetchall():
            yield StateRow(
                table="lists",
                id=f"{workflow}/{name}",
                columns={"version": version},
                body=list_body(self.at(workflow, name, version)),
            )
