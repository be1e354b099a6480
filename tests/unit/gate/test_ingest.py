"""Facts and proposal: typed, refused with pointers, stored in one normal form."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail import gate
from handrail.gate.values import (
    normalise,
    read_confidence,
    read_timestamp,
    render_duration,
    render_number,
    render_timestamp,
)
from handrail.model.canonical import canonical_bytes
from handrail.model.errors import BadInput
from handrail.model.policy import BadRecord
from tests.unit.gate.conftest import HEAD

FIELDS = """\
fields:
  id: string
  money: {type: decimal, places: 2, unit: USD, min: 0, max: 1000000, optional: true}
  whole: {type: decimal, places: 0, optional: true}
  count: {type: int, min: -5, optional: true}
  rate: {type: double, max: 1.5, optional: true}
  yes: {type: bool, optional: true}
  kind: {enum: [a, b], optional: true}
  who: {type: person, optional: true}
  at: {type: timestamp, optional: true, min: 2000-01-01T00:00:00Z}
  span: {type: duration, optional: true, max: 2h}
  source: {type: string, normal: [url, lower], optional: true}
  tags: {list: string, optional: true}
  sums: {list: {type: decimal, places: 1}, optional: true}
  colours: {list: {enum: [red, blue]}, optional: true}
  deal:
    optional: true
    object:
      size: {type: decimal, places: 2}
      owner: {type: person, optional: true}
      site: {object: {land: string}, optional: true}
  plan:
    from: proposal
    optional: true
    object: {budget: {type: decimal, places: 2}, note: {type: string, optional: true}}
  price: {type: decimal, places: 2, from: proposal, optional: true}
