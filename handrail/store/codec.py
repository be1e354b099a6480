"""Nouns to stored bytes and back."""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.model.decision import Decision
from handrail.model.decoding import decoder
from handrail.model.outcome import Outcome

CLOCK_US = 86_400_000_000
"""Rows stand in the order they were stored; a clock that was set back by less than this does not
make a walk back in time end too early."""

encode = msgspec.json.Encoder(order="deterministic").encode
"""The stored bytes of a noun: JSON, fields in their order, keys of maps sorted."""

_limits = decoder(dict[str, str])
_texts = decoder(tuple[str, ...])


def encode_texts(texts: tuple[str, ...]) -> str:
    """A tuple of texts as a JSON array in one text column."""
    return encode(texts).decode()


def decode_texts(text: str) -> tuple[str, ...]:
    """The tuple that `encode_texts` stored."""
    return _texts.decode(text)


def encode_limits(limits: dict[str, str]) -> str:
    """A map of texts as a JSON object in one text column."""
    return encode(limits).decode()


def decode_limits(text: str) -> dict[str, str]:
    """The map that `encode_limits` stored."""
    return _limits.decode(text)


_LOW = 2**32 - 1


def split(total: int) -> tuple[int, int]:
    """A whole number as two columns, high * 2^32 + low: their sums add up to its sums."""
    return total >> 32, total & _LOW


def joined(high: int, low: int) -> int:
    """The number that `split` took apart, or the sum of several."""
    return (high << 32) + low


_outcome = decoder(Outcome[Any]).decode


def approved(decision: Decision, outcome: bytes) -> Decision:
    """The decision with what its stored outcome approved in the place of its proposal."""
    return msgspec.structs.replace(decision, proposal=_outcome(outcome).approved)
