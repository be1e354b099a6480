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
from handrail.flow.close import retire, supersede
from handrail.flow.lists import DAY_US, change_list, stored_list
from handrail.flow.policies import find_version, let_rule, open_proposal, version_of
from handrail.flow.ports import Ports
from handrail.flow.readiness import refuse, remarks
from handrail.flow.records import handles_of, note
from handrail.flow.submit import hold
from handrail.flow.who import alone, enter
from handrail.gate import IfOpen, Policy, compare, load
from handrail.model.canonical import digest
from handrail.model.commands import ApplyPolicy, ProposeList, ProposePolicy
from handrail.model.decision import Decision
from handrail.model.errors import BadInput, Conflict
from handrail.model.feedback import PolicyVersion
from handrail.model.ids import new_id
from handrail.model.modes import Lane, Verdict
from handrail.model.people import Actor, folded
from handrail.model.ruling import Ruling
from handrail.model.versions import (
    BUILT_IN,
    LIST_CHANGE,
    POLICY_CHANGE,
    Evidence,
    How,
    ListProposal,
    PolicyDiff,
    Proposal,
    in_force,
)
from handrail.model.wire import check_wire
from handrail.ports import Transaction
from handrail.review.quorum import in_words

MAX_REASON = 1_000
MAX_VALUE = 500
"""Longest value of a stored list, characters."""
MOST_VALUES = 500
"""Values that one proposal may change."""
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
    _is_of(policy, command.workflow)
    _tests(command.evidence, policy)
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
    _check_evidence(command.evidence)


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
    base = _base(tx, policy, command.base)
    ruling_now = ports.shelf.version(tx, policy.workflow, base) if base is not None else None
    diff = compare(ruling_now, policy)
    asked = (ruling_now or policy).owner_approvals
    warnings = refuse(remarks(tx, ports, policy, asked=asked, proposer=who.id))
    earlier = open_proposal(tx, policy.workflow)
    if earlier is not None and earlier.decision.proposal.get("version") == policy.version:
        return _answer(tx, policy, base, earlier.ruling, diff, warnings)
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
            workflow=policy.workflow,
            version=policy.version,
            base=base,
            active=True,
            diff=diff,
            warnings=warnings,
        )
    if before is None:
        tx.policies.put(version)
    rolls_back = before is not None and before.activated_at is not None
    ruling = _ask(tx, ports, command, who, policy, ruling_now, diff, rolls_back, warnings)
    return _answer(tx, policy, base, ruling, diff, warnings)


def _answer(
    tx: Transaction,
    policy: Policy,
    base: str | None,
    ruling: Ruling,
    diff: PolicyDiff,
    warnings: tuple[str, ...],
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
        warnings=warnings,
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
    warnings: tuple[str, ...],
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
        "warnings": list(warnings) or None,
    }
    ruling = _hold(
        tx,
        ports,
        who,
        built_in(tx, ports, POLICY_CHANGE),
        owned,
        facts=facts,
        proposal={"version": policy.version},
        current={"version": diff.old} if diff.old is not None else None,
        context=None if command.evidence is None else {"evidence": _told(command.evidence)},
    )
    note(
        tx,
        "policy.proposed",
        who.id,
        workflow=policy.workflow,
        policy=f"{policy.workflow}@{policy.version}",
        decision=ruling.decision_id,
        previous=f"{policy.workflow}@{diff.old}" if diff.old is not None else None,
    )
    return ruling


def _hold(
    tx: Transaction,
    ports: Ports,
    who: Who,
    rules: Policy,
    owned: Policy,
    *,
    facts: dict[str, Any],
    proposal: dict[str, Any],
    current: dict[str, Any] | None = None,
    context: Any = None,
) -> Ruling:
    """Hold a decision of a built-in workflow for the owners of `owned`, as its `owners:` asks."""
    record = rules.ingest(facts, proposal)
    now = tx.now()
    decision = Decision(
        id=new_id("d", now),
        workflow=rules.workflow,
        subject=rules.subject_of(record),
        submitter=who.id,
        requester=None if who.program else who.name,
        facts=record.facts,
        proposal=record.proposal,
        current=current,
        context=context,
        submitted_at=now,
        body_digest=digest({"facts": record.facts, "proposal": record.proposal}),
    )
    if rules.if_open is IfOpen.REPLACE:
        _take_place(tx, ports, decision, who)
    ruling = rules.evaluate(record, decision_id=decision.id, evaluated_at=now)
    route = ruling.route or rules.routes[-1].route
    ruling = msgspec.structs.replace(
        ruling,
        lane=Lane.HOLD,
        route=msgspec.structs.replace(route, to=owned.owners),
        approvals=owned.owner_approvals,
    )
    return hold(tx, ports, decision, ruling)


