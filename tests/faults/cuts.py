"""Power cuts: a machine works on one disk, dies at a random write, and starts again, and again.

What was told before each cut is known, because the journals lie outside the machine.
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from handrail.model.errors import HandrailError, Unavailable
from handrail.store.sqlite import writer
from tests.faults.checker import Finding, check
from tests.faults.journal import Memory, world_us
from tests.faults.powercut import PowerCut
from tests.faults.rig import Outside, Rig
from tests.faults.tally import Tally
from tests.faults.world import Hand

CHAIN = 10
"""Cuts that one disk lives through before a new one is taken."""
HANDS = 3
DOWN_SECONDS = 5
"""How long the machine stays off: leases and undo times end meanwhile."""
PAGES = 50
"""Pages of write-ahead log after which the writer copies them back: cuts strike there too."""
EARLIEST, LATEST = 4, 12_000
"""Changes of files after which the power goes."""


class Clock:
    """The real clock, and the hours a machine was off."""

    def __init__(self) -> None:
        self._off = 0

    def __call__(self) -> int:
        return world_us() + self._off

    def pass_seconds(self, seconds: float) -> None:
        self._off += round(seconds * 1_000_000)


def cut_once(
    path: Path, outside: Outside, clock: Clock, random_: random.Random, name: str
) -> tuple[int, list[Finding]]:
    """Start on the disk at `path`, work, and cut.

    Returns how many decisions were submitted, and what no client must ever meet.
    """
    moment = math.exp(random_.uniform(math.log(EARLIEST), math.log(LATEST)))
    vfs = PowerCut(f"cut-{name}", after=int(moment))
    journals = [Memory(vfs.alive) for _ in range(HANDS)]
    worlds = [Memory(vfs.alive) for _ in range(HANDS)]
    hands: list[Hand] = []
    failed: list[BaseException] = []
    rig = None
    try:
        rig = Rig(str(path), outside, clock=clock, vfs=vfs.name)
        rig.start()
        hands = [
            Hand(
                rig,
                name=f"{name}.{number}",
                seed=random_.getrandbits(64),
                journal=journals[number],
                effects=worlds[number],
                clock=clock,
            )
            for number in range(HANDS)
        ]
        works = [*(hand.step for hand in hands), _time(rig, random_.getrandbits(64))]
        threads = [
            threading.Thread(target=_until_dark, args=(vfs, work, failed), daemon=True)
            for work in works
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs after the power was cut"
    except (Unavailable, apsw.Error) as error:
        if vfs.alive():
            failed.append(error)
    finally:
        vfs.cut()
        if rig is not None:
            with contextlib.suppress(HandrailError, apsw.Error):
                rig.close()
    outside.keep(journals, worlds)
    vfs.leave(random_)
    vfs.unregister()
    return sum(hand.submitted for hand in hands), [
        Finding(promise="defect", where=name, what=f"{type(error).__name__}: {error}")
        for error in failed
    ]


def _time(rig: Rig, seed: int) -> Callable[[], None]:
    """What the scheduler does."""
    random_ = random.Random(seed)
    pause = threading.Event()

    def step() -> None:
        rig.sweep()
        if random_.random() < 0.2:
            rig.checkpoint()
        pause.wait(0.01)

    return step


def _until_dark(vfs: PowerCut, work: Callable[[], None], failed: list[BaseException]) -> None:
    while vfs.alive():
        try:
            work()
        except Unavailable as error:
            if vfs.alive():
                failed.append(error)
                vfs.cut()
        except BaseException as error:
            failed.append(error)
            vfs.cut()


@contextlib.contextmanager
def early_checkpoints() -> Iterator[None]:
    """Let the writer copy its log back often, as it does after 16 MB."""
    usual = writer.CHECKPOINT_PAGES
    writer.CHECKPOINT_PAGES = PAGES
    try:
        yield
    finally:
        writer.CHECKPOINT_PAGES = usual


def run(
    folder: Path,
    *,
    seed: int,
    first: int = 0,
    count: int = 50,
    stop_at: frozenset[str] = frozenset(),
    told: Callable[[int, list[Finding]], None] = lambda number, found: None,
) -> Tally:
    """`count` cuts from number `first` on; what each does follows from `seed` and its number.

    Ends early where one of the promises of `stop_at` was broken.
    """
    tally = Tally(kind="cuts")
    outside, clock, path = Outside(), Clock(), folder / "none.db"
    with early_checkpoints():
        for number in range(first, first + count):
            if number == first or number % CHAIN == 0:
                outside, clock = Outside(), Clock()
                path = folder / f"cut-{seed}-{number}.db"
            random_ = random.Random(f"cut {seed} {number}")
            many, found = cut_once(path, outside, clock, random_, f"{seed}-{number}")
            tally.decisions += many
            tally.faults += 1
            clock.pass_seconds(DOWN_SECONDS)
            found += after(path, outside, clock, tally)
            told(number, found)
            tally.add(number, found)
            if tally.promises & stop_at:
                break
            if found or number % CHAIN == CHAIN - 1:
                for left in folder.glob(f"{path.name}*"):
                    left.unlink()
            if found:
                outside, clock = Outside(), Clock()
    return tally


def after(path: Path, outside: Outside, clock: Clock, tally: Tally) -> list[Finding]:
    """Start again with the power on, and judge, before and after what fell due meanwhile."""
    rig = None
    try:
        rig = Rig(str(path), outside, clock=clock)
        if rig.store.refusal is not None:
            return [Finding(promise="broken-log", where=path.name, what=rig.store.refusal)]
        found = rig.judge()
        if not found:
            rig.sweep()
            state = rig.state(swept=True)
            found = check(outside.history(state))
            tally.effects += outside.new_effects()
            tally.in_doubt += outside.new_doubts(state)
        return found
    except Exception as error:  # whatever is on that disk, the product cannot read it
        what = f"cannot be read: {type(error).__name__}: {error}"
        return [Finding(promise="broken-log", where=path.name, what=what)]
    finally:
        if rig is not None:
            rig.close()
