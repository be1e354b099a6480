"""Decisions of the past through a policy, and what would have been different.

Frames come from a file or from the stored log (`handrail.bulk.past`). The gate runs over their
columns; what is kept of a row is only a count of rows like it, so that memory does not grow with
the number of decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from handrail.assure.backtest import Alike, Backtest, Looked, RuleAlike, backtest
from handrail.assure.groups import Cut, Group, cut
from handrail.bulk.cells import read_cell
from handrail.bulk.columns import MODES
from handrail.bulk.columns import Plan as ColumnPlan
from handrail.bulk.frames import FrameGate, Judgement
from handrail.bulk.judge import Plan, judge_row
from handrail.bulk.ranks import Frames, ranks_of
from handrail.bulk.read import Row
from handrail.gate import History, Policy
from handrail.gate.values import Wrong, normalise, read_timestamp
from handrail.model.errors import BadInput
from handrail.model.modes import Lane
from handrail.model.policy import Field
from handrail.model.ruling import Ruling

_AT = Field(name="at", kind="timestamp")
LOOKED = tuple(Looked)
MOST_GROUPS = 100
"""Values of one field that are groups of their own; those that come after them are one group."""
_LANES = tuple(mode.lane for mode in MODES)
_TRUE = ("true", "1", "yes", "y", "bad", "wrong", "t")
_FALSE = ("false", "0", "no", "n", "good", "right", "f")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the decisions of one frame, as columns of its height."""

    bad: pl.Series
    """Boolean: whether it was wrong to let it pass; null where nobody knows."""
    looked: pl.Series
    """UInt8: place in `LOOKED`."""
    chance: pl.Series
    """Float64: probability of the uniform coin; 0 where there was none."""
    rank: pl.Series | None = None
    """UInt8: rank of the mode as it was ruled; None where an earlier policy says it, or nothing."""
    fired: dict[str, pl.Series] = {}
    """Rule → rows in which it fired as it was ruled."""


_OF_THE_MOMENT = frozenset({"aggregate", "at", "check", "confidences", "margin"})


def needs_the_moment(policy: Policy) -> bool:
    """Whether what a policy says of a decision hangs on more than its fields and confidence, so
    that it has to be ruled again as of its time."""
    return bool(policy.aggregates or policy.stored_lists) or not policy.origins.isdisjoint(
        _OF_THE_MOMENT
    )


Rulings = Sequence[Ruling | None]
"""One a row of a frame; None where the row cannot be read."""


