"""When two held decisions are one question."""

from __future__ import annotations

import hashlib

import msgspec

from handrail.model.decision import CaseKey
from handrail.model.modes import Mode
from handrail.model.ruling import Ruling

_encode = msgspec.json.Encoder(order="deterministic").encode


def case_key(workflow: str, ruling: Ruling) -> str | None:
    """Digest of the case key of a held decision; None where it stays a question of its own.

    Merges across subjects only where every rule that holds it says so (`same_case`), and never
    what is in command, irreversible, unknown, or held by a tier or the stop button.
    """
    if (
        not ruling.fired
        or ruling.mode is not Mode.IN_THE_LOOP
        or not ruling.stakes.reversible
        or ruling.stopped is not None
        or any(found.acted != "ignore" for found in ruling.unknown)
        or (ruling.tier is not None and ruling.tier.mode.rank >= Mode.IN_THE_LOOP.rank)
    ):
        return None
    values: dict[str, object] = {}
    for fired in ruling.fired:
        if fired.same_case is None:
            if fired.mode.rank >= Mode.IN_THE_LOOP.rank:
                return None
            continue
        values[fired.rule] = fired.same_case
    key = CaseKey(workflow=workflow, rules=tuple(sorted(values)), subject=None, values=values)
    return hashlib.sha256(_encode([ruling.policy, key])).hexdigest()
