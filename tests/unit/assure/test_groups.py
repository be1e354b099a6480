"""Rates by group: counts where there are few, and gaps only where they are certain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from handrail.assure.backtest import Alike, Looked
from handrail.assure.groups import SMALL, Group, cut
from handrail.model.modes import Lane


def counts(held: int, passed: int, *, bad: bool | None = None) -> list[Alike]:
    looked = Looked.UNSEEN if bad is None else Looked.JUDGED
    return [
        Alike(before=Lane.PASS, after=lane, bad=bad, looked=looked, count=count)
        for lane, count in ((Lane.HOLD, held), (Lane.PASS, passed))
        if count
    ]


def test_a_small_group_has_counts_and_no_rate() -> None:
    found = cut("band", {Group("a"): counts(9, 20), Group("b"): counts(9, 21)}, compared=True)
    few, enough = sorted(found.groups, key=lambda one: one.decisions)
    assert (few.decisions, few.small, enough.decisions, enough.small) == (29, True, SMALL, False)
    assert (few.held_after.count, few.held_after.of, few.held_after.value) == (9, 29, None)
    assert few.held_after.low is few.held_after.high is None
    assert enough.held_after.value == 0.3 and enough.held_before is not None
    assert enough.held_before.count == 0
    assert few.passing_after is enough.passing_after is None, "too few of either pass"
    assert found.gaps == (), "one group alone has none to differ from"


def test_each_rate_is_small_by_its_own_denominator() -> None:
    alike = [*counts(40, 160), *counts(5, 2, bad=True), *counts(10, 40, bad=False)]
    [group] = cut("band", {Group(None): alike}, compared=False).groups
    assert group.value is None and not group.small and group.held_before is None
    assert (group.caught_after.count, group.caught_after.of, group.caught_after.value) == (
        5,
        7,
        None,
    )
    assert group.hit_after.value == pytest.approx(0.2)
    assert group.passing_after is not None and group.passing_after.known_bad == 2


def test_a_gap_is_what_is_certain_of_both_at_once() -> None:
    found = cut(
        "band",
        {Group("a"): counts(10, 190), Group("b"): counts(40, 60), Group("c"): counts(1, 2),
         Group(None, others=True): counts(100, 0)},
        compared=False,
    )  # fmt: skip
    assert [one.value for one in found.groups] == ["a", "b", "c", None], "the others come last"
    [gap] = found.gaps
    each = 1 - 0.05 / 2  # two groups are large enough, and the others are no group
    a = binomtest(10, 200).proportion_ci(each, method="exact")
    b = binomtest(40, 100).proportion_ci(each, method="exact")
    assert (gap.rate, gap.highest, gap.lowest) == ("intervention", "b", "a")
    assert gap.at_least == pytest.approx(b.low - a.high) and gap.certain
    assert gap.at_most == pytest.approx(b.high - a.low)


def test_alike_groups_show_no_certain_gap() -> None:
    found = cut("band", {Group("a"): counts(10, 90), Group("b"): counts(16, 84)}, compared=False)
    [gap] = found.gaps
    assert (gap.certain, gap.at_least, gap.highest, gap.lowest) == (False, 0.0, "b", "a")
    assert gap.at_most > 0.06


def test_groups_that_are_alike_rarely_seem_to_differ() -> None:
    """The bounds hold for all groups at once: nominal 5 % of healthy policies, here 8 groups."""
    dice = np.random.default_rng(7)
    seen = 0
    for draws in dice.binomial(200, 0.1, size=(400, 8)):
        groups = {Group(str(at)): counts(int(n), int(200 - n)) for at, n in enumerate(draws)}
        seen += cut("band", groups, compared=False).gaps[0].certain
    assert seen <= 20