def _take_place(tx: Transaction, ports: Ports, decision: Decision, who: Who) -> None:
    """A newer proposal about the same subject takes the place of the one under review."""
    for old in tx.decisions.unsettled_of(decision.workflow, decision.subject or ""):
        supersede(tx, ports, old, decision, actor=who.id)


def _told(evidence: Evidence) -> dict[str, Any]:
    """Evidence as the card shows it, and as `Evidence` is read back."""
    return {name: value for name, value in evidence.to_dict().items() if value not in (None, {})}


def _evidence(evidence: Evidence | None) -> str | None:
    return None if evidence is None else f"{evidence.kind}: {evidence.summary}"


# ------------------------------------------------------------------------- approved elsewhere


def apply_policy(command: ApplyPolicy, actor: Actor, ports: Ports) -> Proposal:
    """Let a text rule that people approved elsewhere, and record who and where.

    Raises `PolicyErrors` for a text with mistakes, `Conflict` where another base rules or the
    owners would change, `BadInput` where the author approved it or the activation check refuses.
    """
    for name in ("reason", "reference", "author", "approved_by"):
        said = getattr(command, name)
        check_wire(said, f"/{name}")
        if not 1 <= len(said.strip()) <= MAX_REASON:
            raise BadInput(f"expected 1 to {MAX_REASON:,} characters", f"/{name}")
    if folded(command.author) == folded(command.approved_by):
        raise BadInput(
            "the author approved it; expected another person: nobody lets their own change rule",
            "/approved_by",
        )
    _check_evidence(command.evidence)
    thing = Thing(workflow=command.workflow)
    ports.store.read(lambda tx: allow(enter(tx, actor, meet=False), ApplyPolicy, thing))
    policy = checked(command.text, command.files, f"policies/{command.workflow}.yaml", ports)
    _is_of(policy, command.workflow)
    _tests(command.evidence, policy)

    def use_case(tx: Transaction) -> Proposal:
        who = enter(tx, actor)
        allow(who, ApplyPolicy, thing)
        base = _base(tx, policy, command.base)
        ruling_now = ports.shelf.version(tx, policy.workflow, base) if base is not None else None
        diff = compare(ruling_now, policy)
        if ruling_now is not None and diff.owners_changed:
            raise Conflict(
                f"the owners of {policy.workflow} change, and that takes the old ones: "
                f"`handrail policy propose {policy.workflow}`"
            )
        warnings = refuse(remarks(tx, ports, policy, asked=(), proposer=who.id))
        waiting = open_proposal(tx, policy.workflow)
        if waiting is not None:
            retire(
                tx,
                ports,
                waiting,
                verdict=Verdict.SUPERSEDED,
                why=f"{policy.version} was applied, approved at {command.reference}",
                actor=who.id,
                by=who.id,
            )
        ports.shelf.put(policy.version, policy)
        let_rule(
            tx,
            ports,
            version_of(policy, command.files),
            how=How.APPLIED,
            by=who.id,
            proposed_by=command.author,
            approved_by=(command.approved_by,),
            reason=command.reason,
            reference=command.reference,
            evidence=command.evidence,
        )
        return Proposal(
            workflow=policy.workflow,
            version=policy.version,
            base=base,
            active=True,
            diff=diff,
            warnings=warnings,
        )

    return ports.store.write(use_case)


def _is_of(policy: Policy, workflow: str) -> None:
    if policy.workflow != workflow:
        raise BadInput(f"the text is a policy of {policy.workflow}, not of {workflow}", "/workflow")
    if workflow in BUILT_IN:
        raise BadInput(f"{workflow} ships with the program and is not changed", "/workflow")


