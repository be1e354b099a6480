"""A loaded policy: what the other rooms ask of it, and the one exact evaluator.

An evaluation reads typed values from a list of slots: the record's fields first, then aggregates,
confidence, named values, stakes and the sets of named lists. Every condition is a closure over
that list, made when the policy was loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence, Set
from contextlib import suppress
from copy import copy
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any

from handrail.gate import explain
from handrail.gate import values as val
from handrail.gate.asks import asks
from handrail.gate.calls import cost
from handrail.gate.cases import run
from handrail.gate.compile import Finding, Program
from handrail.gate.declare import described, type_of
from handrail.gate.draft import (
    Draft,
    DraftCase,
    DraftCheck,
    DraftRule,
    DraftTiers,
    DraftValue,
    Row,
)
from handrail.gate.emit import UNSET
from handrail.gate.every import Every
from handrail.gate.ingest import Ingest, is_mapping
from handrail.gate.outside import Given, Outside
from handrail.gate.reader import Reader
from handrail.gate.scope import kept
from handrail.gate.series import Aggregate, Series
from handrail.gate.shapes import TooMany
from handrail.gate.source import read
from handrail.model.canonical import canonical_bytes, digest
from handrail.model.errors import BadInput, Mistake, PolicyErrors
from handrail.model.modes import Lane, Mode, OnUnknown, Severity
from handrail.model.policy import (
    AggregateAdd,
    AggregateRead,
    BadRecord,
    Bucket,
    Field,
    IfOpen,
    Input,
    Record,
    RouteLine,
    Rule,
    Sampling,
)
from handrail.model.ruling import (
    Approval,
    Checked,
    Fired,
    Route,
    Ruling,
    Stakes,
    Term,
    TierCell,
    Unknown,
)
from handrail.model.versions import items_digest

Check = Callable[[Mapping[str, Any]], Any]
"""A check of a pack: from the fields it reads (stored form, None where missing) to its answer.

