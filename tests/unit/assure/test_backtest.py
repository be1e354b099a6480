"""A back test counts what is known, estimates what was drawn, and bounds what nobody saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from handrail.assure.backtest import (
    Alike,
    Backtest,
    Looked,
    RuleAlike,
    backtest,
    passing_error,
)
from handrail.assure.intervals import clopper_pearson, mid_p, paired_difference
from handrail.model.modes import Lane

PASS, HOLD, REFUSE = Lane.PASS, Lane.HOLD, Lane.REFUSE


def some(
    count: int,
    before: Lane | None,
    after: Lane,
    bad: bool | None = None,
    looked: Looked | None = None,
) -> Alike:
    known = Looked.UNSEEN if bad is None else Looked.JUDGED
    return Alike(before=before, after=after, bad=bad, looked=looked or known, count=count)


def run(*alike: Alike, rules: tuple[RuleAlike, ...] = (), **more: Any) -> Backtest:
    given: dict[str, Any] = {
        "policy": "new",
        "against": "old",
        "named_before": ("a",),
        "named_after": ("a", "b"),
        "reviews": (10, 20),
        "minutes_each": 1.5,
    }
    return backtest(alike, rules, **(given | more))


@pytest.mark.parametrize(("count", "of"), [(0, 230), (3, 400), (10, 500), (7, 7), (1, 1)])
def test_the_exact_interval_is_that_of_an_independent_library(count: int, of: int) -> None:
    theirs = binomtest(count, of).proportion_ci(0.9, method="exact")
    ours = clopper_pearson(count, of, confidence=0.9)
    assert ours == (pytest.approx(theirs.low), pytest.approx(theirs.high))


@pytest.mark.parametrize(
    ("count", "of", "high"), [(0, 230, 0.009961), (3, 400, 0.016625), (10, 500, 0.033688)]
)
def test_upper_bounds_are_the_reference_values(count: int, of: int, high: float) -> None:
    # One-sided at 0.1 (the last one at 0.05): the upper end of a two-sided interval of 0.8 (0.9).
    confidence = 0.9 if of == 500 else 0.8
    assert clopper_pearson(count, of, confidence=confidence)[1] == pytest.approx(high, abs=5e-7)


@pytest.mark.parametrize(("count", "of"), [(0, 20), (1, 29), (15, 148), (81, 263), (20, 20)])
def test_mid_p_lies_within_the_exact_interval(count: int, of: int) -> None:
    exact, narrow = clopper_pearson(count, of), mid_p(count, of)
    assert exact[0] <= narrow[0] <= count / of <= narrow[1] <= exact[1]


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 6
        (81, 263, 0.2544, 0.3658),
        (15, 148, 0.0601, 0.1581),
        (0, 20, 0.0, 0.1391),
        (1, 29, 0.0017, 0.1585),
    ],
)
def test_mid_p_gives_the_published_intervals(count: int, of: int, low: float, high: float) -> None:
    assert mid_p(count, of) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_the_interval_of_a_change_covers_what_it_says() -> None:
    rng = np.random.default_rng(20261130)
    cells = (0.70, 0.18, 0.02, 0.10)  # neither, gained, lost, both
    drawn = rng.multinomial(400, cells, size=2_000)
    hits = 0
    for _, gained, lost, _ in drawn:
        low, high = paired_difference(int(gained), int(lost), 400)
        hits += low <= 0.16 <= high
    assert 0.93 <= hits / 2_000 <= 0.97  # binomial standard error 0.005


def test_moves_change_and_catches_are_counted() -> None:
    found = run(
        some(900, PASS, PASS, looked=Looked.SPARED),
        some(40, PASS, PASS, False, Looked.DRAWN),
        some(30, PASS, HOLD, True),
        some(10, HOLD, PASS, False),
        some(15, HOLD, HOLD, True),
        some(5, HOLD, REFUSE, True),
    )
    assert found.decisions == 1000
    assert (found.held_before and found.held_before.count, found.held_after.count) == (30, 45)
    assert found.moves == {"hold → pass": 10, "hold → refuse": 5, "pass → hold": 30}
    assert found.change is not None and found.change[0] == pytest.approx(0.02)
    assert (found.caught_before and found.caught_before.count, found.caught_after.count) == (20, 50)
    assert found.caught_after.of == 50
    assert (found.hit_before and found.hit_before.count, found.hit_after.count) == (10, 0)
    assert found.nobody_looked == 900
    assert (found.load.minutes_before, found.load.minutes_after) == (15.0, 30.0)


def test_without_an_earlier_policy_nothing_is_compared() -> None:
    found = run(some(9, None, PASS), some(1, None, HOLD, True), against=None, named_before=None)
    assert found.held_before is found.change is found.caught_before is None
    assert found.load.minutes_before is None
    assert found.held_after.value == 0.1
    assert found.caught_after.value == 1.0


def test_what_nobody_could_have_seen_has_bounds_and_no_estimate() -> None:
    found = passing_error([some(80, None, PASS, False), some(20, None, PASS)])
    assert (found.value, found.low, found.high) == (None, 0.0, 0.2)


def test_what_is_all_known_needs_no_interval() -> None:
    found = passing_error([some(98, HOLD, PASS, False), some(2, HOLD, PASS, True)])
    assert (found.value, found.low, found.high) == (0.02, 0.02, 0.02)


def test_spared_ones_without_a_single_drawn_one_are_bounded() -> None:
    found = passing_error([some(50, None, PASS, looked=Looked.SPARED)])
    assert (found.value, found.low, found.high) == (None, 0.0, 1.0)


def test_of_nothing_that_passes_there_is_no_error() -> None:
    found = passing_error([])
    assert (found.passes, found.value, found.low, found.high) == (0, None, None, None)


def test_rules_of_either_policy_are_listed_with_what_is_known() -> None:
    found = run(
        some(100, PASS, HOLD),
        rules=(
            RuleAlike(rule="a", before=True, after=True, bad=True, count=3),
            RuleAlike(rule="a", before=True, after=False, bad=False, count=4),
            RuleAlike(rule="b", before=False, after=True, alone=True, bad=False, count=2),
            RuleAlike(rule="b", before=False, after=True, count=5),
        ),
    )
    a, b = found.rules
    assert (a.rule, a.before, a.after, a.bad, a.good) == ("a", 7, 3, 3, 0)
    assert (b.rule, b.before, b.after, b.alone, b.bad, b.good) == ("b", None, 7, 2, 0, 2)
    assert a.precision.value == 1.0
    assert a.precision.low is not None and a.precision.low < 0.5


def test_a_group_that_contradicts_itself_is_refused() -> None:
    wrong = Alike(before=PASS, after=PASS, looked=Looked.UNSEEN, bad=True, count=1)
    with pytest.raises(ValueError, match="both known and not known"):
        run(wrong)
    with pytest.raises(ValueError, match="no decision"):
        run()


def test_drawn_ones_stand_only_for_those_of_the_same_chance() -> None:
    def of(chance: float, looked: Looked, bad: bool | None, count: int) -> Alike:
        return Alike(before=PASS, after=PASS, looked=looked, bad=bad, chance=chance, count=count)

    busy = [of(0.5, Looked.DRAWN, False, 100), of(0.5, Looked.SPARED, None, 100)]
    rare = [
        of(0.01, Looked.DRAWN, True, 1),
        of(0.01, Looked.DRAWN, False, 9),
        of(0.01, Looked.SPARED, None, 990),
    ]
    found = passing_error(busy + rare)
    assert found.value == pytest.approx((1 + 99) / 1200)
    alone = passing_error(rare)
    assert alone.high is not None and found.high is not None and alone.value is not None
    wide = (alone.high - alone.value) * 1000
    assert wide / 1200 < found.high - (found.value or 0) < 1.01 * wide / 1200
