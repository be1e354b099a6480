"""A clock that moves only when a test says so."""

from __future__ import annotations

import threading

SECOND = 1_000_000
"""µs."""


class FakeClock:
    """Give an instance wherever a clock is wanted: calling it returns µs since 1970 UTC.

    >>> clock = FakeClock(start=1_000_000)
    >>> clock()
    1000000
    >>> clock.advance(1.5)
    2500000
    >>> clock()
    2500000
    """

    def __init__(self, start: int = 1_795_248_000 * SECOND) -> None:
        """`start` in µs; 2026-11-21T08:00:00Z unless given."""
        self._now = start
        self._lock = threading.Lock()

    def __call__(self) -> int:
        return self._now

    def advance(self, seconds: float) -> int:
        """Let `seconds` pass; returns the new time in µs."""
        with self._lock:
            self._now += round(seconds * SECOND)
            return self._now

    def set(self, at: int) -> None:
        """Jump to `at` (µs), also backwards, as real clocks do."""
        with self._lock:
            self._now = at
