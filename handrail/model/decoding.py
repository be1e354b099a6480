"""Decoders and conversions, each type made ready by one thread alone.

msgspec works out how a type is read when it is first asked for, and lets other threads go on
meanwhile. A second thread that comes to the same type then reads through a half-made description,
which ends the process (seen with 0.20 to 0.22). So nothing of ours asks msgspec directly: what is
made here is made under one lock, and used when it is whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")

_making = threading.Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


@overload
def decoder(kind: type[T]) -> msgspec.json.Decoder[T]: ...


@overload
def decoder(kind: Any) -> msgspec.json.Decoder[Any]: ...


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """The JSON decoder of a type; the same one each time. For any thread."""
    found = _decoders.get(kind)
    if found is None:
        with _making:
            found = _decoders.get(kind)
            if found is None:
                found = _decoders[kind] = msgspec.json.Decoder(kind)
    return found


@overload
def convert(
    value: Any,
    kind: type[T],
    *,
    strict: bool = True,
    dec_hook: Callable[[type, Any], Any] | None = None,
) -> T: ...


@overload
def convert(
    value: Any,
    kind: Any,
    *,
    strict: bool = True,
    dec_hook: Callable[[type, Any], Any] | None = None,
) -> Any: ...


def convert(
    value: Any,
    kind: Any,
    *,
    strict: bool = True,
    dec_hook: Callable[[type, Any], Any] | None = None,
) -> Any:
    """`value` as a `kind`, as `msgspec.convert` makes it. For any thread.

    Raises `msgspec.ValidationError` where it does not fit.
    """
    decoder(kind)
    return msgspec.convert(value, kind, strict=strict, dec_hook=dec_hook)
