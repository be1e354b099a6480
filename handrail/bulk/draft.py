"""A first policy, from the columns of a file or from a typed model.

What comes out passes `handrail check`: its two cases are rows of the file (one that passes, one
that is held), judged by the gate itself. It is a start for a person to read, not a finished policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from handrail.bulk.cells import read_cell
from handrail.bulk.infer import Column, Threshold, thresholds
from handrail.bulk.read import Row
from handrail.gate import load
from handrail.model.errors import BadInput
from handrail.model.modes import Lane
from handrail.model.policy import Field

_NAME = re.compile(r"[a-z][a-z0-9-]*\Z")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*\Z")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")

RARE_SHARE = 0.25
"""Largest share of rows that a suggested rule about one value of an enum may hold."""
CASE_TEXT = 80
"""Longest text a case keeps of a row, characters."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A first policy and what its maker has to be told."""

    workflow: str
    text: str
    rules: tuple[str, ...]
    """Ids of the suggested rules."""
    cases: int
    notes: tuple[str, ...] = ()
    """One sentence each: what was left out, renamed or guessed."""


class _Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One rule as it will be written."""

    id: str
    when: str
    because: str
    severity: str | None = None


def from_rows(
    workflow: str,
    columns: Sequence[Column],
    sample: Sequence[Row],
    *,
    origin: str,
    keys: Sequence[str],
    proposal: Sequence[str] = (),
) -> Draft:
    """A first policy from the columns and rows of a file.

    `origin` names the file; `keys` and `proposal` are headers or field names. Raises `BadInput`
    where they name no column, or where no column has a value.
    """
    _check_name(workflow)
    by_name = {name: column for column in columns for name in (column.header, column.name)}
    for header in (*keys, *proposal):
        if header not in by_name:
            raise BadInput(
                f"{origin} has no column {header!r}; it has "
                + ", ".join(column.header for column in columns)
            )
    proposed = {by_name[header].name for header in proposal}
    notes: list[str] = []
    kept: list[Column] = []
    for column in columns:
        if column.field is None:
            continue
        field = msgspec.structs.replace(column.field, proposed=column.name in proposed)
        kept.append(msgspec.structs.replace(column, field=field))
    if not kept:
        raise BadInput(f"{origin}: no column has a value; expected at least one row of data")
    empty = [column.header for column in columns if column.field is None]
    if empty:
        notes.append(f"left out, because they hold nothing or lists: {', '.join(empty)}")
    renamed = [f"{c.header} → {c.name}" for c in kept if c.header != c.name]
    if renamed:
        notes.append(f"columns renamed for the policy: {', '.join(renamed)}")
    if any(column.field is not None and column.field.kind == "timestamp" for column in kept):
        notes.append("times without a zone are read as UTC")
    for what, write in (("numbers", "1200.50"), ("times", "2026-11-30")):
        like = [column for column in kept if column.like == what]
        if like:
            notes.append(
                f"{', '.join(c.header for c in like)}: read as text, such as "
                f"{like[0].example[:CASE_TEXT]!r}; rules compare {what} that "
                f"are written as {write}: save the file so"
            )
    suggested = _rules(kept, len(sample))
    subject = [by_name[header].name for header in keys]
    head = _head(
        workflow,
        origin=f"{origin}, {len(sample):,} rows",
        fields=[column.field for column in kept if column.field is not None],
        comments={column.name: column.header for column in kept if column.header != column.name},
        subject=subject,
        money=next(
            (
                column
                for column in kept
                if column.measure
                and column.money
                and not column.missing
                and suggested
                and suggested[0].id.startswith(column.name.replace("_", "-"))
            ),
            None,
        ),
        suggested=suggested,
    )
    fields = [(column.header, column.field) for column in kept if column.field is not None]
    cases = _cases_of_rows(head, workflow, fields, sample)
    text = head + "\n".join(["cases:", *cases.lines, ""])
    if not cases.passing:
        notes.append(
            "no row passes by itself, so there is no case that passes; add one"
            if suggested
            else "no rule could be suggested from so little: every row is held; write a rule, then "
            "`otherwise: auto`"
        )
    if not cases.held:
        notes.append("no row is held by the suggested rules; add a case that is")
    notes.append("the cases are rows of the file: read them before you share the policy")
    _prove(text, workflow)
    return Draft(
        workflow=workflow,
        text=text,
        rules=tuple(rule.id for rule in suggested),
        cases=cases.passing + cases.held,
        notes=tuple(notes),
    )


def from_fields(workflow: str, fields: Sequence[Field], *, origin: str) -> Draft:
    """A first policy from the declared fields of a typed model, its threshold marked as a guess."""
    _check_name(workflow)
    if not fields:
        raise BadInput(f"{origin} has no field that a policy can read")
    notes: list[str] = []
    rule, passing, held = _guess(fields)
    if rule is None:
        notes.append("no field has a value to compare with: everything is held until a rule says")
    else:
        notes.append(f"the bound in rule {rule.id} is a guess, a model has no data: set your own")
    suggested = [rule] if rule else []
    head = _head(
        workflow,
        origin=origin,
        fields=list(fields),
        comments={},
        subject=[f.name for f in fields if f.name in ("id", "key")][:1],
        money=None,
        suggested=suggested,
    )
    lines: list[str] = []
    if rule is not None:
        lines += _case("passes", passing, fields, [], Lane.PASS)
    lines += _case("is held", held, fields, [rule.id] if rule else [], Lane.HOLD)
    text = head + "\n".join(["cases:", *lines, ""])
    _prove(text, workflow)
    return Draft(
        workflow=workflow,
        text=text,
        rules=tuple(rule.id for rule in suggested),
        cases=2 if rule else 1,
        notes=tuple(notes),
    )


# ------------------------------------------------------------------------------------- rules


def _rules(columns: Sequence[Column], rows: int) -> list[_Suggestion]:
    bounds = thresholds(columns)
    if bounds:
        return [_bound_rule(bound, rows) for bound in bounds]
    for column in columns:
        if column.field is None or column.field.kind not in ("enum", "bool") or column.missing:
            continue
        found = _rare_value(column, rows)
        if found is not None:
            return [found]
    for column in columns:
        if 0 < column.missing_share <= RARE_SHARE:
            return [
                _Suggestion(
                    id=f"{_dashed(column.name)}-missing",
                    when=f"not has({column.name})",
                    because=f"{_words(column.name)} is missing, as in "
                    f"{_times(column.missing, rows)}",
                    severity="low",
                )
            ]
    return []


def _bound_rule(bound: Threshold, rows: int) -> _Suggestion:
    name = bound.column.name
    field = bound.column.field
    optional = field is not None and field.optional
    unit = f" {field.unit}" if field is not None and field.unit else ""
    return _Suggestion(
        id=f"{_dashed(name)}-high",
        when=f"has({name}) and {name} > {bound.above}" if optional else f"{name} > {bound.above}",
        because=f"{_words(name, unit)} {{{name}}} is over {Decimal(bound.above):,}{unit}, as in "
        f"{_times(bound.count, rows)}",
    )


def _rare_value(column: Column, rows: int) -> _Suggestion | None:
    """A rule about the rarest value of an enum, where it is rare."""
    counts = column.counts
    if len(counts) < 2:
        return None
    value, count = min(counts.items(), key=lambda pair: (pair[1], pair[0]))
    if not 0 < count <= RARE_SHARE * rows:
        return None
    assert column.field is not None
    if column.field.kind == "bool":
        wanted = read_cell(column.field, value)
        when = column.name if wanted else f"not {column.name}"
    elif '"' in value or "\\" in value or not value.isprintable():
        return None
    else:
        when = f'{column.name} == "{value}"'
    return _Suggestion(
        id=f"{_dashed(column.name)}-rare",
        when=when,
        because=f"{_words(column.name)} is {{{column.name}}}, as in {_times(count, rows)}",
    )


def _guess(
    fields: Sequence[Field],
) -> tuple[_Suggestion | None, dict[str, Any], dict[str, Any]]:
    """A rule on the first field that can carry one, with values that pass and that are held."""
    sample: dict[str, Any] = {field.name: _example(field) for field in fields}
    for kinds in (("decimal", "double", "int"), ("enum",), ("bool",), ("string",)):
        for field in fields:
            if field.kind not in kinds:
                continue
            name = field.name
            guard = f"has({name}) and " if field.optional else ""
            if field.kind in ("decimal", "double", "int"):
                low = Decimal(field.low) if field.low is not None else Decimal(0)
                high = Decimal(field.high) if field.high is not None else None
                bound = low + 1000 if high is None else low + (high - low) * 4 // 5
                over = bound + 1 if high is None else high
                if bound < low or over <= bound:
                    continue
                rule = _Suggestion(
                    id=f"{_dashed(name)}-high",
                    when=f"{guard}{name} > {bound}",
                    because=f"{_words(name)} {{{name}}} is over {bound:,}",
                )
                return rule, {**sample, name: bound}, {**sample, name: over}
            if field.kind == "enum" and len(field.members) >= 2:
                last = field.members[-1]
                if '"' in last or "\\" in last:
                    continue
                rule = _Suggestion(
                    id=f"{_dashed(name)}-{_dashed(re.sub(r'[^a-z0-9]+', '_', last.lower()))}",
                    when=f'{guard}{name} == "{last}"',
                    because=f"{_words(name)} is {{{name}}}",
                )
                return rule, sample, {**sample, name: last}
            if field.kind == "bool":
                rule = _Suggestion(
                    id=_dashed(name), when=f"{guard}{name}", because=f"{_words(name)} is true"
                )
                return rule, {**sample, name: False}, {**sample, name: True}
            if field.kind == "string":
                rule = _Suggestion(
                    id=f"{_dashed(name)}-long",
                    when=f"{guard}size({name}) > 200",
                    because=f"{_words(name)} is longer than 200 characters",
                )
                return rule, sample, {**sample, name: "long " * 41}
    return None, sample, sample


def _example(field: Field) -> Any:
    """A value the field takes."""
    if field.kind == "enum":
        return field.members[0]
    if field.kind in ("int", "double", "decimal"):
        return Decimal(field.low) if field.low is not None else Decimal(0)
    return {
        "bool": False,
        "person": "someone@example.com",
        "timestamp": "2026-11-21T08:00:00Z",
        "duration": "30m",
        "list": [],
    }.get(field.kind, "example")


# ------------------------------------------------------------------------------------- the file


def _head(
    workflow: str,
    *,
    origin: str,
    fields: Sequence[Field],
    comments: Mapping[str, str],
    subject: Sequence[str],
    money: Column | None,
    suggested: Sequence[_Suggestion],
) -> str:
    """Everything but the cases."""
    title = workflow.replace("-", " ").capitalize()
    editable = [field.name for field in fields if field.proposed]
    lines = [
        "handrail: 1",
        f"# A first policy, written by `handrail new` from {_comment(origin)}. Read it, change it,",
        "# and run `handrail check` on it. Rows that no rule holds pass.",
        f"workflow: {workflow}",
        f"title: {scalar(title)}",
        "owners: [team:owners]",
    ]
    if subject:
        lines.append(f"subject: {subject[0] if len(subject) == 1 else _flow(subject)}")
        lines.append("if_open: queue")
    person = next((field.name for field in fields if field.kind == "person"), None)
    if person:
        lines.append(f"requester: {person}")
    lines.append("fields:")
    for field in fields:
        note = f"  # {_comment(comments[field.name])}" if field.name in comments else ""
        lines.append(f"  {field.name}: {_declaration(field)}{note}")
    if money is not None:
        lines += [
            "# Say `reversible: true` where the effect can be taken back; silence is irreversible.",
            f"stakes: {{money: {money.name}}}",
        ]
    lines.append(f"otherwise: {'auto' if suggested else 'in_the_loop'}")
    if suggested:
        lines.append("rules:")
    for rule in suggested:
        lines += [f"  - id: {rule.id}", f"    when: {rule.when}"]
        if rule.severity:
            lines.append(f"    severity: {rule.severity}")
        lines.append(f"    because: {rule.because}")
    lines += [
        "route:",
        "  - {to: team:owners, sla: 4h, clock: always, silence: block}",
        "review:",
        (
            "  reasons: {expected: Expected, wrong-entry: Wrong entry, too-high: Too high, "
            "other: Another reason}"
        ),
        *([f"  edit: {_flow(editable)}"] if editable else []),
        "  if_approved: It goes on as proposed",
        "  if_rejected: It does not go on",
        "  undo: 10s",
        "",
    ]
    return "\n".join(lines)


def _declaration(field: Field) -> str:
    parts: list[str] = []
    if field.kind == "enum":
        parts.append(f"enum: {_flow(field.members)}")
    elif field.kind == "list":
        parts.append(f"list: {field.of}")
    else:
        parts.append(f"type: {field.kind}")
    if field.places is not None:
        parts.append(f"places: {field.places}")
    if field.unit:
        parts.append(f"unit: {scalar(field.unit)}")
    if field.low is not None:
        parts.append(f"min: {field.low}")
    if field.high is not None:
        parts.append(f"max: {field.high}")
    if field.optional:
        parts.append("optional: true")
    if field.proposed:
        parts.append("from: proposal")
    if len(parts) == 1 and field.kind not in ("enum", "list"):
        return field.kind
    return "{" + ", ".join(parts) + "}"


class _Cases(msgspec.Struct):
    lines: list[str]
    passing: int = 0
    held: int = 0


def _cases_of_rows(
    head: str, workflow: str, fields: Sequence[tuple[str, Field]], sample: Sequence[Row]
) -> _Cases:
    """Two rows as cases: the first that passes, the first that is held, as the gate says."""
    policy = load(head, path=f"{workflow}.yaml", run_cases=False)
    found = _Cases(lines=[])
    for row in sample:
        if found.passing and found.held:
            break
        values = {field.name: read_cell(field, row.values.get(header)) for header, field in fields}
        values = {name: _unnamed(value) for name, value in values.items() if value is not None}
        facts = {f.name: values[f.name] for _, f in fields if not f.proposed and f.name in values}
        proposal = {f.name: values[f.name] for _, f in fields if f.proposed and f.name in values}
        try:
            record = policy.ingest(facts, proposal)
        except BadInput:
            continue
        if record.missing:
            continue
        ruling = policy.evaluate(record, decision_id="d_" + "0" * 26, evaluated_at=0)
        if ruling.lane is Lane.PASS and not found.passing:
            found.passing = 1
            name = f"row {row.number} passes"
        elif ruling.lane is Lane.HOLD and not found.held:
            found.held = 1
            name = f"row {row.number} is held"
        else:
            continue
        fires = [fired.rule for fired in ruling.fired]
        found.lines += _case(name, values, [field for _, field in fields], fires, ruling.lane)
    return found


def _unnamed(value: Any) -> Any:
    """A row's value as a case may keep it: no address of a person, no long text."""
    if isinstance(value, str) and _EMAIL.match(value):
        return "someone@example.com"
    if isinstance(value, str) and len(value) > CASE_TEXT:
        return value[: CASE_TEXT - 1] + "…"
    return value


