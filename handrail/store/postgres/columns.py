"""Rows that are sent together, as one binary array a column.

The driver's own arrays cost more than the insert they are for; this knows the four types that
are needed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from psycopg.adapt import AdaptersMap, Buffer, Dumper
from psycopg.pq import Format

_BOOL, _BYTEA, _INT8, _TEXT = 16, 17, 20, 25
_BOOLS, _BYTEAS, _INT8S, _TEXTS = 1000, 1001, 1016, 1009

_header = struct.Struct(">iiiii").pack
_size = struct.Struct(">i").pack
_int8 = struct.Struct(">iq").pack
_NULL = _size(-1)
_TRUE, _FALSE = _size(1) + b"\1", _size(1) + b"\0"


class Texts(bytes):
    """`text[]` as it is sent."""


class Bytes(bytes):
    """`bytea[]` as it is sent."""


class Numbers(bytes):
    """`bigint[]` as it is sent."""


class Flags(bytes):
    """`boolean[]` as it is sent."""


def stored_text(text: str) -> bytes:
    """How a text is stored. PostgreSQL's text holds every character but U+0000, which JSON can: it
    becomes U+0001 "0", and U+0001 itself U+0001 "1"."""
    if "\x00" in text or "\x01" in text:
        text = text.replace("\x01", "\x011").replace("\x00", "\x010")
    return text.encode()


def texts(values: Sequence[str | None]) -> Texts:
    if values.count(None) == len(values):
        return Texts(_nothing(_TEXT, len(values)))
    parts = [_array(_TEXT, len(values))]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            raw = stored_text(value)
            parts += (_size(len(raw)), raw)
    return Texts(b"".join(parts))


def words(values: Sequence[str | None]) -> Texts:
    """As `texts`, for a column of few different values."""
    parts = [_array(_TEXT, len(values))]
    parts += map(_word, values)
    return Texts(b"".join(parts))


@lru_cache(1_000)
def _word(value: str | None) -> bytes:
    if value is None:
        return _NULL
    raw = stored_text(value)
    return _size(len(raw)) + raw


def blobs(values: Sequence[bytes | None]) -> Bytes:
    parts = [_array(_BYTEA, len(values))]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts += (_size(len(value)), value)
    return Bytes(b"".join(parts))


def numbers(values: Sequence[int | None]) -> Numbers:
    if values.count(None) == len(values):
        return Numbers(_nothing(_INT8, len(values)))
    parts = [_array(_INT8, len(values))]
    parts += [_NULL if value is None else _int8(8, value) for value in values]
    return Numbers(b"".join(parts))


def flags(values: Sequence[bool]) -> Flags:
    parts = [_array(_BOOL, len(values))]
    parts += [_TRUE if value else _FALSE for value in values]
    return Flags(b"".join(parts))


def _nothing(element: int, count: int) -> bytes:
    return _array(element, count) + _NULL * count


def _array(element: int, count: int) -> bytes:
    return _header(1, 1, element, count, 1) if count else _header(0, 0, element, 0, 0)[:12]


class _AsItIs(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer:
        return obj


class _TextsDumper(_AsItIs):
    oid = _TEXTS


class _BytesDumper(_AsItIs):
    oid = _BYTEAS


class _NumbersDumper(_AsItIs):
    oid = _INT8S


class _FlagsDumper(_AsItIs):
    oid = _BOOLS


def register(adapters: AdaptersMap) -> None:
    """Have a connection send these as the arrays they are."""
    adapters.register_dumper(Texts, _TextsDumper)
    adapters.register_dumper(Bytes, _BytesDumper)
    adapters.register_dumper(Numbers, _NumbersDumper)
    adapters.register_dumper(Flags, _FlagsDumper)


class Rows:
    """An insert of any number of rows of one table: `sql` takes one array a column."""

    def __init__(self, rank: int, sql: str, *columns: Callable[[Any], bytes]) -> None:
        """`rank`: those of lower rank are sent first, because others refer to them."""
        self.rank = rank
        self.sql = sql
        self._columns = columns

    def params(self, rows: Iterable[tuple[object, ...]]) -> list[bytes]:
        """The parameters of `sql` for these rows."""
        return [
            pack(values)
            for pack, values in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]
