"""Propose that a version rule: a change of policy is itself a decision.

Those who own the policy as it rules now are asked, so that changing the owners takes the old ones.
Who proposes never approves. A workspace of one person has nobody to ask: there the version rules
at once, and the history says so.
"""

from __future__ import annotations

from typing import Any

import msgspec

from handrail.access import Thing, Who, allow
from handrail.flow.change import built_in
from handrail.flow.close import retire
from handrail.flow.policies import find_version, let_rule, open_proposal, version_of
from handrail.flow.ports import Ports
from handrail.flow.records import handles_of, note
from handrail.flow.submit import hold
from handrail.flow.who import alone, enter
from handrail.gate import Policy, compare, load
from handrail.model.canonical import digest
from handrail.model.commands import ProposePolicy
from handrail.model.decision import Decision
from handrail.model.errors import BadInput, Conflict
from handrail.model.feedback import PolicyVersion
from handrail.model.ids import new_id
from handrail.model.modes import Lane, Verdict
from handrail.model.people import Actor
from handrail.model.ruling import Ruling
from handrail.model.versions import POLICY_CHANGE, Evidence, How, PolicyDiff, Proposal
from handrail.model.wire import check_wire
from handrail.ports import Filed, Transaction
from handrail.review.quorum import in_words

MAX_REASON = 1_000
NAMED = 500
"""Changes, and cases that come out otherwise, that a proposal tells at most."""


def propose_policy(command: ProposePolicy, actor: Actor, ports: Ports) -> Proposal:
    """Ask those who own the policy to let a version rule.

    Raises `PolicyErrors` for a version with mistakes or whose cases come out otherwise, `Conflict`
    where it rules already or `base` does not rule any more. Asking again for what is under review
    answers the review that is there; another version takes its place.
    """
    _check(command)
    drafts = ports.drafts.look() if command.text is None else ()

    def look(tx: Transaction) -> PolicyVersion:
        who = enter(tx, actor, meet=False)
        allow(who, ProposePolicy, Thing(workflow=command.workflow))
        return find_version(tx, drafts, command.workflow, command.version or "draft")

    if command.text is None:
        found = ports.store.read(look)
        text, given, path = found.text, found.files, found.path
    else:
        ports.store.read(
            lambda tx: allow(
                enter(tx, actor, meet=False), ProposePolicy, Thing(workflow=command.workflow)
            )
        )
        text, given, path = command.text, command.files, f"policies/{command.workflow}.yaml"
    # Read, checked and run through its cases before the transaction, as slow as that may be.
    policy = checked(text, given, path, ports)
    if policy.workflow != command.workflow:
        raise BadInput(
            f"the text is a policy of {policy.workflow}, not of {command.workflow}", "/workflow"
        )
    if command.evidence is not None and command.evidence.version not in (None, policy.version):
        raise BadInput(
            f"the evidence is about {command.evidence.version}, and {policy.version} is proposed; "
            "test what you propose",
            "/evidence/version",
        )
    version = version_of(policy, given)
    return ports.store.write(lambda tx: _propose(tx, ports, command, actor, policy, version))


def checked(text: str, given: dict[str, str], path: str, ports: Ports) -> Policy:
    """The policy of a text and its list files. Raises `PolicyErrors` with every mistake."""

    def read_file(name: str) -> bytes:
        return given[name].encode()

    return load(text, path=path, read_file=read_file, checks=ports.shelf.checks)


def _check(command: ProposePolicy) -> None:
    check_wire(command.reason, "/reason")
    if not 1 <= len(command.reason.strip()) <= MAX_REASON:
        raise BadInput(f"say why in 1 to {MAX_REASON:,} characters", "/reason")
    if command.text is not None and command.version is not None:
        raise BadInput("a text and a version are given; send one of them", "/version")
    if command.text is None and command.files:
        raise BadInput("list files come with a text; send both, or neither", "/files")
    if command.evidence is not None:
        check_wire(msgspec.to_builtins(command.evidence), "/evidence")
    if command.workflow == POLICY_CHANGE:
        raise BadInput(f"{POLICY_CHANGE} ships with the program and is not changed", "/workflow")


def _propose(
    tx: Transaction,
    ports: Ports,
    command: ProposePolicy,
    actor: Actor,
    policy: Policy,
    version: PolicyVersion,
) -> Proposal:
    who = enter(tx, actor)
    allow(who, ProposePolicy, Thing(workflow=command.workflow))
    base = tx.policies.active(policy.workflow)
    if command.base is not None and command.base != base:
        raise Conflict(
            f"{policy.workflow} is ruled by {base or 'nothing'}, not by {command.base}; look at "
            "what changed meanwhile and propose again",
            {"version": base},
        )
    if base == policy.version:
        raise Conflict(f"{policy.workflow}@{policy.version} rules already", {"version": base})
    ruling_now = ports.shelf.version(tx, policy.workflow, base) if base is not None else None
    diff = compare(ruling_now, policy)
    earlier = open_proposal(tx, policy.workflow)
    if earlier is not None and earlier.decision.proposal.get("version") == policy.version:
        return _answer(tx, policy, base, earlier.ruling, diff)
    before = tx.policies.get(policy.workflow, policy.version)
    ports.shelf.put(policy.version, policy)
    if alone(tx):
        let_rule(
            tx,
            ports,
            version,
            how=How.PROPOSAL,
            by=who.id,
            proposed_by=who.id,
            reason=command.reason,
            evidence=command.evidence,
            single_person=True,
        )
        return Proposal(
            workflow=policy.workflow, version=policy.version, base=base, active=True, diff=diff
        )
    if before is None:
        tx.policies.put(version)
    rolls_back = before is not None and before.activated_at is not None
    ruling = _ask(tx, ports, command, who, policy, ruling_now, diff, rolls_back)
    return _answer(tx, policy, base, ruling, diff)


