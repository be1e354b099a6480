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

_LETTERS = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))
"""One of 32 characters for each byte, each as often as the others."""
_TIME_MASK = (1 << 48) - 1

_stamp: tuple[int, str] = (0, "0" * 10)
"""The latest millisecond and how it is written."""


def new_id(prefix: str, now_us: int) -> str:
    """A new id such as `d_01kakz…`, for a thing made at `now_us` (µs since 1970 UTC)."""
    global _stamp
    at = now_us // 1000
    known, stamp = _stamp
    if known != at:
        number = at & _TIME_MASK
        stamp = "".join([ALPHABET[number >> shift & 31] for shift in range(45, -1, -5)])
        _stamp = at, stamp
    random = secrets.token_bytes(16).translate(_LETTERS).decode("ascii")
    return f"{prefix}_{stamp}{random}"


def is_id(text: object, prefix: str) -> bool:
    """Whether `text` has the shape of an id with this prefix."""
    return (
        isinstance(text, str)
        and len(text) == len(prefix) + 27
        and text.startswith(prefix + "_")
        and all(c in ALPHABET for c in text[len(prefix) + 1 :])
    )