class Comparison:
    """One policy, and what it is compared with, over any number of frames."""

    def __init__(
        self,
        policy: Policy,
        headers: list[str],
        *,
        against: Policy | None = None,
        ruled: bool = False,
        proposal: tuple[str, ...] = (),
        confidence: str | None = None,
    ) -> None:
        def gate(one: Policy) -> FrameGate:
            return FrameGate.of(
                one,
                headers,
                proposal=proposal,
                confidence=confidence,
                columns=ColumnPlan(one),
            )

        self.policy = policy
        self.against = against
        self._new = gate(policy)
        self._old = gate(against) if against is not None else None
        self._ruled = ruled
        self._alike: Counter[tuple[Any, ...]] = Counter()
        self._rules: Counter[tuple[Any, ...]] = Counter()
        self._seen: set[str] = set()
        self._cuts = [
            _Cut(field, header)
            for header, field in self._new.plan.facts
            if field.name in policy.groups
        ]
        self.uncut = tuple(
            name for name in policy.groups if name not in {one.field.name for one in self._cuts}
        )
        """Groups of the policy for which there is no column."""
        self.rows = 0
        self.bad_rows = 0
        """Rows that one of the policies cannot read; they count nowhere else."""
        self.left_out = 0
        """Decisions that were submitted as tests: they are no part of the rows."""
        self.first: int | None = None
        self.last: int | None = None

    def in_time(self, at: str) -> tuple[InTime, InTime | None]:
        """The two policies over rows in the order of the column `at`."""
        return InTime(self._new.plan, at), InTime(self._old.plan, at) if self._old else None

    def rank(self, frames: Frames) -> None:
        """Rank the rows of a file for the aggregates with `top:`; `frames` gives them again and
        again."""
        for gate in (self._new, self._old):
            if gate is not None:
                gate.plan = ranks_of(gate.plan, frames)

    def lose(self, rows: int) -> None:
        """Count rows that could not be read at all."""
        self.rows += rows
        self.bad_rows += rows

    def add(
        self,
        frame: pl.DataFrame,
        known: Known,
        *,
        now: int,
        times: pl.Series | None = None,
        rulings: Rulings | None = None,
        rulings_before: Rulings | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        """Judge one frame. `times` (Int64, µs UTC) are when the decisions were made.

        `rulings` and `rulings_before` are what the two policies say, where they are known already:
        those of a policy with aggregates depend on what came before, and columns do not know it.
        `numbers` are those of the rows in their file.
        """
        self.rows += frame.height
        first = self.rows - frame.height + 1

        def row(at: int) -> Row:
            number = first + at if numbers is None else numbers[at]
            return Row(number=number, values=frame.row(at, named=True))

        new: _Said | Judgement = (
            _said(rulings) if rulings is not None else self._new.judge(frame, now=now, row=row)
        )
        good = new.rank < len(MODES)
        before: pl.Series | None = known.rank
        fired_before = known.fired
        if self._old is not None:
            old: _Said | Judgement = (
                _said(rulings_before)
                if rulings_before is not None
                else self._old.judge(frame, now=now, row=row)
            )
            before, fired_before = old.rank, old.fired
            good = good & (before < len(MODES))
        self.bad_rows += frame.height - int(good.sum())
        table = pl.DataFrame(
            {
                "before": before
                if before is not None
                else pl.repeat(None, frame.height, dtype=pl.UInt8, eager=True),
                "after": new.rank,
                "looked": known.looked,
                "bad": known.bad,
                "chance": known.chance,
            }
        )
        for *cells, count in table.filter(good).group_by(pl.all()).len().iter_rows():
            self._alike[tuple(cells)] += count
        for one in self._cuts:
            one.add(table, frame, good)
        self._count_rules(new, fired_before, known, good)
        if times is not None and len(times):
            low, high = times.min(), times.max()
            assert isinstance(low, int) and isinstance(high, int)
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)

    def _count_rules(
        self, new: _Said | Judgement, before: dict[str, pl.Series], known: Known, good: pl.Series
    ) -> None:
        height = len(new.rank)
        none = pl.repeat(False, height, dtype=pl.Boolean, eager=True)
        speaking = pl.repeat(0, height, dtype=pl.UInt16, eager=True)
        for masks in (new.fired, new.unknown):
            for mask in masks.values():
                speaking = speaking + mask
        self._seen.update(before)
        for rule in dict.fromkeys((*new.fired, *before)):
            was, now = before.get(rule, none), new.fired.get(rule, none)
            either = (was | now) & good
            if not either.any():
                continue
            table = pl.DataFrame(
                {
                    "before": was.filter(either),
                    "after": now.filter(either),
                    "alone": (now & (speaking == 1)).filter(either),
                    "bad": known.bad.filter(either),
                }
            )
            for *cells, count in table.group_by(pl.all()).len().iter_rows():
                self._rules[(rule, *cells)] += count

    def result(
        self, *, minutes_each: float, measured: int = 0, confidence: float = 0.95
    ) -> Backtest:
        """The figures. Raises `BadInput` where no row could be judged."""
        if self.rows == self.bad_rows:
            raise BadInput(
                f"none of the {self.rows:,} rows could be read by the policy; "
                "`handrail gate` says why for each"
                if self.rows
                else "there is no decision to test the policy on"
            )
        alike = [_alike(cells, count) for cells, count in self._alike.items()]
        rules = [
            RuleAlike(rule=rule, before=was, after=now, alone=alone, bad=bad, count=count)
            for (rule, was, now, alone, bad), count in self._rules.items()
        ]
        named_before: list[str] | None = None
        against = None
        if self.against is not None:
            named_before = [rule.id for rule in self.against.rules if not rule.trial]
            against = _name(self.against)
        elif self._ruled:
            named_before = sorted(self._seen)
            against = "as ruled"
        held = [
            sum(one.count for one in alike if getattr(one, when) is Lane.HOLD)
            for when in ("before", "after")
        ]
        days = None
        if self.first is not None and self.last is not None and self.last > self.first:
            days = (self.last - self.first) / 86_400_000_000
        return backtest(
            alike,
            rules,
            policy=_name(self.policy),
            against=against,
            named_before=named_before,
            named_after=[rule.id for rule in self.policy.rules if not rule.trial],
            reviews=(held[0], held[1]),
            minutes_each=minutes_each,
            measured=measured,
            days=days,
            confidence=confidence,
        )

    def cuts(self, *, confidence: float = 0.95) -> tuple[Cut, ...]:
        """The figures by each of the policy's `groups` that has a column."""
        compared = self.against is not None or self._ruled
        return tuple(one.result(compared, confidence) for one in self._cuts)


