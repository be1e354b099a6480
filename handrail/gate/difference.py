"""What changes between two versions of a policy: in words, and in effects on their cases.

The words come from the read policies, not from lines of text: a comment or a moved rule is no
change. Whether a change `decides` follows from what `gate_digest` is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from handrail.gate.draft import Draft, DraftCase, DraftRemember, DraftRule, DraftTiers
from handrail.gate.policy import Policy
from handrail.gate.schema import EditSchema
from handrail.gate.series import Aggregate
from handrail.gate.source import shorten
from handrail.gate.syntax import Expr
from handrail.model.canonical import canonical_bytes
from handrail.model.errors import BadInput
from handrail.model.ruling import Approval, Ruling
from handrail.model.versions import CaseChange, Change, PolicyDiff

NAMED_ITEMS = 10
"""Items of a list that a sentence names at most."""
NAMED_CASES = 100
"""Cases that come out otherwise, named at most."""


def compare(old: Policy | None, new: Policy) -> PolicyDiff:
    """Everything that differs; `old` is None where nothing ruled before."""
    if old is None:
        return PolicyDiff(
            workflow=new.workflow,
            old=None,
            new=new.version,
            gate_changed=True,
            owners_changed=True,
            changes=(
                Change(
                    part="policy",
                    kind="added",
                    sentence=f"The first version of {new.workflow}: {_count(new.rules, 'rule')}, "
                    f"{_count(new.cases, 'case')}, otherwise {new.otherwise}",
                    after=new.version,
                ),
            ),
        )
    found = [*_sections(old, new)]
    changed, same = _cases(old, new)
    gate_changed = old.gate_digest != new.gate_digest
    if gate_changed and not any(change.decides for change in found):
        found.append(
            Change(
                part="gate",
                kind="changed",
                sentence="What decides differs in a way that has no words here; compare the texts",
            )
        )
    if old.version != new.version and not found:
        found.append(
            Change(
                part="text",
                kind="changed",
                sentence="Only comments, order or spelling differ; nothing that is read changes",
                decides=False,
            )
        )
    return PolicyDiff(
        workflow=new.workflow,
        old=old.version,
        new=new.version,
        gate_changed=gate_changed,
        owners_changed=(old.owners, old.owner_approvals) != (new.owners, new.owner_approvals),
        changes=tuple(found),
        cases=changed,
        same_cases=same,
    )


def _count(items: tuple[Any, ...], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


# -------------------------------------------------------------------------------------- in words


def _sections(old: Policy, new: Policy) -> Iterable[Change]:
    before, after = old.draft, new.draft
    yield from _plain("title", old.title, new.title, decides=False)
    yield from _plain("owners", _owners(old), _owners(new), decides=False)
    yield from _plain("review_by", old.review_by, new.review_by, decides=False)
    yield from _plain("subject", _names(old.subject), _names(new.subject), decides=False)
    yield from _plain("requester", old.requester, new.requester, decides=False)
    yield from _plain("if_open", str(old.if_open), str(new.if_open), decides=False)
    yield from _each("field", before.fields, after.fields, _field)
    yield from _lists(old, new)
    yield from _tables(old, new)
    yield from _each(
        "check",
        _by_name(before.checks),
        _by_name(after.checks),
        lambda check: f"{check.run} over {', '.join(check.reads)}",
    )
    yield from _plain("groups", _names(old.groups), _names(new.groups), decides=False)
    yield from _each("value", _by_name(before.values), _by_name(after.values), lambda v: v.source)
    yield from _each(
        "aggregate", _by_name(before.aggregates), _by_name(after.aggregates), _aggregate
    )
    yield from _plain(
        "stakes",
        _stakes(before),
        _stakes(after),
        decides=_money(before) != _money(after),
    )
    yield from _plain("otherwise", str(old.otherwise), str(new.otherwise))
    yield from _rules(before.rules, after.rules)
    yield from _tiers(before.tiers, after.tiers)
    yield from _plain(
        "route", _routes(old), _routes(new), decides=False, words=lambda lines: "; ".join(lines)
    )
    yield from _each("reason", old.reasons, new.reasons, str, decides=False)
    for part, name in (("edit", "edit_fields"), ("choices", "choices")):
        yield from _plain(
            part, _names(getattr(old, name)), _names(getattr(new, name)), decides=False
        )
    yield from _plain(
        "edit schema",
        _schema(before.edit_schema),
        _schema(after.edit_schema),
        decides=False,
        words=shorten,
    )
    for part in ("if_approved", "if_rejected"):
        ours, theirs = getattr(before, part), getattr(after, part)
        yield from _plain(part, ours and ours.text, theirs and theirs.text, decides=False)
    yield from _plain(
        "remember", _remember(before.remember), _remember(after.remember), decides=False
    )
    yield from _plain("undo", _span(old.undo_us), _span(new.undo_us), decides=False)
    yield from _plain("valid", _span(old.valid_us), _span(new.valid_us), decides=False)
    for part in ("spot_check", "active_check", "blind"):
        yield from _plain(
            part, _share(getattr(old.sampling, part)), _share(getattr(new.sampling, part)),
            decides=False,
        )  # fmt: skip
    yield from _each("case", _by_name(before.cases), _by_name(after.cases), _case, decides=False)


def _plain(
    part: str,
    before: Any,
    after: Any,
    *,
    decides: bool = True,
    words: Callable[[Any], str] = str,
) -> Iterable[Change]:
    if before == after:
        return
    said = [words(value) if value else "nothing" for value in (before, after)]
    yield Change(
        part=part,
        kind="changed" if before and after else "added" if after else "removed",
        sentence=f"{part}: {said[0]} → {said[1]}",
        before=before,
        after=after,
        decides=decides,
    )


def _each(
    part: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    told: Callable[[Any], str],
    *,
    decides: bool = True,
) -> Iterable[Change]:
    """Named things: those that are gone, those that are new, those that say something else."""
    for name in dict.fromkeys((*before, *after)):
        ours = told(before[name]) if name in before else None
        theirs = told(after[name]) if name in after else None
        if ours == theirs:
            continue
        kind = "added" if ours is None else "removed" if theirs is None else "changed"
        said = f"{ours} → {theirs}" if kind == "changed" else f"{kind}: {ours or theirs}"
        yield Change(
            part=part,
            name=name,
            kind=kind,
            sentence=f"{part} {name} {said}" if kind != "changed" else f"{part} {name}: {said}",
            before=ours,
            after=theirs,
            decides=decides,
        )


def _by_name(items: Iterable[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _owners(policy: Policy) -> str:
    return "; ".join(_approval(need) for need in policy.owner_approvals)


def _approval(need: Approval) -> str:
    names = " or ".join(need.of)
    return names if need.count == 1 else f"{need.count} of {names}"


def _field(field: Any) -> str:
    told = {
        key: value
        for key, value in msgspec.to_builtins(field).items()
        if key not in ("name", "kind") and value not in (None, False, [], ())
    }
    more = "; ".join(f"{key} {_item(value)}" for key, value in told.items())
    return f"{field.kind} ({more})" if more else str(field.kind)


def _item(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _aggregate(made: Aggregate) -> str:
    return "; ".join(f"{key} {value}" for key, value in made.written)


def _stakes(draft: Draft) -> str:
    way = "reversible" if draft.reversible else "irreversible"
    return way if draft.money is None else f"money {draft.money.source}, {way}"


def _money(draft: Draft) -> Any:
    return None if draft.money is None else draft.money.expr.tree()


def _routes(policy: Policy) -> list[str]:
    lines = []
    for line in policy.routes:
        when = " and ".join(
            f"{key} {value}"
            for key, value in (("severity", line.severity), ("rule", line.rule))
            if value is not None
        )
        route = line.route
        told = [f"to {_names(route.to)}"]
        if route.sla_seconds is not None:
            told.append(f"within {_span(route.sla_seconds * 1_000_000)} ({route.clock})")
        if route.fallback:
            told.append(f"then {_names(route.fallback)}")
        told.append(f"silence {route.silence}")
        lines.append(f"{when or 'all the rest'}: {', '.join(told)}")
    return lines


def _span(us: int | None) -> str:
    if us is None:
        return ""
    seconds = us / 1_000_000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def _schema(schema: EditSchema | None) -> str | None:
    return None if schema is None else canonical_bytes(schema.to_json()).decode()


def _share(share: float) -> str:
    return f"{share * 100:g}%"


def _case(case: DraftCase) -> str:
    said = {"facts": case.facts, "proposal": case.proposal, "confidence": case.confidence}
    if case.alternatives:
        said["alternatives"] = case.alternatives
    said |= {key: wanted for key, (_, wanted) in case.expected.items()}
    return "; ".join(f"{key} {_given(value)}" for key, value in said.items() if value is not None)


def _given(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_given(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_given(item) for item in value) + "]"
    return str(value)


def _lists(old: Policy, new: Policy) -> Iterable[Change]:
    for name in dict.fromkeys((*old.lists, *new.lists)):
        if name not in new.lists or name not in old.lists:
            kind = "removed" if name in old.lists else "added"
            yield Change(
                part="list",
                name=name,
                kind=kind,
                sentence=f"list {name} {kind}: {_holds(old if kind == 'removed' else new, name)}",
            )
            continue
        if (name in old.stored_lists) != (name in new.stored_lists):
            yield Change(
                part="list",
                name=name,
                kind="changed",
                sentence=f"list {name}: {_holds(old, name)} → {_holds(new, name)}",
            )
            continue
        if name in new.stored_lists:
            continue  # what it holds has a history of its own
        ours, theirs = set(old.lists[name]), set(new.lists[name])
        if ours == theirs:
            continue
        grown, gone = sorted(map(str, theirs - ours)), sorted(map(str, ours - theirs))
        said = [
            f"{word} {len(items):,} ({_some(items)})"
            for word, items in (("gains", grown), ("loses", gone))
            if items
        ]
        yield Change(
            part="list",
            name=name,
            kind="changed",
            sentence=f"list {name} {' and '.join(said)}, now {len(theirs):,} items",
            before=gone[:NAMED_ITEMS],
            after=grown[:NAMED_ITEMS],
        )


def _holds(policy: Policy, name: str) -> str:
    return "stored" if name in policy.stored_lists else f"{len(policy.lists[name]):,} items"


def _tables(old: Policy, new: Policy) -> Iterable[Change]:
    before, after = old.draft.tables, new.draft.tables
    for name in dict.fromkeys((*before, *after)):
        ours, theirs = before.get(name), after.get(name)
        if ours is None or theirs is None:
            kind, table = ("added", theirs) if ours is None else ("removed", ours)
            rows = len(table.rows) if table is not None else 0
            yield Change(
                part="table", name=name, kind=kind, sentence=f"table {name} {kind}: {rows:,} rows"
            )
            continue
        if ours.digest == theirs.digest:
            continue
        grown = sorted(theirs.rows.keys() - ours.rows.keys())
        gone = sorted(ours.rows.keys() - theirs.rows.keys())
        other = sorted(
            key
            for key in ours.rows.keys() & theirs.rows.keys()
            if ours.rows[key] != theirs.rows[key]
        )
        said = [
            f"{word} {len(keys):,} ({_some(keys)})"
            for word, keys in (("gains", grown), ("loses", gone), ("changes", other))
            if keys
        ]
        if ours.columns != theirs.columns or ours.key != theirs.key:
            said.append("has other columns")
        yield Change(
            part="table",
            name=name,
            kind="changed",
            sentence=f"table {name} {' and '.join(said)}, now {len(theirs.rows):,} rows",
            before=[*gone, *other][:NAMED_ITEMS],
            after=[*grown, *other][:NAMED_ITEMS],
        )


def _some(items: list[str]) -> str:
    more = len(items) - NAMED_ITEMS
    return ", ".join(items[:NAMED_ITEMS]) + (f" and {more:,} more" if more > 0 else "")


def _rules(before: list[DraftRule], after: list[DraftRule]) -> Iterable[Change]:
    ours, theirs = ({rule.id: rule for rule in rules} for rules in (before, after))
    for name in dict.fromkeys((*ours, *theirs)):
        old, new = ours.get(name), theirs.get(name)
        if old is None or new is None:
            rule = old or new
            assert rule is not None
            kind = "removed" if new is None else "added"
            yield Change(
                part="rule",
                name=name,
                kind=kind,
                sentence=f"rule {name} {kind}: {_told(rule)}",
                before=_told(rule) if new is None else None,
                after=_told(rule) if old is None else None,
                decides=not rule.trial,
            )
            continue
        differs = [*_rule(old, new)]
        if differs:
            yield Change(
                part="rule",
                name=name,
                kind="changed",
                sentence=f"rule {name}: " + "; ".join(differs),
                before=_told(old),
                after=_told(new),
                decides=_deciding(old) != _deciding(new),
            )


def _told(rule: DraftRule) -> str:
    rows = "; ".join(f"{row.source} → {row.then}" for row in rule.rows)
    return f"{rows}{' (trial)' if rule.trial else ''}"


def _deciding(rule: DraftRule) -> Any:
    """What of a rule is part of `gate_digest`."""
    if rule.trial:
        return None
    rows = [[row.when.tree(), str(row.then)] for row in rule.rows]
    return canonical_bytes([rows, str(rule.on_unknown)])


def _rule(old: DraftRule, new: DraftRule) -> Iterable[str]:
    if old.trial != new.trial:
        yield "on trial from now on: it never acts" if new.trial else "armed: it acts from now on"
    if len(old.rows) != len(new.rows):
        yield f"{len(old.rows)} rows → {len(new.rows)} rows: {_told(new)}"
    else:
        for number, (was, now) in enumerate(zip(old.rows, new.rows, strict=True), 1):
            row = f"row {number}: " if len(old.rows) > 1 else ""
            yield from (row + told for told in _condition(was.when, now.when, was, now))
            for part in ("then", "severity"):
                ours, theirs = getattr(was, part), getattr(now, part)
                if ours != theirs:
                    yield f"{row}{part} {ours} → {theirs}"
            if was.approvals != now.approvals:
                said = [
                    ", ".join(map(_approval, one.approvals)) or "anybody asked"
                    for one in (was, now)
                ]
                yield f"{row}approval by {said[0]} → {said[1]}"
            words = [one.because.text if one.because else "its values" for one in (was, now)]
            if words[0] != words[1]:
                yield f"{row}says “{words[1]}” instead of “{words[0]}”"
    if old.remember != new.remember:
        said = [_remember(one.remember) for one in (old, new)]
        yield f"remembers {said[0]} → {said[1]}"
    if old.on_unknown != new.on_unknown:
        yield f"where it is unknown: {old.on_unknown} → {new.on_unknown}"
    if old.same_case != new.same_case:
        yield f"same_case {_names(old.same_case) or '-'} → {_names(new.same_case) or '-'}"


def _remember(remembered: Iterable[DraftRemember]) -> str:
    said = [
        f"{one.field} in {one.list}" + (f" for {_span(one.span_us)}" if one.span_us else "")
        for one in remembered
    ]
    return ", ".join(said) or "nothing"


def _condition(before: Expr, after: Expr, was: Any, now: Any) -> Iterable[str]:
    """A condition that differs: by its numbers and texts alone, or as a whole."""
    if before.tree() == after.tree():
        return
    moved: list[tuple[Expr, Expr]] = []
    if _only_literals(before, after, moved):
        for old, new in moved:
            ours, theirs = _literal(was.source, old), _literal(now.source, new)
            yield f"threshold {ours} → {theirs} in {now.source}"
    else:
        yield f"{was.source} → {now.source}"


def _only_literals(before: Expr, after: Expr, moved: list[tuple[Expr, Expr]]) -> bool:
    """Whether two trees differ in literals alone; these are collected in `moved`."""
    if before.op == "lit" and after.op == "lit" and type(before.value) is type(after.value):
        if before.value != after.value:
            moved.append((before, after))
        return True
    if (before.op, before.name, len(before.args)) != (after.op, after.name, len(after.args)):
        return False
    pairs = zip(before.args, after.args, strict=True)
    return all(_only_literals(one, other, moved) for one, other in pairs)


def _literal(source: str, node: Expr) -> str:
    return source[node.core].strip() or str(node.value)


def _tiers(before: DraftTiers | None, after: DraftTiers | None) -> Iterable[Change]:
    ours, theirs = _tier_words(before), _tier_words(after)
    for name in dict.fromkeys((*ours, *theirs)):
        if ours.get(name) != theirs.get(name):
            yield from _plain(
                f"tiers {name}",
                ours.get(name),
                theirs.get(name),
                # The bounds of confidence are holes that certificates fill.
                decides=name != "at_least",
            )


def _tier_words(tiers: DraftTiers | None) -> dict[str, str]:
    if tiers is None:
        return {}
    return {
        "risk": "; ".join(f"{name} if {source}" for name, _, source in tiers.risks),
        "at_least": ", ".join("none" if b is None else f"{b:g}" for b in tiers.bounds),
        **{name: ", ".join(map(str, row)) for name, row in tiers.cells.items()},
    }


# -------------------------------------------------------------------------------------- in effects


def _cases(old: Policy, new: Policy) -> tuple[tuple[CaseChange, ...], int]:
    """Cases of both files under both versions: those that come out otherwise, and how many not."""
    cases = _by_name(new.draft.cases)
    for case in old.draft.cases:
        if case.name not in cases:
            cases[case.name] = case
        elif _case(case) != _case(cases[case.name]):
            cases[f"{case.name} (as it was)"] = case
    found: list[CaseChange] = []
    same = 0
    for name, case in cases.items():
        before, after = _came_out(old, case, new), _came_out(new, case, old)
        if before == after:
            same += 1
        else:
            found.append(CaseChange(name=name, before=before, after=after))
    return tuple(found[:NAMED_CASES]), same


def _came_out(policy: Policy, case: DraftCase, other: Policy) -> str:
    for name in case.tables:
        # Rows of a case are in the order of the columns of its own file.
        ours, theirs = (one.draft.tables.get(name) for one in (policy, other))
        if ours is None or theirs is None or list(ours.columns) != list(theirs.columns):
            return f"not comparable: the table {name} has other columns"
    try:
        record = policy.ingest(case.facts, case.proposal)
        return came_out(policy.evaluate_case(record, case))
    except BadInput as error:
        return f"not readable: {error.message.splitlines()[0]}"


def came_out(ruling: Ruling) -> str:
    """A ruling in few words: `hold, in_the_loop (budget-cap)`."""
    fired = ", ".join(item.rule for item in ruling.fired)
    return f"{ruling.lane}, {ruling.mode}" + (f" ({fired})" if fired else "")


__all__ = ["came_out", "compare"]
