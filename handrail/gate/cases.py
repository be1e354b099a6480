"""Runs a policy's own cases: one that comes out otherwise is a mistake with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handrail.gate.draft import DraftCase
from handrail.gate.reader import Reader
from handrail.gate.source import Node
from handrail.model.errors import BadInput
from handrail.model.policy import BadRecord
from handrail.model.ruling import Ruling
from handrail.model.text import nearest

if TYPE_CHECKING:
    from handrail.gate.policy import Policy


def run(policy: Policy, cases: list[DraftCase], reader: Reader) -> None:
    """Evaluate every case; one that comes out otherwise goes into the reader's mistakes."""
    for case in cases:
        _run(policy, case, reader)


def _run(policy: Policy, case: DraftCase, reader: Reader) -> None:
    try:
        record = policy.ingest(case.facts, case.proposal)
        ruling = policy.evaluate_case(record, case)
    except BadRecord as error:
        for pointer, what in error.problems:
            reader.wrong(case.node, f"case {case.name!r}: {pointer}: {what}", "", "correct it")
        return
    except BadInput as error:
        reader.wrong(case.node, f"case {case.name!r}: {error}", "", "correct it")
        return
    for name in record.undeclared:
        bare = name.removeprefix("proposal.")
        fix = nearest(bare, [field.name for field in policy.fields])
        reader.wrong(
            case.node,
            f"case {case.name!r} gives `{bare}`",
            "fields that the policy declares; no rule can read another one",
            fix or "declare it under `fields:`, or take it out",
        )
    for key, (node, wanted) in case.expected.items():
        _compare(policy, case, reader, key, node, wanted, ruling)


def _compare(
    policy: Policy,
    case: DraftCase,
    reader: Reader,
    key: str,
    node: Node,
    wanted: Any,
    ruling: Ruling,
) -> None:
    found: Any
    if key in ("fires", "unknown", "trials"):
        found = {
            "fires": [item.rule for item in ruling.fired],
            "unknown": [item.rule for item in ruling.unknown],
            "trials": [item.rule for item in ruling.trials],
        }[key]
        if sorted(found) == sorted(wanted):
            return
        wanted = list(wanted)
    elif key == "values":
        found = {name: ruling.values.get(name) for name in wanted}
        if all(_same(found[name], wanted[name]) for name in wanted):
            return
        wanted = {name: None if v is None else str(v) for name, v in wanted.items()}
    else:
        found = str(ruling.lane if key == "lane" else ruling.mode)
        if found == str(wanted):
            return
    reader.wrong(
        node,
        f"case {case.name!r}: {key} came out as {_words(found)}",
        _words(wanted),
        f"correct the rule or the case; the gate says: {ruling.why}",
    )


def _words(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {item}" for name, item in value.items()) + "}"
    return str(value)


def _same(found: Any, wanted: Any) -> bool:
    if found is None or wanted is None or isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    try:
        return bool(float(str(found)) == float(str(wanted)))
    except ValueError:
        return str(found) == str(wanted)
