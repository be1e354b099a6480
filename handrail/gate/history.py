"""Series in memory: the aggregates of a file, of a back test, or of a replay, point in time.

    past = History()
    past.observed(policy, "spend", {"account": "a", "spend": "12.00"}, at=…)
    values = past.values(policy, record, now)       # as `Policy.evaluate` takes them
    past.decided(policy, record, "submitted", now)

Each value is over what was added before, exactly as a store gives it. Reads of counts and totals
cost two look-ups, however many buckets a window has; what comes late costs one pass over what is
later.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from handrail.gate.policy import Policy
from handrail.gate.series import FOREVER, Unreadable, folder
from handrail.model.policy import AggregateAdd, Bucket, Record


class _Line:
    """The buckets of one series and key; counts and totals are sums from the first one on."""

    __slots__ = ("bodies", "counts", "first", "starts", "totals")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.counts: list[int] = []
        self.totals: list[int] = []
        self.bodies: list[bytes | None] = []
        self.first = 0
        """Where the window that was read last began: the next one mostly begins there too."""

    def add(
        self, start: int, count: int, total: int, fold: Callable[[bytes | None], bytes] | None
    ) -> None:
        starts = self.starts
        if fold is None and starts and start == starts[-1]:
            self.counts[-1] += count
            self.totals[-1] += total
            return
        if not starts or start > starts[-1]:
            place = len(starts)
            starts.append(start)
            self.counts.append(self.counts[-1] if place else 0)
            self.totals.append(self.totals[-1] if place else 0)
            self.bodies.append(None)
        else:
            place = bisect_left(starts, start)
            if starts[place] != start:
                starts.insert(place, start)
                self.counts.insert(place, self.counts[place - 1] if place else 0)
                self.totals.insert(place, self.totals[place - 1] if place else 0)
                self.bodies.insert(place, None)
        for later in range(place, len(starts)):
            self.counts[later] += count
            self.totals[later] += total
        if fold is not None:
            self.bodies[place] = fold(self.bodies[place])

    def sums(self, start: int, end: int) -> tuple[int, int]:
        starts, first = self.starts, self.first
        many = len(starts)
        if not many:
            return 0, 0
        # Comparing two places beats a search: each number that a search looks at lies elsewhere.
        if not (
            first < many and starts[first] >= start and (not first or starts[first - 1] < start)
        ):
            first = self.first = bisect_left(starts, start)
        last = many if starts[-1] < end else bisect_left(starts, end)
        if first >= last:
            return 0, 0
        if not first:
            return self.counts[last - 1], self.totals[last - 1]
        return (
            self.counts[last - 1] - self.counts[first - 1],
            self.totals[last - 1] - self.totals[first - 1],
        )

    def rows(self, start: int, end: int) -> list[Bucket]:
        found = []
        for place in range(bisect_left(self.starts, start), bisect_left(self.starts, end)):
            count, total = self.counts[place], self.totals[place]
            if place:
                count, total = count - self.counts[place - 1], total - self.totals[place - 1]
            found.append(
                Bucket(bucket=self.starts[place], count=count, total=total, body=self.bodies[place])
            )
        return found


class History:
    """What happened so far. Not for several threads at once."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], _Line] = {}

    # ------------------------------------------------------------------ as a store keeps it

    def add(
        self,
        series: str,
        key: str,
        bucket: int,
        count: int,
        total: int,
        fold: Callable[[bytes | None], bytes] | None,
    ) -> None:
        """As `handrail.ports.Buckets.add`."""
        line = self._lines.get((series, key))
        if line is None:
            line = self._lines[series, key] = _Line()
        line.add(bucket, count, total, fold)

    def whole(self, series: str) -> Iterator[tuple[str, Bucket]]:
        """(key, bucket) of a whole series, by key and start."""
        for (of, key), line in sorted(self._lines.items()):
            if of == series and line.starts:
                for bucket in line.rows(line.starts[0], line.starts[-1] + 1):
                    yield key, bucket

    # ------------------------------------------------------------------ as a policy sees it

    def values(self, policy: Policy, record: Record, now: int) -> dict[str, Any]:
        """Values of the policy's aggregates at `now` (µs UTC), as `Policy.evaluate` takes them."""
        found: dict[str, Any] = {}
        for read in policy.aggregate_reads(record, now):
            line = self._lines.get((read.series, read.key))
            if read.summed:
                count, total = line.sums(read.start, read.end) if line is not None else (0, 0)
                found[read.name] = policy.aggregate_sum(read, -FOREVER, count, total)
            else:
                rows = line.rows(read.start, read.end) if line is not None else []
                found[read.name] = policy.aggregate_value(read.name, -FOREVER, rows, now)
        return found

    def decided(self, policy: Policy, record: Record, over: str, at: int) -> None:
        """A decision was `submitted` or `released`."""
        for add in policy.aggregate_adds(record, over, at):
            self.take(add)

    def observed(
        self,
        policy: Policy,
        stream: str,
        facts: Mapping[str, Any],
        at: int,
        *,
        day: bool = False,
        recorded_at: int | None = None,
    ) -> None:
        """Something was recorded in a stream; `recorded_at` where that was later than `at`.

        `day`: `at` is the start in UTC of a day without a time. What a series cannot read is left
        out of it.
        """
        for series in policy.series:
            if series.source != f"events:{stream}":
                continue
            moment = series.moment(at, day)
            if series.too_late(moment, moment if recorded_at is None else recorded_at):
                continue
            try:
                add = series.read(facts, {}, moment)
            except Unreadable:
                continue
            if add is not None:
                self.take(add)

    def take(self, add: AggregateAdd) -> None:
        """Add what one decision or observation adds."""
        whose = add.series, add.key
        line = self._lines.get(whose)
        if line is None:
            line = self._lines[whose] = _Line()
        fold = None
        if add.keeps != "total":
            fold = folder(add.keeps, [(add.at, add.value)])
        line.add(add.bucket, 1, add.total, fold)


__all__ = ["History"]
