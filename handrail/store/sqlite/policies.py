"""Policy versions, and which one is active."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import msgspec

from handrail.model.feedback import PolicyVersion
from handrail.model.versions import Activation
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("policies")
_ACTIVE = _SQL["active"]

_version = msgspec.json.Decoder(PolicyVersion).decode
_activation = msgspec.json.Decoder(Activation).decode


class SqlitePolicies:
    """See `handrail.ports.Policies`."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute: Execute = connection.execute

    def active(self, workflow: str) -> str | None:
        row = self._execute(_ACTIVE, (workflow,)).fetchone()
        return row[0] if row else None

    def get(self, workflow: str, version: str) -> PolicyVersion | None:
        row = self._execute(_SQL["get"], (workflow, version)).fetchone()
        return msgspec.structs.replace(_version(row[0]), active=bool(row[1])) if row else None

    def put(self, policy: PolicyVersion) -> None:
        self._execute(_SQL["put"], (policy.workflow, policy.version, encode(policy)))

    def activate(self, policy: PolicyVersion) -> None:
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