def _case(
    name: str, values: Mapping[str, Any], fields: Sequence[Field], fires: Sequence[str], lane: Lane
) -> list[str]:
    lines = [f"  - name: {name}"]
    for section, proposed in (("facts", False), ("proposal", True)):
        here = [f for f in fields if f.proposed is proposed and f.name in values]
        if here:
            lines.append(f"    {section}:")
            lines += [f"      {f.name}: {_value(f, values[f.name])}" for f in here]
    return [*lines, f"    fires: {_flow(fires)}", f"    lane: {lane}"]


def _value(field: Field, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else repr(value)
    if field.kind == "decimal" and isinstance(value, str):
        return value
    if isinstance(value, list):
        return "[" + ", ".join(_value(field, item) for item in value) + "]"
    return quoted(str(value))


def _prove(text: str, workflow: str) -> None:
    """Raise every mistake of what was written, as `handrail check` would."""
    load(text, path=f"{workflow}.yaml", require_cases=True)


# ------------------------------------------------------------------------------------- words


def _check_name(workflow: str) -> None:
    if not _NAME.match(workflow):
        raise BadInput(
            f"{workflow!r} cannot name a workflow; expected small letters, digits and dashes, "
            "such as ad-spend"
        )


def _dashed(name: str) -> str:
    return name.strip("_").replace("_", "-")


def _words(name: str, unit: str = "") -> str:
    """A name as people say it; the unit at its end is left out where the value shows it."""
    ending = "_" + unit.strip().lower()
    return (name.removesuffix(ending) if unit else name).replace("_", " ").capitalize()


def _times(count: int, rows: int) -> str:
    return f"{count:,} of {rows:,} rows"


def _comment(text: str) -> str:
    """Text that cannot end the comment it stands in."""
    return "".join(char if char.isprintable() else " " for char in text)


def _flow(items: Sequence[str]) -> str:
    return "[" + ", ".join(scalar(item) for item in items) + "]"


def scalar(text: str) -> str:
    """Text as a YAML scalar, quoted where plain text could be read as something else."""
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """Text as a double-quoted YAML scalar.

    >>> print(quoted('5" pipe'), quoted("a\\u202eb"))
    "5\\" pipe" "a\\u202Eb"
    """
    out = ['"']
    for char in text:
        code = ord(char)
        if char in '"\\':
            out.append("\\" + char)
        elif char.isprintable():
            out.append(char)
        elif code <= 0xFF:
            out.append(f"\\x{code:02X}")
        elif code <= 0xFFFF:
            out.append(f"\\u{code:04X}")
        else:
            out.append(f"\\U{code:08X}")
    return "".join(out) + '"'
