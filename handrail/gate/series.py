"""Series: what is kept of a stream or of decisions, bucket by bucket, and how it adds up.

A bucket holds a count, an exact total, and where a function needs more a body of its own: bytes
that depend only on what was added, never on the order (of `last`, two values of one instant go by
the order in which they were recorded). So buckets can be made again from what they were made of,
and compared byte by byte.

| keeps      | body                                                 | serves            |
|------------|------------------------------------------------------|-------------------|
| `total`    | none                                                 | count, sum, mean  |
| `squares`  | exact sum of the squares                             | stddev            |
| `ends`     | smallest and largest                                 | smallest, largest |
| `last`     | time and value of the latest                         | last              |
| `distinct` | up to 256 hashes, exact; beyond that 4,096 registers | distinct          |
| `bins`     | how many fell into each of 1,000 equal bins          | quantile          |

Histograms and registers are added up as one long integer whose lanes are the bins or registers.

Two texts share one of 2^64 hashes with a chance that does not matter. With registers the standard
error of `distinct` is 1.04 / √4096 = 1.6 % (Flajolet, Fusy, Gandouet and Meunier 2007); the
estimate is Ertl's, which needs no correction tables (Ertl 2017, arXiv:1702.01284, algorithm 6).
"""

from __future__ import annotations

import hashlib
import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as made
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from handrail.gate.values import Wrong, read_decimal, scalar_reader
from handrail.model.canonical import digest
from handrail.model.policy import AggregateAdd, AggregateRead, Bucket, Field

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
BINS = 1_000
"""Bins of a quantile's histogram."""
EXACT_DISTINCT = 256
"""Up to so many different values of a bucket or window are counted exactly."""
REGISTERS = 4_096
MOST_BUCKETS = 1_000
"""Most buckets that one read adds up."""
WIDTHS_US = tuple(
    seconds * SECOND_US
    for seconds in (1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400)
)
"""Widths of buckets that are chosen where the policy names none."""
FOREVER = 2**62
"""An end later than every time, µs."""

_EXACT = Context(prec=2_000, rounding=ROUND_HALF_UP)
_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.decode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[tuple[int, int]]).decode
_SPARSE = 64
"""Up to so many filled bins are written as pairs."""
_HIGH = int.from_bytes(b"\x80" * REGISTERS, "little")

Sample = tuple[int, Any]
"""Time (µs UTC) and value, in the form its series keeps."""


class Keeps(StrEnum):
    """What a series keeps in each bucket beside count and total."""

    TOTAL = "total"
    SQUARES = "squares"
    ENDS = "ends"
    LAST = "last"
    DISTINCT = "distinct"
    BINS = "bins"


# --------------------------------------------------------------------------------- time in buckets


@lru_cache(maxsize=4096)
def _midnight(zone: str, ordinal: int) -> int:
    day = date.fromordinal(ordinal)
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return round(local.astimezone(UTC).timestamp()) * SECOND_US


def day_start(day: date, zone: str) -> int:
    """When a day begins in a zone, µs UTC.

    >>> begins = [day_start(date(2026, 3, day), "Europe/Berlin") for day in (29, 30)]
    >>> (begins[1] - begins[0]) // 3_600_000_000
    23
    """
    return _midnight(zone, day.toordinal())


