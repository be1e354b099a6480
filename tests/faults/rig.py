"""The product put together for the faults that happen inside one process.

The same parts as `handrail.app.Workspace` puts together, with the store on a VFS of ours, a clock
of ours, and an anchor that survives everything.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from handrail.app.keys import NoteSigner
from handrail.app.service import Service
from handrail.app.signals import Signals
from handrail.audit.note import SignerKey
from handrail.flow import Ports, Shelf, activate, checkpoint, create_log, sweep
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.people import Actor
from handrail.ports import Checkpoint, Steps, no_steps
from handrail.settings import Settings
from handrail.store.clock import now_us
from handrail.store.sqlite import SqliteStore
from tests.faults.checker import Finding, History, State, check
from tests.faults.evidence import collect
from tests.faults.journal import Memory, effects, ops
from tests.faults.world import PEOPLE, POLICIES

PROGRAM = Actor(name="local")


class Outside:
    """What no fault of the machine takes away: keys, anchor, journals."""

    def __init__(self) -> None:
        self.signer = NoteSigner(
            SignerKey.from_seed("handrail.test/faults", secrets.token_bytes(32))
        )
        self.secret = secrets.token_bytes(32)
        self.anchored: list[Checkpoint] = []
        self.calls: list[dict[str, Any]] = []
        self.effects: list[dict[str, Any]] = []
        self._counted_effects = 0
        self._counted_doubts = 0

    def publish(self, checkpoint: Checkpoint) -> None:
        self.anchored.append(checkpoint)

    def last(self) -> Checkpoint | None:
        return self.anchored[-1] if self.anchored else None

    def keep(self, journals: Sequence[Memory], worlds: Sequence[Memory]) -> None:
        """Take over what was told before the fault."""
        for journal in journals:
            self.calls += journal.lines
        for world in worlds:
            self.effects += world.lines

    def new_effects(self) -> int:
        """Effects that began since this was asked last."""
        found = len([line for line in self.effects if line["say"] == "begin"])
        new, self._counted_effects = found - self._counted_effects, found
        return new

    def new_doubts(self, state: State) -> int:
        """Runs that came in doubt since this was asked last."""
        found = len([e for e in state.entries if b'"type":"grant.in_doubt"' in e])
        new, self._counted_doubts = found - self._counted_doubts, found
        return new

    def history(self, state: State, *, one_clock: bool = True) -> History:
        return History(
            ops=tuple(ops(self.calls)),
            effects=tuple(effects(self.effects)),
            state=state,
            one_clock=one_clock,
        )


class Rig:
    """An installation in this process. Is a transport: `call` answers commands."""

    def __init__(
        self,
        path: str,
        outside: Outside,
        *,
        clock: Callable[[], int] = now_us,
        steps: Steps = no_steps,
        vfs: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.outside = outside
        settings = settings or Settings()
        self.store = SqliteStore.open(path, clock=clock, steps=steps, vfs=vfs, settings=settings)
        self.ports = Ports(
            store=self.store,
            shelf=Shelf(),
            secret=outside.secret,
            settings=settings,
            steps=steps,
        )
        self.signals = Signals()
        self.store.listen(lambda topics, due: self.signals.notify(topics))
        self.service = Service(self.ports, self.signals)

    def start(self, policies: Sequence[str] = tuple(POLICIES.values())) -> None:
        """What the first start of an installation does; a later one repeats it without effect."""
        create_log(self.ports, self.outside.signer)
        for text in policies:
            activate(load(text, run_cases=False), {}, PROGRAM, self.ports)
        known = {person.handle for person in self.service.call(c.ListPeople(), PROGRAM)}
        for handle in PEOPLE:
            if handle not in known:
                self.service.call(c.SetPerson(handle=handle, holds=("team:money",)), PROGRAM)

    def call(self, command: c.Command, actor: Actor) -> Any:
        return self.service.call(command, actor)

    def sweep(self) -> int:
        """Everything that is due now."""
        done = 0
        while found := sweep(self.ports):
            done += found
        return done

    def checkpoint(self) -> None:
        """Sign the head and keep it outside."""
        checkpoint(self.ports, self.outside.signer, self.outside)

    def state(self, *, swept: bool = False) -> State:
        return collect(self.ports, self.outside, [self.outside.signer.key.verifier], swept=swept)

    def judge(self, *, swept: bool = False, one_clock: bool = True) -> list[Finding]:
        """Every broken promise so far."""
        return check(self.outside.history(self.state(swept=swept), one_clock=one_clock))

    def close(self) -> None:
        self.signals.close()
        self.store.close()
