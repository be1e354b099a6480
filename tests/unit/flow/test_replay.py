"""The invariant: what is replayed out of the log is what happened, bit for bit, on both stores.

Any mixture of decisions, verdicts, observations (late, repeated, for a day, ahead of now), changes
of the policy and clocks that jump is run; then every decision is ruled again from the log and the
stored rows alone, and every bucket is made again from its source. An oracle that knows neither
buckets nor series adds the plain rows up by itself.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail.flow import astray, replay
from handrail.flow.aggregates import active_policies
from handrail.model import commands as c
from handrail.model.errors import HandrailError
from handrail.model.ruling import Ruling
from handrail.model.wire import time_text

from .conftest import SECOND, TEAM, World

HOUR = 3600 * SECOND
DAY = 24 * HOUR
BERLIN = ZoneInfo("Europe/Berlin")

POLICY = """
handrail: 1
workflow: launch
owners: [team:owners]
subject: id
if_open: queue
fields:
  id: string
  who: {type: string, normal: lower}
  risk: {type: double, min: 0, max: 1}
  budget: {type: decimal, places: 2, unit: EUR, min: 0, from: proposal}
otherwise: auto
aggregates:
  spent: {sum: spend, places: 2, over: events:spend, by: [who], window: 6h}
  before: {like: spent, offset: 6h}
  typical: {mean: spend, places: 2, over: events:spend, window: 2d, min: 2}
  spread: {stddev: spend, places: 2, over: events:spend, window: 2d}
  least: {smallest: spend, places: 2, over: events:spend, window: 2d}
  ids: {distinct: id, over: decisions:submitted, window: 1d}
  latest: {last: budget, over: decisions:released, by: [who], window: 1d}
  asked: {count: decisions, over: decisions:submitted, by: [who], window: 1h}
  granted: {sum: budget, over: decisions:released, by: [who], window: 1d}
  cut: {quantile: 0.8, of: risk, over: decisions:submitted, window: 1d, min: 3}
  days: {sum: spend, places: 2, over: events:spend, window: 2d, complete: day, tz: Europe/Berlin}
  prompt: {count: events, over: events:spend, window: 1d, lateness: 2h}
rules:
  - {id: jump, when: before > 0 and spent > before * 1.5}
  - {id: often, when: asked >= 4}
  - {id: much, when: granted + budget > 1000}
  - {id: riskiest, when: risk > cut, on_unknown: ignore}
  - {id: absurd, when: budget > 5000, then: refuse}
route: [{to: team:owners, silence: block}]
review: {edit: [budget], reasons: {wrong: Wrong}, undo: 10s}
"""
CHANGED = POLICY.replace("window: 6h", "window: 8h").replace("asked >= 4", "asked >= 3")


@dataclass
class Row:
    """An observation as an oracle sees it: no series, no buckets."""

    step: int
    at: int
    day: date | None
    who: str
    cents: int | None

    def of_day(self) -> date:
        """Its day in Berlin."""
        return self.day or datetime.fromtimestamp(self.at // SECOND, UTC).astimezone(BERLIN).date()


class Traffic(World):
    """Random traffic, and the plain rows of what happened."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.rows: list[Row] = []
        self.decisions: list[tuple[int, int, str, bool, Ruling]] = []
        """Step, time, who, whether only a test, ruling."""
        self.held: list[Ruling] = []
        self.sent: list[c.Row] = []
        self.step = 0

    def run(self, steps: int) -> None:
        self.first = self.policy(POLICY)
        for self.step in range(steps):
            act = self.chance.choices(
                (self.submit_one, self.record_some, self.decide, self.wait, self.jump, self.change),
                (40, 30, 12, 12, 2, 1),
            )[0]
            act()
        self.after(10)

    def submit_one(self) -> None:
        who = self.chance.choice(["a", "b", "B"])
        facts = {"id": f"o{self.step % 17}", "who": who, "risk": round(self.chance.random(), 3)}
        test = self.chance.random() < 0.1
        ruling = self.call(
            c.Submit(
                workflow="launch",
                facts=facts,
                proposal={"budget": self.chance.choice([1, 2.5, 300, 900, 6000])},
                key=f"k{self.step}",
                test=test,
            )
        )
        if ruling.review_id is not None:
            self.held.append(ruling)
        self.decisions.append((self.step, self.clock(), who.lower(), test, ruling))

    def record_some(self) -> None:
        rows = []
        for number in range(self.chance.randint(1, 4)):
            if self.sent and self.chance.random() < 0.2:
                rows.append(self.chance.choice(self.sent))
                continue
            late = self.chance.choice([HOUR, 3 * HOUR, 12 * HOUR, 2 * DAY])
            when = self.clock() - int(abs(self.chance.gauss(0, 1)) * late)
            when += self.chance.choice([0, 0, 0, 2 * HOUR])
            text, day = time_text(when), None
            if self.chance.random() < 0.2:
                text = text[:10]
                day = date.fromisoformat(text)
                when -= when % DAY
            cents = self.chance.randrange(0, 20_000) if self.chance.random() < 0.9 else None
            facts: dict[str, Any] = {"who": self.chance.choice(["a", "A", "b"])}
            if cents is not None:
                facts["spend"] = f"{cents // 100}.{cents % 100:02}"
            rows.append(c.Row(key=f"{self.step}/{number}", at=text, facts=facts))
            self.rows.append(Row(self.step, when, day, facts["who"].lower(), cents))
        self.sent += rows
        answer = self.call(c.Record(stream="spend", rows=rows))
        assert answer.bad == 0 and answer.late == 0

    def decide(self) -> None:
        if self.held:
            ruling = self.held.pop(self.chance.randrange(len(self.held)))
            said = self.chance.choice(["approve", "reject", "edit"])
            more: dict[str, Any] = {} if said == "approve" else {"reason": "wrong"}
            if said == "edit":
                more["edits"] = {"budget": self.chance.choice([7, 450])}
            try:
                self.vote(ruling, said, **more)
            except HandrailError:
                return  # it waits behind another of its subject

    def wait(self) -> None:
        self.after(self.chance.choice([1, 11, 60, 899, 3600, 6 * 3600]))

    def jump(self) -> None:
        self.clock.set(self.clock() - self.chance.choice([1, 30, 1800]) * SECOND)

    def change(self) -> None:
        self.policy(self.chance.choice([POLICY, CHANGED]))


