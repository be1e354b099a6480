"""Series and aggregates: exact, whatever the order; windows, days, zones and sketches."""

from __future__ import annotations

import random
import statistics
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail import gate
from handrail.gate import History, Policy
from handrail.gate.series import Keeps, _count_distinct, day_start, fold

from .conftest import HEAD

HOUR = 3_600_000_000
DAY = 24 * HOUR


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000


def made(aggregates: str) -> Policy:
    return gate.load(
        HEAD
        + "fields: {who: string, risk: {type: double, min: 0, max: 1, optional: true}, "
        + "price: {type: decimal, places: 2, optional: true}}\notherwise: auto\n"
        + f"aggregates:\n{aggregates}",
        path="p.yaml",
    )


class Told:
    """A history of one stream, and what a policy sees of it."""

    def __init__(self, aggregates: str) -> None:
        self.policy = made(aggregates)
        self.past = History()

    def tell(self, when: int | str, who: str = "a", **facts: Any) -> None:
        moment, day = (at(when), False) if isinstance(when, str) and "T" in when else (when, False)
        if isinstance(moment, str):
            moment, day = at(f"{moment}T00:00:00+00:00"), True
        self.past.observed(self.policy, "s", {"who": who, **facts}, moment, day=day)

    def see(self, now: int | str, who: str = "a") -> dict[str, Any]:
        moment = at(now) if isinstance(now, str) else now
        record = self.policy.ingest({"who": who})
        ruling = self.policy.evaluate(
            record,
            decision_id="d",
            evaluated_at=moment,
            aggregates=self.past.values(self.policy, record, moment),
        )
        return ruling.aggregates


# --------------------------------------------------------------------------------- the functions

NUMBERS = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30)
ALL = """\
  n: {count: events, over: events:s, by: [who], window: 24h}
  total: {sum: x, places: 2, over: events:s, by: [who], window: 24h}
  mean: {mean: x, places: 2, over: events:s, by: [who], window: 24h}
  spread: {stddev: x, places: 2, over: events:s, by: [who], window: 24h}
  low: {smallest: x, places: 2, over: events:s, by: [who], window: 24h}
  high: {largest: x, places: 2, over: events:s, by: [who], window: 24h}
  latest: {last: x, places: 2, over: events:s, by: [who], window: 24h}
  kinds: {distinct: x, over: events:s, by: [who], window: 24h}
"""


@given(NUMBERS, st.randoms(use_true_random=False))
@settings(max_examples=settings().max_examples * 3 // 5, deadline=None)
def test_every_function_is_exact(numbers: list[int], chance: random.Random) -> None:
    told = Told(ALL)
    now = at("2026-11-21T08:00:00+00:00")
    times = sorted(chance.sample(range(now - 20 * HOUR, now), len(numbers)))
    rows = list(zip(times, numbers, strict=True))
    for when, cents in chance.sample(rows, len(rows)):
        told.tell(when, x=_cents(cents))
    seen = told.see(now)
    values = [Fraction(cents, 100) for cents in numbers]
    assert seen["n"] == len(numbers)
    assert Fraction(seen["total"]) == sum(values)
    mean = sum(values) / len(values)
    assert abs(Fraction(seen["mean"]) - mean) <= Fraction(1, 2 * 10**6)
    assert (Fraction(seen["low"]), Fraction(seen["high"])) == (min(values), max(values))
    assert Fraction(seen["latest"]) == values[-1]
    assert seen["kinds"] == len(set(numbers))
    if len(values) < 2:
        assert seen["spread"] is None
        return
    variance = sum((one - mean) ** 2 for one in values) / (len(values) - 1)
    found, step = Fraction(seen["spread"]), Fraction(1, 2 * 10**6)
    assert max(found - step, 0) ** 2 <= variance <= (found + step) ** 2


def _cents(cents: int) -> str:
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02}"


def test_nothing_is_unknown_but_counts_and_sums() -> None:
    seen = Told(ALL).see("2026-11-21T08:00:00+00:00")
    assert seen == {"n": 0, "total": "0.00"} | dict.fromkeys(
        ("mean", "spread", "low", "high", "latest", "kinds")
    )


@pytest.mark.parametrize("keeps", [one for one in Keeps if one is not Keeps.TOTAL])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_bucket_does_not_depend_on_order_or_batches(keeps: Keeps, data: st.DataObject) -> None:
    value: Any = {
        Keeps.DISTINCT: st.integers(0, 400).map(str),
        Keeps.BINS: st.integers(0, 999),
    }.get(keeps, st.integers(-(10**12), 10**12))
    times = st.integers(0, 10**6)
    samples = data.draw(
        st.lists(st.tuples(times, value), min_size=1, max_size=300, unique_by=lambda one: one[0])
    )
    whole = fold(keeps, samples, None)
    shuffled = data.draw(st.permutations(samples))
    cut = data.draw(st.integers(0, len(samples)))
    first = fold(keeps, shuffled[:cut], None) if cut else None
    parts = fold(keeps, shuffled[cut:], first) if cut < len(samples) else first
    assert parts == whole