def _answer(
    tx: Transaction, policy: Policy, base: str | None, ruling: Ruling, diff: PolicyDiff
) -> Proposal:
    names = [name for need in ruling.approvals for name in need.of]
    return Proposal(
        workflow=policy.workflow,
        version=policy.version,
        base=base,
        active=False,
        decision_id=ruling.decision_id,
        review_id=ruling.review_id,
        approvers=tuple(in_words(ruling.approvals, handles_of(tx, names))),
        diff=diff,
    )


def _ask(
    tx: Transaction,
    ports: Ports,
    command: ProposePolicy,
    who: Who,
    policy: Policy,
    ruling_now: Policy | None,
    diff: PolicyDiff,
    rolls_back: bool,
) -> Ruling:
    """Hold a decision about it, for those who own the policy as it rules now."""
    owned = ruling_now or policy
    asked = "; ".join(in_words(owned.owner_approvals))
    # What can let other decisions pass is read first.
    ordered = sorted(diff.changes, key=lambda change: not change.decides)
    changes = [change.sentence for change in ordered]
    cases = [f"{case.name}: {case.before} → {case.after}" for case in diff.cases]
    facts = {
        "policy": policy.workflow,
        "base": diff.old,
        "reason": command.reason,
        "changes": changes[:NAMED],
        "decides": diff.gate_changed,
        "owners_change": diff.owners_changed,
        "asked": asked,
        "cases": diff.same_cases + len(diff.cases),
        "cases_changed": len(diff.cases),
        "effects": cases[:NAMED] or None,
        "evidence": _evidence(command.evidence),
        "rolls_back": rolls_back,
    }
    rules = built_in(tx, ports, POLICY_CHANGE)
    record = rules.ingest(facts, {"version": policy.version})
    now = tx.now()
    decision = Decision(
        id=new_id("d", now),
        workflow=POLICY_CHANGE,
        subject=policy.workflow,
        submitter=who.id,
        requester=None if who.program else who.name,
        facts=record.facts,
        proposal=record.proposal,
        current={"version": diff.old} if diff.old is not None else None,
        context=None if command.evidence is None else {"evidence": _told(command.evidence)},
        submitted_at=now,
        body_digest=digest({"facts": record.facts, "proposal": record.proposal}),
    )
    _take_place(tx, ports, decision, who)
    ruling = rules.evaluate(record, decision_id=decision.id, evaluated_at=now)
    route = ruling.route or rules.routes[-1].route
    ruling = msgspec.structs.replace(
        ruling,
        lane=Lane.HOLD,
        route=msgspec.structs.replace(route, to=owned.owners),
        approvals=owned.owner_approvals,
    )
    ruling = hold(tx, ports, decision, ruling)
    note(
        tx,
        "policy.proposed",
        who.id,
        workflow=policy.workflow,
        policy=f"{policy.workflow}@{policy.version}",
        decision=decision.id,
        previous=f"{policy.workflow}@{diff.old}" if diff.old is not None else None,
    )
    return ruling


def _take_place(tx: Transaction, ports: Ports, decision: Decision, who: Who) -> None:
    """A newer proposal about the same subject takes the place of the one under review."""
    for old in tx.decisions.unsettled_of(decision.workflow, decision.subject or ""):
        supersede(tx, ports, old, by=decision.id, why=f"Replaced by {decision.id}", who=who.id)


def supersede(tx: Transaction, ports: Ports, old: Filed, *, by: str, why: str, who: str) -> None:
    """End a proposal under review: something else has taken its place."""
    note(
        tx,
        "decision.superseded",
        who,
        decision=old.decision.id,
        by=by,
        review=old.review_id,
    )
    retire(tx, ports, old, verdict=Verdict.SUPERSEDED, why=why, actor=who, by=who)


def _told(evidence: Evidence) -> dict[str, Any]:
    """Evidence as the card shows it, and as `Evidence` is read back."""
    return {name: value for name, value in evidence.to_dict().items() if value not in (None, {})}


def _evidence(evidence: Evidence | None) -> str | None:
    return None if evidence is None else f"{evidence.kind}: {evidence.summary}"


__all__ = ["checked", "propose_policy", "supersede"]
