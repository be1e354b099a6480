"""Identifiers: made by the server, ordered by time, with a prefix that says what they name.

26 characters of Crockford's base 32 (lower case): 48 bits of milliseconds, 80 random bits.
Source: the ULID layout, https://github.com/ulid/spec.
"""

from __future__ import annotations

import os

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PREFIXES = {
    "d": "decision",
    "r": "review",
    "v": "vote",
    "g": "grant",
    "p": "person",
    "n": "notice",
    "l": "label",
    "k": "claim token",
    "t": "API token",
    "i": "invitation",
    "b": "batch of observations",
}

_LETTERS = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))
"""One of 32 characters for each byte, each as often as the others."""
_DRAWN = 256
"""Ids for which the system's random source is asked at once: each asking is a system call."""
_TIME_MASK = (1 << 48) - 1

_spare: list[str] = []
"""Random parts drawn ahead; each is taken once, whichever thread takes it."""
_stamp: tuple[int, str] = (0, "0" * 10)
"""The latest millisecond and how it is written."""

if hasattr(os, "register_at_fork"):
    # A child must not make the ids that its parent will make.
    os.register_at_fork(after_in_child=_spare.clear)


def new_id(prefix: str, now_us: int) -> str:
    """A new id such as `d_01kakz…`, for a thing made at `now_us` (µs since 1970 UTC)."""
    global _stamp
    at = now_us // 1000
    known, stamp = _stamp
    if known != at:
        number = at & _TIME_MASK
        stamp = "".join([ALPHABET[number >> shift & 31] for shift in range(45, -1, -5)])
        _stamp = at, stamp
    try:
        random = _spare.pop()
    except IndexError:
        drawn = os.urandom(16 * _DRAWN).translate(_LETTERS).decode("ascii")
        _spare.extend([drawn[at : at + 16] for at in range(16, len(drawn), 16)])
        random = drawn[:16]
    return f"{prefix}_{stamp}{random}"


def is_id(text: object, prefix: str) -> bool:
    """Whether `text` has the shape of an id with this prefix."""
    return (
        isinstance(text, str)
        and len(text) == len(prefix) + 27
        and text.startswith(prefix + "_")
        and all(c in ALPHABET for c in text[len(prefix) + 1 :])
    )
