"""What a policy would have done to decisions of the past, from counts of decisions alike.

A back test knows each decision's lane then and now. What it cannot know is whether a decision was
bad when nobody looked at it, so every figure says what it rests on:

- what people or later truth judged is counted as it is;
- what passed under a spot check is estimated from those the uniform coin drew;
- what could not have been looked at has bounds only, from "all good" to "all bad".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import msgspec

from handrail.assure.intervals import mid_p, paired_difference
from handrail.assure.rates import Rate, rate
from handrail.model.modes import Lane


class Looked(StrEnum):
    """How it came that the truth about a decision is known, or is not."""

    JUDGED = "judged"
    """Known: a review, or truth that arrived later. Says nothing about decisions nobody chose."""
    DRAWN = "drawn"
    """Known: the uniform coin of a spot check drew it. Stands for those that it did not draw."""
    SPARED = "spared"
    """Not known, and the uniform coin could have drawn it."""
    UNSEEN = "unseen"
    """Not known, and nothing could have drawn it: no spot check, or a review without an answer."""


class Alike(msgspec.Struct, frozen=True, kw_only=True):
    """A number of decisions that a back test treats alike."""

    before: Lane | None
    """Lane then: by the earlier policy, or as it was ruled. None where nothing is known of it."""
    after: Lane
    """Lane under the policy that is tested."""
    looked: Looked
    bad: bool | None = None
    """Whether it was wrong to let it pass; None exactly where nobody knows."""
    chance: float = 0.0
    """Probability of the uniform coin where it could draw them, 0 to 1. Drawn decisions stand only
    for spared ones of the same chance."""
    count: int


class RuleAlike(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions one rule fired on, before and after, by what is known of them."""

    rule: str
    before: bool
    after: bool
    alone: bool = False
    """Whether under the tested policy nothing else would have held it."""
    bad: bool | None = None
    count: int


class PassingError(msgspec.Struct, frozen=True, kw_only=True):
    """The error rate of what passes, with what it rests on."""

    passes: int
    known: int
    """Passing decisions whose truth is known."""
    known_bad: int
    drawn: int
    """Of the known ones: drawn by the uniform coin."""
    spared: int
    """Not known, but as likely drawn as the drawn ones were."""
    unseen: int
    """Not known, and nothing stands for them."""
    value: float | None
    """Estimate, 0 to 1; None where some of it has bounds only."""
    low: float | None
    high: float | None
    """Bounds: an interval where `value` is given, else widened from all good to all bad."""