class _Cut:
    """Counts of decisions alike by the value of one field, of which at most `MOST_GROUPS` count by
    themselves."""

    def __init__(self, field: Field, header: str) -> None:
        self.field = field
        self._header = header
        self._alike: dict[Group, Counter[tuple[Any, ...]]] = {}
        self._groups: dict[Any, Group] = {}
        """Cell → its group, for the cells that were seen."""

    def add(self, table: pl.DataFrame, frame: pl.DataFrame, good: pl.Series) -> None:
        """Count the rows of one frame."""
        name = "group"
        counted = (
            table.with_columns(frame[self._header].alias(name))
            .filter(good)
            .group_by(pl.all())
            .len()
        )
        for *cells, cell, count in counted.iter_rows():
            self._alike.setdefault(self._group(cell), Counter())[tuple(cells)] += count

    def _group(self, cell: Any) -> Group:
        found = self._groups.get(cell)
        if found is None:
            value = read_cell(self.field, cell)
            if isinstance(value, str) and self.field.normal:
                value = normalise(value, self.field.normal)
            if isinstance(value, bool):
                value = "true" if value else "false"
            found = Group(None if value is None else str(value))
            if found not in self._alike and len(self._alike) >= MOST_GROUPS:
                return Group(None, others=True)
            self._groups[cell] = found
        return found

    def result(self, compared: bool, confidence: float) -> Cut:
        """The figures by group."""
        groups = {
            group: [_alike(cells, count) for cells, count in counts.items()]
            for group, counts in self._alike.items()
        }
        return cut(self.field.name, groups, compared=compared, confidence=confidence)


def _alike(cells: tuple[Any, ...], count: int) -> Alike:
    before, after, looked, bad, chance = cells
    return Alike(
        before=None if before is None else _LANES[before],
        after=_LANES[after],
        looked=LOOKED[looked],
        bad=bad,
        chance=chance,
        count=count,
    )


class _Said(msgspec.Struct, frozen=True):
    """What rulings say, as the columns of a `Judgement`."""

    rank: pl.Series
    fired: dict[str, pl.Series]
    unknown: dict[str, pl.Series]


def _said(rulings: Rulings) -> _Said:
    fired: dict[str, list[int]] = {}
    unknown: dict[str, list[int]] = {}
    for at, ruling in enumerate(rulings):
        if ruling is not None:
            for rule in ruling.fired:
                fired.setdefault(rule.rule, []).append(at)
            for lost in ruling.unknown:
                unknown.setdefault(lost.rule, []).append(at)
    ranks = [len(MODES) if ruling is None else ruling.mode.rank for ruling in rulings]
    return _Said(
        rank=pl.Series(ranks, dtype=pl.UInt8),
        fired=masks(fired, len(rulings)),
        unknown=masks(unknown, len(rulings)),
    )


def masks(places: dict[str, list[int]], height: int) -> dict[str, pl.Series]:
    """Rule → Boolean column that is true at its places."""
    none = pl.repeat(False, height, dtype=pl.Boolean, eager=True)
    return {rule: none.clone().scatter(found, True) for rule, found in places.items()}