def day_of(at: int, zone: str) -> date:
    """The day in a zone that `at` (µs UTC) falls in."""
    return datetime.fromtimestamp(at // SECOND_US, UTC).astimezone(ZoneInfo(zone)).date()


def known_zone(name: str) -> bool:
    """Whether the IANA list as installed here has this time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@dataclass(frozen=True)
class Grid:
    """How time is cut into buckets: equal widths since 1970 UTC, or the days of a zone."""

    width_us: int
    """0: whole days of the zone."""
    zone: str = "UTC"

    def start(self, at: int) -> int:
        """Start of the bucket that `at` falls in, µs UTC."""
        if self.width_us:
            return at - at % self.width_us
        return day_start(day_of(at, self.zone), self.zone)


def width_for(window_us: int, parts: int = 96) -> int:
    """Width of the buckets of a window: the longest usual one of which it holds so many parts.

    >>> width_for(24 * 3600 * SECOND_US) // SECOND_US
    900
    """
    return max((w for w in WIDTHS_US if w * parts <= window_us), default=SECOND_US)


# ---------------------------------------------------------------------------------------- bodies


def fold(keeps: Keeps, samples: Iterable[Sample], body: bytes | None) -> bytes:
    """The body of a bucket after `samples`, in the order they were recorded."""
    return _FOLDS[keeps](body, samples)


def _squares(body: bytes | None, samples: Iterable[Sample]) -> bytes:
    return b"%d" % (int(body or b"0") + sum(value * value for _, value in samples))


def _ends(body: bytes | None, samples: Iterable[Sample]) -> bytes:
    values = [value for _, value in samples]
    if body is not None:
        values += map(int, body.split())
    return b"%d %d" % (min(values), max(values))


def _last(body: bytes | None, samples: Iterable[Sample]) -> bytes:
    at, value = _decode(body) if body is not None else (-1, None)
    for time, candidate in samples:
        if time >= at:
            at, value = time, candidate
    return _encode([at, value])


def _distinct(body: bytes | None, samples: Iterable[Sample]) -> bytes:
    return _merge_distinct(body, (_hashed(value) for _, value in samples))


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _hashes(body: bytes) -> Iterable[int]:
    return (int.from_bytes(body[at : at + 8], "big") for at in range(1, len(body), 8))


def _merge_distinct(body: bytes | None, hashes: Iterable[int]) -> bytes:
    if body is None or body[:1] == b"s":
        exact = set(hashes)
        if body is not None:
            exact.update(_hashes(body))
        if len(exact) <= EXACT_DISTINCT:
            return b"s" + b"".join(one.to_bytes(8, "big") for one in sorted(exact))
        registers, hashes = bytearray(REGISTERS), exact
    else:
        registers = bytearray(body[1:])
    for one in hashes:
        # The first 12 bits choose a register; it keeps the most leading zeros of the rest, plus 1.
        place, rest = one >> 52, one & (2**52 - 1)
        rank = 53 - rest.bit_length()
        if rank > registers[place]:
            registers[place] = rank
    return b"r" + bytes(registers)


def _count_distinct(bodies: Iterable[bytes]) -> int:
    found = b"s"
    for body in bodies:
        if body[:1] == b"s":
            found = _merge_distinct(found, _hashes(body))
        elif found[:1] == b"s":
            found = _merge_distinct(body, _hashes(found))
        else:
            found = b"r" + _larger(found[1:], body[1:])
    return (len(found) - 1) // 8 if found[:1] == b"s" else _estimate(found[1:])


def _larger(one: bytes, other: bytes) -> bytes:
    """Lane by lane the larger of two rows of registers, all below 128."""
    a, b = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    # With the high bit lent to each lane of a, it is left over where a is not smaller.
    left = ((a | _HIGH) - b) & _HIGH
    mask = left - (left >> 7) | left
    return (a & mask | b & ~mask).to_bytes(REGISTERS, "little")


def _estimate(registers: bytes) -> int:
    deepest = 53
    counts = [0] * (deepest + 1)
    for register in registers:
        counts[register] += 1
    m = float(REGISTERS)
    z = m * _tau(1.0 - counts[deepest] / m)
    for k in range(deepest - 1, 0, -1):
        z = 0.5 * (z + counts[k])
    z += m * _sigma(counts[0] / m)
    return round(m * m / (2.0 * math.log(2.0) * z))


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == before:
            return z / 3.0


def _bins(body: bytes | None, samples: Iterable[Sample]) -> bytes:
    if body is not None and body[:1] == b"d":
        lanes = _lanes(body[1:])
        for _, place in samples:
            lanes[place] += 1
        return b"d" + _bytes(lanes)
    counts = dict(_unpack(body[1:])) if body is not None else {}
    for _, place in samples:
        counts[place] = counts.get(place, 0) + 1
    if len(counts) <= _SPARSE:
        return b"s" + _pack(sorted(counts.items()))
    lanes = _lanes(bytes(8 * BINS))
    for place, many in counts.items():
        lanes[place] = many
    return b"d" + _bytes(lanes)


def _lanes(raw: bytes) -> array[int]:
    """Bins from 8 bytes each, the lowest first."""
    lanes = array("Q", raw)
    if sys.byteorder == "big":
        lanes.byteswap()
    return lanes


def _bytes(lanes: array[int]) -> bytes:
    if sys.byteorder == "big":
        lanes.byteswap()
    return lanes.tobytes()


def _histogram(bodies: Iterable[bytes]) -> array[int]:
    """The bins of several buckets, added up."""
    dense = 0
    counts: dict[int, int] = {}
    for body in bodies:
        if body[:1] == b"d":
            dense += int.from_bytes(body[1:], "little")
        else:
            for place, many in _unpack(body[1:]):
                counts[place] = counts.get(place, 0) + many
    lanes = _lanes(dense.to_bytes(8 * BINS, "little"))
    for place, many in counts.items():
        lanes[place] += many
    return lanes


_FOLDS: dict[Keeps, Callable[[bytes | None, Iterable[Sample]], bytes]] = {
    Keeps.SQUARES: _squares,
    Keeps.ENDS: _ends,
    Keeps.LAST: _last,
    Keeps.DISTINCT: _distinct,
    Keeps.BINS: _bins,
}


def folder(add_keeps: str, samples: Iterable[Sample]) -> Callable[[bytes | None], bytes] | None:
    """What turns the body of a bucket into the one after `samples`; None where it has no body."""
    if add_keeps == Keeps.TOTAL:
        return None
    return partial(fold, Keeps(add_keeps), samples)


# ---------------------------------------------------------------------------------------- series


class Unreadable(Exception):
    """A value that a series cannot read. The text ends a sentence `NAME is …; expected …`."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name} {message}")
        self.name = name
        self.message = message


