"""Intervals that need more than arithmetic: exact and mid-p binomial bounds, paired differences.

`handrail.assure.rates.wilson` is the interval of every printed rate and needs no library. The ones
here are asked for by back tests, which run where numpy and scipy are installed.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from scipy.optimize import brentq
from scipy.special import bdtr, betaincinv


def clopper_pearson(count: int, of: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided exact binomial interval: covers at least as often as it says, never less.

    `count` of `of` trials (0 <= count <= of, of > 0); `confidence` lies in (0, 1). Returns bounds
    of the rate, 0 to 1.

    Source: C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits illustrated in
    the case of the binomial, Biometrika 26 (1934), 404-413.

    >>> low, high = clopper_pearson(3, 400, confidence=0.8)
    >>> round(high, 6)
    0.016625
    """
    _check(count, of, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, of - count + 1, tail))
    high = 1.0 if count == of else float(betaincinv(count + 1, of - count, 1 - tail))
    return low, high


def mid_p(count: int, of: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided mid-p binomial interval: covers about as often as it says, where the exact one
    covers more often and is wider for it.

    Arguments and result as `clopper_pearson`. At each bound the probability of a more extreme
    count plus half of that of this count is (1 - confidence) / 2.

    Source: H. O. Lancaster, Significance tests in discrete distributions, Journal of the American
    Statistical Association 56 (1961), 223-234.

    >>> low, high = mid_p(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.2589)
    """
    _check(count, of, confidence)
    tail = (1 - confidence) / 2
    outer_low, outer_high = clopper_pearson(count, of, confidence=confidence)

    def below(rate: float) -> float:
        """Probability of fewer than `count`, plus half of that of `count`."""
        fewer = float(bdtr(count - 1, of, rate)) if count else 0.0
        return (fewer + float(bdtr(count, of, rate))) / 2

    share = count / of
    low = 0.0 if count == 0 else brentq(lambda r: 1 - below(r) - tail, outer_low, share)
    high = 1.0 if count == of else brentq(lambda r: below(r) - tail, share, outer_high)
    return float(low), float(high)


def paired_difference(
    gained: int, lost: int, of: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of (gained - lost) / of, where the same `of` items were judged twice.

    `gained` items came out only the second time, `lost` only the first time. Bounds lie within
    -1 and 1.

    Source: A. Agresti and Y. Min, Simple improved confidence intervals for comparing matched
    proportions, Statistics in Medicine 24 (2005), 729-740: half an item more in each of the four
    cells, then the Wald interval.

    >>> low, high = paired_difference(30, 10, 1000)
    >>> round(low, 4), round(high, 4)
    (0.0075, 0.0324)
    """
    if of <= 0 or gained < 0 or lost < 0 or gained + lost > of:
        raise ValueError(f"{gained} gained and {lost} lost of {of} is no comparison of pairs")
    _check(gained, of, confidence)
    more, less, whole = gained + 0.5, lost + 0.5, of + 2.0
    middle = (more - less) / whole
    spread = (
        NormalDist().inv_cdf(0.5 + confidence / 2)
        * math.sqrt(more + less - (more - less) ** 2 / whole)
        / whole
    )
    return max(-1.0, middle - spread), min(1.0, middle + spread)


def _check(count: int, of: int, confidence: float) -> None:
    if of <= 0 or not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no proportion; expected 0 <= count <= of and of > 0")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"the confidence is {confidence}; expected a number between 0 and 1")
