"""Nouns to stored bytes and back."""

from __future__ import annotations

import msgspec

encode = msgspec.json.Encoder(order="deterministic").encode
"""The stored bytes of a noun: JSON, fields in their order, keys of maps sorted."""

_texts = msgspec.json.Decoder(tuple[str, ...])


def encode_texts(texts: tuple[str, ...]) -> str:
    """A tuple of texts as a JSON array in one text column."""
    return encode(texts).decode()


def decode_texts(text: str) -> tuple[str, ...]:
    """The tuple that `encode_texts` stored."""
    return _texts.decode(text)
