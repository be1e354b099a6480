"""The riskiest 5 % of a stream whose scores drift: a quantile follows, a fixed cut does not.

Thirty days of 1,500 scores from a beta distribution whose first parameter grows by half; the fixed
cut is the 95th percentile of the first day, the moving one that of the last 24 hours. Held shares
and the share of each day's true top 5 % that is held are counted from the second day on.

With 1,500 a day a share of 5 % has a standard error of 0.56 %, the cut itself another 0.56 %, so
that 29 days of a stream without drift lie within 5 % ± 3 × 0.8 %; the drift adds what it moves in
a day. The bounds below are wide enough for any seed and narrow enough for a cut that does not move.
"""

from __future__ import annotations

import numpy as np

from handrail import gate
from handrail.gate import History

DAYS, A_DAY = 30, 1_500
DAY_US = 86_400_000_000
START = 20_000 * DAY_US

POLICY = """
handrail: 1
workflow: riskiest
owners: [team:fraud]
fields: {risk: {type: double, min: 0, max: 1}}
aggregates:
  cut: {quantile: 0.95, of: risk, over: decisions:submitted, window: 24h, min: 200}
otherwise: auto
rules:
  - {id: riskiest, when: risk > cut, on_unknown: ignore}
route: [{to: team:fraud, silence: block}]
"""


def test_a_moving_cut_holds_the_riskiest_few_while_scores_drift() -> None:
    policy = gate.load(POLICY, path="riskiest.yaml")
    rng = np.random.default_rng(2026)
    past = History()
    moving, fixed, caught = [], [], []
    first_cut = 1.0
    for day in range(DAYS):
        risks = rng.beta(2.0 + day / DAYS, 8.0, A_DAY)
        times = np.sort(rng.integers(0, DAY_US, A_DAY)) + START + day * DAY_US
        held = np.zeros(A_DAY, dtype=bool)
        for number, (risk, at) in enumerate(zip(risks.tolist(), times.tolist(), strict=True)):
            record = policy.ingest({"risk": risk})
            values = past.values(policy, record, at)
            found = policy.judge(record, aggregates=values)
            held[number] = any(one.rule == 0 and not one.unknown for one in found)
            past.decided(policy, record, "submitted", at)
        if not day:
            first_cut = float(np.quantile(risks, 0.95))
            continue
        moving.append(held.mean())
        fixed.append((risks > first_cut).mean())
        top = risks > np.quantile(risks, 0.95)
        caught.append(held[top].mean())
    assert min(moving) > 0.02 and max(moving) < 0.10
    assert 0.045 < np.mean(moving) < 0.065
    assert np.mean(caught) > 0.9
    assert max(fixed) > 0.12, "the drift is one that a fixed cut does not bear"
