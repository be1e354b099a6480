"""A frame through a policy: columns where they are certain, the row path where they are not.

Both say the same about every row; `tests/unit/bulk/test_columns.py` holds them against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from time import time_ns
from typing import Any

import polars as pl

from handrail.bulk import typed
from handrail.bulk.columns import MODES, Outcomes
from handrail.bulk.columns import Plan as ColumnPlan
from handrail.bulk.judge import ROW_KEY, Bad, Judged, Plan, Tally, judge_row, plan_columns
from handrail.bulk.ranks import ranks_of
from handrail.bulk.read import Row, Source, open_source
from handrail.bulk.write import RESULTS, why_of
from handrail.gate import Policy, load
from handrail.model.errors import BadInput
from handrail.model.modes import OnUnknown
from handrail.model.policy import Record
from handrail.packs.checks import CHECKS

BAD = "bad"
"""Lane of a row that could not be judged."""

_LANES = [*(str(mode.lane) for mode in MODES), BAD]
_WORDS = [*(str(mode) for mode in MODES), None]
_BAD_RANK = len(MODES)


class FrameGate:
    """One policy over frames of one shape. Make it once, use it for every batch."""

    def __init__(self, plan: Plan, columns: ColumnPlan | None = None) -> None:
        self.plan = plan
        self.policy = plan.policy
        self.columns = columns if columns is not None else ColumnPlan(plan.policy)

    @classmethod
    def of(
        cls,
        policy: Policy,
        headers: list[str],
        *,
        proposal: tuple[str, ...] = (),
        confidence: str | None = None,
        columns: ColumnPlan | None = None,
    ) -> FrameGate:
        """For frames with these columns; `proposal` and `confidence` as in `plan_columns`."""
        source = Source(path=Path("frame"), format="parquet", headers=tuple(headers), size=0)
        plan = plan_columns(policy, source, proposal=proposal, confidence=confidence)
        return cls(plan, columns)

    def judge(
        self,
        frame: pl.DataFrame,
        *,
        now: int,
        first: int = 1,
        row: Callable[[int], Row] | None = None,
        problems: Mapping[int, str] | None = None,
    ) -> Judgement:
        """Every row of a frame. `now` (µs UTC) is the time of every ruling.

        `first` is the number of the first row in its file. `row` gives the row at a place of the
        frame as the row path reads it, where that is more than the cells (lines of a CSV file);
        `problems` names the places that have no cells to judge.
        """
        size = frame.height
        if row is None:

            def row(at: int) -> Row:
                return Row(number=first + at, values=frame.row(at, named=True))

        if self.columns.rows_only is not None:
            alone = pl.repeat(True, size, dtype=pl.Boolean, eager=True)
            outcomes = Outcomes(
                rank=pl.repeat(0, size, dtype=pl.UInt8, eager=True),
                fired={},
                unknown={},
                trials={},
                doubt=None,
            )
            typed_frame = None
        else:
            read = typed.read(
                self.policy,
                frame,
                (*self.plan.facts, *self.plan.proposal),
                self.plan.confidence,
            )
            typed_frame = read.frame
            if self.plan.ranks is not None:
                typed_frame = typed_frame.with_columns(self.plan.ranks.columns(typed_frame, row))
            outcomes = self.columns.run(typed_frame, now)
            alone = read.odd if outcomes.doubt is None else read.odd | outcomes.doubt
            alone = self._keys(frame, alone)
            if problems:
                alone = alone.scatter(sorted(problems), True)
        made = Judgement(self, frame, outcomes, row, now, typed_frame)
        if alone.any():
            made.alone(alone)
        return made

    def _keys(self, frame: pl.DataFrame, alone: pl.Series) -> pl.Series:
        """Rows without a key are judged alone: they are bad, and say so."""
        for header in self.plan.keys:
            if header == ROW_KEY:
                continue
            cells = frame[header]
            blank = cells.is_null()
            if cells.dtype == pl.String:
                # Not blank for certain: the first character is a printable one of ASCII.
                blank = blank | ~((cells >= "!") & (cells < "\x7f")).fill_null(False)
            alone = alone | blank
        return alone


class Judgement:
    """What the gate says about every row of one frame."""

    def __init__(
        self,
        gate: FrameGate,
        frame: pl.DataFrame,
        outcomes: Outcomes,
        row: Callable[[int], Row],
        now: int,
        typed_frame: pl.DataFrame | None = None,
    ) -> None:
        self.gate = gate
        self.frame = frame
        self.rank = outcomes.rank
        """UInt8: rank of the mode; 5 where the row is bad."""
        self.fired = outcomes.fired
        """Rule → rows in which it fired, those on an unknown condition included."""
        self.unknown = outcomes.unknown
        self.trials = outcomes.trials
        self.bad: dict[int, Bad] = {}
        """Place → why there is no ruling."""
        self.row = row
        """The row at a place, as the row path reads it."""
        self._now = now
        self._typed = typed_frame
        self._alone: dict[int, Judged] = {}

    @property
    def height(self) -> int:
        return self.frame.height

    def alone(self, mask: pl.Series) -> None:
        """Judge these rows by the row path, and put its answers in the place of the columns'."""
        places = mask.arg_true().to_list()
        found: dict[str, dict[str, list[int]]] = {"fired": {}, "unknown": {}, "trials": {}}
        ranks = []
        for at in places:
            judged = self._alone[at] = judge_row(self.gate.plan, self.row(at), self._now)
            ruling = judged.ruling
            if ruling is None:
                assert judged.bad is not None
                self.bad[at] = judged.bad
                ranks.append(_BAD_RANK)
                continue
            ranks.append(ruling.mode.rank)
            for kind, said in (
                ("fired", [one.rule for one in ruling.fired]),
                ("unknown", [one.rule for one in ruling.unknown]),
                ("trials", [one.rule for one in ruling.trials]),
            ):
                for rule in said:
                    found[kind].setdefault(rule, []).append(at)
        self.rank = self.rank.scatter(places, pl.Series(ranks, dtype=pl.UInt8))
        keep = ~mask
        none = pl.repeat(False, self.height, dtype=pl.Boolean, eager=True)
        for kind, masks in (
            ("fired", self.fired),
            ("unknown", self.unknown),
            ("trials", self.trials),
        ):
            for rule in {**masks, **found[kind]}:
                series = masks[rule] & keep if rule in masks else none
                rows = found[kind].get(rule)
                masks[rule] = series.scatter(rows, True) if rows else series

    def judged(self, at: int) -> Judged:
        """One row with its whole ruling, from the exact evaluator."""
        if at not in self._alone:
            return judge_row(self.gate.plan, self.row(at), self._now)
        return self._alone[at]

    # ------------------------------------------------------------------------ as columns

    @cached_property
    def lanes(self) -> pl.Series:
        """`pass`, `hold`, `refuse` or `bad`."""
        return pl.Series(_LANES, dtype=pl.String).gather(self.rank).alias(RESULTS[0])

    @cached_property
    def modes(self) -> pl.Series:
        """The mode; null where the row is bad."""
        return pl.Series(_WORDS, dtype=pl.String).gather(self.rank).alias(RESULTS[1])

    @property
    def held(self) -> pl.Series:
        """Rows that wait for a person."""
        return (self.rank >= 2) & (self.rank <= 3)

    def rules(self) -> pl.Series:
        """The rules that fired, in the order of the policy."""
        return self._listed(self.fired).alias(RESULTS[2])

    def unknowns(self) -> pl.Series:
        """The rules that could not be known."""
        return self._listed(self.unknown).alias(RESULTS[3])

    def whys(self) -> pl.Series:
        """One sentence a row: why passed, held or refused, or why bad."""
        draft = self.gate.policy.draft
        ignored = {rule.id for rule in draft.rules if rule.on_unknown is OnUnknown.IGNORE}
        unknown = {rule: mask for rule, mask in self.unknown.items() if rule not in ignored}
        said = self._any(self.fired) | self._any(unknown) | (self.rank == _BAD_RANK)
        if draft.tiers is not None:
            said = said | True
        plain = pl.Series([f"No rule fired; otherwise {self.gate.policy.otherwise}"])
        whys = plain.new_from_index(0, self.height)
        places = said.arg_true().to_list()
        if places:
            words = self._words(places)
            whys = whys.scatter(places, pl.Series(words, dtype=pl.String))
        return whys.alias(RESULTS[4])

    def _words(self, places: list[int]) -> list[str]:
        """The sentences of these rows, in their order."""
        policy = self.gate.policy
        if self._typed is None or any("object" in (f.kind, f.of) for f in policy.fields):
            return [why_of(self.judged(at)) for at in places]
        # What the columns were computed from is what the exact evaluator reads: no cell again.
        records = self.gate.columns.records(
            self._typed[[at for at in places if at not in self._alone]]
        )
        words = []
        for at in places:
            if at in self._alone:
                words.append(why_of(self._alone[at]))
                continue
            slots, sure, totals = next(records)
            record = Record(facts={}, proposal={}, slots=slots)
            words.append(
                policy.why(record, evaluated_at=self._now, confidence=sure, aggregates=totals)
            )
        return words

    def results(self, *, why: bool = True) -> list[pl.Series]:
        """The result columns, in their order."""
        made = [self.lanes, self.modes, self.rules(), self.unknowns()]
        return [*made, self.whys()] if why else made

    def _listed(self, masks: dict[str, pl.Series]) -> pl.Series:
        order = [rule.id for rule in self.gate.policy.rules]
        parts = [
            pl.DataFrame({"row": places, "rule": pl.Series([at], dtype=pl.UInt16).new_from_index(
                0, len(places))})
            for at, rule in enumerate(order)
            if rule in masks and len(places := masks[rule].arg_true())
        ]  # fmt: skip
        empty = pl.Series([[]], dtype=pl.List(pl.String))
        if not parts:
            return empty.new_from_index(0, self.height)
        pairs = pl.concat(parts).sort("row", "rule")
        lists = pairs.select(
            "row", pl.lit(pl.Series(order, dtype=pl.String)).gather(pl.col("rule")).alias("rule")
        )
        grouped = lists.group_by("row", maintain_order=True).agg("rule")
        return typed.put(empty.new_from_index(0, self.height), grouped["row"], grouped["rule"])

    def _any(self, masks: dict[str, pl.Series]) -> pl.Series:
        found = pl.repeat(False, self.height, dtype=pl.Boolean, eager=True)
        for mask in masks.values():
            found = found | mask
        return found

    # ------------------------------------------------------------------------ counts

    def tally(self) -> Tally:
        """What came of these rows: counts only."""
        tally = Tally(rows=self.height)
        for rank, count in self.rank.value_counts().iter_rows():
            if rank == _BAD_RANK:
                tally.bad = count
            else:
                tally.modes[str(MODES[rank])] += count
                tally.lanes[_LANES[rank]] += count
        fires_unknown = {
            rule.id for rule in self.gate.policy.draft.rules if rule.on_unknown is OnUnknown.FIRE
        }
        for rule, mask in self.fired.items():
            if rule in fires_unknown and rule in self.unknown:
                mask = mask & ~self.unknown[rule]
            tally.fired[rule] = int(mask.sum())
        for rule, mask in self.unknown.items():
            tally.unknown[rule] = int(mask.sum())
        for rule, mask in self.trials.items():
            tally.trials[rule] = int(mask.sum())
        for counts in (tally.fired, tally.unknown, tally.trials):
            for rule in [rule for rule, count in counts.items() if not count]:
                del counts[rule]
        quiet = ~(self._any(self.fired) | self._any(self.unknown))
        alone = quiet & (self.rank >= 2) & (self.rank < _BAD_RANK)
        tally.tiers = int(alone.sum())
        return tally


