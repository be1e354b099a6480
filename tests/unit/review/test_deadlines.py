"""Reminders at half, the fallback once, and what silence means in the end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from handrail.model.modes import Mode, Silence, Verdict
from handrail.model.ruling import Route
from handrail.model.wire import time_us
from handrail.review.deadlines import Hours, Step, after, first_dates, step

HOURS = Hours()


def at(text: str) -> int:
    return time_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def act(route: Route, stage: int, now: int, due: int, **kw: object) -> Step:
    given = {
        "mode": Mode.IN_THE_LOOP,
        "reversible": True,
        "approvals": False,
        "owners": ("team:owners",),
    } | kw
    return step(route=route, stage=stage, now=now, due=due, hours=HOURS, **given)  # type: ignore[arg-type]


@pytest.mark.ledger("M-112")
def test_defaults_of_thirty_minutes_and_four_hours_fall_where_they_should() -> None:
    now = at("2026-11-20T10:00:00")
    high = Route(to=("team:budget",), sla_seconds=1800)
    assert first_dates(high, now, HOURS) == (at("2026-11-20T10:30:00"), at("2026-11-20T10:15:00"))
    medium = Route(to=("team:x",), sla_seconds=4 * 3600)
    assert first_dates(medium, now, HOURS)[0] == at("2026-11-20T14:00:00")


def test_business_time_stands_still_at_night_and_at_weekends() -> None:
    friday = at("2026-11-20T16:00:00")
    assert after(friday, 3 * 3600, "business", HOURS) == at("2026-11-23T11:00:00")
    assert after(at("2026-11-21T03:00:00"), 60, "business", HOURS) == at("2026-11-23T09:01:00")
    assert after(friday, 3600, "business", HOURS) == at("2026-11-20T17:00:00")
    assert after(friday, 3 * 3600, "always", HOURS) == at("2026-11-20T19:00:00")


def test_business_time_follows_the_zone_through_daylight_saving() -> None:
    berlin = Hours(zone="Europe/Berlin", days=tuple(range(7)))
    saturday = at("2026-10-24T14:00:00")  # 16:00 summer time
    assert after(saturday, 2 * 3600, "business", berlin) == at("2026-10-25T09:00:00")


@pytest.mark.ledger("M-111", "A-089")
def test_half_reminds_full_hands_on_once_then_silence_speaks() -> None:
    route = Route(to=("team:a",), sla_seconds=1800, fallback=("team:b",), silence=Silence.BLOCK)
    half = act(route, 0, now=900, due=1800)
    assert (half.kind, half.stage, half.add) == ("remind", 1, ("team:b",))
    full = act(route, 1, now=1800, due=1800)
    assert (full.kind, full.to, full.stage) == ("fallback", ("team:b",), 2)
    assert full.due == 1800 + 1800 * 1_000_000
    last = act(route, 2, now=full.due, due=full.due)
    assert (last.kind, last.verdict) == ("silence", Verdict.EXPIRED)


def test_after_a_downtime_past_the_deadline_the_fallback_still_gets_a_fresh_sla() -> None:
    route = Route(to=("team:a",), sla_seconds=60, fallback=("team:b",))
    late = 10**12
    moved = act(route, 0, now=late, due=1000)
    assert (moved.kind, moved.due) == ("fallback", late + 60_000_000)


@pytest.mark.parametrize(
    ("silence", "reversible", "mode", "verdict"),
    [
        (Silence.BLOCK, True, Mode.IN_THE_LOOP, Verdict.EXPIRED),
        (Silence.REJECT, True, Mode.IN_THE_LOOP, Verdict.REJECTED),
        (Silence.APPROVE, True, Mode.IN_THE_LOOP, Verdict.APPROVED),
        (Silence.APPROVE, False, Mode.IN_THE_LOOP, Verdict.EXPIRED),
        (Silence.APPROVE, True, Mode.IN_COMMAND, Verdict.EXPIRED),
        (Silence.ESCALATE, True, Mode.IN_THE_LOOP, Verdict.EXPIRED),
    ],
)
def test_silence_never_approves_what_is_irreversible_or_in_command(
    silence: Silence, reversible: bool, mode: Mode, verdict: Verdict
) -> None:
    route = Route(to=("team:a",), sla_seconds=60, silence=silence)
    final = act(route, 3, now=2000, due=1000, mode=mode, reversible=reversible)
    assert (final.kind, final.verdict) == ("silence", verdict)


def test_silence_is_never_the_approval_that_a_rule_asks_for() -> None:
    route = Route(to=("team:a",), sla_seconds=60, silence=Silence.APPROVE)
    assert act(route, 3, now=2000, due=1000).verdict is Verdict.APPROVED
    assert act(route, 3, now=2000, due=1000, approvals=True).verdict is Verdict.EXPIRED


def test_escalating_silence_asks_the_owners_before_it_blocks() -> None:
    route = Route(to=("team:a",), sla_seconds=60, silence=Silence.ESCALATE)
    owners = act(route, 1, now=2000, due=1000)
    assert (owners.kind, owners.to, owners.stage) == ("owners", ("team:owners",), 3)
    assert act(route, 1, now=2000, due=1000, owners=()).kind == "silence"
