"""Decisions of the past through a policy, and what would have been different.

Frames come from a file or from the stored log (`handrail.bulk.past`). The gate runs over their
columns; what is kept of a row is only a count of rows like it, so that memory does not grow with
the number of decisions.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import polars as pl

from handrail.assure.backtest import Alike, Backtest, Looked, RuleAlike, backtest
from handrail.bulk.columns import MODES
from handrail.bulk.columns import Plan as ColumnPlan
from handrail.bulk.frames import FrameGate, Judgement
from handrail.gate import Policy
from handrail.model.errors import BadInput
from handrail.model.modes import Lane

LOOKED = tuple(Looked)
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
        self.rows = 0
        self.bad_rows = 0
        """Rows that one of the policies cannot read; they count nowhere else."""
        self.left_out = 0
        """Decisions that were submitted as tests: they are no part of the rows."""
        self.first: int | None = None
        self.last: int | None = None

    def lose(self, rows: int) -> None:
        """Count rows that could not be read at all."""
        self.rows += rows
        self.bad_rows += rows

    def add(
        self, frame: pl.DataFrame, known: Known, *, now: int, times: pl.Series | None = None
    ) -> None:
        """Judge one frame. `times` (Int64, µs UTC) are when the decisions were made."""
        self.rows += frame.height
        new = self._new.judge(frame, now=now, first=self.rows - frame.height + 1)
        good = new.rank < len(MODES)
        old: Judgement | None = None
        before: pl.Series | None = known.rank
        fired_before = known.fired
        if self._old is not None:
            old = self._old.judge(frame, now=now, first=self.rows - frame.height + 1)
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
        self._count_rules(new, fired_before, known, good)
        if times is not None and len(times):
            low, high = times.min(), times.max()
            assert isinstance(low, int) and isinstance(high, int)
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)

    def _count_rules(
        self, new: Judgement, before: dict[str, pl.Series], known: Known, good: pl.Series
    ) -> None:
        height = new.height
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
        alike = [
            Alike(
                before=None if before is None else _LANES[before],
                after=_LANES[after],
                looked=LOOKED[looked],
                bad=bad,
                chance=chance,
                count=count,
            )
            for (before, after, looked, bad, chance), count in self._alike.items()
        ]
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
