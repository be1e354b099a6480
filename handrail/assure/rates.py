"""Every rate Handrail prints, defined once: formula, unit, denominator, source, interval.

A rate is a count over a count. Its interval is Wilson's, which stays within 0 and 1 and is honest
for small numbers; of nothing there is no rate and no interval.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a rate counts, over what, and where the counts come from."""

    name: str
    """As it is printed."""
    counts: str
    """What the numerator counts."""
    of: str
    """What the denominator counts."""
    source: str
    """Where both come from."""
    unit: str = "share, 0 to 1"

    @property
    def formula(self) -> str:
        """Numerator over denominator, in words."""
        return f"{self.counts} / {self.of}"


DEFINITIONS: dict[str, Definition] = {
    "automated": Definition(
        name="share automated",
        counts="decisions whose ruling passes",
        of="decisions",
        source="lane of the stored rulings",
    ),
    "intervention": Definition(
        name="intervention rate",
        counts="decisions whose ruling holds",
        of="decisions",
        source="lane of the stored rulings",
    ),
    "refused": Definition(
        name="refusal rate",
        counts="decisions whose ruling refuses",
        of="decisions",
        source="lane of the stored rulings",
    ),
    "override": Definition(
        name="override rate",
        counts="verdicts that differ from the recommendation (edit or reject)",
        of="verdicts of people who saw the recommendation",
        source="votes on held decisions, blind ones left out",
    ),
    "error_alone": Definition(
        name="error of automation alone",
        counts="proposals that differ from the truth",
        of="decisions whose truth is known",
        source="stored proposals and labels; as if everything had passed",
    ),
    "error_automated": Definition(
        name="error of what passed by itself",
        counts="values that passed and differ from the truth",
        of="decisions that passed and whose truth is known",
        source="outcomes and labels",
    ),
    "error_after_review": Definition(
        name="error after review",
        counts="final values that differ from the truth",
        of="decisions with an outcome whose truth is known",
        source="outcomes and labels; a rejected decision is right where nothing should run",
    ),
    "alert_precision": Definition(
        name="alert precision",
        counts="decisions a rule fires on that were bad",
        of="decisions it fires on whose truth is known",
        source="rulings, verdicts and labels; bad where letting the proposal pass was wrong",
    ),
    "caught": Definition(
        name="bad ones caught",
        counts="known-bad decisions that do not pass",
        of="decisions known to be bad",
        source="lanes and labels",
    ),
    "hit": Definition(
        name="good ones held up",
        counts="known-good decisions that do not pass",
        of="decisions known to be good",
        source="lanes and labels",
    ),
}
"""Key of a rate → its definition."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A count over a count, with its interval."""

    key: str
    """Key in `DEFINITIONS`."""
    count: int
    of: int
    value: float | None
    """None of nothing."""
    low: float | None
    high: float | None
    confidence: float
    """Probability with which the interval covers the true rate, 0 to 1."""

    @property
    def definition(self) -> Definition:
        """What it is a rate of."""
        return DEFINITIONS[self.key]


def rate(key: str, count: int, of: int, *, confidence: float = 0.95) -> Rate:
    """The rate `key` with its Wilson interval.

    >>> found = rate("intervention", 50, 1000)
    >>> found.value, round(found.low, 4), round(found.high, 4)
    (0.05, 0.0381, 0.0653)
    """
    if key not in DEFINITIONS:
        raise KeyError(f"{key!r} is no rate; expected one of {', '.join(DEFINITIONS)}")
    low, high = wilson(count, of, confidence=confidence) if of else (None, None)
    return Rate(
        key=key,
        count=count,
        of=of,
        value=count / of if of else None,
        low=low,
        high=high,
        confidence=confidence,
    )


def wilson(count: int, of: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided Wilson score interval of a binomial proportion.

    `count` of `of` trials succeeded (0 <= count <= of, of > 0); `confidence` lies in (0, 1).
    Returns the lower and the upper bound, 0 to 1. Raises `ValueError` for other arguments.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    Journal of the American Statistical Association 22 (1927), 209-212.

    >>> low, high = wilson(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.2775)
    """
    if of <= 0 or not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no proportion; expected 0 <= count <= of and of > 0")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"the confidence is {confidence}; expected a number between 0 and 1")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = count / of
    middle = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    low = 0.0 if count == 0 else max(0.0, (middle - spread) / scale)
    high = 1.0 if count == of else min(1.0, (middle + spread) / scale)
    return low, high