@dataclass(frozen=True)
class Part:
    """A field as a series reads it from facts (and a proposal)."""

    field: Field
    read: Callable[[Any], Any]
    """From a wire value to a typed one; raises `values.Wrong`."""
    store: Callable[[Any], Any]
    """From a typed value to a stored one."""

    def get(self, facts: Mapping[str, Any], proposal: Mapping[str, Any]) -> Any:
        """The typed value, None where there is none. Raises `Unreadable`."""
        found: Any = proposal if self.field.proposed else facts
        for step in self.field.name.split("."):
            if not isinstance(found, Mapping):
                return None
            found = found.get(step)
        if found is None:
            return None
        try:
            return self.read(found)
        except Wrong as error:
            raise Unreadable(self.field.name, error.message) from error


@dataclass(frozen=True)
class Series:
    """What is kept of a source, for one or more aggregates that read it the same way."""

    source: str
    """`events:STREAM`, `submitted:WORKFLOW` or `released:WORKFLOW`."""
    by: tuple[Part, ...]
    field: Part | None
    """None where only the number counts."""
    keeps: Keeps
    places: int
    """Amounts are whole numbers of 10^-places."""
    grid: Grid
    lateness_us: int | None = None
    """Events that arrive later than this are not counted; None: all that are still kept."""
    low: Any = None
    high: Any = None
    """Ends of the histogram of `bins`, typed as the field."""
    _id: str = made(init=False, default="")

    @property
    def id(self) -> str:
        """32 hex digits: the same definition is the same series, also in the next version."""
        return self._id

    def __post_init__(self) -> None:
        said = [
            self.source,
            [_said(part) for part in self.by],
            self.field and _said(self.field),
            self.keeps.value,
            self.places,
            str(self.grid.width_us),
            self.grid.zone,
            None if self.lateness_us is None else str(self.lateness_us),
            str(self.low),
            str(self.high),
        ]
        object.__setattr__(self, "_id", digest(said).partition(":")[2][:32])

    def moment(self, at: int, day: bool) -> int:
        """When something recorded at `at` happened, µs UTC.

        A day without a time (`day`; `at` is its start in UTC) begins where the grid's zone has it.
        """
        return day_start(day_of(at, "UTC"), self.grid.zone) if day else at

    def too_late(self, moment: int, recorded_at: int) -> bool:
        """Whether an event came later than the series waits for."""
        return self.lateness_us is not None and recorded_at - moment > self.lateness_us

    def key(self, values: Iterable[Any]) -> str | None:
        """The key of a bucket for stored values of the `by` fields; None where one is missing."""
        found = tuple(values)
        if None in found:
            return None
        if not found:
            return "[]"
        if len(found) == 1 and type(found[0]) is str:
            return _key_of_one(found[0])
        return _encode([one if isinstance(one, str) else _text(one) for one in found]).decode()

    def kept(self, value: Any) -> tuple[int, Any]:
        """(amount to add to the total, value to fold) of a typed value."""
        if self.keeps is Keeps.DISTINCT:
            return 0, _text(self.field.store(value)) if self.field is not None else ""
        if self.keeps is Keeps.BINS:
            return 0, self._bin(value)
        if isinstance(value, str | bool):
            return 0, value
        amount = int(Decimal(value).scaleb(self.places, _EXACT))
        return amount, amount

    def _bin(self, value: Any) -> int:
        if isinstance(value, float):
            place = int((value - self.low) / (self.high - self.low) * BINS)
        else:
            place = int(Fraction(value - self.low) / Fraction(self.high - self.low) * BINS)
        return min(max(place, 0), BINS - 1)

    def add(self, key: str | None, value: Any, at: int) -> AggregateAdd | None:
        """What one sample adds; None where its key or its value is missing."""
        if key is None:
            return None
        total, kept = 0, None
        if self.field is not None:
            if value is None:
                return None
            total, kept = self.kept(value)
        return AggregateAdd(
            series=self.id,
            keeps=self.keeps.value,
            key=key,
            bucket=self.grid.start(at),
            total=total,
            at=at,
            value=kept,
        )

    def read(
        self, facts: Mapping[str, Any], proposal: Mapping[str, Any], at: int
    ) -> AggregateAdd | None:
        """What stored or recorded values add. Raises `Unreadable`."""
        values = []
        for part in self.by:
            value = part.get(facts, proposal)
            values.append(None if value is None else part.store(value))
        value = None if self.field is None else self.field.get(facts, proposal)
        return self.add(self.key(values), value, at)


