"""Races: many people answer one review at the same moment, from threads and from processes.

Each round has one winner and one effect, and every loser is told who won, with what, and when.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from handrail.app import open_workspace
from handrail.client import Client
from handrail.client.transport import Transport
from handrail.model import commands as c
from handrail.model.errors import AlreadyRun, HandrailError, NotAllowed
from handrail.model.people import Actor
from handrail.server.local import serve
from tests.faults import kills
from tests.faults.checker import ALLOWS, Finding, History, check
from tests.faults.journal import Journal, Journaled, Memory, Sink, effect_digest, world_us
from tests.faults.rig import PROGRAM, Outside, Rig
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
        self,
        transport: Transport,
        name: str,
        journal: Sink,
        effects: Sink,
        seed: object,
        program: Actor = PROGRAM,
    ) -> None:
        """`program`: who runs effects."""
        self.name = name
        self._client = Client(Journaled(transport, journal, name), program)
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

    def run(self, decision_id: str, number: int) -> bool:
        """Run the effect, if it may run and nobody else does; whether it ran."""
        facts = facts_of(number)
        outcome = self._client.call(c.WaitOutcome(decision_id=decision_id, wait=10.0))
        try:
            with self._client.run(outcome) as run:
                if not run:
                    return False
                line = {"grant": run.key, "decision": decision_id, "run": run._name}
                ran = effect_digest("pay", facts["account"], facts, run.value)
                self._effects.write({**line, "say": "begin", "digest": ran, "at": world_us()})
                self._effects.write({**line, "say": "end", "at": world_us()})
                return True
        except (AlreadyRun, NotAllowed):
            return False


def facts_of(number: int) -> dict[str, Any]:
    """What the decision of a round is about."""
    return {"account": f"race-{number}"}


def submit_one(client: Client, number: int) -> tuple[str, str]:
    """A held decision: (review, decision)."""
    facts = facts_of(number)
    ruling = client.submit("pay", key=facts["account"], facts=facts, proposal={"amount": 150})
    assert ruling.review_id is not None
    return ruling.review_id, ruling.decision_id


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


def shape(history: History) -> list[Finding]:
    """What every round must look like, beside the promises: one vote counts, one effect runs."""
    votes = Counter(op.args["review_id"] for op in history.acked("CastVote"))
    ran = Counter(effect.decision for effect in history.effects)
    found = []
    for review in history.state.reviews:
        if votes[review.id] != 1:
            what = f"{votes[review.id]} people were told that their vote counts"
            found.append(Finding(promise="decided-twice", where=review.id, what=what))
        wanted = int(review.verdict in ALLOWS)
        if ran[review.lead] != wanted:
            what = f"{ran[review.lead]} effects; expected {wanted}"
            found.append(Finding(promise="ran-twice", where=review.id, what=what))
    return found


def in_process(folder: Path, *, seed: int, rounds: int, threads: int = THREADS) -> Tally:
    """Threads of one process on one store."""
    outside = Outside()
    rig = Rig(str(folder / f"race-{seed}.db"), outside)
    rig.start([PAY])
    people = _handles(threads)
    for handle in people:
        rig.call(c.SetPerson(handle=handle, holds=("team:money",)), PROGRAM)
    journal, world = Memory(), Memory()
    client = Client(Journaled(rig, journal, "submitter"), PROGRAM)
    racers = [Racer(rig, handle, journal, world, seed) for handle in people]
    try:
        for number in range(rounds):
            review, decision = submit_one(client, number)
            votes = together([_looking(racer, review) for racer in racers])
            together([_pressing(racer, vote) for racer, vote in zip(racers, votes, strict=True)])
            together([_running(racer, decision, number) for racer in racers[:RUNNERS]])
        outside.keep([journal], [world])
        history = outside.history(rig.state())
        return _tally("races of threads", rounds, history)
    finally:
        rig.close()


def _tally(kind: str, rounds: int, history: History) -> Tally:
    tally = Tally(kind=kind, faults=rounds)
    tally.decisions, tally.effects = len(history.state.decisions), len(history.effects)
    tally.add(rounds, check(history) + shape(history))
    return tally


def _handles(many: int) -> list[str]:
    return [f"racer{number}@example.org" for number in range(many)]


def _looking(racer: Racer, review: str) -> Callable[[], c.CastVote]:
    return lambda: racer.look(review)


def _pressing(racer: Racer, vote: c.CastVote) -> Callable[[], bool]:
    return lambda: racer.press(vote)


def _running(racer: Racer, decision: str, number: int) -> Callable[[], bool]:
    return lambda: racer.run(decision, number)


# ------------------------------------------------------------------------------ processes


def across_processes(
    folder: Path, *, seed: int, rounds: int, processes: int = PROCESSES, people: int = THREADS
) -> Tally:
    """Threads of several processes, one of which owns the workspace; the others reach it over its
    socket. Must be called in a process that has no threads."""
    here = folder / f"race-{seed}"
    kills.make(here, _handles(people))
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(processes)
    chosen = context.Array("c", 100, lock=False)
    pids = [
        kills.fork(here, f"race.{index}", _racing(here, index, seed, rounds, gate, chosen, people))
        for index in range(processes)
    ]
    ended = kills.reap(pids, 120 + rounds * 2.0)
    found = kills.defects(here)
    for index, pid in enumerate(pids):
        if pid not in ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            found.append(Finding(promise="defect", where=f"process {index}", what="hangs"))
    answer = kills.apart(here, lambda: kills.judge(here, 0, shape))
    tally = Tally(kind="races of processes", faults=rounds)
    tally.decisions, tally.effects = answer["decisions"], answer["effects"]
    tally.add(rounds, found + msgspec.convert(answer["found"], list[Finding]))
    return tally


def _racing(
    folder: Path, index: int, seed: int, rounds: int, gate: Any, chosen: Any, people: int
) -> Callable[[], None]:
    """The work of one process: its share of the people, and round after round with the others."""

    def work() -> None:
        client = open_workspace(folder / "work", serve=serve, settings=kills.SETTINGS, channels=())
        journal = Journal(folder / "journals" / f"calls-{index}")
        world = Journal(folder / "journals" / f"effects-{index}")
        submitter = Client(Journaled(client._transport, journal, f"{index}"), PROGRAM)
        racers = [
            Racer(client._transport, handle, journal, world, seed)
            for handle in _handles(people)[index::PROCESSES]
        ]
        for number in range(rounds):
            if index == 0:
                chosen.value = " ".join(submit_one(submitter, number)).encode()
            gate.wait(kills.GRACE_SECONDS)
            review, decision = chosen.value.decode().split()
            votes = together([_looking(racer, review) for racer in racers])
            gate.wait(kills.GRACE_SECONDS)
            together([_pressing(racer, vote) for racer, vote in zip(racers, votes, strict=True)])
            together([_running(racers[0], decision, number)])
            gate.wait(kills.GRACE_SECONDS)
        client.close()

    return work