"""
POLICY = gate.load(HEAD + FIELDS)


def stored(name: str, value: Any) -> Any:
    return POLICY.ingest({"id": "x", name: value}).facts[name]


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("money", 10000.01, "10000.01"),
        ("money", 14000, "14000.00"),
        ("money", "7.5", "7.50"),
        ("money", Decimal("3.10"), "3.10"),
        ("money", "0003.1", "3.10"),
        ("money", -0.0, "0.00"),
        ("money", 1e5, "100000.00"),
        ("whole", "12", "12"),
        ("whole", 12.0, "12"),
        ("count", 3, 3),
        ("count", 3.0, 3),
        ("count", "3", 3),
        ("count", Decimal("3.00"), 3),
        ("rate", 1, 1.0),
        ("rate", "0.1", 0.1),
        ("rate", Decimal("0.1"), 0.1),
        ("yes", False, False),
        ("kind", "b", "b"),
        ("who", " ann@example.com ", "ann@example.com"),
        ("at", "2026-11-21T10:00:00+02:00", "2026-11-21T08:00:00.000000Z"),
        ("at", "2026-11-21 08:00:00.5z", "2026-11-21T08:00:00.500000Z"),
        ("at", datetime(2026, 11, 21, 8, tzinfo=UTC), "2026-11-21T08:00:00.000000Z"),
        (
            "at",
            datetime(2026, 11, 21, 8, tzinfo=timezone(timedelta(hours=-1))),
            "2026-11-21T09:00:00.000000Z",
        ),
        ("span", "1h30m", "5400s"),
        ("span", "90m", "5400s"),
        ("span", "1 h 30 m", "5400s"),
        ("span", 0.25, "0.25s"),
        ("span", timedelta(minutes=2), "120s"),
        ("span", "-3s", "-3s"),
        ("source", "  GooGLE%20Ads ", "google ads"),
        ("source", "ＧＯＯＧＬＥ", "google"),
        ("source", "g%256Fogle", "google"),
        ("tags", ["B", "a"], ["B", "a"]),
        ("tags", ("a",), ["a"]),
        ("sums", [1, "2.5"], ["1.0", "2.5"]),
        ("colours", [], []),
    ],
)
def test_stored_form(name: str, value: Any, wanted: Any) -> None:
    found = stored(name, value)
    assert found == wanted and type(found) is type(wanted)
    assert stored(name, found) == wanted, "what is stored reads back as itself"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("money", 10000.001, "at most 2 digits after the point"),
        ("money", "1,000", "expected a number"),
        ("money", "1e3", "expected a number"),
        ("money", "ten", "expected a number"),
        ("money", True, "true and false are none"),
        ("money", math.nan, "finite"),
        ("money", math.inf, "finite"),
        ("money", Decimal("NaN"), "finite"),
        ("money", Decimal("sNaN"), "finite"),
        ("money", -0.01, "at least 0.00 USD"),
        ("money", 1000000.01, "at most 1000000.00 USD"),
        ("money", "9" * 41, "expected a number"),
        ("money", 10**400, "out of range"),
        ("money", Decimal("1e400"), "out of range"),
        ("money", [1], "expected a number"),
        ("whole", 1.5, "a whole number"),
        ("count", 1.5, "a whole number"),
        ("count", 2**53, "±(2^53 - 1)"),
        ("count", True, "true and false are none"),
        ("count", -6, "at least -5"),
        ("count", None.__class__, "expected a number"),
        ("rate", 1.6, "at most 1.5"),
        ("rate", "nan", "expected a number"),
        ("yes", 1, "true or false"),
        ("yes", "true", "true or false"),
        ("kind", "c", "one of a, b"),
        ("kind", 1, "expected text"),
        ("who", "  ", "a person"),
        ("who", "x" * 400, "a person"),
        ("at", "2026-11-21", "with an offset"),
        ("at", "2026-11-21T08:00:00", "with an offset"),
        ("at", "2026-02-30T08:00:00Z", "a time that exists"),
        ("at", datetime(2026, 11, 21), "without a zone"),  # noqa: DTZ001
        ("at", 5, "with an offset"),
        ("at", "1999-12-31T23:59:59Z", "at least 2000-01-01T00:00:00.000000Z"),
        ("span", "soon", "such as 30m"),
        ("span", "3 fortnights", "such as 30m"),
        ("span", True, "such as 30m"),
        ("span", "3h", "at most 7200s"),
        ("source", 5, "expected text"),
        ("source", "\ud800", "surrogate"),
        ("source", "x" * 70_000, "at most 65,536"),
        ("tags", "a", "expected a list"),
        ("tags", ["a"] * 1_001, "at most 1,000"),
        ("deal", 5, "expected a mapping"),
    ],
)
def test_refused_values(name: str, value: Any, says: str) -> None:
    with pytest.raises(BadRecord) as caught:
        POLICY.ingest({"id": "x", name: value})
    assert caught.value.pointer == f"/facts/{name}" and says in str(caught.value)
    assert isinstance(caught.value, BadInput) and caught.value.status == 422


def test_all_wrong_values_at_once_each_with_its_pointer() -> None:
    with pytest.raises(BadRecord) as caught:
        POLICY.ingest(
            {
                "id": 1,
                "tags": ["a", 2],
                "sums": [1, "x"],
                "colours": ["green"],
                "deal": {"size": "big", "site": {"land": 1}},
                "free": {"deep": [1, math.inf]},
                "a/b~c": math.nan,
                "price": 3,
            },
            {"plan": {"budget": 1.234}, "count": 1},
        )
    assert [pointer for pointer, _ in caught.value.problems] == [
        "/facts/price",
        "/facts/id",
        "/facts/tags/1",
        "/facts/sums/1",
        "/facts/colours/0",
        "/facts/deal/size",
        "/facts/deal/site/land",
        "/facts/free/deep/1",
        "/facts/a~1b~0c",
        "/proposal/count",
        "/proposal/plan/budget",
    ]
    assert "belongs into `proposal`" in caught.value.problems[0][1]
    assert "belongs into `facts`" in caught.value.problems[9][1]
    assert caught.value.details()["problems"][1]["pointer"] == "/facts/id"


@pytest.mark.ledger("A-012")
def test_missing_required_values_are_listed_and_hold() -> None:
    record = POLICY.ingest({"id": None, "deal": {"owner": "bo"}}, {"plan": {}})
    assert record.missing == ("/facts/id", "/facts/deal/size", "/proposal/plan/budget")
    ruling = POLICY.evaluate(record, decision_id="d_x", evaluated_at=0)
    assert ruling.lane == "hold"
    assert ruling.why == "Incomplete: id, deal.size, plan.budget are missing"


def test_undeclared_values_are_kept_and_named() -> None:
    record = POLICY.ingest(
        {"id": "x", "more": {"n": [1, Decimal("2.5"), None, True]}, "day": date(2026, 11, 21)},
        {"price": 3, "colour": "red"},
    )
    assert record.facts == {
        "id": "x",
        "more": {"n": [1, 2.5, None, True]},
        "day": "2026-11-21",
    }
    assert record.proposal == {"price": "3.00", "colour": "red"}
    assert record.undeclared == ("more", "day", "proposal.colour")
    inner = POLICY.ingest({"id": "x", "deal": {"size": 1, "x": 2}}, {"plan": {"budget": 1, "y": 1}})
    assert inner.undeclared == ("deal.x", "proposal.plan.y")
    assert inner.facts["deal"] == {"size": "1.00", "x": 2}
    ruling = POLICY.evaluate(record, decision_id="d_x", evaluated_at=0)
    assert ruling.undeclared == record.undeclared


def test_null_means_missing() -> None:
    assert POLICY.ingest({"id": "x", "money": None}) == POLICY.ingest({"id": "x"})


@pytest.mark.parametrize("facts", [[], "x", 5])
def test_facts_that_are_no_mapping(facts: Any) -> None:
    with pytest.raises(BadRecord) as caught:
        POLICY.ingest(facts)
    assert caught.value.pointer == "/facts"


def test_hostile_facts_end_in_a_sentence() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    wide = {"a": list(range(20_000))}
    for value in (deep, wide):
        with pytest.raises(BadRecord, match="is larger than"):
            POLICY.ingest({"id": "x", "free": value})
    with pytest.raises(BadRecord, match="expected text"):
        POLICY.ingest({"id": "x", 5: 1})  # type: ignore[dict-item]
    with pytest.raises(BadRecord, match="expected text, a number"):
        POLICY.ingest({"id": "x", "free": {1, 2}})


wire = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=settings().max_examples * 2, deadline=None)
@given(
    st.fixed_dictionaries(
        {"id": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)},
        optional={
            "money": st.decimals(0, 1000, places=2) | st.floats(0, 1000) | st.integers(0, 1000),
            "count": st.integers(-10, 10) | st.text(max_size=3),
            "rate": st.floats(-2, 2),
            "at": st.datetimes(timezones=st.just(UTC)),
            "span": st.timedeltas(timedelta(hours=-3), timedelta(hours=3)),
            "source": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            "free": wire,
        },
    )
)
def test_what_is_stored_reads_back_to_the_same_record(facts: dict[str, Any]) -> None:
    try:
        record = POLICY.ingest(facts)
    except BadRecord as error:
        assert all(pointer.startswith("/facts/") for pointer, _ in error.problems)
        return
    again = POLICY.ingest(record.facts, record.proposal)
    assert again == record
    canonical_bytes(record.facts)


@given(st.text(max_size=30))
def test_normal_form_is_idempotent(text: str) -> None:
    once = normalise(text, ("lower",))
    assert normalise(once, ("lower",)) == once


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_timestamps_read_back(us: int) -> None:
    assert read_timestamp(render_timestamp(us)) == us and len(render_timestamp(us)) == 27


def test_rendering() -> None:
    assert render_duration(1_800_000_000) == "1800s"
    assert render_duration(1) == "0.000001s"
    assert render_number(Fraction(1, 3)) == "0.33333333333333333333"
    assert render_number(Fraction(5)) == "5" and render_number(Fraction(1, 8)) == "0.125"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, None), (0.5, 0.5), (1, 1.0), ("0.25", 0.25), ({"a": 0.9, "b": 0.4}, 0.4), ({}, None)],
)
def test_confidence(value: Any, wanted: float | None) -> None:
    assert read_confidence(value) == wanted


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (1.01, "/confidence"),
        (-0.1, "/confidence"),
        (math.nan, "/confidence"),
        (True, "/confidence"),
        ("high", "/confidence"),
        ({"a/b": 2}, "/confidence/a~1b"),
    ],
)
def test_confidence_refused(value: Any, pointer: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_confidence(value)
    assert caught.value.pointer == pointer
