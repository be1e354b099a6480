"""Canonical bytes: those of the RFC 8785 library, whichever way they are made."""

from __future__ import annotations

import hmac
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from handrail.model.canonical import _plain, canonical_bytes, digest, keyed_digest
from handrail.model.errors import BadInput

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
@example(
    {"b": 1, "a": [1.5, -0.0, 1e21, 1e-7, 123456789012345.6], "é": {"\U0001f600": 1, "\ufb01": 2}}
)
@example([0.1, 1e-4, 9.999e-5, 999999999999999.9, 1e15, 1.0, -2.5, 5e-324, 1.7976931348623157e308])
@example({"text": '\x00\x1f\x7f\x80\u2028\u2029"\\/\b\f\n\r\t<>&'})
@example((1, ("a", [])))
def test_the_bytes_are_those_of_the_library(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(st.binary(max_size=200), st.binary(max_size=300))
@example(b"", b"")
@example(b"k" * 64, b"x")
@example(b"k" * 65, b"x")
def test_the_keyed_digest_is_that_of_the_library(key: bytes, content: bytes) -> None:
    assert keyed_digest(key, content) == hmac.digest(key, content, "sha256")


@given(st.floats(1e-4, 1e15, exclude_max=True), st.booleans())
def test_plain_numbers_are_written_alike(number: float, negative: bool) -> None:
    number = -number if negative else number
    assert canonical_bytes([number]) == rfc8785.dumps([number])


def test_the_usual_values_go_the_fast_way() -> None:
    assert _plain(
        {"facts": {"a": "x", "n": 3, "share": 0.25, "on": True, "none": None, "l": ["é"]}}
    )
    assert not _plain({"é": 1})
    assert not _plain([1.0])


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, -(2**53), "\ud800", {"a": "\udc00"}, {1: 2}, {"a": {1}}, b"x"],
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(BadInput):
        canonical_bytes({"value": [value]})


def test_a_digest_names_its_function() -> None:
    assert digest({}) == ("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
