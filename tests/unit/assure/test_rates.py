"""Rates: one definition each, and intervals that agree with published values and an oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.assure.rates import DEFINITIONS, rate, wilson


@pytest.mark.ledger("M-089")
def test_fifty_of_a_thousand_held_is_five_per_cent_with_an_interval() -> None:
    found = rate("intervention", 50, 1000)
    assert found.value == 0.05
    assert found.low == pytest.approx(0.03813026, abs=1e-8)
    assert found.high == pytest.approx(0.06531382, abs=1e-8)
    assert "hold" in found.definition.formula


@pytest.mark.ledger("M-091")
def test_forty_of_fifty_rejected_is_an_override_rate_of_eighty_per_cent() -> None:
    assert rate("override", 40, 50).value == 0.8


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(count: int, of: int, low: float, high: float) -> None:
    found = wilson(count, of)
    assert found == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 10_000), st.data())
def test_the_interval_holds_the_share_and_stays_within_bounds(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    low, high = wilson(count, of)
    assert 0.0 <= low <= count / of <= high <= 1.0
    mirrored = wilson(of - count, of)
    assert mirrored == (pytest.approx(1 - high), pytest.approx(1 - low))


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_bounds_solve_the_score_equation(count: int, extra: int) -> None:
    of = count + extra
    z = 1.959963984540054
    for bound in wilson(count, of):
        if 0.0 < bound < 1.0:
            distance = abs(count / of - bound)
            assert distance == pytest.approx(z * (bound * (1 - bound) / of) ** 0.5, rel=1e-6)


def test_of_nothing_there_is_no_rate() -> None:
    found = rate("override", 0, 0)
    assert (found.value, found.low, found.high) == (None, None, None)


@pytest.mark.parametrize(("count", "of"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_proportion_is_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="proportion"):
        wilson(count, of)


def test_an_unknown_rate_is_refused() -> None:
    with pytest.raises(KeyError, match="intervention"):
        rate("accuracy", 1, 2)


def test_every_rate_says_what_it_is() -> None:
    assert len({definition.name for definition in DEFINITIONS.values()}) == len(DEFINITIONS)
    for definition in DEFINITIONS.values():
        assert definition.counts and definition.of and definition.source and definition.unit
