"""Nouns to stored bytes and back."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from handrail.model.versions import ListEntry

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


def list_body(entries: Iterable[ListEntry]) -> bytes:
    """What the log commits to of a stored list: its values, each with the end of its time."""
    return encode(sorted((entry.value, entry.expires_at) for entry in entries))
