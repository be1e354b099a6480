"""kill -9 of real processes at every named step, and at any moment.

Two sorts of rounds, in turn. *Alone*: one process owns the workspace and works on it with many
threads. *Family*: several processes work on one workspace; one of them owns it, the others are its
clients over its socket, and when the owner is killed the next one takes over. The victim kills
itself when it reaches its step for the n-th time; or it is killed from outside at some moment.

Everything forks from one process without threads, so that a round costs a fraction of a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

import handrail.server.main  # the fork that serves finds it loaded
from handrail.app import Workspace, open_workspace
from handrail.model.errors import Unavailable
from handrail.server.local import serve
from handrail.settings import Settings
from handrail.store.sqlite import STEPS
from tests.faults.checker import Finding, History, check
from tests.faults.evidence import collect
from tests.faults.journal import Journal, effects, ops, read_lines, world_us
from tests.faults.tally import Tally
from tests.faults.world import CLIENT_POINTS, PEOPLE, POLICIES, Hand, register

FLOW_STEPS = (
    "release.before",
    "redeem.before",
    "checkpoint.before_anchor",
    "checkpoint.after_anchor",
)
"""Steps that the verbs name."""
ANY = "any moment"
PLACES = (*STEPS, *FLOW_STEPS, *CLIENT_POINTS, ANY)
"""Where the victim may be struck; every place gets its turn."""
RARE = frozenset(("release.before", "checkpoint.before_anchor", "checkpoint.after_anchor"))

CHAIN = 10
"""Kills that one workspace lives through."""
FAMILY = 3
ALONE_THREADS, FAMILY_THREADS = 5, 2
DOWN_SECONDS = 5
PATIENCE_SECONDS = 2.0
"""A victim that does not reach its step is killed from outside after this."""
HEAD_START_SECONDS = 0.05
"""What a victim gets to become the owner, where it is to die as one."""
GRACE_SECONDS = 120.0
"""A process that does not end by itself after this hangs."""
STEPS_EACH = 40
"""Things each thread does, if nothing strikes it."""
DEFECT = 70
"""Exit code of a process that met an error it must never meet."""

SETTINGS = Settings(sweep_seconds=0.1, checkpoint_seconds=0.15, start_seconds=60.0)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One round."""

    number: int
    family: bool
    place: str
    after: int
    """The n-th time the victim is at that place; for `ANY`: milliseconds."""
    seed: int
    off: int
    """µs the clock runs ahead, for all the downtime so far."""

    @classmethod
    def of(cls, seed: int, number: int, places: Sequence[str] = PLACES) -> Plan:
        random_ = random.Random(f"kill {seed} {number}")
        place = places[number // 2 % len(places)]
        if place == ANY:
            after = random_.randint(20, 700)
        elif place in RARE:
            after = random_.randint(1, 2)
        else:
            after = random_.choice((1, 2, random_.randint(2, 12), random_.randint(5, 40)))
        return cls(
            number=number,
            family=bool(number % 2),
            place=place,
            after=after,
            seed=random_.getrandbits(48),
            off=(number % CHAIN) * DOWN_SECONDS * 1_000_000,
        )


class Victim:
    """Kills its own process when it is at `place` for the n-th time (`after`)."""

    def __init__(self, place: str, after: int) -> None:
        self._place = place
        self._after = after
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        if name != self._place:
            return
        with self._lock:
            self._count += 1
            struck = self._count == self._after
        if struck:
            os.kill(os.getpid(), signal.SIGKILL)


def clock_of(plan: Plan) -> Callable[[], int]:
    return lambda: world_us() + plan.off


def fork(folder: Path, name: str, work: Callable[[], None]) -> int:
    """Run `work` in a new process; what it must never meet is kept in `folder`."""
    pid = os.fork()
    if pid:
        return pid
    code = DEFECT
    try:
        work()
        code = 0
    except BaseException:
        (folder / f"defect-{name}").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def member(folder: Path, plan: Plan, index: int) -> Callable[[], None]:
    """The work of one process of a round. Number 0 is the victim."""
    name = f"{plan.number}.{index}"
    threads = FAMILY_THREADS if plan.family else ALONE_THREADS

    def work() -> None:
        strike: Callable[[str], None] = (
            Victim(plan.place, plan.after) if index == 0 else lambda name: None
        )
        clock = clock_of(plan)
        journal = Journal(folder / "journals" / f"calls-{name}")
        world = Journal(folder / "journals" / f"effects-{name}")
        client = open_workspace(
            folder / "work",
            serve=serve if plan.family else None,
            settings=SETTINGS,
            clock=clock,
            steps=strike,
            channels=(),
        )
        failed: list[BaseException] = []
        hands = [
            Hand(
                client._transport,
                name=f"{name}.{thread}",
                seed=plan.seed + 1000 * index + thread,
                journal=journal,
                effects=world,
                point=strike,
                clock=clock,
            )
            for thread in range(threads)
        ]
        running = [
            threading.Thread(target=_work, args=(hand, failed), daemon=True) for hand in hands
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        if failed:
            raise failed[0]
        client.close()

    return work


def _work(hand: Hand, failed: list[BaseException]) -> None:
    for _ in range(STEPS_EACH):
        try:
            hand.step()
        except Unavailable:
            time.sleep(0.01)  # the owner was killed; the next call finds the next one
        except BaseException as error:
            failed.append(error)
            return


def judge(
    folder: Path, off: int, more: Callable[[History], list[Finding]] = lambda history: []
) -> dict[str, Any]:
    """Open the workspace as the next owner would, let time do its work, and judge.

    `off`: µs the clock runs ahead. `more` is asked as well.
    """
    late = world_us() + off + DOWN_SECONDS * 1_000_000
    started = time.monotonic_ns()
    clock = lambda: late + (time.monotonic_ns() - started) // 1000  # noqa: E731
    workspace = Workspace.own(folder / "work", settings=SETTINGS, clock=clock, channels=())
    if workspace is None:
        return _verdict([Finding(promise="defect", where="the lock", what="is still held")])
    keys = [workspace.signer.key.verifier]
    told = History(
        ops=tuple(ops(lines(folder, "calls-*"))),
        effects=tuple(effects(lines(folder, "effects-*"))),
        state=collect(workspace.ports, workspace.anchor, keys),
    )
    found = check(told)
    if workspace.service.only_reads is not None:
        found.append(
            Finding(promise="cried-wolf", where="start", what=workspace.service.only_reads)
        )
    while workspace.scheduler.step():
        pass
    state = collect(workspace.ports, workspace.anchor, keys, swept=True)
    told = msgspec.structs.replace(told, state=state)
    found += [one for one in check(told) + more(told) if one not in found]
    answer = _verdict(found)
    answer["decisions"] = len(state.decisions)
    answer["effects"] = len(told.effects)
    answer["in_doubt"] = len([e for e in state.entries if b'"type":"grant.in_doubt"' in e])
    workspace.close()
    return answer


def _verdict(found: list[Finding]) -> dict[str, Any]:
    return {
        "found": msgspec.to_builtins(found),
        "decisions": 0,
        "effects": 0,
        "in_doubt": 0,
    }


def lines(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """What the journals of this pattern tell."""
    return [
        line for path in sorted((folder / "journals").glob(pattern)) for line in read_lines(path)
    ]


def make(folder: Path, people: Sequence[str] = PEOPLE) -> None:
    """A workspace with policies and people."""
    policies = folder / "work" / "policies"
    policies.mkdir(parents=True)
    (folder / "journals").mkdir()
    for name, text in POLICIES.items():
        (policies / f"{name}.yaml").write_text(text)

    def work() -> None:
        with open_workspace(folder / "work", settings=SETTINGS, channels=()) as client:
            register(client, people)

    pid = fork(folder, "make", work)
    assert reap([pid], GRACE_SECONDS) == {pid: 0}, defects(folder)


def reap(pids: list[int], seconds: float) -> dict[int, int]:
    """Wait for processes; status of each that ended in time."""
    ended: dict[int, int] = {}
    until = time.monotonic() + seconds
    while len(ended) < len(pids) and time.monotonic() < until:
        for pid in pids:
            if pid not in ended:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    ended[pid] = status
        time.sleep(0.005)
    return ended


def one(folder: Path, plan: Plan) -> tuple[str | None, list[Finding]]:
    """One round: where the victim was struck (None: it got away), and what was found."""
    pids = []
    for index in range(FAMILY if plan.family else 1):
        if index == 1 and plan.place not in CLIENT_POINTS:
            time.sleep(HEAD_START_SECONDS)
        pids.append(fork(folder, f"{plan.number}.{index}", member(folder, plan, index)))
    victim = pids[0]
    wait = plan.after / 1000 if plan.place == ANY else PATIENCE_SECONDS
    ended = reap([victim], wait)
    struck: str | None = plan.place
    if victim not in ended:
        struck = ANY
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        ended |= reap([victim], GRACE_SECONDS)
    if not os.WIFSIGNALED(ended.get(victim, 0)):
        struck = None
    ended |= reap(pids[1:], GRACE_SECONDS)
    found = []
    for index, pid in enumerate(pids):
        if pid not in ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            where = f"process {plan.number}.{index}"
            found.append(Finding(promise="defect", where=where, what="hangs"))
    return struck, found + defects(folder)


def defects(folder: Path) -> list[Finding]:
    found = []
    for path in sorted(folder.glob("defect-*")):
        found.append(Finding(promise="defect", where=path.name, what=path.read_text()))
        path.unlink()
    return found


def run(
    folder: Path,
    *,
    seed: int,
    first: int = 0,
    count: int = 20,
    places: Sequence[str] = PLACES,
    told: Callable[[int, list[Finding]], None] = lambda number, found: None,
) -> Tally:
    """`count` kills from number `first` on; what each does follows from `seed` and its number.

    `places`: strike only there. Must be called in a process that has no threads.
    """
    assert threading.active_count() == 1, "forking needs a process without threads"
    assert handrail.server.main is not None
    tally = Tally(kind="kills")
    here: Path | None = None
    before = {"decisions": 0, "effects": 0, "in_doubt": 0}
    for number in range(first, first + count):
        if here is None or number % CHAIN == 0:
            here = folder / f"kill-{seed}-{number}"
            make(here)
            before = dict.fromkeys(before, 0)
        plan = Plan.of(seed, number, places)
        struck, found = one(here, plan)
        answer = apart(here, partial(judge, here, plan.off))
        found += msgspec.convert(answer["found"], list[Finding])
        tally.faults += struck is not None
        tally.struck[f"{'family' if plan.family else 'alone'}: {struck or 'got away'}"] += 1
        tally.decisions += answer["decisions"] - before["decisions"]
        tally.effects += answer["effects"] - before["effects"]
        tally.in_doubt += answer["in_doubt"] - before["in_doubt"]
        before = {name: answer[name] for name in before}
        tally.add(number, found)
        told(number, found)
        if found or number % CHAIN == CHAIN - 1:
            if not found:
                shutil.rmtree(here)
            here = None
    return tally


def apart(folder: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of `work`, which may start threads, from a process of its own."""
    answer = folder / "answer"
    answer.unlink(missing_ok=True)
    pid = fork(folder, "judge", lambda: _write(answer, work()))
    ended = reap([pid], 10 * GRACE_SECONDS)
    if pid not in ended:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if not answer.exists():
        hangs = Finding(promise="defect", where="the next start", what="hangs")
        return _verdict(defects(folder) or [hangs])
    return dict(json.loads(answer.read_bytes()))


def _write(path: Path, answer: dict[str, Any]) -> None:
    path.write_bytes(msgspec.json.encode(answer))
