"""Clock jumps: forward by days, back by hours, and downtime, in the middle of everything.

One client at a time, so that a run is the same for the same seed. The clock is the store's own.
"""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

from handrail.client.transport import Transport
from handrail.model import commands as c
from handrail.model.errors import Unavailable
from handrail.model.people import Actor
from handrail.ports import Transaction
from handrail.testing.clock import FakeClock
from tests.faults.checker import Finding, check
from tests.faults.journal import Memory
from tests.faults.rig import Outside, Rig
from tests.faults.tally import Tally
from tests.faults.world import PAY, WIRE, Hand

HOUR = 3600.0


def _timed(name: str, silence: str, *, undo: str, fallback: bool) -> str:
    route = "fallback: [team:leads], " if fallback else ""
    return (
        WIRE.replace("workflow: wire", f"workflow: {name}")
        .replace("silence: block", f"silence: {silence}")
        .replace("fallback: [team:leads], ", route)
        .replace("sla: 4h", "sla: 2h")
        .replace("undo: 1s", f"undo: {undo}")
        .replace("valid: 24h", "valid: 2h")
    )


POLICIES = {
    "pay": PAY,
    "blocks": _timed("blocks", "block", undo="30s", fallback=True),
    "approves": _timed("approves", "approve", undo="30s", fallback=True),
    "rejects": _timed("rejects", "reject", undo="0s", fallback=False),
    "escalates": _timed("escalates", "escalate", undo="30s", fallback=True),
}
"""Every meaning of silence, with undo times, leases and validity that jumps land in."""


class StruckDown(Exception):
    """The worker is gone in the middle of its run."""


class Line:
    """A worker's line to the product; now and then the worker is struck down in a run.

    From then on nothing of it arrives, until the next worker takes its place.
    """

    def __init__(self, transport: Transport, random_: random.Random) -> None:
        self._transport = transport
        self._random = random_
        self.down = False

    def point(self, name: str) -> None:
        in_a_run = name in ("client.after_redeem", "client.in_effect", "client.after_effect")
        if in_a_run and self._random.random() < 0.1:
            self.down = True
            raise StruckDown(name)

    def call(self, command: c.Command, actor: Actor) -> Any:
        if self.down:
            raise Unavailable("the worker is gone")
        return self._transport.call(command, actor)

    def close(self) -> None:
        pass


def jump(clock: FakeClock, random_: random.Random) -> None:
    """Move the clock: most often a little, sometimes by days, sometimes back."""
    dice = random_.random()
    if dice < 0.6:
        clock.advance(random_.uniform(0, 60))
    elif dice < 0.8:
        clock.advance(random_.uniform(0, 2 * HOUR))
    elif dice < 0.9:
        clock.advance(random_.uniform(1, 9) * 24 * HOUR)
    else:
        clock.set(clock() - round(random_.uniform(0, 12) * HOUR * 1_000_000))


def overdue(tx: Transaction) -> list[str]:
    """What is due and was not done."""
    now = tx.now()
    return [
        *(f"outcome of {outcome.decision_id}" for outcome in tx.outcomes.due(now, 10)),
        *(f"expiry of {filed.decision.id}" for filed in tx.decisions.expiring(now, 10)),
        *(f"deadline of {review.id}" for review in tx.reviews.due(now, 10)),
        *(f"grant {grant.id}" for grant in tx.grants.overdue(now, 10)),
    ]


def life(folder: Path, seed: int, number: int, steps: int, tally: Tally) -> list[Finding]:
    """One installation, its clock, and `steps` things that happen to them."""
    random_ = random.Random(f"jumps {seed} {number}")
    clock, outside = FakeClock(), Outside()
    path = str(folder / f"jumps-{seed}-{number}.db")
    journal, world = Memory(), Memory()
    found: list[Finding] = []

    def start() -> tuple[Rig, Line, Hand]:
        rig = Rig(path, outside, clock=clock)
        rig.start(tuple(POLICIES.values()))
        line = Line(rig, random_)
        hand = Hand(
            line,
            name=f"{number}.{random_.getrandbits(40):x}",
            seed=random_.getrandbits(64),
            journal=journal,
            effects=world,
            point=line.point,
            clock=clock,
            lease_seconds=60.0,
            workflows=tuple(POLICIES),
            expire_seconds=HOUR,
        )
        return rig, line, hand

    rig, line, hand = start()
    try:
        for _ in range(steps):
            dice = random_.random()
            if dice < 0.15:
                jump(clock, random_)
                tally.faults += 1
            elif dice < 0.3:
                rig.sweep()
            elif dice < 0.32:
                rig.checkpoint()
            elif dice < 0.34:
                rig.close()
                clock.advance(random_.uniform(0, 5) * 24 * HOUR)
                tally.faults += 1
                rig, line, hand = start()
            elif dice < 0.36:
                hand.settle_doubt()
            elif dice < 0.38:
                _stop_or_start(hand, random_)
            else:
                with contextlib.suppress(StruckDown):
                    hand.step()
                line.down = False
        clock.advance(60 * 24 * HOUR)
        rig.sweep()
        left = rig.store.read(overdue)
        found += [Finding(promise="fired-twice", where=what, what="is due, still") for what in left]
        outside.keep([journal], [world])
        state = rig.state(swept=True)
        found += check(outside.history(state, one_clock=False))
        tally.effects += outside.new_effects()
        tally.in_doubt += outside.new_doubts(state)
        tally.decisions += len(state.decisions)
    except Exception as error:  # nothing that a client or the sweep meets may be of this sort
        what = f"{type(error).__name__}: {error}"
        found.append(Finding(promise="defect", where=f"life {number}", what=what))
    finally:
        rig.close()
    return found


def _stop_or_start(hand: Hand, random_: random.Random) -> None:
    who = Actor(name="local")
    standing = hand.client.call(c.ListStops(), who)
    if standing:
        hand.client.call(c.ClearStop(workflow=standing[0].workflow, reason="over"), who)
    else:
        hand.client.call(c.SetStop(workflow=random_.choice(("*", "pay")), reason="fire"), who)


def run(
    folder: Path,
    *,
    seed: int,
    first: int = 0,
    count: int = 10,
    steps: int = 400,
    stop_at: frozenset[str] = frozenset(),
) -> Tally:
    """`count` lives from number `first` on; fewer where a promise of `stop_at` was broken."""
    tally = Tally(kind="clock jumps")
    for number in range(first, first + count):
        tally.add(number, life(folder, seed, number, steps, tally))
        if tally.promises & stop_at:
            break
    return tally