@lru_cache(maxsize=4096)
def _key_of_one(text: str) -> str:
    return _encode([text]).decode()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _said(part: Part) -> list[Any]:
    field = part.field
    return [
        field.name,
        field.kind,
        sorted(field.members),
        field.places,
        list(field.normal),
        field.proposed,
        field.low,
        field.high,
    ]


# ------------------------------------------------------------------------------------- aggregates


@dataclass(frozen=True)
class Aggregate:
    """One aggregate of a policy: a series, the stretch of time it looks at, and what it makes of
    that."""

    name: str
    slot: int
    function: str
    series: Series
    window_us: int
    offset_us: int = 0
    complete: bool = False
    """Only whole days of the grid's zone, the running one left out."""
    weekday: bool = False
    """The median over the days of the window that are the weekday of the last complete day."""
    least: int = 0
    """Below so many samples (with `weekday`: days) the value is unknown."""
    share: Fraction = Fraction(1, 2)
    """Of `quantile`."""
    kind: str = "int"
    """Kind of the value: `int`, `decimal`, or for `last` the kind of the field."""
    places: int = 0
    """Numbers are whole numbers of 10^-places."""
    unit: str | None = None
    members: tuple[str, ...] = ()
    written: tuple[tuple[str, str], ...] = ()
    """Its keys and values as the file has them, with those of the one it is like."""
    said: tuple[Any, ...] = ()
    """What of it decides a lane, for the gate digest."""

    @cached_property
    def is_summed(self) -> bool:
        """Whether count and total of all its buckets together are enough."""
        return self.series.keeps is Keeps.TOTAL and not self.weekday

    @cached_property
    def over(self) -> str:
        """`events`, `submitted` or `released`."""
        return self.series.source.partition(":")[0]

    @property
    def field(self) -> str | None:
        return None if self.series.field is None else self.series.field.field.name

    @property
    def horizon_us(self) -> int:
        """How far back anything is looked at, µs."""
        slack = 9 * DAY_US if self.complete else self.series.grid.width_us
        return self.offset_us + self.window_us + slack

    @property
    def zero(self) -> int | None:
        """The value of an empty window; None: unknown."""
        if self.least or self.weekday or self.function not in ("count", "sum"):
            return None
        return 0

    def given(self, value: Any) -> Any:
        """A written or stored value as `value` gives it. Raises `values.Wrong`."""
        if value is None:
            return None
        if self.kind in ("int", "decimal"):
            return int(read_decimal(value, self.places).scaleb(self.places, _EXACT))
        return scalar_reader(self.kind, self.members, None, ())(value)

    def spans(self, now: int) -> tuple[tuple[int, int], ...]:
        """Stretches (start, end) that are looked at, the earliest first; ends are not part of it.

        A trailing window reaches back to the start of a bucket: up to one bucket further than it
        says. One with an offset ends where that without it would begin.
        """
        grid = self.series.grid
        if not self.complete:
            start = grid.start(now - self.offset_us - self.window_us)
            if self.offset_us:
                return ((start, grid.start(now - self.offset_us)),)
            # What was decided later than now was decided before the clock was set back.
            return ((start, now + 1 if self.over == "events" else FOREVER),)
        end = day_of(now, grid.zone) - timedelta(days=self.offset_us // DAY_US)
        days = self.window_us // DAY_US
        if not self.weekday:
            return ((day_start(end - timedelta(days=days), grid.zone), day_start(end, grid.zone)),)
        last = end - timedelta(days=1)
        found = []
        for back in range(days, 0, -7):
            day = last - timedelta(days=back)
            found.append((day_start(day, grid.zone), day_start(day + timedelta(days=1), grid.zone)))
        return tuple(found)

    def wanted(self, key: str, now: int) -> AggregateRead:
        """What to read for this key."""
        spans = self.spans(now)
        return AggregateRead(
            name=self.name,
            function=self.function,
            series=self.series.id,
            key=key,
            start=spans[0][0],
            end=spans[-1][1],
            summed=self.is_summed,
        )

    def summed(self, since: int | None, count: int, total: int, start: int) -> int | None:
        """As `value`, where count and total of all buckets from `start` on are enough."""
        if since is None or since > start or count < self.least:
            return None
        if self.function == "count":
            return count
        if self.function == "sum":
            return total
        if not count:
            return None
        return _rounded(Fraction(total * 10 ** (self.places - self.series.places), count))

    def value(self, since: int | None, rows: list[Bucket], now: int) -> Any:
        """The value: a whole number of 10^-places, a text, or None for unknown.

        `since` is the time from which the series has everything; `rows` are its buckets, in order.
        """
        if since is None:
            return None
        spans = self.spans(now)
        if self.weekday:
            return self._median(since, rows, spans)
        if since > spans[0][0]:
            return None
        count = sum(row.count for row in rows)
        if count < self.least:
            return None
        if not count:
            return self.zero
        return self._of(count, rows)

    def _of(self, count: int, rows: list[Bucket]) -> Any:
        total = sum(row.total for row in rows)
        if self.series.keeps is Keeps.TOTAL:
            return self.summed(-FOREVER, count, total, 0)
        more = self.places - self.series.places
        bodies = [row.body for row in rows if row.body is not None]
        if self.function == "stddev":
            if count < 2:
                return None
            squares = sum(map(int, bodies))
            spread = Fraction(squares * count - total * total, count * (count - 1)) * 100**more
            # The nearest whole number to a root: half of the odd number next to twice the root.
            return (math.isqrt(4 * spread.numerator // spread.denominator) + 1) // 2
        if self.function in ("smallest", "largest"):
            ends = [int(end) for body in bodies for end in body.split()]
            return min(ends) if self.function == "smallest" else max(ends)
        if self.function == "last":
            return _decode(bodies[-1])[1]
        if self.function == "distinct":
            return _count_distinct(bodies)
        return self._quantile(bodies)

    def _quantile(self, bodies: list[bytes]) -> int:
        """The value below which `share` of the samples lie, spread evenly within a bin."""
        sums = list(accumulate(_histogram(bodies)))
        target = self.share * sums[-1]
        place = bisect_left(sums, target)
        below = sums[place - 1] if place else 0
        low, high = (Fraction(repr(end)) if isinstance(end, float) else Fraction(end)
                     for end in (self.series.low, self.series.high))  # fmt: skip
        inside = (target - below) / (sums[place] - below)
        return _rounded((low + (high - low) * (place + inside) / BINS) * 10**self.places)

    def _median(
        self, since: int, rows: list[Bucket], spans: tuple[tuple[int, int], ...]
    ) -> int | None:
        """Days before the first sample are no zeros: nobody recorded then."""
        starts = [row.bucket for row in rows]
        days: list[int] = []
        for start, end in spans:
            found = rows[bisect_left(starts, start) : bisect_left(starts, end)]
            if start < since or not rows or end <= starts[0]:
                continue
            days.append(sum(r.count if self.function == "count" else r.total for r in found))
        if len(days) < max(self.least, 1):
            return None
        days.sort()
        half = len(days) // 2
        middle = days[half] * 2 if len(days) % 2 else days[half - 1] + days[half]
        return middle * 5


def _rounded(number: Fraction) -> int:
    """The nearest whole number; halves go to the even one."""
    return round(number)


__all__ = [
    "BINS",
    "DAY_US",
    "FOREVER",
    "MOST_BUCKETS",
    "SECOND_US",
    "Aggregate",
    "Grid",
    "Keeps",
    "Part",
    "Series",
    "Unreadable",
    "day_of",
    "day_start",
    "fold",
    "folder",
    "known_zone",
    "width_for",
]
