"""The server whose submits reach no database, to hold the durable one against.

    python benchmarks/_without_store.py FOLDER flow|nothing

`flow`: the same server, route, checks, rights, gate, verbs and answers; only the store is another:
its transaction keeps nothing, finds nothing and runs where it is called. `nothing`: a submit is
answered with a ruling made beforehand, so that what remains is HTTP, JSON and who asks.

Prints `{"port": …, "token": …}` when it is ready; ends on SIGTERM. Started by `server.py`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from handrail.app import LOCAL, Paths, Workspace
from handrail.model import commands as c
from handrail.model.access import Token
from handrail.server.logs import Lines
from handrail.server.network import NetworkServer
from handrail.settings import Settings
from handrail.store.clock import now_us
from handrail.store.codec import encode


class Nothing:
    """Does what it is told, and nothing comes of it."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return nothing


def done(result: Any) -> Future[Any]:
    """A future that has ended."""
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def nothing(*given: Any, **named: Any) -> None:
    return None


class Decisions(Nothing):
    def insert(self, decision: Any, ruling: Any, *, settled: bool) -> bytes:
        return encode(decision) + b"\0" + encode(ruling)

    def unsettled_of(self, workflow: str, subject: str) -> list[Any]:
        return []


class Outcomes(Nothing):
    def insert(self, outcome: Any) -> bytes:
        return encode(outcome)


class Counters(Nothing):
    def read(self, scope: str, key: str, start: int, end: int) -> tuple[int, int]:
        return 0, 0


class Policies(Nothing):
    def __init__(self, active: dict[str, str]) -> None:
        self.active = active.get


class Access(Nothing):
    def __init__(self, tokens: list[Token]) -> None:
        self.token = {token.id: token for token in tokens}.get


class Transaction(Nothing):
    """Knows who may and which policy rules, and forgets everything else."""

    def __init__(self, policies: Policies, access: Access) -> None:
        self.policies, self.access = policies, access
        self.decisions, self.outcomes, self.counters = Decisions(), Outcomes(), Counters()
        self.grants = self.subjects = self.stops = self.audit = self.outbox = Nothing()
        self._now = now_us()

    def now(self) -> int:
        return self._now


class NoStore:
    """Reads from the real store; writes lead nowhere."""

    def __init__(self, real: Any) -> None:
        self._real = real

        def known(tx: Any) -> tuple[dict[str, str], list[Token]]:
            return {name: tx.policies.active(name) for name in tx.policies.workflows()}, list(
                tx.access.tokens()
            )

        active, tokens = real.read(known)
        self._policies, self._access = Policies(active), Access(tokens)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def write(self, use_case: Callable[[Any], Any]) -> Any:
        return use_case(Transaction(self._policies, self._access))

    def begin(self, use_case: Callable[[Any], Any]) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(self.write(use_case))
        except Exception as error:
            done.set_exception(error)
        return done


def main(folder: Path, how: str) -> None:
    # As `handrail up` does: a line for each request.
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    log = logging.getLogger("handrail")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    Paths(folder).make()
    workspace = Workspace.own(folder, settings=Settings(address_rate=0, credential_rate=0))
    if workspace is None:
        raise SystemExit(f"somebody owns {folder}")
    with workspace:
        workspace.policies.refresh(now=True)
        service = workspace.service
        asked = c.MakeToken(name="bench", scopes=("decisions:submit",), workflows=("*",))
        made = service.call(asked, LOCAL)
        if how == "flow":
            service.ports = replace(service.ports, store=NoStore(service.ports.store))
        else:
            first = c.Submit(workflow="refund", facts={"order": "1"}, proposal={"amount": 5})
            ruling, call = service.call(first, LOCAL), service.call
            service.call = (  # type: ignore[method-assign]
                lambda command, actor: (
                    ruling if isinstance(command, c.Submit) else call(command, actor)
                )
            )
            service.begin = lambda command, actor: done(ruling)  # type: ignore[method-assign]

        def started(server: NetworkServer) -> None:
            print(json.dumps({"port": server.port, "token": made.secret}), flush=True)

        NetworkServer(service, port=0, started=started).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
