"""Text and times at the edge: strict JSON in, RFC 3339 out.

Strict means: duplicate keys, NaN, infinity, numbers that overflow, integers beyond 2^53, lone
surrogates and nesting deeper than `MAX_DEPTH` are refused with a JSON pointer where one is known.
Most parsers keep the last of two equal keys silently; here that is an error.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from handrail.model.errors import BadInput

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_FACTS_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_ADDRESS = 2_000
"""Characters of an address we may be asked to call."""
MAX_INT = 2**53 - 1
"""Largest integer that JSON (RFC 7493) and RFC 8785 carry exactly."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadInput(f"the key {key!r} stands twice in one object; keep one of them")
            seen.add(key)
    return found


def whole(number: float) -> float | int:
    """`number`, as an int where it is whole and exact: 14000.0 and 14000 are one value."""
    if number.is_integer() and abs(number) <= MAX_INT:
        return int(number)
    return number


def _float(text: str) -> float | int:
    number = float(text)
    if math.isinf(number):
        raise BadInput(f"the number {text[:40]} is too large for a double; send it as text")
    if number == 0.0 and any(c in "123456789" for c in text.lower().split("e")[0]):
        raise BadInput(f"the number {text[:40]} is too small for a double; send it as text")
    return whole(number)


def _int(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_INT:
        raise BadInput(f"the integer {text[:40]} is beyond 2^53; send it as text")
    return int(text)


def _constant(text: str) -> Any:
    raise BadInput(f"{text} is not JSON; send null, or leave the key out")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant
)


def read_json(body: bytes | str, *, limit: int = MAX_BODY_BYTES) -> Any:
    """The value of one strict JSON document. Raises `BadInput` and loses nothing.

    `limit` is in bytes of UTF-8.
    """
    size = len(body) if isinstance(body, bytes) else len(body.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise BadInput(f"the body has {size} bytes; at most {limit} are taken", status=413)
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        value = _decoder.decode(text)
    except UnicodeDecodeError as error:
        raise BadInput(f"the body is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise BadInput(f"the body nests deeper than {MAX_DEPTH} levels; flatten it") from error
    except json.JSONDecodeError as error:
        raise BadInput(
            f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    check_wire(value)
    return value


def check_wire(value: Any, pointer: str = "") -> None:
    """Raise `BadInput` with a pointer unless `value` is a plain, finite, well-formed wire value."""
    if not _is_wire(value, 0):
        _say_what_is_wrong(value, pointer, 0)


def _is_wire(value: Any, depth: int) -> bool:
    """Whether all is well. Text is looked at in place: most values are objects of short texts."""
    kind = type(value)
    if kind is str:
        return value.isascii() or _is_unicode(value)
    if kind is dict:
        if depth >= MAX_DEPTH:
            return False
        for key, item in value.items():
            if type(key) is not str or not (key.isascii() or _is_unicode(key)):
                return False
            kind = type(item)
            if kind is str:
                if not (item.isascii() or _is_unicode(item)):
                    return False
            elif kind is int:
                if not -MAX_INT <= item <= MAX_INT:
                    return False
            elif item is not None and not _is_wire(item, depth + 1):
                return False
        return True
    if kind is int:
        return -MAX_INT <= value <= MAX_INT  # type: ignore[no-any-return]
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        if depth >= MAX_DEPTH:
            return False
        for item in value:  # noqa: SIM110 - a generator would cost more than it saves
            if not _is_wire(item, depth + 1):
                return False
        return True
    return value is None or kind is bool


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _say_what_is_wrong(value: Any, pointer: str, depth: int) -> None:
    """Raise `BadInput` with a pointer to the first mistake."""
    kind = type(value)
    if kind is str:
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise BadInput(
                    "text holds a lone surrogate, which is not Unicode text; "
                    "check how it was decoded",
                    pointer,
                ) from None
    elif value is None or kind is bool:
        return
    elif kind is int:
        if not -MAX_INT <= value <= MAX_INT:
            raise BadInput(f"the integer {value} is beyond 2^53; send it as text", pointer)
    elif kind is float:
        if not math.isfinite(value):
            raise BadInput(
                f"{value} is not a number a decision can hold; leave it out or send null", pointer
            )
    elif kind is dict:
        if depth >= MAX_DEPTH:
            raise BadInput(f"nests deeper than {MAX_DEPTH} levels; flatten it", pointer)
        for key, item in value.items():
            if type(key) is not str:
                raise BadInput(f"the key {key!r} is not text", pointer)
            _say_what_is_wrong(key, pointer, depth + 1)
            _say_what_is_wrong(item, f"{pointer}/{escape_pointer(key)}", depth + 1)
    elif kind is list:
        if depth >= MAX_DEPTH:
            raise BadInput(f"nests deeper than {MAX_DEPTH} levels; flatten it", pointer)
        for index, item in enumerate(value):
            _say_what_is_wrong(item, f"{pointer}/{index}", depth + 1)
    else:
        raise BadInput(f"a {kind.__name__} is not a JSON value", pointer)


def escape_pointer(key: str) -> str:
    """One RFC 6901 reference token."""
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def time_text(at: int) -> str:
    """RFC 3339 text in UTC with microseconds for µs since 1970."""
    moment = EPOCH + timedelta(microseconds=at)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_time(text: str, pointer: str = "") -> int:
    """µs since 1970 UTC of an RFC 3339 text with a zone. Raises `BadInput`."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise BadInput(
            f"{text!r} is not a time; write it as 2026-11-21T08:00:00Z", pointer
        ) from error
    if moment.tzinfo is None:
        raise BadInput(f"the time {text!r} has no zone; add Z or an offset such as +01:00", pointer)
    at = time_us(moment)
    if not 0 <= at <= MAX_INT:
        raise BadInput(f"the time {text!r} lies outside of the years 1970 to 2255", pointer)
    return at


def time_us(moment: datetime) -> int:
    """µs since 1970 UTC of an aware datetime."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def check_address(url: str, pointer: str = "/callback") -> str:
    """`url`, where it has the form of one we may call. Raises `BadInput` with the pointer."""
    if len(url) > MAX_ADDRESS or not url.isascii() or any(c <= " " or c == "\\" for c in url):
        raise BadInput(
            f"an address has at most {MAX_ADDRESS} plain ASCII characters; "
            "percent-encode the others",
            pointer,
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{url!r} is no address: {error}", pointer) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url!r} is no web address; expected https://host/path", pointer)
    if parts.username is not None or parts.password is not None:
        raise BadInput("an address carries no user or password; use the signature", pointer)
    if port == 0:
        raise BadInput("port 0 cannot be called", pointer)
    return url
