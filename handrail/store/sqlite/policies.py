"""Policy versions, and which one is active."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from handrail.model.decoding import decoder
from handrail.model.feedback import PolicyVersion
from handrail.model.versions import Activation
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.sqlite.line import Line
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("policies")
_ACTIVE = _SQL["active"]

_version = decoder(PolicyVersion).decode
_activation = decoder(Activation).decode


class SqlitePolicies:
    """See `handrail.ports.Policies`.

    Every submit asks which version is active: the writer, through whom alone that changes, keeps
    what it found until then.
    """

    def __init__(self, line: Line, *, writing: bool) -> None:
        self._look: Execute = line.look
        self._execute: Execute = line.execute
        self._writing = writing
        self._active: dict[str, str] = {}

    def forget(self) -> None:
        """Something was rolled back, or changes."""
        self._active.clear()

    def active(self, workflow: str) -> str | None:
        found = self._active.get(workflow)
        if found is None:
            row = self._look(_ACTIVE, (workflow,)).fetchone()
            found = row[0] if row else None
            if found is not None and self._writing:
                self._active[workflow] = found
        return found

    def get(self, workflow: str, version: str) -> PolicyVersion | None:
        row = self._look(_SQL["get"], (workflow, version)).fetchone()
        return msgspec.structs.replace(_version(row[0]), active=bool(row[1])) if row else None

    def put(self, policy: PolicyVersion) -> None:
        self._execute(_SQL["put"], (policy.workflow, policy.version, encode(policy)))

    def activate(self, policy: PolicyVersion) -> None:
        self.forget()
        self.put(policy)
        self._execute(_SQL["activate"], (policy.workflow, policy.version))

    def workflows(self) -> list[str]:
        return [row[0] for row in self._execute(_SQL["workflows"])]

    def versions(self, workflow: str) -> list[str]:
        return [row[0] for row in self._execute(_SQL["versions"], (workflow,))]

    def add_activation(self, activation: Activation) -> None:
        self._execute(_SQL["add_activation"], (activation.workflow, encode(activation)))

    def activations(self, workflow: str, limit: int) -> list[Activation]:
        rows = self._execute(_SQL["activations"], (workflow, limit))
        return [_activation(row[0]) for row in rows]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for workflow, version in self._execute(_SQL["state"]):
            yield StateRow(
                table="policies", id=workflow, columns={"policy": f"{workflow}@{version}"}
            )
