"""Nouns to stored bytes and back."""

from __future__ import annotations

import msgspec

encode = msgspec.json.Encoder(order="deterministic").encode
"""The stored bytes of a noun: JSON, fields in their order, keys of maps sorted."""

_limits = msgspec.json.Decoder(dict[str, str])
_texts = msgspec.json.Decoder(tuple[str, ...])


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
