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

_PAIRS = tuple(a + b for a in ALPHABET for b in ALPHABET)


def new_id(prefix: str, now_us: int) -> str:
    """A new id such as `d_01kakz…`, for a thing made at `now_us` (µs since 1970 UTC)."""
    number = (now_us // 1000) << 80 | int.from_bytes(secrets.token_bytes(10))
    pair = _PAIRS
    # Written out: a loop takes more than twice as long, and a submit makes three ids.
    return (
        f"{prefix}_{pair[number >> 120 & 1023]}{pair[number >> 110 & 1023]}"
        f"{pair[number >> 100 & 1023]}{pair[number >> 90 & 1023]}{pair[number >> 80 & 1023]}"
        f"{pair[number >> 70 & 1023]}{pair[number >> 60 & 1023]}{pair[number >> 50 & 1023]}"
        f"{pair[number >> 40 & 1023]}{pair[number >> 30 & 1023]}{pair[number >> 20 & 1023]}"
        f"{pair[number >> 10 & 1023]}{pair[number & 1023]}"
    )


def is_id(text: object, prefix: str) -> bool:
    """Whether `text` has the shape of an id with this prefix."""
    return (
        isinstance(text, str)
        and len(text) == len(prefix) + 27
        and text.startswith(prefix + "_")
        and all(c in ALPHABET for c in text[len(prefix) + 1 :])
    )
