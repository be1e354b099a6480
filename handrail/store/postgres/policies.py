"""Policy versions, and which one is active."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from handrail.model.decoding import decoder
from handrail.model.feedback import PolicyVersion
from handrail.model.versions import Activation
from handrail.ports import StateRow
from handrail.store.codec import encode
from handrail.store.postgres.queries import queries
from handrail.store.postgres.session import Session

_SQL = queries("policies")
_ACTIVE = _SQL["active"]

_version = decoder(PolicyVersion).decode
_activation = decoder(Activation).decode


class PostgresPolicies:
    """See `handrail.ports.Policies`. Covered by `standing`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def active(self, workflow: str) -> str | None:
        def read() -> str | None:
            row = self._session.one(_ACTIVE, (workflow,))
            return row[0] if row else None

        return self._session.lasting("policies", workflow, read, absence=True)

    def get(self, workflow: str, version: str) -> PolicyVersion | None:
        row = self._session.one(_SQL["get"], (workflow, version))
        return msgspec.structs.replace(_version(row[0]), active=row[1]) if row else None

    def put(self, policy: PolicyVersion) -> None:
        self._session.change(_SQL["put"], (policy.workflow, policy.version, encode(policy)))

    def activate(self, policy: PolicyVersion) -> None:
        self._session.hold_standing()
        self._session.forget("policies")
        self.put(policy)
        self._session.change(_SQL["activate"], (policy.workflow, policy.version))

    def workflows(self) -> list[str]:
        return [row[0] for row in self._session.all(_SQL["workflows"])]

    def versions(self, workflow: str) -> list[str]:
        return [row[0] for row in self._session.all(_SQL["versions"], (workflow,))]

    def add_activation(self, activation: Activation) -> None:
        self._session.change(_SQL["add_activation"], (activation.workflow, encode(activation)))

    def activations(self, workflow: str, limit: int) -> list[Activation]:
        rows = self._session.all(_SQL["activations"], (workflow, limit))
        return [_activation(row[0]) for row in rows]

    def state(self) -> Iterator[StateRow]:
        """Rows as `Transaction.state_rows` gives them."""
        for workflow, version in self._session.all(_SQL["state"]):
            yield StateRow(
                table="policies", id=workflow, columns={"policy": f"{workflow}@{version}"}
            )