It is pure: no input or output, no clock, the same answer for the same fields.
"""

MAX_COST = 1_000_000
"""Most node visits of one evaluation; `exists` and `all` count for each item a list may have."""

_MONEY = Context(prec=2_000, rounding=ROUND_HALF_UP)
_EMPTY: Mapping[str, Any] = {}
_RANK = {mode: mode.rank for mode in Mode}
_LANE = {mode: mode.lane for mode in Mode}
_SEVERITY = {severity: severity.rank for severity in Severity}


class Policy:
    """One version of one workflow's policy, checked. Make it with `load`."""

    workflow: str
    version: str
    """SHA-256 (64 hex digits) over the file's text and the digests of its list files."""
    gate_digest: str
    """`sha256:…` of what decides the lane; sentences and routes are not part of it."""
    title: str
    text: str
    path: str
    owners: tuple[str, ...]
    """Everybody who is named under `owners:`."""
    owner_approvals: tuple[Approval, ...]
    """What a change of this policy needs, as `owners:` says."""
    review_by: str | None
    """Day `YYYY-MM-DD` by which the policy is looked at again."""
    fields: tuple[Field, ...]
    subject: tuple[str, ...]
    requester: str | None
    if_open: IfOpen
    otherwise: Mode
    rules: tuple[Rule, ...]
    trials: tuple[Rule, ...]
    """Those of the rules that are on trial."""
    routes: tuple[RouteLine, ...]
    reasons: dict[str, str]
    """Reason code → what a person reads."""
    edit_fields: tuple[str, ...]
    """Fields a person may edit: `review.edit`."""
    edit_schema: dict[str, Any] | None
    """The JSON Schema that an edited proposal has to fit; None where the fields say it all."""
    inputs: tuple[Input, ...]
    """How a form asks for each of the fields that may be edited."""
    choices: tuple[str, ...]
    sampling: Sampling
    lists: dict[str, tuple[Any, ...]]
    list_digests: dict[str, str]
    stored_lists: tuple[str, ...]
    """Names of the lists that the store keeps; `with_lists` fills them."""
    list_versions: dict[str, int]
    """Version of each stored list this policy is filled with; 0 for an empty one."""
    table_digests: dict[str, str]
    groups: tuple[str, ...]
    """Facts by which rates are cut, to see whom the policy treats worse."""
    undo_us: int
    """How long the person who closed the review may take it back, µs."""
    valid_us: int | None
    """How long an unused approval stays good, µs; None for ever."""
    every: Every | None
    """When the clock hands it in; None: never."""
    cost: int
    """AST node visits of deciding once, at most. What fired is visited again, to tell why."""
    cases: tuple[str, ...]
    """Names of the cases in the file."""
    installed: Mapping[str, Check]
    """Code of the checks it was loaded with, by `PACK.NAME`."""
    origins: frozenset[str]
    """Where the names come from that its conditions read; see `handrail.gate.scope.Symbol`."""

    def __init__(
        self, draft: Draft, text: str, path: str, checks: Mapping[str, Check] | None = None
    ) -> None:
        self._draft = draft
        self.installed = _EMPTY if checks is None else checks
        self.text = text
        self.path = path
        self.workflow = draft.workflow
        self.title = draft.title
        self.owners = draft.owners
        self.owner_approvals = draft.owner_approvals
        self.review_by = draft.review_by
        self.fields = tuple(draft.fields.values())
        self.subject = draft.subject
        self.requester = draft.requester
        self.if_open = draft.if_open
        self.otherwise = draft.otherwise
        self.rules = tuple(_listed(rule) for rule in draft.rules)
        self.trials = tuple(rule for rule in self.rules if rule.trial)
        self.routes = tuple(draft.routes)
        self.reasons = draft.reasons
        self.edit_fields = draft.edit
        schema = draft.edit_schema
        self.edit_schema = None if schema is None else schema.to_json()
        self.inputs = (
            tuple(Input.of(draft.fields[name]) for name in draft.edit)
            if schema is None
            else schema.inputs(draft.fields)
        )
        self.choices = draft.choices
        self.sampling = draft.sampling
        self.lists = {name: named.items for name, named in draft.lists.items()}
        self.list_digests = draft.list_digests
        self.stored_lists = tuple(name for name, named in draft.lists.items() if named.stored)
        self.list_versions = dict.fromkeys(self.stored_lists, 0)
        self.table_digests = {name: table.digest for name, table in draft.tables.items()}
        self.groups = draft.groups
        self.undo_us = draft.undo_us
        self.valid_us = draft.valid_us
        self.aggregates = tuple(made.name for made in draft.aggregates)
        self.every = draft.every
        self._aggregates = {made.name: made for made in draft.aggregates}
        self._series = tuple({made.series.id: made.series for made in draft.aggregates}.values())
        self._counted: dict[str, list[Series]] = {}
        """By what decisions do: the series of this workflow that it adds to."""
        for one in self._series:
            kind, _, name = one.source.partition(":")
            if kind != "events" and name == self.workflow:
                self._counted.setdefault(kind, []).append(one)
        # Of each way to make a key one series; and the aggregates as everybody locks their buckets.
        ways = {tuple(part.field.name for part in one.by): one for one in self._series}
        self._by = list(ways.values())
        places = {names: place for place, names in enumerate(ways)}
        self._ordered = [
            (made, places[tuple(part.field.name for part in made.series.by)])
            for made in sorted(draft.aggregates, key=lambda made: made.series.id)
        ]
        self.version = digest({"text": text, "files": draft.file_digests}).partition(":")[2]
        self.gate_digest = digest(_gate_tree(draft))
        self.cost = sum(cost(tree) for tree in _trees(draft))
        self.cases = tuple(case.name for case in draft.cases)
        self.origins = frozenset(
            draft.scope.symbols[node.name].origin
            for tree in _trees(draft)
            for node in tree.walk()
            if node.op == "name" and node.name in draft.scope.symbols
        )
        self._name = f"{self.workflow}@{self.version}"
        self._width = len(self.fields)
        self._program = program = Program(draft, self._width)
        self._tail: list[Any] = [None] * (draft.scope.size - self._width)
        for slot in program.lazy:
            self._tail[slot - self._width] = UNSET
        reads = {name.name for tree in _trees(draft) for name in tree.walk() if name.op == "name"}
        self._plain_stakes = Stakes(reversible=draft.reversible)
        self._cent = Decimal(1).scaleb(-draft.money_places)
        self._speaks = draft.if_approved is not None or draft.if_rejected is not None
        self._risks = [
            (name, None if tree is None else program.condition(tree))
            for name, tree, _ in (draft.tiers.risks if draft.tiers else ())
        ]
        self._calm_route = self._route(None, frozenset())
        self._calm_why = f"No rule fired; otherwise {self.otherwise}"
        self._outside = Outside(draft, self._width)
        self._open = bool(
            program.lazy or draft.aggregates or "confidence" in reads or self._outside.moves
        )
        self._outside.fill_lists(self._tail, {})
        self._reading = Ingest(draft.plans, self._width)
        self._read = self._reading.read
        self._types = {name: symbol.type for name, symbol in draft.scope.symbols.items()}

    def __repr__(self) -> str:
        return f"Policy({self.workflow}@{self.version[:12]}, {len(self.rules)} rules)"

    def with_lists(
        self, held: Mapping[str, tuple[str, ...]], versions: Mapping[str, int]
    ) -> Policy:
        """This policy with what its stored lists hold; rulings say which versions of them."""
        made = copy(self)
        made.lists = {**self.lists, **held}
        made.list_digests = {
            **self.list_digests,
            **{name: items_digest(items) for name, items in held.items()},
        }
        made.list_versions = {name: versions.get(name, 0) for name in self.stored_lists}
        made._tail = list(self._tail)
        made._outside.fill_lists(made._tail, held)
        return made

    def remembered(self, record: Record, ruling: Ruling) -> tuple[tuple[str, str, int | None], ...]:
        """(list, value, how long in µs) of what an approval of `record` lets join stored lists.

        By the rules that held it, as the ruling says, and by `review:`.
        """
        held = {fired.rule for fired in ruling.fired}
        wanted = [*self._draft.remember]
        for rule in self._draft.rules:
            if rule.id in held:
                wanted += rule.remember
        found = []
        for one in dict.fromkeys(wanted):
            value = self.stored(record, one.field)
            if value is not None:
                found.append((one.list, str(value), one.span_us))
        return tuple(found)

    @property
    def draft(self) -> Draft:
        """The checked parts, for a room that compiles them to another form; not to be changed."""
        return self._draft

    def asks(self, rule: str) -> str:
        """What a rule asks, in one plain sentence and without a record. `KeyError` for none."""
        for one in self._draft.rules:
            if one.id == rule:
                said = [asks(row.when, row.source) for row in one.rows]
                return _capital("; or: ".join(said))
        raise KeyError(rule)

    def environment(self) -> list[Any]:
        """A new list of slots in which only the named lists are filled."""
        tail = [None if value is UNSET else value for value in self._tail]
        return [None] * self._width + tail

    # ------------------------------------------------------------------ reading a record

    def ingest(self, facts: Mapping[str, Any], proposal: Mapping[str, Any] | None = None) -> Record:
        """Read facts and proposal by the declared types.

        Raises `BadRecord` with a JSON pointer for every value of a wrong type. Required fields
        without a value are listed in `Record.missing`, names that are not declared in
        `Record.undeclared`. What is stored reads back to the same record.
        """
        return self._read(facts, {} if proposal is None else proposal)

    def state(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The state before an effect, in the form its proposal is stored in, so that what stays as
        it is does not look changed. What does not fit its field stays as it was given."""
        try:
            return {**values, **self._read({}, values).proposal}
        except BadRecord as error:
            wrong = {where.split("/")[2] for where, _ in error.problems if where.count("/") > 1}
        fits = {name: value for name, value in values.items() if val.escape(name) not in wrong}
        try:
            return {**values, **self._read({}, fits).proposal}
        except BadRecord:
            return dict(values)

    def edit(self, record: Record, changes: Mapping[str, Any], *, fits: bool = False) -> Record:
        """The record with a person's changes: only fields named in `review.edit`, typed.

        Nested fields are changed through nested mappings; null takes an optional value away. What
        comes out has to fit the JSON Schema, where `review.edit` is one; `fits` says that it was
        found to, and need not be looked at again. Raises `BadRecord` with pointers into `changes`;
        evaluate the new record again.
        """
        problems: list[tuple[str, str]] = []
        if not is_mapping(changes) or not changes:
            raise BadRecord([("", f"is {val.shown(changes)}; expected the changed fields")])
        proposal = self._changed(record.proposal, changes, "", "", problems)
        if problems:
            raise BadRecord(problems)
        try:
            edited = self._read(record.facts, proposal)
        except BadRecord as error:
            raise BadRecord(
                [(where.removeprefix("/proposal"), what) for where, what in error.problems]
            ) from error
        schema = self._draft.edit_schema
        if schema is not None and not fits and (found := schema.problems(edited.proposal)):
            raise BadRecord(found)
        return edited

    def _changed(
        self,
        base: Mapping[str, Any],
        changes: Mapping[str, Any],
        prefix: str,
        pointer: str,
        problems: list[tuple[str, str]],
    ) -> dict[str, Any]:
        out = dict(base)
        for key, value in changes.items():
            name, here = f"{prefix}{key}", f"{pointer}/{val.escape(str(key))}"
            deeper = any(field.startswith(name + ".") for field in self.edit_fields)
            if name in self.edit_fields:
                declared = self._draft.fields[name]
                if value is None and not declared.optional:
                    problems.append((here, f"`{name}` is required; expected a value"))
                elif value is None:
                    out.pop(key, None)
                elif declared.kind == "object" and isinstance(value, Mapping):
                    # A part that is not mentioned stays; replacing silently would drop it.
                    out[key] = {**(out.get(key) or {}), **value}
                else:
                    out[key] = value
            elif deeper and isinstance(value, Mapping):
                inner = out.get(key)
                out[key] = self._changed(
                    inner if isinstance(inner, Mapping) else {}, value, name + ".", here, problems
                )
            else:
                may = ", ".join(self.edit_fields) or "none (the policy has no `review.edit`)"
                problems.append((here, f"`{name}` may not be edited; expected one of {may}"))
        return out

    def subject_of(self, record: Record) -> str | None:
        """The object decided about, as text; None where the policy names none or it is missing."""
        found = [self.stored(record, name) for name in self.subject]
        if not found or None in found:
            return None
        if len(found) == 1:
            return _key_text(found[0])
        return canonical_bytes([_key_text(value) for value in found]).decode()

    def requester_of(self, record: Record) -> str | None:
        """Who asked, by the policy's `requester:` field; None where it says nothing."""
        if self.requester is None:
            return None
        value = self.stored(record, self.requester)
        return None if value is None else str(value)

    def stored(self, record: Record, name: str) -> Any:
        """The stored form of a declared field of the record, None where it has no value."""
        symbol = self._draft.scope.symbols[name]
        value = record.slots[symbol.slot]
        # Text is stored as it is typed, whatever text it is.
        return value if type(value) is str else kept(value, symbol.type)

    # ------------------------------------------------------------------ aggregates

    def frozen_aggregates(self, ruling: Ruling) -> dict[str, Any]:
        """The aggregate values a ruling of this policy was made from, as `evaluate` takes them."""
        return {
            made.name: made.given(ruling.aggregates.get(made.name))
            for made in self._draft.aggregates
        }

    @property
    def series(self) -> tuple[Series, ...]:
        """What has to be kept for the aggregates, each series once."""
        return self._series

    @property
    def aggregate_parts(self) -> tuple[Aggregate, ...]:
        """The aggregates, in the order of the file."""
        return tuple(self._draft.aggregates)

    def horizon_us(self, series: Series) -> int:
        """How far back the aggregates of this policy look at a series, µs."""
        return max(
            (made.horizon_us for made in self._draft.aggregates if made.series.id == series.id),
            default=0,
        )

    def aggregate_reads(self, record: Record, now: int) -> tuple[AggregateRead, ...]:
        """What to resolve inside the decision's transaction, before it is counted itself.

        In the order in which they are to be read, the same for every decision. An aggregate whose
        `by` fields are missing is left out: it stays unknown.
        """
        keys = [self._series_key(record, series) for series in self._by]
        reads = []
        for made, place in self._ordered:
            key = keys[place]
            if key is not None:
                reads.append(made.wanted(key, now))
        return tuple(reads)

    def aggregate_sum(self, read: AggregateRead, since: int | None, count: int, total: int) -> Any:
        """The value of an aggregate that is `summed`, from count and total of its buckets."""
        return self._aggregates[read.name].summed(since, count, total, read.start)

    def aggregate_value(self, name: str, since: int | None, rows: list[Bucket], now: int) -> Any:
        """The value of one aggregate from the buckets that were read for it."""
        return self._aggregates[name].value(since, rows, now)

    def counts(self, over: str) -> bool:
        """Whether a decision that is `submitted` or `released` adds anything to a series."""
        return over in self._counted

    def aggregate_adds(self, record: Record, over: str, at: int) -> tuple[AggregateAdd, ...]:
        """What this decision adds when it is `submitted` or `released`."""
        adds = []
        for series in self._counted.get(over, ()):
            value = None
            if series.field is not None:
                value = record.slots[self._draft.scope.symbols[series.field.field.name].slot]
            add = series.add(self._series_key(record, series), value, at)
            if add is not None:
                adds.append(add)
        return tuple(adds)

    def _series_key(self, record: Record, series: Series) -> str | None:
        return series.key([self.stored(record, part.field.name) for part in series.by])

    # ------------------------------------------------------------------ evaluation

    def evaluate(
        self,
        record: Record,
        *,
        decision_id: str,
        evaluated_at: int,
        confidence: float | Mapping[str, float] | None = None,
        alternatives: Sequence[Any] = (),
        aggregates: Mapping[str, Any] | None = None,
        checks: Mapping[str, Checked] | None = None,
        stopped: str | None = None,
    ) -> Ruling:
        """The ruling: every rule and tier, strictest mode, sentences with values.

        `evaluated_at` is µs UTC, and what the name `at` reads. `alternatives` are the decision's:
        `margin` is taken from their confidences. `aggregates` maps names to the
        values that `aggregate_value` gave; one that is left out or None is unknown.
        `checks` are the answers of `run_checks`. `stopped` is the reason given at the stop button:
        it turns a pass into a hold.
        """
        given = Given(evaluated_at, confidence, alternatives, checks or _EMPTY)
        return self._evaluate(record, decision_id, given, aggregates or _EMPTY, stopped, self._tail)

    def why(
        self,
        record: Record,
        *,
        evaluated_at: int,
        confidence: float | None = None,
        aggregates: Mapping[str, Any] | None = None,
    ) -> str:
        """The sentence of the ruling that `evaluate` would give, without what made rules true."""
        given = Given(evaluated_at, confidence)
        return self._evaluate(
            record, "", given, aggregates or _EMPTY, None, self._tail, telling=False
        ).why

    def evaluate_case(self, record: Record, case: DraftCase) -> Ruling:
        """The ruling of a case, with the lists, tables, aggregates and checks that it gives.

        Aggregates that it leaves out have seen nothing yet; checks that it leaves out are run. What
        fires is without its terms: nobody looks at them.
        """
        tail = self._tail
        if case.lists:
            tail = list(tail)
            self._outside.fill_lists(tail, case.lists)
        checks = {**self.run_checks(record, without=case.checks), **case.checks}
        given = Given(case.at, case.confidence, case.alternatives, checks, case.tables)
        totals: dict[str, Any] = {made.name: made.zero for made in self._draft.aggregates}
        totals.update(case.aggregates)
        return self._evaluate(record, "d_case", given, totals, None, tail, telling=False)

    def judge(
        self,
        record: Record,
        *,
        evaluated_at: int = 0,
        confidence: float | Mapping[str, float] | None = None,
        alternatives: Sequence[Any] = (),
        aggregates: Mapping[str, Any] | None = None,
        checks: Mapping[str, Checked] | None = None,
    ) -> list[Finding]:
        """Which rows of which rules are true or cannot be known, in the order of the file.

        What `evaluate` rules by, without the ruling: cheap, for counting over many records. A
        rule without a finding is false. A matrix gives its first true row; where `on_unknown` is
        `ignore`, unknown rows before it too. Trial rules are named where they are true.
        """
        # The lines up to the codes stand in `explained` too: a call between them costs 7 % of this.
        fields, rest, program = record.slots, self._tail, self._program
        if len(fields) != self._width:
            raise self._foreign(record)
        if self._open:
            rest = rest.copy()
            given = Given(evaluated_at, confidence, alternatives, checks or _EMPTY)
            self._fill(fields, rest, given, aggregates or _EMPTY)
        codes = (program.judge if record.missing else program.judge_complete)(fields, rest)
        if not codes:
            return []
        return [program.findings[code] for code in sorted(codes)]

    def explained(
        self,
        record: Record,
        *,
        evaluated_at: int = 0,
        confidence: float | Mapping[str, float] | None = None,
        alternatives: Sequence[Any] = (),
        aggregates: Mapping[str, Any] | None = None,
        checks: Mapping[str, Checked] | None = None,
    ) -> list[tuple[Finding, tuple[Term, ...]]]:
        """What `judge` gives, each with the comparisons that made it true and their values.

        They are those of `Fired.terms`; a finding that is unknown has none.
        """
        fields, rest, program = record.slots, self._tail, self._program
        if len(fields) != self._width:
            raise self._foreign(record)
        if self._open:
            rest = rest.copy()
            given = Given(evaluated_at, confidence, alternatives, checks or _EMPTY)
            self._fill(fields, rest, given, aggregates or _EMPTY)
        codes = (program.judge if record.missing else program.judge_complete)(fields, rest)
        if not codes:
            return []
        return [
            (program.findings[code], () if code & 1 else program.terms[code >> 1](fields, rest))
            for code in sorted(codes)
        ]

    # ------------------------------------------------------------------ checks of packs

    @property
    def checks(self) -> tuple[str, ...]:
        """`PACK.NAME` of each check the policy runs."""
        return tuple(check.run for check in self._draft.checks)

    def run_checks(self, record: Record, *, without: Container[str] = ()) -> dict[str, Checked]:
        """Run each check once over the fields it reads; its answer is kept with the ruling.

        A check that is not installed, fails, or gives no answer of the declared type is unknown;
        what happened is in its `problem`.
        """
        return {
            check.name: self._run_check(check, record)
            for check in self._draft.checks
            if check.name not in without
        }

    def _run_check(self, check: DraftCheck, record: Record) -> Checked:
        code = self.installed.get(check.run)
        if code is None:
            return Checked(problem="is not installed")
        given = {name: self.stored(record, name) for name in check.reads}
        try:
            answer = code(given)
        except Exception as error:
            return Checked(problem=f"failed ({type(error).__name__})")
        if answer is None:
            return Checked(problem="gives no answer")
        try:
            return Checked(value=kept(check.read(answer), type_of(check.gives)))
        except val.Wrong as error:
            return Checked(problem=f"gives an answer that {error.message}")

    def generated_source(self) -> str:
        """The Python that decides the rules, as far as records have asked for it. For debugging."""
        return self._program.source()

    def _foreign(self, record: Record) -> BadInput:
        return BadInput(
            f"the record has {len(record.slots)} fields, {self.workflow} declares "
            f"{self._width}; read it again with this policy's `ingest`"
        )

    def _fill(
        self,
        fields: tuple[Any, ...],
        rest: list[Any],
        given: Given,
        aggregates: Mapping[str, Any],
    ) -> None:
        """Put what rules read besides the record into its place."""
        width = self._width
        for made in self._draft.aggregates:
            value: Any = aggregates.get(made.name)
            if value is not None and made.kind == "decimal":
                value = Decimal(value).scaleb(-made.places, _MONEY)
            rest[made.slot - width] = value
        self._outside.fill(fields, rest, given)

    def _evaluate(
        self,
        record: Record,
        decision_id: str,
        given: Given,
        aggregates: Mapping[str, Any],
        stopped: str | None,
        tail: list[Any],
        *,
        telling: bool = True,
    ) -> Ruling:
        draft, width = self._draft, self._width
        fields, rest = record.slots, tail.copy()
        if len(fields) != width:
            raise self._foreign(record)
        self._fill(fields, rest, given, aggregates)
        sure = rest[draft.confidence_slot - width]
        seen = {
            made.name: val.to_stored(rest[made.slot - width], made.kind)
            for made in draft.aggregates
        }
        program = self._program
        named: dict[str, Any] = {}
        for item in draft.values:
            result = program.value(item.slot, fields, rest)
            named[item.name] = val.to_stored(result, item.expr.type.kind)
        stakes = self._plain_stakes
        if draft.money is not None:
            stakes = self._stakes(draft.money, fields, rest)
        codes = (program.judge if record.missing else program.judge_complete)(fields, rest)
        env: list[Any] = []
        if codes or self._speaks:
            env = [*fields, *rest]
        said, severity = _NOTHING_SAID, None
        mode = self.otherwise
        if codes:
            said = _Said()
            for code in sorted(codes):
                finding = program.findings[code]
                rule = draft.rules[finding.rule]
                row = rule.rows[finding.row]
                if finding.unknown:
                    self._unknown(rule, row, env, said, telling)
                else:
                    terms = program.terms[finding.place](fields, rest) if telling else ()
                    self._fire(rule, row, env, said, terms)
            if said.fired:
                mode = max((fired.mode for fired in said.fired), key=_RANK.__getitem__)
            if said.severities:
                severity = max(said.severities, key=_SEVERITY.__getitem__)
        tier = None
        if draft.tiers is not None:
            tier = self._tier(draft.tiers, fields, rest, sure)
            mode = max(mode, tier.mode, key=_RANK.__getitem__)
        if said.held:
            mode = max(mode, *said.held, key=_RANK.__getitem__)
        if record.missing:
            mode = max(mode, Mode.IN_THE_LOOP, key=_RANK.__getitem__)
        halted = None
        if stopped is not None and _LANE[mode] is Lane.PASS:
            halted, mode = stopped, Mode.IN_THE_LOOP
        lane = _LANE[mode]
        return Ruling(
            decision_id=decision_id,
            lane=lane,
            mode=mode,
            severity=severity,
            policy=self._name,
            gate_digest=self.gate_digest,
            fired=tuple(said.fired),
            unknown=tuple(said.unknown),
            trials=tuple(said.trials),
            tier=tier,
            values=named,
            aggregates=seen,
            lists=self.list_digests,
            list_versions=self.list_versions,
            tables=self.table_digests,
            checks={
                name: given.checks[name] for name in self._outside.asked if name in given.checks
            },
            margin=self._outside.margin(rest),
            stakes=stakes,
            approvals=tuple(said.approvals) if lane is Lane.HOLD else (),
            route=self._route(severity, said.ids) if codes else self._calm_route,
            why=(
                self._why(mode, said, tier, record.missing, halted)
                if codes or tier is not None or record.missing or halted is not None
                else self._calm_why
            ),
            if_approved=draft.if_approved.fill(env) if draft.if_approved else "",
            if_rejected=draft.if_rejected.fill(env) if draft.if_rejected else "",
            stopped=halted,
            evaluated_at=given.at,
            undeclared=record.undeclared,
        )

    @property
    def weighs_money(self) -> bool:
        """Whether the policy declares money as a stake."""
        return self._draft.money is not None

    def _stakes(self, money: DraftValue, fields: tuple[Any, ...], rest: list[Any]) -> Stakes:
        value = self._program.value(money.slot, fields, rest)
        text = None
        if value is not None:
            number = value if isinstance(value, Decimal) else _rounded(value)
            text = format(number.quantize(self._cent, context=_MONEY), "f")
        return Stakes(money=text, unit=self._draft.money_unit, reversible=self._draft.reversible)

    def _fire(
        self,
        rule: DraftRule,
        row: Row,
        env: list[Any],
        said: _Said,
        terms: tuple[Term, ...],
        *,
        unknown: bool = False,
    ) -> None:
        scope = self._draft.scope
        if row.because is not None:
            because = row.because.fill(env)
        else:
            told = [] if unknown else explain.tell(row.when, env, scope, row.source)
            because = _capital(" and ".join(held.words(env) for held in told)) or rule.id
        same_case = None
        if rule.same_case:
            same_case = {name: kept(env[scope.symbols[name].slot], scope.symbols[name].type)
                         for name in rule.same_case}  # fmt: skip
        fired = Fired(
            rule=rule.id,
            mode=row.then,
            severity=row.severity,
            because=because,
            terms=terms,
            approvals=row.approvals,
            same_case=same_case,
            unknown=unknown,
        )
        if rule.trial:
            said.trials.append(fired)
        else:
            said.fired.append(fired)
            said.act(rule.id, row)

    def _unknown(
        self, rule: DraftRule, row: Row, env: list[Any], said: _Said, telling: bool
    ) -> None:
        missing: tuple[str, ...] = ()
        why = ""
        if telling or rule.on_unknown is OnUnknown.HOLD:
            missing, why = explain.missing(row.when, env, self._draft.scope)
        said.unknown.append(
            Unknown(rule=rule.id, missing=missing, why=why, acted=rule.on_unknown.value)
        )
        if rule.on_unknown is OnUnknown.FIRE:
            self._fire(rule, row, env, said, (), unknown=True)
        elif rule.on_unknown is OnUnknown.HOLD:
            # What the rule would have asked for is asked for: leaving a value out must not
            # be a way around a director.
            said.held.append(row.then if row.then is Mode.IN_COMMAND else Mode.IN_THE_LOOP)
            said.act(rule.id, row)

    def _tier(
        self, tiers: DraftTiers, fields: tuple[Any, ...], rest: list[Any], sure: float | None
    ) -> TierCell:
        # A risk that cannot be ruled out counts as present.
        for risk, holds in self._risks:  # noqa: B007 - the last one always holds
            if holds is None or holds(fields, rest) is not False:
                break
        for column, bound in enumerate(tiers.bounds):  # noqa: B007 - as does the last column
            if bound is None or (sure is not None and sure >= bound):
                break
        return TierCell(
            risk=risk,
            at_least=tiers.bounds[column],
            confidence=sure,
            mode=tiers.cells[risk][column],
        )

    def _route(self, severity: Severity | None, ids: Set[str]) -> Route | None:
        for line in self.routes:
            if line.severity is not None and line.severity is not severity:
                continue
            if line.rule is not None and line.rule not in ids:
                continue
            return line.route
        return None

    def _why(
        self,
        mode: Mode,
        said: _Said,
        tier: TierCell | None,
        missing: tuple[str, ...],
        halted: str | None,
    ) -> str:
        reasons = [fired.because for fired in said.fired if fired.mode is mode]
        if missing:
            names = ", ".join(pointer.split("/", 2)[2].replace("/", ".") for pointer in missing)
            reasons.append(f"Incomplete: {names} {'is' if len(missing) == 1 else 'are'} missing")
        if halted is not None:
            reasons.append(f"Stopped: {halted}")
        if _LANE[mode] is Lane.HOLD:
            reasons += [
                f"{item.rule} cannot be known: {item.why}"
                for item in said.unknown
                if item.acted == OnUnknown.HOLD
            ]
        if tier is not None and tier.mode is mode:
            reasons.append(_tier_words(tier))
        if reasons:
            return "; ".join(reasons)
        if mode is self.otherwise and not said.fired:
            return f"No rule fired; otherwise {mode}"
        return f"The policy says {mode}"

    # ------------------------------------------------------------------ after an edit

    def got_worse(self, before: Ruling, after: Ruling) -> bool:
        """Whether votes given on `before` fall: something a rule tested is worse in `after`.

        A rule newly fired or newly unknown, a compared number further past its threshold, any
        other compared value changed, or a stricter mode.
        """
        if after.mode.rank > before.mode.rank:
            return True
        known = {item.rule for item in before.unknown}
        if any(item.rule not in known for item in after.unknown):
            return True
        earlier = {fired.rule: fired for fired in before.fired}
        for fired in after.fired:
            old = earlier.get(fired.rule)
            if old is None or fired.mode.rank > old.mode.rank or fired.unknown != old.unknown:
                return True
            terms = {term.text: term for term in old.terms}
            for term in fired.terms:
                past = terms.get(term.text)
                if past is None or past.op != term.op or _worse(past, term):
                    return True
        return False


class _Said:
    """What the rules said so far."""

    __slots__ = ("approvals", "fired", "held", "ids", "severities", "trials", "unknown")

    def __init__(self) -> None:
        self.fired: list[Fired] = []
        self.unknown: list[Unknown] = []
        self.trials: list[Fired] = []
        self.held: list[Mode] = []
        self.severities: list[Severity] = []
        self.approvals: dict[Approval, None] = {}
        self.ids: set[str] = set()

    def act(self, rule: str, row: Row) -> None:
        self.ids.add(rule)
        self.severities.append(row.severity)
        for need in row.approvals:
            self.approvals[need] = None


_NOTHING_SAID = _Said()


def _rounded(value: Any) -> Decimal:
    exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    return _MONEY.divide(Decimal(exact.numerator), Decimal(exact.denominator))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _key_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _tier_words(tier: TierCell) -> str:
    if tier.confidence is None:
        return f"No confidence is given and the risk is {tier.risk}"
    return f"Confidence {tier.confidence:g} at {tier.risk} risk means {tier.mode}"


def _exact(value: Any) -> Fraction | None:
    """A stored number, time or duration as something that has a distance."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Fraction(repr(value))
    if not isinstance(value, str):
        return None
    for turn in (Fraction, val.read_timestamp, val.read_duration):
        try:
            return Fraction(turn(value))
        except (ValueError, ZeroDivisionError, val.Wrong):
            continue
    return None


def _worse(old: Term, new: Term) -> bool:
    if old.op in ("<", "<=", ">", ">="):
        sides = [_exact(value) for value in (old.left, old.right, new.left, new.right)]
        if None not in sides:
            a, b, c, d = (side or Fraction(0) for side in sides)
            return c - d > a - b if old.op in (">", ">=") else c - d < a - b
    if old.op in ("in", "not in"):
        return bool(old.left != new.left)
    if old.op == "is":
        return bool(old.fields != new.fields)
    return bool((old.left, old.right) != (new.left, new.right))


def _listed(rule: DraftRule) -> Rule:
    if not rule.rows:
        raise AssertionError("a rule without a condition is a mistake")
    strictest = max(rule.rows, key=lambda row: row.then.rank)
    severe = max(rule.rows, key=lambda row: row.severity.rank)
    sentence = next((row.because for row in rule.rows if row.because is not None), None)
    return Rule(
        id=rule.id,
        when="\n".join(row.source for row in rule.rows),
        then=strictest.then.value,
        severity=severe.severity,
        because=sentence.text if sentence is not None else "",
        on_unknown=rule.on_unknown.value,
        trial=rule.trial,
        line=rule.line,
    )


def _trees(draft: Draft) -> list[Any]:
    trees = [row.when for rule in draft.rules for row in rule.rows]
    trees += [value.expr for value in draft.values]
    if draft.money is not None:
        trees.append(draft.money.expr)
    if draft.tiers is not None:
        trees += [tree for _, tree, _ in draft.tiers.risks if tree is not None]
    return trees


def _gate_tree(draft: Draft) -> dict[str, Any]:
    """What decides the lane, without spelling, sentences, ids of rules, routes and trials.

    The bounds of confidence are holes: a certificate binds to the digest and fills them.
    """
    tiers = None
    if draft.tiers is not None:
        tiers = {
            "risks": [[name, tree and tree.tree()] for name, tree, _ in draft.tiers.risks],
            "columns": ["none" if bound is None else "?" for bound in draft.tiers.bounds],
            "cells": {name: [str(m) for m in row] for name, row in draft.tiers.cells.items()},
        }
    return {
        "fields": [
            [f.name, f.kind, f.of, sorted(f.members), f.places, f.optional, f.unit, f.low, f.high,
             list(f.normal), f.proposed]
            for f in sorted(draft.fields.values(), key=lambda f: f.name)
        ],
        "values": {value.name: value.expr.tree() for value in draft.values},
        "tables": {name: table.digest for name, table in draft.tables.items() if table.read},
        "checks": {
            check.name: [check.run, list(check.reads), described(check.gives)]
            for check in draft.checks
        },
        "aggregates": {
            a.name: list(a.said) for a in draft.aggregates
        },
        "money": draft.money and draft.money.expr.tree(),
        "rules": sorted(
            (
                [[[row.when.tree(), str(row.then)] for row in rule.rows], str(rule.on_unknown)]
                for rule in draft.rules
                if not rule.trial
            ),
            key=canonical_bytes,
        ),
        "tiers": tiers,
        "otherwise": str(draft.otherwise),
        "lists": draft.list_digests,
    }  # fmt: skip


# ----------------------------------------------------------------------------------------- loading


def load(
    text: str | bytes,
    *,
    path: str = "policy.yaml",
    read_file: Callable[[str], bytes] | None = None,
    run_cases: bool = True,
    require_cases: bool = False,
    checks: Mapping[str, Check] | None = None,
) -> Policy:
    """The checked policy; raises `PolicyErrors` with every mistake at once.

    `read_file` gives the bytes of a list file by its path beside the policy (OSError or KeyError
    where there is none). `run_cases` runs the file's cases: one that comes out otherwise is a
    mistake. `require_cases` refuses a policy without cases, as packs do. `checks` are the checks
    that are installed, by `PACK.NAME`.
    """
    policy, mistakes = _load(text, path, read_file, run_cases, require_cases, checks)
    if policy is None or mistakes:
        raise PolicyErrors(mistakes)
    return policy


def check(
    text: str | bytes,
    *,
    path: str = "policy.yaml",
    read_file: Callable[[str], bytes] | None = None,
    require_cases: bool = False,
    checks: Mapping[str, Check] | None = None,
) -> list[Mistake]:
    """Every mistake of the file in its order, empty when it loads. Never raises."""
    _, mistakes = _load(text, path, read_file, True, require_cases, checks)
    return sorted(mistakes, key=lambda m: (m.path, m.line, m.column))


def _load(
    text: str | bytes,
    path: str,
    read_file: Callable[[str], bytes] | None,
    run_cases: bool,
    require_cases: bool,
    checks: Mapping[str, Check] | None,
) -> tuple[Policy | None, list[Mistake]]:
    given = (text, path, read_file, run_cases, require_cases, checks)
    policy, mistakes = _attempt(*given, quick=True)
    # A file with a mistake is read again, thoroughly: then every place is right.
    return _attempt(*given, quick=False) if mistakes else (policy, mistakes)


def _attempt(
    text: str | bytes,
    path: str,
    read_file: Callable[[str], bytes] | None,
    run_cases: bool,
    require_cases: bool,
    checks: Mapping[str, Check] | None,
    *,
    quick: bool,
) -> tuple[Policy | None, list[Mistake]]:
    root, decoded, mistakes = read(text, path, quick=quick)
    if root is None:
        return None, mistakes
    reader = Reader(path, decoded, read_file)
    try:
        draft = reader.read(root)
    except TooMany:
        return None, mistakes + reader.mistakes
    mistakes += reader.mistakes
    if require_cases and not draft.cases:
        mistakes.append(
            Mistake(
                path=path,
                line=root.line,
                column=root.column,
                what="the policy has no cases",
                expected="expected at least one, so that a reader sees what it does",
                fix="add `cases:`",
            )
        )
    if mistakes:
        return None, mistakes
    policy = Policy(draft, decoded, path, checks)
    if policy.cost > MAX_COST:
        reader.wrong(
            root,
            f"one decision may take {policy.cost:,} node visits",
            f"at most {MAX_COST:,}",
            f"ask `exists` and `all` less often or of shorter conditions: each counts "
            f"{val.MAX_ITEMS:,} times",
        )
        return None, reader.mistakes
    if run_cases:
        with suppress(TooMany):
            run(policy, draft.cases, reader)
    return policy, reader.mistakes