class RuleEffect(msgspec.Struct, frozen=True, kw_only=True):
    """One rule before and after."""

    rule: str
    before: int | None
    """Decisions it fired on before; None where the earlier policy has no such rule."""
    after: int | None
    """Decisions it fires on now; None where the tested policy has no such rule."""
    alone: int
    """Of those now: held by this rule only."""
    bad: int
    good: int
    """Of those now: known to be bad, and known to be good."""
    precision: Rate
    """Known bad among the known."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Reviews and minutes that a policy asks of people."""

    reviews_before: int | None
    reviews_after: int
    minutes_each: float
    """Active minutes of one review."""
    measured: int
    """Reviews the minutes were measured on; 0 where they are assumed."""
    minutes_before: float | None
    minutes_after: float
    days: float | None
    """Days between the first and the last decision; None where no time is known."""


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a back test."""

    policy: str
    against: str | None
    """What it is compared with: a policy, or the rulings as they were; None for nothing."""
    decisions: int
    confidence: float
    """Probability with which each interval covers, 0 to 1."""
    held_before: Rate | None
    held_after: Rate
    change: tuple[float, float, float] | None
    """Held after minus held before, as a share of the decisions, with its interval."""
    moves: dict[str, int]
    """`pass → hold` and so on: decisions by lane before and after; unchanged ones are left out."""
    caught_before: Rate | None
    caught_after: Rate
    """Known-bad decisions that are held or refused, of all known-bad ones."""
    hit_before: Rate | None
    hit_after: Rate
    """Known-good decisions that are held or refused all the same, of all known-good ones."""
    nobody_looked: int
    """Decisions whose truth nobody knows."""
    passing_before: PassingError | None
    passing_after: PassingError
    rules: tuple[RuleEffect, ...]
    load: Load


def backtest(
    alike: Iterable[Alike],
    rules: Iterable[RuleAlike],
    *,
    policy: str,
    against: str | None,
    named_before: Collection[str] | None,
    named_after: Sequence[str],
    reviews: tuple[int | None, int],
    minutes_each: float,
    measured: int = 0,
    days: float | None = None,
    confidence: float = 0.95,
) -> Backtest:
    """Fold counts of decisions alike into the figures of a back test.

    `named_before` and `named_after` are the ids of the rules of the two policies, in their order;
    the earlier ones are None where there is no earlier policy. `reviews` are the reviews before and
    after (fewer than the held decisions where repeats join one case). `minutes_each` are active
    minutes, the mean over `measured` reviews (0: assumed). Raises `ValueError` where a group
    contradicts itself or there is no decision.
    """
    groups = list(alike)
    for group in groups:
        if (group.bad is None) != (group.looked in (Looked.SPARED, Looked.UNSEEN)):
            raise ValueError(f"{group} says that its truth is both known and not known")
    whole = _count(groups)
    if not whole:
        raise ValueError("there is no decision to test the policy on")
    compared = against is not None and all(group.before is not None for group in groups)
    gained = _count(g for g in groups if compared and not _stops(g.before) and _stops(g.after))
    lost = _count(g for g in groups if compared and _stops(g.before) and not _stops(g.after))
    moves: dict[str, int] = {}
    for group in groups:
        if compared and group.before is not group.after:
            name = f"{group.before} → {group.after}"
            moves[name] = moves.get(name, 0) + group.count
    low, high = paired_difference(gained, lost, whole, confidence=confidence)
    return Backtest(
        policy=policy,
        against=against,
        decisions=whole,
        confidence=confidence,
        held_before=held(groups, "before", confidence) if compared else None,
        held_after=held(groups, "after", confidence),
        change=((gained - lost) / whole, low, high) if compared else None,
        moves=dict(sorted(moves.items())),
        caught_before=caught(groups, True, "before", confidence) if compared else None,
        caught_after=caught(groups, True, "after", confidence),
        hit_before=caught(groups, False, "before", confidence) if compared else None,
        hit_after=caught(groups, False, "after", confidence),
        nobody_looked=_count(g for g in groups if g.bad is None),
        passing_before=passing_error(
            [g for g in groups if g.before is Lane.PASS], confidence=confidence
        )
        if compared
        else None,
        passing_after=passing_error(
            [g for g in groups if g.after is Lane.PASS], confidence=confidence
        ),
        rules=_rules(rules, named_before, named_after, confidence),
        load=Load(
            reviews_before=reviews[0] if compared else None,
            reviews_after=reviews[1],
            minutes_each=minutes_each,
            measured=measured,
            minutes_before=reviews[0] * minutes_each
            if compared and reviews[0] is not None
            else None,
            minutes_after=reviews[1] * minutes_each,
            days=days,
        ),
    )


def passing_error(groups: Iterable[Alike], *, confidence: float = 0.95) -> PassingError:
    """The error rate of decisions that pass, from what is known of them.

    The known bad are counted. Among the spared ones the rate is that of the drawn ones of the same
    chance, with a mid-p interval (exact would cover 99 % where 90 % is asked); intervals of several
    chances are added by the distances of their ends. The unseen are all good at the lower bound and
    all bad at the upper one. Decisions that were checked because they looked suspicious count as
    known and do not stand for others, so the estimate errs upwards.

    Source for several chances: G. Y. Zou and A. Donner, Construction of confidence limits about
    effect measures: a general approach, Statistics in Medicine 27 (2008), 1693-1702.

    >>> few = Alike(before=None, after=Lane.PASS, looked=Looked.DRAWN, bad=False, count=200)
    >>> bad = Alike(before=None, after=Lane.PASS, looked=Looked.DRAWN, bad=True, count=2)
    >>> rest = Alike(before=None, after=Lane.PASS, looked=Looked.SPARED, count=9798)
    >>> found = passing_error([few, bad, rest])
    >>> found.passes, round(found.value, 4), round(found.low, 4), round(found.high, 4)
    (10000, 0.0099, 0.0018, 0.0319)
    """
    found = list(groups)
    passes = _count(found)
    known_bad = _count(g for g in found if g.bad)
    unseen = _count(g for g in found if g.looked is Looked.UNSEEN)
    value = low = high = None
    if passes:
        guessed = down = up = nobody = 0.0
        for chance in {g.chance for g in found if g.looked is Looked.SPARED}:
            like = [g for g in found if g.chance == chance]
            spared = _count(g for g in like if g.looked is Looked.SPARED)
            drawn = _count(g for g in like if g.looked is Looked.DRAWN)
            bad = _count(g for g in like if g.looked is Looked.DRAWN and g.bad)
            if not drawn:
                nobody += spared
                continue
            share = bad / drawn
            low_share, high_share = mid_p(bad, drawn, confidence=confidence)
            guessed += spared * share
            down += (spared * (share - low_share)) ** 2
            up += (spared * (high_share - share)) ** 2
        low = (known_bad + guessed - math.sqrt(down)) / passes
        high = (known_bad + guessed + math.sqrt(up) + nobody + unseen) / passes
        if not unseen and not nobody:
            value = (known_bad + guessed) / passes
    return PassingError(
        passes=passes,
        known=_count(g for g in found if g.bad is not None),
        known_bad=known_bad,
        drawn=_count(g for g in found if g.looked is Looked.DRAWN),
        spared=_count(g for g in found if g.looked is Looked.SPARED),
        unseen=unseen,
        value=value,
        low=low,
        high=high,
    )


def _rules(
    counted: Iterable[RuleAlike],
    named_before: Collection[str] | None,
    named_after: Sequence[str],
    confidence: float,
) -> tuple[RuleEffect, ...]:
    by_rule: dict[str, list[RuleAlike]] = {rule: [] for rule in named_after}
    by_rule.update({rule: [] for rule in named_before or () if rule not in by_rule})
    for item in counted:
        by_rule[item.rule].append(item)
    effects = []
    for rule, items in by_rule.items():
        now = [item for item in items if item.after]
        bad = _count(item for item in now if item.bad is True)
        good = _count(item for item in now if item.bad is False)
        effects.append(
            RuleEffect(
                rule=rule,
                before=_count(item for item in items if item.before)
                if named_before is not None and rule in named_before
                else None,
                after=_count(now) if rule in named_after else None,
                alone=_count(item for item in now if item.alone),
                bad=bad,
                good=good,
                precision=rate("alert_precision", bad, bad + good, confidence=confidence),
            )
        )
    return tuple(effects)


def held(alike: Iterable[Alike], when: str, confidence: float) -> Rate:
    """Intervention rate `before` or `after`."""
    groups = list(alike)
    return rate(
        "intervention",
        _count(g for g in groups if getattr(g, when) is Lane.HOLD),
        _count(groups),
        confidence=confidence,
    )


def caught(alike: Iterable[Alike], bad: bool, when: str, confidence: float) -> Rate:
    """Known-bad ones (or known-good ones) that do not pass, `before` or `after`."""
    known = [group for group in alike if group.bad is bad]
    return rate(
        "caught" if bad else "hit",
        _count(g for g in known if _stops(getattr(g, when))),
        _count(known),
        confidence=confidence,
    )


def _stops(lane: Lane | None) -> bool:
    return lane is not Lane.PASS


def _count(items: Iterable[Alike | RuleAlike]) -> int:
    return sum(item.count for item in items)
