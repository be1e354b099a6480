"""Policy versions, and which one is active."""

from __future__ import annotations

import apsw
import msgspec

from handrail.model.feedback import PolicyVersion
from handrail.store.codec import encode
from handrail.store.sqlite.queries import Execute, queries

_SQL = queries("policies")
_ACTIVE = _SQL["active"]

_version = msgspec.json.Decoder(PolicyVersion).decode


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

    def activate(self, policy: PolicyVersion) -> None:
        self._execute(_SQL["put"], (policy.workflow, policy.version, encode(policy)))
        self._execute(_SQL["activate"], (policy.workflow, policy.version))

    def workflows(self) -> list[str]:
        return [row[0] for row in self._execute(_SQL["workflows"])]
