"""Races: many people answer one review at the same moment, from threads and from processes.

Each round has one winner and one effect, and every loser is told who won, with what, and when.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from handrail.client import Client
from handrail.client.transport import Transport
from handrail.model import commands as c
from handrail.model.errors import AlreadyRun, HandrailError, NotAllowed
from handrail.model.people import Actor
from tests.faults.checker import Finding
from tests.faults.journal import Journaled, Memory, Sink, effect_digest, world_us
from tests.faults.rig import Outside, Rig
from tests.faults.tally import Tally
from tests.faults.world import PAY, person

THREADS = 50
PROCESSES = 8
RUNNERS = 4
"""Workers that try to run the one effect at the same moment."""

SAID: tuple[Literal["approve", "edit", "reject"], ...] = ("approve", "edit", "reject")


class Racer:
    """One person with a finger on the key, and later one worker with a finger on the effect."""

    def __init__(
        self, transport: Transport, name: str, journal: Sink, effects: Sink, seed: object
    ) -> None:
        self.name = name
        self._client = Client(Journaled(transport, journal, name), Actor(name="local"))
        self._effects = effects
        self._random = random.Random(f"{seed} {name}")

    def look(self, review: str) -> c.CastVote:
        """Paint the card, and choose."""
        card = self._client.call(c.GetReview(review_id=review), person(self.name))
        said = self._random.choice(SAID)
        return c.CastVote(
            review_id=review,
            said=said,
            card=card.digest,
            reason=None if said == "approve" else "wrong",
            edits={"amount": self._random.randint(101, 900)} if said == "edit" else {},
        )

    def press(self, vote: c.CastVote) -> bool:
        """Vote; whether it won."""
        try:
            self._client.call(vote, person(self.name))
        except HandrailError:
            return False
        return True

    def run(self, decision_id: str, workflow: str, subject: str, facts: dict[str, Any]) -> bool:
        """Run the effect, if it may run and nobody else does; whether it ran."""
        outcome = self._client.call(c.WaitOutcome(decision_id=decision_id, wait=10.0))
        try:
            with self._client.run(outcome) as run:
                if not run:
                    return False
                line = {"grant": run.key, "decision": decision_id, "run": run._name}
                ran = effect_digest(workflow, subject, facts, run.value)
                self._effects.write({**line, "say": "begin", "digest": ran, "at": world_us()})
                self._effects.write({**line, "say": "end", "at": world_us()})
                return True
        except (AlreadyRun, NotAllowed):
            return False


def submit_one(client: Client, number: int) -> tuple[str, str, str, dict[str, Any]]:
    """A held decision: (review, decision, subject, facts)."""
    subject = f"race-{number}"
    facts = {"account": subject}
    ruling = client.submit("pay", key=subject, facts=facts, proposal={"amount": 150})
    assert ruling.review_id is not None
    return ruling.review_id, ruling.decision_id, subject, facts


def together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all of it at the same moment, each in a thread; their answers."""
    gate = threading.Barrier(len(works))
    answers: list[Any] = [None] * len(works)
    failed: list[BaseException] = []

    def one(index: int) -> None:
        gate.wait()
        try:
            answers[index] = works[index]()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return answers


def judge_round(wins: int, effects: int, allowed: bool) -> list[tuple[str, str]]:
    """What the shape of one round must be, beside the promises."""
    found = []
    if wins != 1:
        found.append(("decided-twice", f"{wins} people were told that their vote counts"))
    if effects != int(allowed):
        found.append(("ran-twice", f"{effects} effects; expected {int(allowed)}"))
    return found


def in_process(
    folder: Path,
    *,
    seed: int,
    rounds: int,
    threads: int = THREADS,
    stop_at_finding: bool = False,
) -> Tally:
    """Threads of one process on one store."""
    tally = Tally(kind="races in threads")
    outside = Outside()
    rig = Rig(str(folder / f"race-{seed}-{secrets.token_hex(4)}.db"), outside)
    rig.start([PAY])
    rig.call(c.SetStop(workflow="pay", reason="only people decide in a race"), Actor(name="local"))
    handles = [f"racer{number}@example.org" for number in range(threads)]
    for handle in handles:
        rig.call(c.SetPerson(handle=handle, holds=("team:money",)), Actor(name="local"))
    journal, world = Memory(), Memory()
    client = Client(Journaled(rig, journal, "submitter"), Actor(name="local"))
    racers = [Racer(rig, handle, journal, world, seed) for handle in handles]
    try:
        for number in range(rounds):
            review, decision, subject, facts = submit_one(client, number)
            votes = together([_looking(racer, review) for racer in racers])
            pressing = [_pressing(racer, vote) for racer, vote in zip(racers, votes, strict=True)]
            wins = sum(together(pressing))
            running = [_running(r, decision, subject, facts) for r in racers[:RUNNERS]]
            effects = sum(together(running))
            outcome = rig.call(c.WaitOutcome(decision_id=decision), Actor(name="local"))
            tally.faults += 1
            tally.decisions += 1
            tally.effects += effects
            tally.add(
                number,
                [
                    Finding(promise=promise, where=review, what=what)
                    for promise, what in judge_round(wins, effects, outcome.allowed)
                ],
            )
            if tally.found and stop_at_finding:
                break
        rig.sweep()
        outside.keep([journal], [world])
        tally.add(rounds, rig.judge())
    finally:
        rig.close()
    return tally


def _looking(racer: Racer, review: str) -> Callable[[], c.CastVote]:
    return lambda: racer.look(review)


def _pressing(racer: Racer, vote: c.CastVote) -> Callable[[], bool]:
    return lambda: racer.press(vote)


def _running(
    racer: Racer, decision: str, subject: str, facts: dict[str, Any]
) -> Callable[[], bool]:
    return lambda: racer.run(decision, "pay", subject, facts)
