"""The canonical entry profile, held against the `rfc8785` package, and commitments."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from handrail.audit import entry
from handrail.model.errors import BadInput

TEXT = st.text()
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    TEXT | INTEGERS | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
ENTRIES = st.dictionaries(TEXT, VALUES, max_size=8)


@given(ENTRIES)
@example({"\U0001f600": 1, "\ufb33": 2})  # UTF-16 order differs from code point order here
@example({"a": {"\U0001f600": 1, "\ufb33": 2}})
@example({"control": "".join(map(chr, range(0x20))) + '"\\/\x7f\x80\u2028\u2029'})
@example({"deep": [[[[[[{"a": [1]}]]]]]]})
def test_bytes_equal_rfc8785_and_come_back(value: dict[str, Any]) -> None:
    line = entry.encode(value)
    assert line == rfc8785.dumps(value)
    assert entry.decode(line) == value
    assert b"\n" not in line and b"\r" not in line


@given(st.binary(max_size=60) | ENTRIES.map(lambda v: json.dumps(v).encode()))
@example(b'{"a":1.0}')
@example(b'{"a":-0}')
@example(b'{"a":1,"a":1}')
@example(b'{"b":1,"a":1}')
@example(b'{"a":1}\r')
@example(b'{"a": 1}')
@example(b'{"a":"\\u0041"}')
@example(b'{"a":"\\/"}')
@example(b'{"a":"\\u001F"}')
@example(b'{"a":null}')
@example(b'{"a":9007199254740992}')
@example(b'{"a":-9007199254740992}')
@example(b'{"a":"\\ud800"}')
@example(b'{"a":"\xed\xa0\x80"}')
@example(b'\xef\xbb\xbf{"a":1}')
@example(b"[1]")
@example(b"")
@example(b"[" * 5000)
@example(b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}")
def test_decode_takes_only_what_encode_gives(line: bytes) -> None:
    try:
        value = entry.decode(line)
    except BadInput:
        return
    assert entry.encode(value) == line == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a":1}\r',
        b'{"a":1}\n',
        b' {"a":1}',
        b'{"a": 1}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\u001F"}',
        b'{"a":"\t"}',
        b'{"a":null}',
        b'{"a":[null]}',
        b'{"a":[[[[[1.5]]]]]}',
        b'{"a":9007199254740992}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"\xef\xac\xb3":1,"\xf0\x9f\x98\x80":2}',
        b"[1]",
        b"1",
        b"",
    ],
)
def test_refused_lines(line: bytes) -> None:
    with pytest.raises(BadInput):
        entry.decode(line)


def test_cr_is_named() -> None:
    with pytest.raises(BadInput, match="holds a CR"):
        entry.decode(b'{"a":1}\r')


@pytest.mark.parametrize(
    ("value", "pointer", "what"),
    [
        ({"a": 1.5}, "/a", "a float"),
        ({"a": None}, "/a", "null"),
        ({"a": [1, {"b": 2.0}]}, "/a/1/b", "a float"),
        ({"a": 2**53}, "/a", "2^53 or more"),
        ({"a": [-(2**53)]}, "/a/0", "2^53 or more"),
        ({"a": b"x"}, "/a", "a bytes"),
        ({"a": {1: 2}}, "/a", "a key is 1"),
        ({1: 2}, "", "a key of the entry is 1"),
        ({"a": "\ud800"}, "", "lone surrogate"),
        ([1], "", "an entry is a list"),
    ],
)
def test_what_is_outside_the_profile_is_named(value: Any, pointer: str, what: str) -> None:
    with pytest.raises(BadInput) as caught:
        entry.encode(value)
    assert caught.value.pointer == pointer
    assert what.replace("^", "^") in str(caught.value)


def test_commit_is_hmac_of_canonical_bytes() -> None:
    key = bytes(range(32))
    value = {"b": [1, 2.5, None], "a": "Ann"}
    expected = hmac.new(key, b'{"a":"Ann","b":[1,2.5,null]}', hashlib.sha256).hexdigest()
    assert entry.commit(key, value) == expected
    assert entry.commit_bytes(key, b'{"a":"Ann","b":[1,2.5,null]}') == expected
    assert entry.commit(key, {"a": "Ann", "b": [1, 2.5, None]}) == expected
    assert entry.commit(bytes(32), value) != expected


def test_field_keys_differ_by_subject_and_field() -> None:
    one, other = bytes(32), bytes([1]) * 32
    keys = {entry.field_key(key, field) for key in (one, other) for field in ("facts", "proposal")}
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)
    expected = hmac.new(one, b"handrail/field-key/v1\x00facts", hashlib.sha256).digest()
    assert entry.field_key(one, "facts") == expected


def test_a_short_key_is_refused() -> None:
    with pytest.raises(BadInput, match="has 3 bytes; expected 32"):
        entry.commit(b"abc", "value")
    with pytest.raises(BadInput, match="expected 32"):
        entry.field_key(b"", "facts")
