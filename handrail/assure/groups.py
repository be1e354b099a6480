"""Rates cut by group, to see whom a policy treats worse, and what the figures can say of it.

A group of few decisions gets its counts and no rate: a share of three decisions would be read as
one. Two groups are compared by what is certain of both, so that a gap is not seen in noise, and
"no gap seen" is never read as "none there".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from handrail.assure.backtest import Alike, PassingError, caught, held, passing_error
from handrail.assure.intervals import clopper_pearson
from handrail.assure.rates import Rate
from handrail.model.modes import Lane

SMALL = 30
"""Fewest decisions a rate is said of: of fewer, an interval of 95 % is up to 35 points wide."""


class GroupRates(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of one group. Of fewer than `SMALL` decisions there are counts and no rate."""

    value: str | None
    """Value of the field; None where it has none."""
    others: bool = False
    """True for all the values together that came after the first hundred."""
    decisions: int
    small: bool
    """Whether the group is too small for a rate of its decisions."""
    held_before: Rate | None
    held_after: Rate
    caught_after: Rate
    hit_after: Rate
    passing_after: PassingError | None
    """Error of what passes; None where too few pass."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """How far two groups are apart at most, and for certain."""

    rate: str
    """Key of the rate, such as `intervention`."""
    highest: str | None
    lowest: str | None
    at_least: float
    """What is certain, 0 to 1; 0 where the groups may be alike."""
    at_most: float
    """What cannot be excluded, 0 to 1."""

    @property
    def certain(self) -> bool:
        """Whether the groups differ, at the confidence of the back test."""
        return self.at_least > 0


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a back test, cut by one fact."""

    field: str
    groups: tuple[GroupRates, ...]
    """The largest first."""
    gaps: tuple[Gap, ...]


class Group(msgspec.Struct, frozen=True):
    """One value of a field, as a key."""

    value: str | None
    others: bool = False


def cut(
    field: str,
    groups: Mapping[Group, Sequence[Alike]],
    *,
    compared: bool,
    confidence: float = 0.95,
) -> Cut:
    """The rates of each group of `field`, and the widest gaps between groups.

    `groups` gives the counts of decisions alike; `compared` says whether there is a before. The
    intervals of a gap hold for all groups at once: each is widened to 1 - (1 - confidence) / G for
    G groups (Bonferroni), exact (Clopper-Pearson).

    >>> def counts(held: int, passed: int) -> list[Alike]:
    ...     lanes = ((Lane.HOLD, held), (Lane.PASS, passed))
    ...     return [Alike(before=None, after=lane, looked="unseen", count=n) for lane, n in lanes]
    >>> found = cut("band", {Group("60+"): counts(40, 60), Group("30-59"): counts(10, 190),
    ...                      Group("<30"): counts(1, 2)}, compared=False)
    >>> [(group.value, group.small) for group in found.groups]
    [('30-59', False), ('60+', False), ('<30', True)]
    >>> gap = found.gaps[0]
    >>> gap.highest, gap.lowest, round(gap.at_least, 3), round(gap.at_most, 3)
    ('60+', '30-59', 0.195, 0.495)
    """
    rates = []
    for group, alike in groups.items():
        decisions = sum(one.count for one in alike)
        passes = [one for one in alike if one.after is Lane.PASS]
        few = sum(one.count for one in passes) < SMALL
        rates.append(
            GroupRates(
                value=group.value,
                others=group.others,
                decisions=decisions,
                small=decisions < SMALL,
                held_before=_said(held(alike, "before", confidence)) if compared else None,
                held_after=_said(held(alike, "after", confidence)),
                caught_after=_said(caught(alike, True, "after", confidence)),
                hit_after=_said(caught(alike, False, "after", confidence)),
                passing_after=None if few else passing_error(passes, confidence=confidence),
            )
        )
    rates.sort(key=lambda one: (one.others, -one.decisions, one.value is None, one.value or ""))
    gaps = [
        gap
        for name in ("held_after", "caught_after", "hit_after")
        if (gap := _gap(rates, name, confidence)) is not None
    ]
    return Cut(field=field, groups=tuple(rates), gaps=tuple(gaps))


def _said(rate: Rate) -> Rate:
    """A rate without its value where it is of too few."""
    if rate.of >= SMALL:
        return rate
    return msgspec.structs.replace(rate, value=None, low=None, high=None)


def _gap(rates: Sequence[GroupRates], name: str, confidence: float) -> Gap | None:
    """The widest gap of one rate between groups that are large enough; None with fewer than two."""
    known = [
        (group, rate)
        for group in rates
        if not group.others and (rate := getattr(group, name)).value is not None
    ]
    if len(known) < 2:
        return None
    each = 1 - (1 - confidence) / len(known)
    bounds = [
        (group.value, rate.value, *clopper_pearson(rate.count, rate.of, confidence=each))
        for group, rate in known
    ]
    highest = max(bounds, key=lambda bound: bound[2])
    lowest = min(bounds, key=lambda bound: bound[3])
    apart = highest[2] - lowest[3]
    if apart <= 0:  # nothing is certain: name those that look furthest apart
        highest = max(bounds, key=lambda bound: bound[1])
        lowest = min(bounds, key=lambda bound: bound[1])
    return Gap(
        rate=known[0][1].key,
        highest=highest[0],
        lowest=lowest[0],
        at_least=max(0.0, apart),
        at_most=max(bound[3] for bound in bounds) - min(bound[2] for bound in bounds),
    )