class BulkGate:
    """One policy over frames and Arrow batches of any shape; make it once, use it for all of them.

    `proposal` names columns of proposed values as `COLUMN` or `FIELD=COLUMN`, `confidence` the
    column with the confidence (0 to 1). Aggregates are unknown here: rules over them do what their
    `on_unknown` says (but see `judge` for `top:`). `why=False` leaves out the sentences, the
    dearest of the results.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        proposal: Sequence[str] = (),
        confidence: str | None = None,
        why: bool = True,
    ) -> None:
        self.policy = policy
        self.proposal = tuple(proposal)
        self.confidence = confidence
        self.why = why
        self._columns = ColumnPlan(policy)
        self._gates: dict[tuple[str, ...], FrameGate] = {}

    def judge(self, frame: pl.DataFrame, *, whole: bool = False) -> Judgement:
        """What the gate says about every row. `whole` says that the frame is all there is, so that
        aggregates with `top:` are known: by exact rank."""
        headers = tuple(frame.columns)
        gate = self._gates.get(headers)
        if gate is None:
            gate = self._gates[headers] = FrameGate.of(
                self.policy,
                frame.columns,
                proposal=self.proposal,
                confidence=self.confidence,
                columns=self._columns,
            )
        if whole:
            numbers = range(1, frame.height + 1)
            gate = FrameGate(ranks_of(gate.plan, lambda: [(frame, numbers)]), gate.columns)
        return gate.judge(frame, now=time_ns() // 1_000)

    def frame(self, frame: pl.DataFrame, *, whole: bool = False) -> pl.DataFrame:
        """The frame with the columns `RESULTS` behind its own; `whole` as for `judge`."""
        return frame.with_columns(self.judge(frame, whole=whole).results(why=self.why))

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The same for a lazy frame; its streaming engine hands the rows over in batches."""
        shape = dict(frame.collect_schema())
        names: Sequence[Any] = (pl.String, pl.String, pl.List(pl.String), pl.List(pl.String))
        kinds = [*names, pl.String] if self.why else names
        shape.update(zip(RESULTS, kinds, strict=False))
        return frame.map_batches(self.frame, schema=pl.Schema(shape), streamable=True)

    def evaluate_arrow(self, batch: Any) -> Any:
        """A `pyarrow.RecordBatch` with the columns `RESULTS` behind its own.

        This is all that a system of batches needs: Spark, Flink, Beam, a consumer of a queue.
        """
        import pyarrow as pa

        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        made = list(batch.columns)
        for series in self.judge(frame).results(why=self.why):
            kind = pa.list_(pa.string()) if isinstance(series.dtype, pl.List) else pa.string()
            made.append(series.to_arrow().cast(kind))
        results = RESULTS[: len(made) - len(batch.columns)]
        return pa.RecordBatch.from_arrays(made, names=[*batch.schema.names, *results])


