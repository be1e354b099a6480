"""Rule what is stored once more, out of the log: what came out is what comes out.

The log says in which order decisions came in, were released, and observations were recorded; the
rows say what they were. From these alone the aggregates of every decision are made again and its
policy version rules once more.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from handrail.audit.entry import decode
from handrail.flow.ports import Ports
from handrail.gate import History, Policy, Series, Unreadable
from handrail.model.decision import Decision
from handrail.model.errors import HandrailError
from handrail.model.observation import Observation
from handrail.model.ruling import Ruling
from handrail.ports import Transaction


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, ruled once more."""

    stored: Ruling
    again: Ruling

    @property
    def aggregates_differ(self) -> bool:
        return self.stored.aggregates != self.again.aggregates

    @property
    def lane_differs(self) -> bool:
        return (self.stored.lane, self.stored.mode) != (self.again.lane, self.again.mode)


class _Past:
    """Everything that any version of a policy keeps, as of one entry of the log."""

    def __init__(self, policies: list[Policy]) -> None:
        self.history = History()
        self.series = {one.id: one for policy in policies for one in policy.series}

    def observed(self, one: Observation) -> None:
        for series in self._of(f"events:{one.stream}"):
            at = series.moment(one.at, one.day)
            if not series.too_late(at, one.recorded_at):
                self._take(series, one.facts, {}, at)

    def decided(self, decision: Decision, over: str, at: int) -> None:
        if decision.test or decision.reverses is not None:
            return
        for series in self._of(f"{over}:{decision.workflow}"):
            self._take(series, decision.facts, decision.proposal or {}, at)

    def _of(self, source: str) -> Iterator[Series]:
        return (one for one in self.series.values() if one.source == source)

    def _take(
        self, series: Series, facts: dict[str, object], proposal: dict[str, object], at: int
    ) -> None:
        try:
            add = series.read(facts, proposal, at)
        except Unreadable:
            return
        if add is not None:
            self.history.take(add)


def replay(
    tx: Transaction,
    ports: Ports,
    *,
    hindsight: bool = False,
    under: Policy | None = None,
) -> Iterator[Replayed]:
    """Every stored decision that a policy ruled, in the order of the log.

    `under`: only the decisions of its workflow, and it rules them instead of the version that did;
    what ran then still counts as released. Stored lists hold what they held then; one that the
    ruling did not read is taken as it is now.

    `hindsight`: with every observation that is known by now, whenever it was recorded. What then
    comes out otherwise would be ruled otherwise today. Observations that were let go are missing
    from either.
    """
    policies = [
        ports.shelf.version(tx, made.workflow, made.version)
        for workflow in tx.policies.workflows()
        for made in tx.policies.activations(workflow, 1_000_000)
    ]
    if under is not None:
        policies = [under]
    past = _Past(policies)
    if hindsight:
        for name, _ in tx.observations.streams():
            for one in tx.observations.since(name, 0, 2**62):
                past.observed(one)
    for raw in tx.audit.entries():
        entry = decode(raw)
        kind = entry["type"]
        if kind == "stream.recorded" and not hindsight:
            for one in tx.observations.of_batch(entry["batch"]):
                past.observed(one)
        elif kind == "decision.submitted":
            filed = tx.decisions.get(entry["decision"])
            if filed is None or filed.decision.reverses is not None:
                continue
            decision, stored = filed.decision, filed.ruling
            if under is not None and decision.workflow != under.workflow:
                continue
            try:
                policy = _filled(tx, ports, under or ports.shelf.named(tx, stored.policy), stored)
                record = policy.ingest(decision.facts, decision.proposal)
            except HandrailError:
                continue  # no policy of a file ruled it
            again = policy.evaluate(
                record,
                decision_id=decision.id,
                evaluated_at=stored.evaluated_at,
                confidence=decision.confidence,
                alternatives=decision.alternatives,
                checks=stored.checks if under is None else policy.run_checks(record),
                aggregates=past.history.values(policy, record, stored.evaluated_at),
                stopped=None if under is not None else stored.stopped,
            )
            yield Replayed(stored=stored, again=again)
            past.decided(decision, "submitted", decision.submitted_at)
        elif kind == "outcome.released" and "grant" in entry:
            filed, outcome = (
                tx.decisions.get(entry["decision"]),
                tx.outcomes.get(entry["decision"]),
            )
            if filed is not None and outcome is not None:
                ran = msgspec.structs.replace(filed.decision, proposal=outcome.approved)
                past.decided(ran, "released", entry["at"])


def _filled(tx: Transaction, ports: Ports, policy: Policy, stored: Ruling) -> Policy:
    """The policy with what its stored lists held when `stored` was ruled."""
    if not policy.stored_lists:
        return policy
    workflow = policy.workflow
    versions = {
        name: stored.list_versions[name]
        if name in stored.list_versions
        else tx.lists.version(workflow, name)
        for name in policy.stored_lists
    }
    return ports.shelf.filled(
        policy,
        versions,
        stored.evaluated_at,
        lambda name: tx.lists.at(workflow, name, versions[name]),
    )


__all__ = ["Replayed", "replay"]
