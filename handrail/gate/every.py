"""`every:` a workflow that the clock hands in: which moments, and for which values.

Times are those of a zone's clocks. In the hour that is skipped in spring it runs an hour later, by
the clocks that people then see; of the hour that comes twice in autumn the first counts. A month
that is too short for its day has it on its last.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from handrail.gate.series import SECOND_US, day_of

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SLOT = "slot"
"""Field of type timestamp that gets the moment, where a policy declares it."""

_HOUR_US = 3_600 * SECOND_US
_FORM = re.compile(
    r"(?:hour :(?P<past>[0-5]\d)"
    r"|(?:day|week (?P<weekday>[a-z]+)|month (?P<day>[0-3]?\d))"
    r" (?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)(?: (?P<zone>\S+))?)",
    re.ASCII,
)
FORMS = (
    "`hour :15`, `day 07:00 Europe/Berlin`, `week monday 07:00 Europe/Berlin` or "
    "`month 1 07:00 Europe/Berlin`"
)


@dataclass(frozen=True)
class Every:
    """When a workflow is handed in by the clock."""

    text: str
    """As written."""
    hour: int | None
    """None: every hour."""
    minute: int
    zone: str
    weekday: int | None = None
    """0 is Monday."""
    day: int | None = None
    """Day of the month."""
    each: str | None = None
    """Field with one decision for each of its values."""

    def last(self, now: int) -> int:
        """The latest moment that is not after `now`, µs UTC.

        >>> every = parse("day 07:00 Europe/Berlin")
        >>> from handrail.gate.values import render_timestamp, read_timestamp
        >>> render_timestamp(every.last(read_timestamp("2026-11-21T05:59:59Z")))
        '2026-11-20T06:00:00.000000Z'
        """
        return self._find(now, -1, lambda at: at <= now)

    def next(self, now: int) -> int:
        """The earliest moment after `now`, µs UTC."""
        return self._find(now, 1, lambda at: at > now)

    def _find(self, now: int, way: int, fits: Callable[[int], bool]) -> int:
        if self.hour is None:
            at = now - now % _HOUR_US + self.minute * 60 * SECOND_US
            while not fits(at) or fits(at - way * _HOUR_US):
                at += way * _HOUR_US if not fits(at) else -way * _HOUR_US
            return at
        day = day_of(now, self.zone) - timedelta(days=way)
        while True:
            if self._is_on(day):
                at = self._moment(day)
                if fits(at):
                    return at
            day += timedelta(days=way)

    def _is_on(self, day: date) -> bool:
        if self.weekday is not None:
            return day.weekday() == self.weekday
        if self.day is not None:
            return day.day == min(self.day, calendar.monthrange(day.year, day.month)[1])
        return True

    def _moment(self, day: date) -> int:
        local = datetime(
            day.year, day.month, day.day, self.hour or 0, self.minute, tzinfo=ZoneInfo(self.zone)
        )
        return round(local.astimezone(UTC).timestamp()) * SECOND_US


def parse(text: str) -> Every | None:
    """The moments that a text names; None where it has not the form."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    if found["past"] is not None:
        return Every(text=text, hour=None, minute=int(found["past"]), zone="UTC")
    if found["weekday"] is not None and found["weekday"] not in WEEKDAYS:
        return None
    if found["day"] is not None and not 1 <= int(found["day"]) <= 31:
        return None
    return Every(
        text=text,
        hour=int(found["hour"]),
        minute=int(found["minute"]),
        zone=found["zone"] or "",
        weekday=None if found["weekday"] is None else WEEKDAYS.index(found["weekday"]),
        day=None if found["day"] is None else int(found["day"]),
    )


__all__ = ["FORMS", "SLOT", "Every", "parse"]
