"""Workflows that the clock hands in: once a moment, the latest after downtime."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.flow import tick
from handrail.gate.every import parse
from handrail.gate.values import read_timestamp, render_timestamp
from handrail.model import commands as c
from handrail.model.modes import Lane

from .conftest import SECOND, World

HOUR = 3600 * SECOND

WATCH = """
handrail: 1
workflow: volume
owners: [team:data]
subject: source
every: {at: day 07:00 Europe/Berlin, each: source}
fields:
  source: string
  slot: {type: timestamp, optional: true}
aggregates:
  yesterday:
    {count: events, over: events:leads, by: [source], window: 1d, complete: day, tz: Europe/Berlin}
  usual: {like: yesterday, window: 8w, same: weekday, min: 4}
otherwise: auto
rules:
  - id: drop
    when: yesterday < usual * 0.5
    on_unknown: ignore
    because: "{source}: {yesterday} leads yesterday, {usual} are usual on that weekday"
route: [{to: team:data, silence: block}]
"""


def at(text: str) -> int:
    return read_timestamp(text)


# ------------------------------------------------------------------------------------ the moments


@pytest.mark.parametrize(
    ("every", "now", "last", "next_"),
    [
        ("day 07:00 Europe/Berlin", "2026-11-21T06:00:00Z", "2026-11-21T06", "2026-11-22T06"),
        ("day 07:00 Europe/Berlin", "2026-11-21T05:59:59Z", "2026-11-20T06", "2026-11-21T06"),
        ("day 07:00 Europe/Berlin", "2026-03-29T06:00:00Z", "2026-03-29T05", "2026-03-30T05"),
        # 02:30 is skipped on 29 March: an hour later by the clock. It comes twice on 25 October.
        ("day 02:30 Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29T01:30", "2026-03-30T00:30"),
        ("day 02:30 Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("week monday 07:00 UTC", "2026-11-21T06:00:00Z", "2026-11-16T07", "2026-11-23T07"),
        ("month 31 07:00 UTC", "2026-11-21T06:00:00Z", "2026-10-31T07", "2026-11-30T07"),
        (
            "month 1 00:00 America/New_York",
            "2026-11-01T04:00:00Z",
            "2026-11-01T04",
            "2026-12-01T05",
        ),
        ("hour :15", "2026-11-21T06:14:59Z", "2026-11-21T05:15", "2026-11-21T06:15"),
        ("hour :15", "2026-11-21T06:15:00Z", "2026-11-21T06:15", "2026-11-21T07:15"),
        ("hour :15", "2026-11-21T06:59:00Z", "2026-11-21T06:15", "2026-11-21T07:15"),
        ("hour :00", "2026-11-21T06:00:00Z", "2026-11-21T06:00", "2026-11-21T07:00"),
    ],
)
def test_moments(every: str, now: str, last: str, next_: str) -> None:
    made = parse(every)
    assert made is not None
    assert render_timestamp(made.last(at(now))).startswith(last)
    assert render_timestamp(made.next(at(now))).startswith(next_)


@given(
    st.sampled_from(["day 02:30 Europe/Berlin", "day 23:59 Pacific/Auckland", "hour :45",
                     "week sunday 01:30 America/New_York", "month 29 12:00 Asia/Kathmandu"]),
    st.integers(at("2020-01-01T00:00:00Z"), at("2040-01-01T00:00:00Z")),
)  # fmt: skip
@settings(max_examples=settings().max_examples * 3, deadline=None)
def test_moments_follow_one_another_without_a_gap(every: str, now: int) -> None:
    made = parse(every)
    assert made is not None
    last, following = made.last(now), made.next(now)
    assert last <= now < following
    assert made.next(last) == following and made.last(following) == following
    assert made.last(following - 1) == last


# ------------------------------------------------------------------------------------ the decisions


def morning(day: date) -> int:
    """A little after 07:00 in Berlin in winter."""
    start = datetime(day.year, day.month, day.day, 6, 0, 1, tzinfo=UTC)
    return round(start.timestamp()) * SECOND


FIRST = date(2026, 11, 21)


@pytest.fixture
def monitor(world: World) -> World:
    """Eight weeks of leads of two sources, and yesterday too few of one."""
    world.clock.set(morning(FIRST) - 4 * HOUR)
    for source, number in (("search", 20), ("social", 8)):
        for back in range(1, 57):
            many = number // 4 if (source, back) == ("social", 1) else number
            rows = [
                c.Row(
                    key=f"{source}/{back}/{n}",
                    at=str(FIRST - timedelta(days=back)),
                    facts={"source": source},
                )
                for n in range(many)
            ]
            world.call(c.Record(stream="leads", rows=rows))
    world.policy(WATCH)
    return world


def all_of(world: World) -> list[Any]:
    found = world.call(c.ListDecisions(workflow="volume"))
    return sorted(
        (view.ruling.evaluated_at, view.decision["facts"]["source"], view.ruling) for view in found
    )


@pytest.mark.ledger("M-022")
def test_each_source_is_looked_at_once_a_morning(monitor: World) -> None:
    done: dict[str, int] = {}
    many, then = tick(monitor.ports, done)
    assert (many, then) == (0, morning(FIRST) - SECOND), "its first morning is still to come"
    monitor.clock.set(morning(FIRST))
    assert tick(monitor.ports, done)[0] == 2
    (_, _, search), (_, _, social) = all_of(monitor)
    assert search.lane is Lane.PASS and search.aggregates == {"yesterday": 20, "usual": "20.0"}
    assert social.lane is Lane.HOLD
    assert social.why == "social: 2 leads yesterday, 8 are usual on that weekday"
    assert tick(monitor.ports, done)[0] == 0
    assert tick(monitor.ports, {})[0] == 2, "another server hands the same in, and it is the same"
    assert len(all_of(monitor)) == 2
    facts = monitor.call(c.ListDecisions(workflow="volume"))[0].decision["facts"]
    assert facts["slot"] == render_timestamp(morning(FIRST) - SECOND)


def test_after_downtime_only_the_latest_moment_counts(monitor: World) -> None:
    done: dict[str, int] = {}
    monitor.clock.set(morning(FIRST + timedelta(days=5)))
    assert tick(monitor.ports, done)[0] == 2
    monitor.clock.set(morning(FIRST + timedelta(days=6)))
    assert tick(monitor.ports, done)[0] == 2
    assert len(all_of(monitor)) == 4


def test_many_servers_hand_in_once(monitor: World) -> None:
    monitor.clock.set(morning(FIRST))
    barrier = threading.Barrier(4)
    errors: list[BaseException] = []

    def server() -> None:
        barrier.wait()
        try:
            tick(monitor.ports, {})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=server) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(all_of(monitor)) == 2


def test_a_workflow_without_values_is_one_decision_a_moment(world: World) -> None:
    world.policy(
        WATCH.replace("every: {at: day 07:00 Europe/Berlin, each: source}", "every: hour :15")
        .replace("source: string", "source: {type: string, optional: true}")
        .replace("by: [source], ", "")
        .replace("subject: source\n", "")
    )  # fmt: skip
    done: dict[str, int] = {}
    _, then = tick(world.ports, done)
    assert then is not None
    world.clock.set(then)
    assert tick(world.ports, done)[0] == 1
    world.clock.set(then + HOUR - 1)
    assert tick(world.ports, done)[0] == 0
    world.clock.set(then + HOUR)
    assert tick(world.ports, done)[0] == 1
    assert len(world.call(c.ListDecisions(workflow="volume"))) == 2


def test_an_enum_is_looked_at_member_by_member(world: World) -> None:
    world.policy(WATCH.replace("source: string", "source: {enum: [search, social, mail]}"))
    world.clock.set(morning(FIRST))
    assert tick(world.ports, {})[0] == 3, "also those of which nothing was ever heard"