def gate(
    data: Any,
    policy: Policy | str | Path,
    *,
    proposal: Sequence[str] = (),
    confidence: str | None = None,
    why: bool = True,
    lists: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """The gate over a table: the same rows with lane, mode, rules and reasons behind.

    `data` is a Polars frame, eager or lazy (the answer is of the same kind), a pandas or Arrow
    table, or the path of a CSV or Parquet file (the answer is an eager Polars frame). `policy` is
    a loaded one or the path of its file; `lists` says what its stored lists hold (see
    `with_lists`). The rest is as for `BulkGate`. A row that cannot be judged has the lane `bad` and
    its reasons. Raises `PolicyErrors`, and `BadInput` where a column is named that is not there or
    a stored list is not given.
    """
    if not isinstance(policy, Policy):
        policy = with_lists(load_file(Path(policy)), lists or {})
    elif lists is not None:
        policy = with_lists(policy, lists)
    made = BulkGate(policy, proposal=proposal, confidence=confidence, why=why)
    if isinstance(data, pl.LazyFrame):
        return made.lazy(data)
    if isinstance(data, str | Path):
        data = _file(Path(data))
    elif not isinstance(data, pl.DataFrame):
        data = pl.DataFrame(data)
    return made.frame(data, whole=True)


def _file(path: Path) -> pl.DataFrame:
    source = open_source(path)
    if source.format == "parquet":
        return pl.read_parquet(path)
    rows = list(source.rows())
    for row in rows:
        if row.problem is not None:
            raise BadInput(f"{path}:{row.line or row.number}:1: {row.problem}")
    return pl.DataFrame(
        [{header: row.values.get(header) for header in source.headers} for row in rows],
        infer_schema_length=None,
        strict=False,
    )


def with_lists(policy: Policy, lists: Mapping[str, Sequence[str]]) -> Policy:
    """The policy with what its stored lists hold, which a store knows and a file does not.

    Raises `BadInput` where one is missing, because an empty list could let something pass, and
    where the policy has no stored list of a name.
    """
    stored = policy.stored_lists
    missing = [name for name in stored if name not in lists]
    other = [name for name in lists if name not in stored]
    if missing or other:
        raise BadInput(
            f"{policy.workflow} reads the stored lists {', '.join(stored) or '(none)'}, and "
            + (f"{', '.join(missing)} is not given" if missing else f"{', '.join(other)} is given")
            + "; say what each holds: lists={NAME: [value, …]}"
        )
    held = {name: tuple(values) for name, values in lists.items()}
    return policy.with_lists(held, {}) if stored else policy


def load_file(path: Path) -> Policy:
    """The policy in a file, with the list files beside it and the checks that are installed."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; name a policy file") from error

    def read(name: str) -> bytes:
        return (path.parent / name).read_bytes()

    return load(text, path=str(path), read_file=read, checks=CHECKS)
