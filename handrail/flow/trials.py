"""Rules on trial: how often each would have acted, so that somebody can decide to arm it."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from handrail.access import Thing, allow
from handrail.assure.rates import wilson
from handrail.flow.ports import Ports
from handrail.flow.who import enter
from handrail.gate import Policy
from handrail.gate import Rule as PolicyRule
from handrail.model.commands import ListTrials
from handrail.model.decision import Decision
from handrail.model.ids import ALPHABET
from handrail.model.people import Actor
from handrail.model.ruling import Ruling
from handrail.model.versions import TrialCount
from handrail.ports import Transaction

_DAY_US = 86_400_000_000
_SHARDS = 16
"""Counters of one rule, so that submits at the same moment do not wait for one row."""


def tried(tx: Transaction, policy: Policy, decision: Decision, ruling: Ruling) -> None:
    """Count a decision for each rule on trial, and where the rule would have acted."""
    if not policy.trials or decision.test:
        return
    would = {fired.rule for fired in ruling.trials}
    day = tx.now() - tx.now() % _DAY_US
    shard = ALPHABET.index(decision.id[-1]) % _SHARDS
    scope = f"trial:{policy.workflow}"
    for rule in policy.trials:
        tx.counters.add(scope, _key(rule, shard), day, 1, int(rule.id in would))


def list_trials(command: ListTrials, actor: Actor, ports: Ports) -> list[TrialCount]:
    """Counts of each rule on trial of the policy that rules, since its condition is what it is."""

    def query(tx: Transaction) -> list[TrialCount]:
        allow(enter(tx, actor, meet=False), ListTrials, Thing(workflow=command.workflow))
        policy = ports.shelf.active(tx, command.workflow)
        return [_counted(tx, policy.workflow, rule) for rule in policy.trials]

    return ports.store.read(query)


def _counted(tx: Transaction, workflow: str, rule: PolicyRule) -> TrialCount:
    of = fired = 0
    for shard in range(_SHARDS):
        count, total = tx.counters.read(
            f"trial:{workflow}", _key(rule, shard), 0, tx.now() + _DAY_US
        )
        of, fired = of + count, fired + total
    low, high = wilson(fired, of) if of else (None, None)
    return TrialCount(
        rule=rule.id, fired=fired, of=of, share=fired / of if of else None, low=low, high=high
    )


def _key(rule: PolicyRule, shard: int) -> str:
    """A rule and its condition: another condition is counted from its start."""
    return f"{rule.id}/{_made_of(rule.when)}/{shard}"


@lru_cache(maxsize=1024)
def _made_of(condition: str) -> str:
    return hashlib.sha256(condition.encode()).hexdigest()[:16]


__all__ = ["list_trials", "tried"]