class InTime:
    """Rulings of the rows of a file in the order of time, aggregates over the rows before each.

    A row that passes is taken to be released at once, and one that is held never.
    """

    def __init__(self, plan: Plan, at: str) -> None:
        self._policy = plan.policy
        self._plan = plan
        self._at = at
        self._past = History()
        self._last: int | None = None
        self._row = 0

    def rule(self, frame: pl.DataFrame) -> tuple[list[Ruling | None], list[int]]:
        """The rulings and times (µs UTC) of the next rows. Raises `BadInput` for times that are
        missing, unreadable or go backwards."""
        rulings: list[Ruling | None] = []
        times = []
        for values in frame.iter_rows(named=True):
            self._row += 1
            now = self._time(values[self._at])
            times.append(now)
            judged = judge_row(
                self._plan,
                Row(number=self._row, values=values),
                now,
                lambda record, now=now: self._past.values(self._policy, record, now),  # type: ignore[misc]
            )
            rulings.append(judged.ruling)
            if judged.ruling is None or judged.record is None:
                continue
            self._past.decided(self._policy, judged.record, "submitted", now)
            if judged.ruling.passed:
                self._past.decided(self._policy, judged.record, "released", now)
        return rulings, times

    def _time(self, value: Any) -> int:
        try:
            # As in every file: a time without a zone is taken as UTC.
            now = read_timestamp(read_cell(_AT, value))
        except Wrong as error:
            raise BadInput(f"row {self._row}: {self._at} {error.message}") from error
        if self._last is not None and now < self._last:
            raise BadInput(
                f"row {self._row}: {self._at} is earlier than in the row before; sort the file by "
                "it, so that aggregates see only what came before"
            )
        self._last = now
        return now


def known_of(cells: pl.Series | None, height: int, *, sample: bool = False) -> Known:
    """What a column of a file says about its rows: bad (true, yes, 1 …), good, or nothing.

    `sample`: the labelled rows were drawn at random, so that they stand for the others. Raises
    `BadInput` for a cell that says neither.
    """
    if cells is None:
        return Known(
            bad=pl.repeat(None, height, dtype=pl.Boolean, eager=True),
            looked=_place(Looked.UNSEEN, height),
            chance=pl.repeat(0.0, height, dtype=pl.Float64, eager=True),
        )
    if cells.dtype == pl.Boolean:
        bad = cells
    else:
        words = cells.cast(pl.String).str.strip_chars().str.to_lowercase()
        table = pl.DataFrame({"cell": words}).select(
            bad=pl.when(pl.col("cell").is_in(_TRUE))
            .then(True)
            .when(pl.col("cell").is_in(_FALSE))
            .then(False)
            .otherwise(None),
            odd=pl.col("cell").is_not_null()
            & (pl.col("cell") != "")
            & ~pl.col("cell").is_in((*_TRUE, *_FALSE)),
        )
        if table["odd"].any():
            at = int(table["odd"].arg_true()[0])
            raise BadInput(
                f"row {at + 1}: the label {cells.name} is {cells[at]!r}; expected true or false "
                "(bad or good), or nothing where it is not known"
            )
        bad = table["bad"]
    known = bad.is_not_null()
    there, missing = (Looked.DRAWN, Looked.SPARED) if sample else (Looked.JUDGED, Looked.UNSEEN)
    return Known(
        bad=bad,
        looked=pl.select(
            pl.when(known).then(LOOKED.index(there)).otherwise(LOOKED.index(missing)).cast(pl.UInt8)
        ).to_series(),
        chance=pl.repeat(1.0 if sample else 0.0, height, dtype=pl.Float64, eager=True),
    )


def _place(looked: Looked, height: int) -> pl.Series:
    return pl.repeat(LOOKED.index(looked), height, dtype=pl.UInt8, eager=True)


def _name(policy: Policy) -> str:
    return f"{policy.workflow}@{policy.version[:12]}"