@pytest.fixture(params=["embedded", TEAM])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(World, "kind", request.param)
    yield request.param
    from tests import postgres

    while World.schemas:
        postgres.drop(World.schemas.pop())


@pytest.mark.ledger("M-051")
@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_replay_is_what_happened(kind: str, seed: int) -> None:
    traffic = Traffic(random.Random(seed))
    try:
        traffic.run(120)
        traffic.store.settle_log()

        def query(tx: Any) -> tuple[list[Any], list[Any]]:
            found = list(replay(tx, traffic.ports))
            return found, list(astray(tx, active_policies(tx, traffic.ports)))

        replayed, wrong = traffic.store.read(query)
        assert wrong == []
        assert len(replayed) == len(traffic.decisions)
        for (*_, ruling), one in zip(traffic.decisions, replayed, strict=True):
            assert one.stored.decision_id == ruling.decision_id
            assert one.again.aggregates == one.stored.aggregates == ruling.aggregates
            assert (one.again.lane, one.again.fired, one.again.unknown) == (
                one.stored.lane,
                one.stored.fired,
                one.stored.unknown,
            )
        check_by_hand(traffic)
    finally:
        traffic.store.close()


def check_by_hand(traffic: Traffic) -> None:
    """Sums and counts of the plain rows, for each decision."""
    for step, now, who, _, ruling in traffic.decisions:
        known = [row for row in traffic.rows if row.step < step and row.cents is not None]
        today = datetime.fromtimestamp(now // SECOND, UTC).astimezone(BERLIN).date()
        days = {today - timedelta(days=back) for back in (1, 2)}
        total = sum(row.cents or 0 for row in known if row.of_day() in days)
        assert Fraction(ruling.aggregates["days"]) * 100 == total
        # A window reaches back to the start of a bucket: of a minute, or five for 8 hours.
        window, bucket = (6 * HOUR, 60 * SECOND) if traffic.first in ruling.policy else (
            8 * HOUR, 300 * SECOND)  # fmt: skip
        start = (now - window) // bucket * bucket
        spent = [row for row in known if row.who == who and row.at // bucket * bucket <= now]
        assert Fraction(ruling.aggregates["spent"]) * 100 == sum(
            row.cents or 0 for row in spent if row.at >= start
        )
        start = (now - HOUR) // (30 * SECOND) * 30 * SECOND
        asked = [
            one for one in traffic.decisions
            if one[0] < step and one[2] == who and not one[3] and one[1] >= start
        ]  # fmt: skip
        assert ruling.aggregates["asked"] == len(asked)
