"""Identifiers: made by the server, ordered by time, with a prefix that says what they name.

26 characters of Crockford's base 32 (lower case): 48 bits of milliseconds, 80 random bits.
Source: the ULID layout, https://github.com/ulid/spec.
"""

from __future__ import annotations

import secrets

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

_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]


def new_id(prefix: str, now_us: int) -> str:
    """A new id such as `d_01kakz…`, for a thing made at `now_us` (µs since 1970 UTC)."""
    number = (now_us // 1000) << 80 | secrets.randbits(80)
    pairs = _PAIRS
    digits = [pairs[number >> shift & 1023] for shift in range(120, -1, -10)]
    return prefix + "_" + "".join(digits)


def is_id(text: object, prefix: str) -> bool:
    """Whether `text` has the shape of an id with this prefix."""
    return (
        isinstance(text, str)
        and len(text) == len(prefix) + 27
        and text.startswith(prefix + "_")
        and all(c in ALPHABET for c in text[len(prefix) + 1 :])
    )
