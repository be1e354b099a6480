"""The bytes of an audit entry: a strict canonical JSON profile, and commitments to content.

An entry is a JSON object in RFC 8785 form whose values are text, integers with |n| < 2**53,
booleans, arrays and objects: no floats (money is minor units or a decimal string) and no null
(what is not known is left out). The bytes are the entry: they are stored, hashed and exported as
they are, and never written again from parsed values in order to verify.

What must not stand in a log that outlives it (facts, names, comments, or a plain hash of them,
which a dictionary would open) enters as a *commitment*: HMAC-SHA256 under a key that is destroyed
on erasure, after which the commitment says nothing and the log still verifies.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import rfc8785

from handrail.model.canonical import canonical_bytes, keyed_digest
from handrail.model.decoding import decoder as decoder_of
from handrail.model.errors import BadInput

INTEGER_LIMIT = 2**53
"""Integers of an entry are smaller in magnitude: JSON readers in other languages use doubles."""

FIELD_KEY_CONTEXT = b"handrail/field-key/v1\x00"
"""Separates field keys from every other use of a subject's key."""

encoder = msgspec.json.Encoder(order="sorted")

_Integer = Annotated[int, msgspec.Meta(gt=-INTEGER_LIMIT, lt=INTEGER_LIMIT)]
# msgspec has no recursive union, so the profile is unrolled to three levels of nesting, which it
# then checks at C speed; deeper entries (none of ours) take the slow way in `decode`.
_Level0 = str | _Integer | bool
_Level1 = _Level0 | list[_Level0] | dict[str, _Level0]
_Level2 = _Level0 | list[_Level1] | dict[str, _Level1]
_Level3 = _Level0 | list[_Level2] | dict[str, _Level2]
decoder: msgspec.json.Decoder[dict[str, Any]] = decoder_of(dict[str, _Level3])


def encode(entry: dict[str, Any]) -> bytes:
    """The canonical bytes of `entry`; `BadInput` points at what is outside the profile.

    A few microseconds: it runs once for every change of state.
    """
    if type(entry) is not dict:
        raise BadInput(f"an entry is a {type(entry).__name__}; expected a dict")
    plain_keys = True
    for key, value in entry.items():
        kind = type(value)
        if kind is str or kind is bool:
            pass
        elif kind is int:
            if not -INTEGER_LIMIT < value < INTEGER_LIMIT:
                raise _outside(value, "/" + str(key))
        else:
            plain_keys = _check(value, "/" + str(key)) and plain_keys
        if type(key) is not str:
            raise BadInput(f"a key of the entry is {key!r}; expected text")
        if not key.isascii():
            plain_keys = False
    try:
        # Sorting by code point and by UTF-16 code unit agree on ASCII keys; the escapes of
        # msgspec are those of RFC 8785 (both are held together by tests against rfc8785).
        return encoder.encode(entry) if plain_keys else rfc8785.dumps(entry)
    except UnicodeEncodeError as error:
        raise BadInput(
            "the entry holds a lone surrogate; expected well-formed Unicode text"
        ) from error


def decode(line: bytes) -> dict[str, Any]:
    """The entry in `line`. Raises `BadInput` unless `line` is byte for byte what `encode` gives.

    So duplicate or unsorted keys, spaces, other spellings of a number or of text, CR, floats and
    null are all refused.
    """
    try:
        entry = decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _decode_slowly(line, error)
    # Beyond ASCII the encoder's order of keys (by code point) may not be RFC 8785's.
    if not line.isascii() or encoder.encode(entry) != line:
        return _decode_slowly(line, None)
    return entry


def commit(key: bytes, value: Any) -> str:
    """`pii_commit`: hexadecimal HMAC-SHA256 of the canonical bytes of `value` under `key`.

    `value` is any wire value (RFC 8785, of which the entry profile is a part). The same value
    under the same key gives the same 64 characters; without the key nothing can be learned.
    """
    if len(key) != 32:
        raise _not_a_key(key)
    return keyed_digest(key, canonical_bytes(value)).hex()


def commit_bytes(key: bytes, content: bytes) -> str:
    """As `commit`, for bytes that are canonical already (so they are not encoded twice)."""
    if len(key) != 32:
        raise _not_a_key(key)
    return keyed_digest(key, content).hex()


def field_key(subject_key: bytes, field: str) -> bytes:
    """The 32-byte key of one field of one subject, derived from the subject's random key.

    HMAC-SHA256(subject_key, context || field): keys of different fields tell nothing about each
    other, and destroying the one subject key destroys them all (RFC 5869 uses the same step).
    """
    if len(subject_key) != 32:
        raise _not_a_key(subject_key)
    return keyed_digest(subject_key, FIELD_KEY_CONTEXT + field.encode())


def _not_a_key(key: bytes) -> BadInput:
    return BadInput(
        f"a commitment key has {len(key)} bytes; expected 32 random ones (secrets.token_bytes)"
    )


def _check(value: Any, pointer: str) -> bool:
    """Hold a nested value to the profile; False where some key is not plain ASCII."""
    kind = type(value)
    if kind is str or kind is bool:
        return True
    if kind is int and -INTEGER_LIMIT < value < INTEGER_LIMIT:
        return True
    plain = True
    if kind is list or kind is tuple:
        for position, item in enumerate(value):
            plain = _check(item, f"{pointer}/{position}") and plain
        return plain
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise BadInput(f"a key is {key!r}; expected text", pointer)
            plain = _check(item, f"{pointer}/{key}") and key.isascii() and plain
        return plain
    raise _outside(value, pointer)


def _outside(value: Any, pointer: str) -> BadInput:
    kind = type(value)
    if kind is int:
        what = "an integer of 2^53 or more; send it as a decimal string"
    elif kind is float:
        what = "a float; send minor units as an integer, or a decimal string"
    elif value is None:
        what = "null; leave the field out"
    else:
        what = f"a {kind.__name__}"
    return BadInput(
        f"the value is {what}; an audit entry holds text, integers, booleans, arrays and objects",
        pointer,
    )


def _decode_slowly(line: bytes, error: Exception | None) -> dict[str, Any]:
    """Decide what the fast way cannot (deep nesting, text beyond ASCII), or say what is wrong."""
    if b"\r" in line:
        raise BadInput("the entry holds a CR; expected LF line ends and escaped control characters")
    try:
        entry = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
        raise BadInput(f"the entry is not JSON: {broken}") from broken
    if type(entry) is not dict:
        raise BadInput(f"the entry is a JSON {type(entry).__name__}; expected an object")
    try:
        if encode(entry) == line:
            return entry
    except RecursionError as deep:
        raise BadInput("the entry is nested too deep to be read") from deep
    raise BadInput(
        "the entry is JSON but not in canonical form (RFC 8785: keys sorted and single, no spaces, "
        "one spelling of each number and text); expected the bytes exactly as they were logged"
    ) from error
