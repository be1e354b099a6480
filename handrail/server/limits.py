"""How much one address, token or session may ask in a short time."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

MOST = 50_000
"""Names remembered; the one that asked least recently is forgotten first."""


class Buckets:
    """A token bucket for each name: `rate` a second, up to `burst` at once. Used on one thread.

    >>> at = 0.0
    >>> buckets = Buckets(rate=1, burst=2, clock=lambda: at)
    >>> [buckets.take("ann") for _ in range(3)]
    [0, 0, 1]
    >>> at = 1.0
    >>> buckets.take("ann")
    0
    """

    def __init__(
        self,
        *,
        rate: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> int:
        """Take one for `name`: 0 where there was one, else whole seconds until there is."""
        if self._rate <= 0:
            return 0
        now = self._clock()
        left, since = self._left.pop(name, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        taken = left >= 1
        self._left[name] = (left - 1 if taken else left, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0 if taken else max(1, math.ceil((1 - left) / self._rate))

    def __len__(self) -> int:
        return len(self._left)
