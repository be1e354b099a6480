"""The machine's clock, as stores read it."""

from __future__ import annotations

import time


def now_us() -> int:
    """µs since 1970 UTC, by the machine's clock."""
    return time.time_ns() // 1000
