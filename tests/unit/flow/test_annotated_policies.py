"""The annotated policies that read events and earlier decisions, in a world of their own."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from handrail.flow import activate
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.ruling import Ruling
from handrail.model.wire import read_time, time_text
from tests.unit.flow.conftest import PROGRAM, SECOND, World

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "policies"
DAY = 86_400 * SECOND


COUNTED = "sum: records, places: 0"


class Office(World):
    """A world ruled by one of the annotated policies."""

    def start(self, name: str, at: str, text: str = "") -> None:
        text = text or (FOLDER / f"{name}.yaml").read_text("utf-8")
        self.name = name
        self.clock.set(read_time(at, "/at"))
        activate(load(text, path=f"{name}.yaml"), {}, PROGRAM, self.ports)

    def record(self, stream: str, days_ago: float, count: int, **facts: Any) -> None:
        at = time_text(int(self.clock() - days_ago * DAY))
        rows = [
            c.Row(key=f"{stream}-{days_ago}-{n}-{facts}", at=at, facts=facts) for n in range(count)
        ]
        self.call(c.Record(stream=stream, rows=rows))

    def ask(self, facts: dict[str, Any], proposal: dict[str, Any] | None = None) -> Ruling:
        command = c.Submit(workflow=self.name, facts=facts, proposal=proposal)
        return self.call(command)  # type: ignore[no-any-return]


@pytest.fixture
def world(kind: None) -> Any:
    made = Office()
    yield made
    made.store.close()


def fired(ruling: Ruling) -> list[str]:
    return [item.rule for item in ruling.fired]


def test_cost_per_lead_week_over_week(world: Office) -> None:
    world.start("cost-per-lead", "2026-11-30T08:00:00Z")
    for day in range(1, 15):
        world.record("spend", day, 1, account="a", spend=150 if day <= 7 else 100)
        world.record("leads", day, 2, account="a")
    ruling = world.ask({"account": "a"}, {"next_week": 1000})
    assert fired(ruling) == ["dearer-leads"]
    assert ruling.values["growth"] == "0.5"
    assert ruling.fired[0].because == "A lead costs 75 USD, 50% more than 50 USD the week before"
    # Another account, half the leads: too few to say anything.
    for day in range(1, 15):
        world.record("spend", day, 1, account="b", spend=150 if day <= 7 else 100)
        world.record("leads", day, 1, account="b")
    assert fired(world.ask({"account": "b"}, {"next_week": 1000})) == []
    world.record("spend", 2, 3, account="c", spend=100)
    assert fired(world.ask({"account": "c"}, {"next_week": 1000})) == ["no-leads"]


def test_volume_by_weekday(world: Office) -> None:
    # A Tuesday; Mondays bring 40 leads, Sundays 4.
    world.start("volume", "2026-12-01T08:00:00Z")
    for week in range(1, 9):
        world.record("leads", 7 * week + 1, 40, source="form")
        world.record("leads", 7 * week + 2, 4, source="form")
    world.record("leads", 1, 38, source="form")
    assert fired(world.ask({"source": "form"})) == []
    for week in range(1, 9):
        world.record("leads", 7 * week + 1, 40, source="chat")
    world.record("leads", 1, 19, source="chat")
    ruling = world.ask({"source": "chat"})
    assert fired(ruling) == ["dropped"]
    assert ruling.aggregates["yesterday"] == 19
    # What came in today is not looked at.
    world.record("leads", 0.1, 500, source="chat")
    assert fired(world.ask({"source": "chat"})) == ["dropped"]


@pytest.mark.ledger("M-136")
def test_ten_thousand_a_day_that_fall_to_a_hundred_wait(world: Office) -> None:
    """The shipped policy over loads that say how many records they brought."""
    text = (FOLDER / "volume.yaml").read_text("utf-8")
    world.start("volume", "2026-12-01T08:00:00Z", text.replace("count: events", COUNTED))
    for week in range(1, 9):
        world.record("leads", 7 * week + 1, 1, source="form", records=10_000)
    world.record("leads", 1, 1, source="form", records=100)
    ruling = world.ask({"source": "form"})
    assert fired(ruling) == ["collapsed"] and ruling.lane == "hold"
    assert ruling.aggregates["yesterday"] == 100


def test_the_riskiest_five_percent_follow_a_drift(world: Office) -> None:
    world.start("riskiest", "2026-11-01T00:00:00Z")
    r = random.Random(20261121)
    held: list[float] = []
    over: list[float] = []
    scores: list[float] = []
    for day in range(8):
        today = [min(1.0, r.betavariate(2, 8) + 0.01 * day) for _ in range(200)]  # scores rise
        rulings = []
        for number, risk in enumerate(today):
            world.clock.advance(86_400 / 200)
            rulings.append(world.ask({"order": f"{day}-{number}", "risk": risk}, {"amount": 1}))
        held.append(sum("riskiest" in fired(ruling) for ruling in rulings) / 200)
        scores = scores or sorted(today)
        over.append(sum(risk >= scores[190] for risk in today) / 200)
    assert held[0] == 0  # with fewer than 200 orders the rule of the first days holds
    assert 0.04 <= sum(held[1:]) / 7 <= 0.09, held
    # What a mark that was right on the first day holds on the last one.
    assert over[0] == 0.05
    assert over[-1] > 1.5 * held[-1], (over, held)
