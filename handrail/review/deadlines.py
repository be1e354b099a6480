"""When a review is reminded, handed on, and what silence means in the end."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from handrail.model.modes import Mode, Silence, Verdict
from handrail.model.ruling import Route
from handrail.model.wire import EPOCH, time_us

SECOND = 1_000_000


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Office hours that `clock: business` counts."""

    zone: str = "UTC"
    opens: int = 9
    """Hour of the day, 0 to 23."""
    closes: int = 17
    """Hour of the day, 1 to 24, after `opens`."""
    days: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Week days worked, Monday is 0."""


def after(start: int, seconds: float, clock: str, hours: Hours) -> int:
    """The time `seconds` after `start` (µs UTC) by this clock.

    `always` runs through; `business` stands still outside office hours (daylight-saving shifts
    follow the zone).
    """
    if clock != "business":
        return start + round(seconds * SECOND)
    zone = ZoneInfo(hours.zone)
    moment = (EPOCH + timedelta(microseconds=start)).astimezone(zone)
    left = timedelta(seconds=seconds)
    while True:
        day = moment.date()
        opens = datetime.combine(day, time(hours.opens), zone)
        closes = datetime.combine(day, time(0), zone) + timedelta(hours=hours.closes)
        if day.weekday() in hours.days and moment < closes:
            moment = max(moment, opens)
            if moment + left <= closes:
                return time_us(moment + left)
            left -= closes - moment
        moment = datetime.combine(day + timedelta(days=1), time(0), zone)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What a deadline asks for now."""

    kind: str
    """`remind`, `fallback`, `owners`, or `silence`."""
    stage: int
    add: tuple[str, ...] = ()
    """Who is asked as well."""
    to: tuple[str, ...] | None = None
    """Who is asked instead; None leaves it."""
    due: int | None = None
    next_at: int | None = None
    verdict: Verdict | None = None
    """What silence means, where `kind` is `silence`."""


def first_dates(route: Route | None, now: int, hours: Hours) -> tuple[int | None, int | None]:
    """(due, first look) of a review opened now: the look is at half the SLA."""
    if route is None or route.sla_seconds is None:
        return None, None
    return (
        after(now, route.sla_seconds, route.clock, hours),
        after(now, route.sla_seconds / 2, route.clock, hours),
    )


def step(
    *,
    route: Route,
    stage: int,
    due: int,
    now: int,
    mode: Mode,
    reversible: bool,
    approvals: bool,
    owners: tuple[str, ...],
    hours: Hours,
) -> Step:
    """What falls due now. One step at a time, so that after downtime each still happens once.

    Half the SLA reminds and asks the next approver as well; the full SLA hands it to the fallback
    with a fresh SLA, once; then silence speaks. Silence never approves what is irreversible, in
    command, or asks for named approvals (`approvals`): nobody's silence is a director's yes. It
    blocks.
    """
    sla = route.sla_seconds or 0
    if stage == 0 and now < due:
        return Step(kind="remind", stage=1, add=route.fallback[:1], due=due, next_at=due)
    fresh = after(now, sla, route.clock, hours)
    if stage <= 1 and route.fallback:
        return Step(kind="fallback", stage=2, to=route.fallback, due=fresh, next_at=fresh)
    if stage <= 2 and route.silence is Silence.ESCALATE and owners:
        return Step(kind="owners", stage=3, to=owners, due=fresh, next_at=fresh)
    verdict = Verdict.EXPIRED
    if route.silence is Silence.REJECT:
        verdict = Verdict.REJECTED
    elif (
        route.silence is Silence.APPROVE
        and reversible
        and not approvals
        and mode is not Mode.IN_COMMAND
    ):
        verdict = Verdict.APPROVED
    return Step(kind="silence", stage=stage, verdict=verdict)