def test_of_two_values_of_one_instant_the_later_recorded_is_the_last() -> None:
    told = Told("  latest: {last: mood, places: 0, over: events:s, window: 1h}\n")
    told.tell("2026-11-21T08:00:00+00:00", mood=1)
    told.tell("2026-11-21T08:00:00+00:00", mood=2)
    told.tell("2026-11-21T07:59:59+00:00", mood=3)
    assert told.see("2026-11-21T08:10:00+00:00") == {"latest": 2}


def test_the_last_text_keeps_its_type() -> None:
    policy = gate.load(
        HEAD + "fields: {who: string, tier: {enum: [gold, tin]}}\notherwise: auto\n"
        "aggregates:\n  was: {last: tier, over: decisions:submitted, by: [who], window: 30d}\n"
        'rules:\n  - {id: fell, when: was == "gold" and tier == "tin"}\n'
        "cases:\n  - {name: fell, facts: {who: a, tier: tin}, given: {aggregates: {was: gold}}, "
        "fires: [fell]}\n"
        "  - {name: rose, like: fell, given: {aggregates: {was: tin}}, fires: []}\n"
        "  - {name: new, facts: {who: a, tier: tin}, unknown: [fell], lane: hold}\n",
        path="p.yaml",
    )
    past = History()
    record = policy.ingest({"who": "a", "tier": "gold"})
    past.decided(policy, record, "submitted", DAY)
    assert past.values(policy, record, 2 * DAY) == {"was": "gold"}


