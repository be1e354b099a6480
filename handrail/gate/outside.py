"""What rules read besides the record: time, confidences, margin, tables, checks and lists.

All of it is put into its slots before a rule runs, so that a condition is a function of its slots
alone. Where a table or a check has no value, the slot beside it says why. `rest` are the slots
behind those of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from handrail.gate import values as val
from handrail.gate.calls import search
from handrail.gate.draft import Draft
from handrail.model.ruling import Checked

Rows = Mapping[str, tuple[Any, ...]]
"""Rows of a table: typed cells by the key's text."""
_NONE: Mapping[str, Any] = {}


class Given(NamedTuple):
    """What one evaluation gets besides record and aggregates."""

    at: int
    """Time of the evaluation, µs UTC."""
    confidence: float | Mapping[str, float] | None = None
    alternatives: Sequence[Any] = ()
    checks: Mapping[str, Checked] = _NONE
    tables: Mapping[str, Rows] = _NONE
    """Rows that take the place of a table's own: in cases."""


class Outside:
    """The slots of one policy that its record does not fill."""

    def __init__(self, draft: Draft, width: int) -> None:
        scope = draft.scope
        symbols = scope.symbols
        self._lists = {name: named.items for name, named in draft.lists.items()}
        self._sets = [(name, normal, slot - width) for (name, normal), slot in scope.sets.items()]
        self._sought = [(sought, sought.slot - width) for sought in scope.sought.values()]
        builtin = {
            symbol.origin: symbol.slot - width
            for name, symbol in symbols.items()
            if name == symbol.origin and symbol.origin in ("at", "margin")
        }
        self._at = builtin.get("at")
        self._margin = builtin.get("margin")
        self._confidence = draft.confidence_slot - width
        self._confidences = [
            (name.partition(".")[2], symbol.slot - width)
            for name, symbol in symbols.items()
            if symbol.origin == "confidences"
        ]
        self._tables = [
            (
                table,
                symbols[table.key].slot,
                [
                    (list(table.columns).index(column), column, slot - width, why - width)
                    for column, (slot, why) in table.read.items()
                ],
            )
            for table in draft.tables.values()
            if table.read
        ]
        self._checks = [
            (check, check.slot - width, check.why_slot - width) for check in draft.checks
        ]
        self.asked = tuple(check.name for check in draft.checks)
        """Names of the checks, in the order of the file."""
        self.moves = bool(
            builtin or self._confidences or self._tables or self._checks or self._sought
        )
        """Whether a rule reads more than fields, lists, aggregates and the whole confidence."""

    def fill_lists(self, rest: list[Any], given: Mapping[str, tuple[Any, ...]]) -> None:
        """Put the sets and searches of the lists, or of `given` ones, into `rest`."""
        lists = {**self._lists, **given}
        for name, normal, place in self._sets:
            items = lists[name]
            if normal:
                items = tuple(val.normalise(item, normal) for item in items)
            rest[place] = frozenset(items)
        for sought, place in self._sought:
            rest[place] = search(sought, lists)

    def fill(self, fields: Sequence[Any], rest: list[Any], given: Given) -> None:
        """Put everything else into the slots of one evaluation."""
        sure = rest[self._confidence] = val.read_confidence(given.confidence)
        if not self.moves:
            return
        if self._at is not None:
            rest[self._at] = given.at
        if self._margin is not None:
            rest[self._margin] = margin(sure, given.alternatives)
        if self._confidences and isinstance(given.confidence, Mapping):
            for name, place in self._confidences:
                rest[place] = val.read_confidence(given.confidence.get(name))
        for table, key, columns in self._tables:
            name = fields[key]
            rows = given.tables.get(table.name, table.rows)
            row = None if name is None else rows.get(str(name))
            for column, label, place, why in columns:
                value = None if row is None else row[column]
                if value is not None:
                    rest[place] = value
                elif name is None:
                    rest[why] = f"{table.key} is missing"
                else:
                    says = f"says no {label}" if row is not None else "has no row"
                    rest[why] = f"the table {table.name} {says} for {val.shown(str(name))}"
        for check, place, why in self._checks:
            found = given.checks.get(check.name, _NOT_RUN)
            if found.value is None:
                rest[why] = f"the check {check.run} {found.problem or 'gives no answer'}"
                continue
            try:
                rest[place] = check.read(found.value)
            except val.Wrong as error:
                rest[why] = f"the check {check.run} gives an answer that {error.message}"

    def margin(self, rest: list[Any]) -> float | None:
        """The margin that was filled in; None where nothing reads it or there is none."""
        return None if self._margin is None else rest[self._margin]


_NOT_RUN = Checked(problem="was not run")


def margin(sure: float | None, alternatives: Sequence[Any]) -> float | None:
    """How far the most confident answer is ahead of the next one; None with fewer than two.

    The answers are the proposal, with the decision's confidence, and each alternative that is a
    mapping with a `confidence`.
    """
    found = [] if sure is None else [sure]
    for at, other in enumerate(alternatives):
        if isinstance(other, Mapping):
            number = val.read_confidence(other.get("confidence"), f"/alternatives/{at}/confidence")
            if number is not None:
                found.append(number)
    if len(found) < 2:
        return None
    first, second = sorted(found, reverse=True)[:2]
    return val.exact_difference(first, second)
