"""The error of a looser policy, estimated from a log: it covers, and reviews alone would lie.

5,000 logged decisions of which the safer half passed under a 5 % spot check and the rest was
reviewed; the tested policy lets three quarters pass. Nominal 90 %.
"""

from __future__ import annotations

import numpy as np

from handrail.assure.backtest import Alike, Looked, passing_error
from handrail.model.modes import Lane

DECISIONS, ROUNDS, CHECKED = 5_000, 1_000, 0.05


def _alike(bad: np.ndarray, looked: Looked, before: Lane) -> list[Alike]:
    if looked is Looked.SPARED:
        return [Alike(before=before, after=Lane.PASS, looked=looked, count=bad.size)]
    return [
        Alike(before=before, after=Lane.PASS, looked=looked, bad=truth, count=int(n))
        for truth, n in ((True, bad.sum()), (False, (~bad).sum()))
    ]


def test_the_error_of_a_looser_policy_covers_and_is_not_biased() -> None:
    rng = np.random.default_rng(7)
    hits, widths, off, naive = 0, [], [], []
    for _ in range(ROUNDS):
        risk = np.sort(rng.beta(0.6, 6.0, DECISIONS))  # riskier to the right
        bad = rng.random(DECISIONS) < risk
        passed, reviewed = bad[: DECISIONS // 2], bad[DECISIONS // 2 : DECISIONS * 3 // 4]
        coin = rng.random(passed.size) < CHECKED
        found = passing_error(
            [
                *_alike(reviewed, Looked.JUDGED, Lane.HOLD),
                *_alike(passed[coin], Looked.DRAWN, Lane.PASS),
                *_alike(passed[~coin], Looked.SPARED, Lane.PASS),
            ],
            confidence=0.9,
        )
        truth = (passed.sum() + reviewed.sum()) / (DECISIONS * 3 / 4)
        assert found.value is not None and found.low is not None and found.high is not None
        hits += found.low <= truth <= found.high
        widths.append(found.high - found.low)
        off.append(found.value - truth)
        naive.append(reviewed.mean() - truth)
    covered = hits / ROUNDS
    assert 0.88 <= covered <= 0.985, covered  # standard error below 0.01
    assert abs(np.mean(off)) < 0.002
    assert np.mean(naive) > 0.02  # what reviews alone would say
    assert np.mean(widths) < 0.034
