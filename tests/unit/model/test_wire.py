"""Wire values: the quick look and the one that says what is wrong agree."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handrail.model.errors import BadInput
from handrail.model.wire import MAX_DEPTH, _is_wire, _say_what_is_wrong, check_wire

leaves: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**54), 2**54)
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs", "Ll"]), max_size=3)
    | st.binary(max_size=2)
    | st.tuples(st.integers())
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.dictionaries(st.text(st.characters(categories=["Cs"]), max_size=1), inner, max_size=1)
    ),
    max_leaves=10,
)


def nested(depth: int, kind: str) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


@given(values)
@example({"a": {"b": [1, 2.5, "ü", None, True]}})
@example(2**53)
@example(nested(MAX_DEPTH, "list"))
@example(nested(MAX_DEPTH + 1, "list"))
@example(nested(MAX_DEPTH, "dict"))
@example(nested(MAX_DEPTH + 1, "dict"))
@example([math.nan])
@example({"\ud800": 1})
def test_both_ways_say_the_same(value: Any) -> None:
    try:
        _say_what_is_wrong(value, "", 0)
    except BadInput:
        assert not _is_wire(value, 0)
        with pytest.raises(BadInput):
            check_wire(value)
    else:
        assert _is_wire(value, 0)
        check_wire(value)


def test_the_pointer_names_the_place() -> None:
    with pytest.raises(BadInput) as refused:
        check_wire({"a": [1, {"b/c": math.inf}]}, "/facts")
    assert refused.value.pointer == "/facts/a/1/b~1c"
