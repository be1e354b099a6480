"""One loop for all that time does: deadlines, workflows by the clock, notices, checkpoints."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Sequence

from handrail.flow import Ports, checkpoint, deliver, let_go, mend, sweep, tick
from handrail.model.errors import HandrailError
from handrail.ports import MISSED, Anchor, Channel, Signer

MOST_DUE = 10_000
"""Moments remembered; what falls due beyond these waits for the next regular look."""
FAR = 2**62
"""A time that does not come, µs UTC."""
LET_GO_SECONDS = 600.0
"""Pause between two looks for what nobody looks back to any more."""
MEND_SECONDS = 86_400.0
"""Pause between two comparisons of what aggregates are read from with its sources."""
LOOK_SECONDS = 60.0
"""The clock's workflows are looked at at least this often, whatever was heard."""
LOUDEST_SECONDS = 30.0
"""Pause after a failure grows up to this."""

_log = logging.getLogger("handrail.scheduler")


class Scheduler:
    """Sweeps when something falls due, and at least every `sweep_seconds`.

    `heard` is told of every commit; it wakes the loop for what falls due before its next look.
    A failure is logged and tried again; it never ends the loop.
    """

    def __init__(
        self,
        ports: Ports,
        *,
        channels: Sequence[Channel],
        signer: Signer,
        anchor: Anchor,
        now_us: Callable[[], int],
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._ports = ports
        self._channels = channels
        self._signer = signer
        self._anchor = anchor
        self._now_us = now_us
        self._refresh = refresh
        self._condition = threading.Condition()
        self._due: list[int] = []  # a heap of µs UTC
        self._grown = True
        last = anchor.last()
        self._anchored = last.size if last else 0
        self._stopped = False
        self._look = False
        """Whether the loop is to look at once, also where it pauses after a failure."""
        self._moments: dict[str, int] = {}
        self._moment_at = 0
        """When the clock hands something in next, µs UTC; 0: to be looked up."""
        self._changes = 0
        self._looked = -LOOK_SECONDS
        self._let_go_at = time.monotonic() + LET_GO_SECONDS
        self._mend_at = 0.0
        self._checkpoint_at = time.monotonic() + ports.settings.checkpoint_seconds
        self._thread = threading.Thread(target=self._loop, name="handrail-scheduler", daemon=True)

    def start(self) -> None:
        """Start the loop in a thread of its own."""
        self._thread.start()

    def heard(self, topics: frozenset[str], due: int | None) -> None:
        """A commit happened, after which the earliest thing falls due at `due` (µs UTC)."""
        with self._condition:
            self._grown = True
            if "policies" in topics or MISSED in topics:
                self._moment_at = 0
                self._changes += 1
            if MISSED in topics:
                # The store is back, or hears again: whatever it waited for is looked at now.
                self._look = True
                self._condition.notify()
            if due is not None and len(self._due) < MOST_DUE:
                heapq.heappush(self._due, due)
                if self._due[0] == due:
                    self._condition.notify()

    def step(self) -> int:
        """Do what is due now; returns how many things were done."""
        with self._condition:
            while self._due and self._due[0] <= self._now_us():
                heapq.heappop(self._due)
        done = 0
        while found := sweep(self._ports):
            done += found
        done += self._tick()
        done += deliver(self._ports, self._channels)
        if time.monotonic() >= self._let_go_at:
            self._let_go_at = time.monotonic() + LET_GO_SECONDS
            let_go(self._ports)
            if time.monotonic() >= self._mend_at:
                self._mend_at = time.monotonic() + MEND_SECONDS
                for wrong in mend(self._ports):
                    _log.warning(
                        "%s was made again from what is stored: %s",
                        ", ".join(wrong.aggregates),
                        wrong.why,
                    )
        if self._grown:
            settings = self._ports.settings
            size = self._ports.store.read(lambda tx: tx.audit.size())
            if (
                size - self._anchored >= settings.checkpoint_entries
                or time.monotonic() >= self._checkpoint_at
            ):
                self.checkpoint()
        return done

    def _tick(self) -> int:
        """Hand in what the clock wants, where its moment has come or the policies changed."""
        now = time.monotonic()
        if self._moment_at > self._now_us() and now < self._looked + LOOK_SECONDS:
            return 0
        if now >= self._looked + LOOK_SECONDS:
            # Nobody may ever submit to these workflows, so nobody else looks at the files for them.
            self._refresh()
        self._looked, changes = now, self._changes
        done, then = tick(self._ports, self._moments)
        with self._condition:
            # Not where policies changed meanwhile: they are looked at in the next step.
            if self._changes == changes:
                self._moment_at = FAR if then is None else then
                if then is not None and then > self._now_us() and len(self._due) < MOST_DUE:
                    heapq.heappush(self._due, then)
        return done

    def checkpoint(self) -> None:
        """Sign and anchor the head of the log, where it has grown."""
        self._grown = False
        self._checkpoint_at = time.monotonic() + self._ports.settings.checkpoint_seconds
        signed = checkpoint(self._ports, self._signer, self._anchor)
        if signed is not None:
            self._anchored = signed.size

    def stop(self) -> None:
        """End the loop; a step under way is finished."""
        with self._condition:
            self._stopped = True
            self._condition.notify()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _loop(self) -> None:
        pause = 0.0
        while True:
            try:
                self.step()
                pause = 0.0
            except HandrailError as error:
                pause = self._failed(pause, "the scheduler cannot do its work now: %s", error)
            except Exception as error:
                _log.exception("the scheduler met an error of its own")
                pause = self._failed(pause, "it goes on after %s", type(error).__name__)
            until = time.monotonic() + (pause or self._ports.settings.sweep_seconds)
            with self._condition:
                while not self._stopped and not self._look:
                    left = until - time.monotonic()
                    if not pause and self._due:
                        left = min(left, (self._due[0] - self._now_us()) / 1_000_000)
                    if left <= 0:
                        break
                    self._condition.wait(left)
                self._look = False
                if self._stopped:
                    return

    def _failed(self, pause: float, sentence: str, what: object) -> float:
        pause = min(LOUDEST_SECONDS, max(0.2, pause * 2))
        _log.warning(sentence + "; next try in %.1f s", what, pause)
        return pause