def test_a_sketch_counts_different_values_within_its_error() -> None:
    """1.04 / √4096 = 1.6 % is one standard deviation; of 30 sets the mean square error is within
    a factor of 1.6 of it (χ² with 30 degrees of freedom, 10^-4 in each tail), none is 5 off."""
    chance = random.Random(20261121)
    for many in (100, 256, 257, 1_000, 10_000, 40_000):
        errors = []
        for _ in range(30 if many <= 10_000 else 8):
            samples = [(0, str(chance.getrandbits(64))) for _ in range(many)]
            half = many // 2
            bodies = [fold(Keeps.DISTINCT, part, None) for part in (samples[:half], samples[half:])]
            overlap = fold(Keeps.DISTINCT, samples[: half + half // 2], None)
            found = _count_distinct([*bodies, overlap])
            errors.append(found / many - 1)
        if many <= 256:
            assert errors == [0.0] * len(errors)
            continue
        assert max(map(abs, errors)) < 5 * 0.01625
        if len(errors) == 30:
            root = statistics.fmean(one * one for one in errors) ** 0.5
            assert root < 1.6 * 0.01625


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=400), st.sampled_from(["0.05", "0.5", "0.95"])
)
@settings(max_examples=settings().max_examples * 3 // 5, deadline=None)
def test_a_quantile_is_at_most_a_bin_off(numbers: list[float], share: str) -> None:
    told = Told(f"  cut: {{quantile: {share}, of: risk, over: events:s, between: [0, 1], "
                "window: 24h}\n")  # fmt: skip
    now = at("2026-11-21T08:00:00+00:00")
    for number in numbers:
        told.tell(now - HOUR, risk=number)
    cut = float(told.see(now)["cut"])
    wanted = float(share) * len(numbers)
    assert sum(one < cut - 0.001 for one in numbers) <= wanted
    assert sum(one <= cut + 0.001 for one in numbers) >= wanted


# ------------------------------------------------------------------------------------- the windows


def test_weeks_tile_and_a_bucket_is_in_one_of_them() -> None:
    told = Told(
        "  now: {count: events, over: events:s, by: [who], window: 7d}\n"
        "  before: {like: now, offset: 7d}\n"
        "  both: {like: now, window: 14d, bucket: 1h}\n"
    )
    chance = random.Random(1)
    now = at("2026-11-21T08:17:23+00:00")
    for _ in range(500):
        told.tell(now - chance.randrange(20 * DAY))
    seen = told.see(now)
    assert seen["now"] + seen["before"] == seen["both"] > 300
    told.tell("2026-11-21T09:00:00+00:00")
    assert told.see(now) == seen, "what lies ahead is not seen yet"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
@given(hours=st.integers(0, 24 * 366), seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_complete_days_are_those_of_the_zone(zone: str, hours: int, seed: int) -> None:
    told = Told(
        f"  three: {{count: events, over: events:s, window: 3d, complete: day, tz: {zone}}}\n"
        "  earlier: {like: three, offset: 7d}\n"
    )
    chance = random.Random(seed)
    now = at("2026-01-01T00:00:00+00:00") + hours * HOUR + chance.randrange(HOUR)
    local = ZoneInfo(zone)
    today = datetime.fromtimestamp(now // 1_000_000, UTC).astimezone(local).date()
    days: dict[date, int] = {}
    for _ in range(200):
        when = now - chance.randrange(14 * DAY)
        day = datetime.fromtimestamp(when // 1_000_000, UTC).astimezone(local).date()
        days[day] = days.get(day, 0) + 1
        told.tell(when)

    def wanted(first: int) -> int:
        return sum(days.get(today - timedelta(days=back), 0) for back in range(first, first + 3))

    assert told.see(now) == {"three": wanted(1), "earlier": wanted(8)}


def test_a_day_without_a_time_lies_where_the_zone_has_it() -> None:
    for zone in ("UTC", "America/New_York", "Pacific/Auckland"):
        told = Told(
            f"  one: {{sum: x, places: 0, over: events:s, window: 1d, complete: day, tz: {zone}}}\n"
        )
        for day in range(10, 21):
            told.tell(f"2026-11-{day}", x=day)
        noon = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo(zone))
        assert told.see(round(noon.timestamp()) * 1_000_000) == {"one": 19}, zone


def test_days_of_23_and_25_hours_are_whole_days() -> None:
    told = Told("  one: {count: events, over: events:s, window: 1d, complete: day, "
                "tz: Europe/Berlin}\n")  # fmt: skip
    for first, last, now in (
        ("2026-03-29T00:00:00+01:00", "2026-03-29T23:59:59+02:00", "2026-03-30T00:00:00+02:00"),
        ("2026-10-25T00:00:00+02:00", "2026-10-25T23:59:59+01:00", "2026-10-26T00:00:00+01:00"),
    ):
        told.tell(first)
        told.tell(last)
        told.tell(at(first) - 1)
        told.tell(at(last) + 1_000_000)
        assert told.see(now) == {"one": 2}
        assert told.see(at(now) - 1) == {"one": 1}


WEEKDAY = """\
  yesterday: {count: events, over: events:s, window: 1d, complete: day, tz: Europe/Berlin}
  usual: {like: yesterday, window: 8w, same: weekday, min: 4}
"""


def test_the_usual_is_the_median_of_the_same_weekday() -> None:
    told = Told(WEEKDAY)
    now = at("2026-11-21T08:00:00+01:00")
    for back in range(1, 80):
        day = date(2026, 11, 21) - timedelta(days=back)
        # Fridays 10, 11, 12, …; other days 100.
        for _ in range(10 + back // 7 if day.weekday() == 4 else 100):
            told.tell(day_start(day, "Europe/Berlin") + 3 * HOUR)
    seen = told.see(now)
    assert seen == {"usual": "14.5", "yesterday": 10}  # the median of 11 … 18, without yesterday
    assert told.see(now + DAY)["usual"] == "100.0"


def test_days_before_the_first_event_are_no_zeros_and_later_ones_are() -> None:
    told = Told(WEEKDAY)
    now = at("2026-11-21T08:00:00+01:00")
    for back in (8, 15, 29, 36):  # four Fridays' events; the one 22 days ago had none
        day = day_start(date(2026, 11, 21) - timedelta(days=back), "Europe/Berlin")
        for _ in range(30):
            told.tell(day + HOUR)
    assert told.see(now)["usual"] == "30.0"  # of 30, 30, 0, 30, 30
    fewer = Told(WEEKDAY)
    for back in (8, 15, 22):
        fewer.tell(day_start(date(2026, 11, 21) - timedelta(days=back), "Europe/Berlin") + HOUR)
    assert fewer.see(now)["usual"] is None, "three days are not the four that `min` wants"


def test_below_min_it_is_unknown() -> None:
    told = Told("  mean: {mean: x, places: 0, min: 3, over: events:s, window: 1h}\n"
                "  total: {sum: x, places: 0, min: 3, over: events:s, window: 1h}\n")  # fmt: skip
    now = at("2026-11-21T08:00:00+00:00")
    for number in range(3):
        assert told.see(now) == {"mean": None, "total": None}
        told.tell(now - 60_000_000, x=number)
    assert told.see(now) == {"mean": "1.0000", "total": 3}


def test_what_comes_too_late_is_left_out() -> None:
    told = Told("  n: {count: events, over: events:s, window: 7d, lateness: 1h}\n")
    now = at("2026-11-21T08:00:00+00:00")
    for late in (0, HOUR, HOUR + 1):
        told.past.observed(told.policy, "s", {}, now - 2 * HOUR, recorded_at=now - 2 * HOUR + late)
    assert told.see(now) == {"n": 2}


def test_a_changed_definition_is_another_series_and_another_word_is_not() -> None:
    one = made("  a: {sum: x, places: 2, over: events:s, by: [who], window: 7d}\n")
    same = made(
        "  b: {mean: x, places: 2, over: events:s, by: [who], window: 7d, min: 3}\n"
        "  c: {like: b, offset: 7d}\n"
    )
    assert [s.id for s in one.series] == [s.id for s in same.series]
    for other in (
        "{sum: y, places: 2, over: events:s, by: [who], window: 7d}",
        "{sum: x, places: 3, over: events:s, by: [who], window: 7d}",
        "{sum: x, places: 2, over: events:t, by: [who], window: 7d}",
        "{sum: x, places: 2, over: events:s, window: 7d}",
        "{sum: x, places: 2, over: events:s, by: [who], window: 30d}",
        "{sum: x, places: 2, over: events:s, by: [who], window: 7d, lateness: 1h}",
        "{largest: x, places: 2, over: events:s, by: [who], window: 7d}",
    ):
        assert [s.id for s in made(f"  a: {other}\n").series] != [s.id for s in one.series]