def _check_evidence(evidence: Evidence | None) -> None:
    if evidence is not None:
        check_wire(msgspec.to_builtins(evidence), "/evidence")


def _tests(evidence: Evidence | None, policy: Policy) -> None:
    """Raise where evidence is about another version."""
    if evidence is not None and evidence.version not in (None, policy.version):
        raise BadInput(
            f"the evidence is about {evidence.version}, and {policy.version} is to rule; "
            "test what is to rule",
            "/evidence/version",
        )


def _base(tx: Transaction, policy: Policy, expected: str | None) -> str | None:
    """The version that rules now. Raises where another was expected, or this one rules."""
    base = tx.policies.active(policy.workflow)
    if expected is not None and expected != base:
        raise Conflict(
            f"{policy.workflow} is ruled by {base or 'nothing'}, not by {expected}; look at "
            "what changed meanwhile and propose again",
            {"version": base},
        )
    if base == policy.version:
        raise Conflict(f"{policy.workflow}@{policy.version} rules already", {"version": base})
    return base


# ---------------------------------------------------------------------------------- stored lists


def propose_list(command: ProposeList, actor: Actor, ports: Ports) -> ListProposal:
    """Ask those who own the policy to let values join or leave one of its stored lists.

    In a workspace of one person it is done at once. Raises `BadInput` for a list that the policy
    does not have stored.
    """
    _check_list(command)

    def use_case(tx: Transaction) -> ListProposal:
        who = enter(tx, actor)
        allow(who, ProposeList, Thing(workflow=command.workflow))
        policy = ports.shelf.active(tx, command.workflow)
        name = stored_list(policy, command.list)
        if alone(tx):
            change_list(
                tx,
                policy.workflow,
                name,
                add=command.add,
                remove=command.remove,
                by=who.id,
                expires_at=None if command.days is None else tx.now() + command.days * DAY_US,
                decision_id=None,
                single_person=True,
            )
            return ListProposal(workflow=policy.workflow, list=name, done=True)
        version = tx.lists.version(policy.workflow, name)
        held = in_force(tx.lists.at(policy.workflow, name, version), tx.now())
        ruling = _hold(
            tx,
            ports,
            who,
            built_in(tx, ports, LIST_CHANGE),
            policy,
            facts={
                "name": f"{policy.workflow}/{name}",
                "policy": policy.workflow,
                "list": name,
                "reason": command.reason,
                "asked": "; ".join(in_words(policy.owner_approvals)),
                "holds": len(held),
            },
            proposal={
                "add": list(command.add),
                "remove": list(command.remove),
                "days": command.days,
            },
        )
        names = [one for need in ruling.approvals for one in need.of]
        return ListProposal(
            workflow=policy.workflow,
            list=name,
            done=False,
            decision_id=ruling.decision_id,
            review_id=ruling.review_id,
            approvers=tuple(in_words(ruling.approvals, handles_of(tx, names))),
        )

    return ports.store.write(use_case)


def _check_list(command: ProposeList) -> None:
    check_wire(command.reason, "/reason")
    if not 1 <= len(command.reason.strip()) <= MAX_REASON:
        raise BadInput(f"say why in 1 to {MAX_REASON:,} characters", "/reason")
    if not command.add and not command.remove:
        raise BadInput("name at least one value to add or to remove", "/add")
    if len(command.add) + len(command.remove) > MOST_VALUES:
        raise BadInput(f"at most {MOST_VALUES:,} values are changed at once", "/add")
    for field in ("add", "remove"):
        for index, value in enumerate(getattr(command, field)):
            check_wire(value, f"/{field}/{index}")
            if not 1 <= len(value) <= MAX_VALUE or value != value.strip():
                raise BadInput(
                    f"has {len(value)} characters or space around it; expected 1 to {MAX_VALUE}",
                    f"/{field}/{index}",
                )
    twice = set(command.add) & set(command.remove)
    if twice:
        raise BadInput(f"{min(twice)!r} is to join and to leave; say one of them", "/remove")
    if command.days is not None and not 1 <= command.days <= 36_500:
        raise BadInput(f"is {command.days}; expected 1 to 36,500 days", "/days")


__all__ = ["apply_policy", "checked", "propose_list", "propose_policy"]
