"""Real series through the whole way: recorded day by day, looked at by the clock, held or not."""

from __future__ import annotations

import csv
import json
import statistics
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail.flow import astray, tick
from handrail.flow.aggregates import active_policies
from handrail.model import commands as c

from .conftest import SECOND, World

DATA = Path(__file__).parents[4] / "shared" / "data"
DAY = timedelta(days=1)

VOLUME = """
handrail: 1
workflow: volume
owners: [team:data]
every: day 07:00 UTC
fields:
  slot: timestamp
aggregates:
  yesterday: {count: events, over: events:deals, window: 1d, complete: day}
  usual: {like: yesterday, window: 8w, same: weekday, min: 8}
otherwise: auto
rules:
  - {id: drop, when: usual >= 10 and yesterday < usual * 0.5, on_unknown: ignore}
route: [{to: team:data, silence: block}]
"""

COST = """
handrail: 1
workflow: cost
owners: [team:media]
subject: series
every: {at: day 00:30 UTC, each: series}
fields:
  series: string
aggregates:
  week:
    {mean: cost, places: 8, over: events:cost, by: [series], window: 7d, complete: day, min: 100}
  before: {like: week, offset: 7d}
otherwise: auto
rules:
  - id: jump
    when: week > before * 1.5
    on_unknown: ignore
    because: "{week} is half as much again as {before} the week before"
route: [{to: team:media, silence: block}]
"""


@pytest.fixture
def embedded(kind: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = World()
    yield made
    made.store.close()


def noon(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * SECOND


def record(world: World, stream: str, rows: list[c.Row]) -> None:
    for start in range(0, len(rows), 500):
        answer = world.call(c.Record(stream=stream, rows=rows[start : start + 500]))
        assert answer.recorded == len(rows[start : start + 500])


def held(world: World, workflow: str) -> list[Any]:
    found, before = [], None
    while page := world.call(
        c.ListDecisions(workflow=workflow, lane="hold", before=before, limit=500)
    ):
        found += page
        before = page[-1].decision["id"]
    return found


@pytest.mark.needs("data")
def test_a_year_of_deals_day_by_day_holds_as_a_median_by_hand(embedded: World) -> None:
    """8,300 deals of a (fictitious) pipeline; twelve mornings after a planted outage of 90 %."""
    with (DATA / "crm-pipeline-maven" / "sales_pipeline.csv").open(newline="") as file:
        starts = [
            datetime.strptime(row["engage_date"], "%m/%d/%Y").replace(tzinfo=UTC).date()
            for row in csv.DictReader(file)
            if row["engage_date"]
        ]
    deals = Counter(starts)
    first, last = min(deals), max(deals)
    planted = {first + timedelta(days=150 + 22 * n) for n in range(12)}
    for day in planted:
        deals[day] //= 10
    world = embedded
    world.clock.set(noon(first))
    world.policy(VOLUME)
    done: dict[str, int] = {}
    expected = []
    day = first
    while day <= last:
        record(
            world,
            "deals",
            [c.Row(key=f"{day}/{n}", at=str(day)) for n in range(deals[day])],
        )
        world.clock.set(noon(day + DAY))
        assert tick(world.ports, done)[0] == 1
        same = [deals[day - timedelta(days=7 * back)] for back in range(1, 9)]
        usual = statistics.median(same)
        if day - timedelta(days=56) >= first and usual >= 10 and deals[day] < usual * 0.5:
            expected.append(str(day + DAY))
        day += DAY
    found = sorted(view.decision["facts"]["slot"][:10] for view in held(world, "volume"))
    assert found == expected
    caught = planted & {date.fromisoformat(one) - DAY for one in found}
    assert len(caught) == 12
    assert len(found) == 46
    assert not world.store.read(lambda tx: list(astray(tx, active_policies(tx, world.ports))))


@pytest.mark.needs("data")
@pytest.mark.ledger("M-022")
def test_a_cost_half_as_much_again_as_the_week_before(embedded: World) -> None:
    """Six real series of hourly costs per click and per mille over ten weeks: of 54 pairs of weeks
    one is held, +60 % on exchange 4 in the week from 19 August 2011."""
    world = embedded
    rows: dict[str, list[tuple[datetime, str]]] = {}
    for path in sorted((DATA / "ad-exchange-cpc-cpm").glob("*.csv")):
        with path.open(newline="") as file:
            rows[path.stem] = [
                (
                    datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC),
                    f"{float(row['value']):.8f}",
                )
                for row in csv.DictReader(file)
            ]
    first = date(2011, 7, 1)
    world.clock.set(noon(first))
    world.policy(COST)
    done: dict[str, int] = {}
    weeks = 0
    wanted: list[tuple[str, int]] = []
    before: dict[str, float] = {}
    for week in range(10):
        start, end = first + timedelta(days=7 * week), first + timedelta(days=7 * week + 7)
        means: dict[str, float] = {}
        world.clock.set(noon(end) - 43_200 * SECOND + 1800 * SECOND)
        for name, series in rows.items():
            mine = [(at, cost) for at, cost in series if start <= at.date() < end]
            record(
                world,
                "cost",
                [
                    c.Row(
                        # One hour stands twice in a file, with two values: times are no keys.
                        key=f"{name}/{week}/{number}",
                        at=at.isoformat(),
                        facts={"series": name, "cost": cost},
                    )
                    for number, (at, cost) in enumerate(mine)
                ],
            )
            if len(mine) >= 100:
                means[name] = statistics.fmean(float(cost) for _, cost in mine)
        if week:
            weeks += len(means)
            wanted += [
                (name, week) for name, mean in means.items()
                if name in before and mean > before[name] * 1.5
            ]  # fmt: skip
        before = means
        tick(world.ports, done)
    found = [
        (view.decision["facts"]["series"], view.ruling.aggregates) for view in held(world, "cost")
    ]
    assert weeks == 54
    assert [name for name, _ in found] == [name for name, _ in wanted]
    ((name, figures),) = found
    assert (name, wanted[0][1]) == ("exchange-4_cpc_results", 7)
    assert 1.59 < float(figures["week"]) / float(figures["before"]) < 1.61
    assert json.dumps(figures)
