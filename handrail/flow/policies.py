"""Which policy version rules a workflow, what it says, what would change, and how it came to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from handrail.access import Thing, Who, allow
from handrail.flow.aggregates import keep_series
from handrail.flow.ports import Ports, read_policy
from handrail.flow.records import WORKSPACE, commit, handles_of, note
from handrail.flow.who import actor_id, alone, enter
from handrail.gate import Policy, compare
from handrail.model.commands import (
    DiffPolicies,
    GetPolicy,
    ListPolicies,
    PolicyHistory,
    PolicyLine,
)
from handrail.model.errors import BadInput, NotFound
from handrail.model.feedback import PolicyVersion
from handrail.model.modes import GrantState
from handrail.model.people import Actor
from handrail.model.versions import (
    POLICY_CHANGE,
    Activation,
    DraftState,
    HistoryLine,
    How,
    PolicyDiff,
    PolicyDraft,
)
from handrail.ports import Filed, Transaction

DRAFT, ACTIVE = "draft", "active"
"""Name the file of a policy, and what rules, where a version is asked for."""
SHORTEST = 6
"""Fewest digits of a version that name it."""


# ------------------------------------------------------------------------------- coming to rule


def activate(policy: Policy, files: dict[str, str], actor: Actor, ports: Ports) -> PolicyVersion:
    """Make this checked version rule its workflow. The same version again changes nothing.

    `files` holds the text of each list file the policy names, so that the version is whole.
    """
    version = ports.store.write(lambda tx: _from_file(tx, policy, files, actor, ports))
    ports.shelf.put(version.version, policy)  # or the first submit would read it again
    return version


def take_file(
    policy: Policy, files: dict[str, str], actor: Actor, ports: Ports
) -> PolicyVersion | None:
    """A changed file becomes the active version where one person runs the workspace.

    Where there are more it stays a draft (None), and so does a file that was rolled back from: it
    was left on purpose.
    """

    def use_case(tx: Transaction) -> PolicyVersion | None:
        if not alone(tx):
            return None
        last = next(iter(tx.policies.activations(policy.workflow, 1)), None)
        if last is not None and last.how is not How.FILE and last.previous == policy.version:
            return None
        return _from_file(tx, policy, files, actor, ports)

    return ports.store.write(use_case)


def _from_file(
    tx: Transaction, policy: Policy, files: dict[str, str], actor: Actor, ports: Ports
) -> PolicyVersion:
    stored = tx.policies.get(policy.workflow, policy.version)
    if stored is not None and stored.active:
        return stored
    who = actor_id(tx, actor)
    version = version_of(policy, files)
    let_rule(tx, ports, version, how=How.FILE, by=who, single_person=alone(tx))
    return replace(version, activated_at=tx.now(), activated_by=who, active=True)


def version_of(policy: Policy, files: dict[str, str]) -> PolicyVersion:
    """A checked policy as it is stored."""
    return PolicyVersion(
        workflow=policy.workflow,
        version=policy.version,
        gate_digest=policy.gate_digest,
        text=policy.text,
        files=files,
        path=policy.path,
    )


def let_rule(
    tx: Transaction,
    ports: Ports,
    version: PolicyVersion,
    *,
    how: How,
    by: str,
    decision_id: str | None = None,
    **more: Any,
) -> Activation:
    """Make a version rule from here on, with its line of history. `more`: see `Activation`."""
    workflow = version.workflow
    previous = tx.policies.active(workflow)
    before = tx.policies.get(workflow, previous) if previous is not None else None
    made = Activation(
        workflow=workflow,
        version=version.version,
        previous=previous,
        gate_digest=version.gate_digest,
        gate_changed=before is None or before.gate_digest != version.gate_digest,
        how=how,
        at=tx.now(),
        by=by,
        decision_id=decision_id,
        **more,
    )
    tx.policies.activate(replace(version, activated_at=tx.now(), activated_by=by, active=True))
    tx.policies.add_activation(made)
    keep_series(tx, ports, ports.shelf.version(tx, workflow, version.version))
    said = " ".join(filter(None, (made.reason, made.reference, *made.approved_by)))
    note(
        tx,
        "policy.activated",
        by,
        workflow=workflow,
        policy=f"{workflow}@{version.version}",
        gate_digest=version.gate_digest,
        previous=f"{workflow}@{previous}" if previous else None,
        how=how,
        decision=decision_id,
        single_person=True if made.single_person else None,
        commit=commit(tx, WORKSPACE, "activation", said.encode()) if said else None,
    )
    tx.wake("policies")
    return made


# ------------------------------------------------------------------------------------- looking


def list_policies(command: ListPolicies, actor: Actor, ports: Ports) -> list[PolicyLine]:
    """What rules now, and how the files differ; for a token those it is bound to."""
    drafts = ports.drafts.look()

    def query(tx: Transaction) -> list[PolicyLine]:
        who = enter(tx, actor, meet=False)
        allow(who, ListPolicies)
        found = []
        seen: set[str] = set()
        for workflow in filter(who.within, tx.policies.workflows()):
            version = tx.policies.active(workflow)
            stored = tx.policies.get(workflow, version) if version is not None else None
            if stored is not None:
                draft = _draft_of(drafts, workflow, stored.path)
                found.append(_line(tx, ports, stored, draft))
                seen.add("" if draft is None else draft.path)
        for draft in drafts:
            if draft.path not in seen and who.within(draft.workflow or "*"):
                found.append(_first(tx, draft))
        return found

    return ports.store.read(query)


def _draft_of(drafts: Sequence[PolicyDraft], workflow: str, path: str) -> PolicyDraft | None:
    """The file of a workflow; one that cannot be read is known by its path."""
    for draft in drafts:
        if draft.workflow == workflow or (draft.workflow is None and draft.path == path):
            return draft
    return None


def _line(
    tx: Transaction, ports: Ports, stored: PolicyVersion, draft: PolicyDraft | None
) -> PolicyLine:
    by = stored.activated_by
    names = handles_of(tx, [by])
    line = PolicyLine(
        workflow=stored.workflow,
        title=ports.shelf.version(tx, stored.workflow, stored.version).title,
        state=DraftState.ACTIVE,
        version=stored.version,
        gate_digest=stored.gate_digest,
        activated_at=stored.activated_at,
        activated_by=None if by is None else names.get(by, by),
    )
    return line if draft is None else _with_draft(tx, line, draft)


def _first(tx: Transaction, draft: PolicyDraft) -> PolicyLine:
    line = PolicyLine(workflow=draft.workflow, title=draft.title, state=DraftState.DRAFT)
    return _with_draft(tx, line, draft)


def _with_draft(tx: Transaction, line: PolicyLine, draft: PolicyDraft) -> PolicyLine:
    line = replace(line, path=draft.path)
    if draft.mistakes:
        return replace(line, state=DraftState.BROKEN, mistakes=draft.mistakes)
    if draft.version == line.version:
        return line
    proposed = open_proposal(tx, draft.workflow or "")
    if proposed is not None and proposed.decision.proposal.get("version") == draft.version:
        return replace(
            line,
            state=DraftState.PROPOSED,
            draft=draft.version,
            decision_id=proposed.decision.id,
            review_id=proposed.review_id,
        )
    return replace(line, state=DraftState.DRAFT, draft=draft.version)


def open_proposal(tx: Transaction, workflow: str) -> Filed | None:
    """The proposal about this policy that is under review, or waits out its undo time."""
    return next(iter(tx.decisions.unsettled_of(POLICY_CHANGE, workflow)), None)


def get_policy(command: GetPolicy, actor: Actor, ports: Ports) -> PolicyVersion:
    """One version, whole. Raises `NotFound`."""
    drafts = ports.drafts.look() if command.version == DRAFT else ()

    def query(tx: Transaction) -> PolicyVersion:
        _may_read(enter(tx, actor, meet=False), GetPolicy, command.workflow)
        stored = find_version(tx, drafts, command.workflow, command.version)
        by = stored.activated_by
        return replace(stored, activated_by=by and handles_of(tx, [by]).get(by, by))

    return ports.store.read(query)


def _may_read(who: Who, kind: Any, workflow: str) -> None:
    allow(who, kind, Thing(workflow=workflow))


def find_version(
    tx: Transaction, drafts: Sequence[PolicyDraft], workflow: str, version: str | None
) -> PolicyVersion:
    """The version that is named; `draft` is the file, `active` or None what rules. `NotFound`."""
    if version == DRAFT:
        return _drafted(drafts, workflow)
    wanted = tx.policies.active(workflow) if version in (None, ACTIVE) else version
    stored = None
    if wanted is not None:
        stored = tx.policies.get(workflow, wanted)
        if stored is None and len(wanted) >= SHORTEST:
            known = [one for one in tx.policies.versions(workflow) if one.startswith(wanted)]
            if len(known) > 1:
                raise BadInput(
                    f"{wanted!r} begins {len(known)} versions of {workflow}; give more digits",
                    "/version",
                )
            stored = tx.policies.get(workflow, known[0]) if known else None
    if stored is None:
        name = f"{workflow}@{wanted}" if wanted else workflow
        raise NotFound(f"no policy {name!r}; `handrail policy list` names those there are")
    return stored


def _drafted(drafts: Sequence[PolicyDraft], workflow: str) -> PolicyVersion:
    for draft in drafts:
        if draft.workflow == workflow and draft.version is not None and not draft.mistakes:
            return PolicyVersion(
                workflow=workflow,
                version=draft.version,
                gate_digest=draft.gate_digest or "",
                text=draft.text,
                files=draft.files,
                path=draft.path,
            )
    wrong = [line for draft in drafts for line in draft.mistakes]
    raise NotFound(
        f"no file in policies/ is a policy of {workflow!r} without mistakes"
        + ("".join(f"\n{line}" for line in wrong) if wrong else "; write one there")
    )


def diff_policies(command: DiffPolicies, actor: Actor, ports: Ports) -> PolicyDiff:
    """What changes between two versions. Raises `NotFound`."""
    wants_draft = command.new in (None, DRAFT) or command.old == DRAFT
    drafts = ports.drafts.look() if wants_draft else ()

    def query(tx: Transaction) -> tuple[PolicyVersion, PolicyVersion]:
        _may_read(enter(tx, actor, meet=False), DiffPolicies, command.workflow)
        return (
            find_version(tx, drafts, command.workflow, command.old),
            find_version(tx, drafts, command.workflow, command.new or DRAFT),
        )

    old, new = ports.store.read(query)
    checks = ports.shelf.checks
    return compare(read_policy(old, checks), read_policy(new, checks))


def policy_history(command: PolicyHistory, actor: Actor, ports: Ports) -> list[HistoryLine]:
    """Every version that came to rule, and every proposal that has not, newest first."""
    if not 1 <= command.limit <= 1000:
        raise BadInput(f"is {command.limit}; expected 1 to 1000", "/limit")

    def query(tx: Transaction) -> list[HistoryLine]:
        _may_read(enter(tx, actor, meet=False), PolicyHistory, command.workflow)
        active = tx.policies.active(command.workflow)
        made = tx.policies.activations(command.workflow, command.limit)
        lines = [_step(one, number == 0 and one.version == active) for number, one in
                 enumerate(made)]  # fmt: skip
        ran = {one.decision_id for one in made}
        for filed in tx.decisions.find(
            workflow=POLICY_CHANGE,
            lane=None,
            state=None,
            subject=command.workflow,
            key=None,
            before=None,
            limit=command.limit,
        ):
            if filed.decision.id not in ran and "version" in filed.decision.proposal:
                lines.append(_not_ruling(tx, filed))
        lines.sort(key=lambda line: line.at, reverse=True)
        names = handles_of(
            tx, [name for line in lines for name in (line.proposed_by, *line.approved_by)]
        )
        return [
            replace(
                line,
                proposed_by=line.proposed_by and names.get(line.proposed_by, line.proposed_by),
                approved_by=tuple(names.get(name, name) for name in line.approved_by),
            )
            for line in lines[: command.limit]
        ]

    return ports.store.read(query)


def _step(made: Activation, active: bool) -> HistoryLine:
    return HistoryLine(
        version=made.version,
        state="active" if active else "replaced",
        at=made.at,
        previous=made.previous,
        gate_changed=made.gate_changed,
        how=made.how,
        proposed_by=made.proposed_by or made.by,
        approved_by=made.approved_by,
        decision_id=made.decision_id,
        reason=made.reason,
        reference=made.reference,
        evidence=made.evidence,
        single_person=made.single_person,
    )


def _not_ruling(tx: Transaction, filed: Filed) -> HistoryLine:
    """A proposal that did not come to rule: where it stands, or how it ended."""
    decision = filed.decision
    outcome = tx.outcomes.get(decision.id)
    grant = tx.grants.current(decision.id)
    state, said = "open", None
    if outcome is not None:
        state, said = str(outcome.verdict), outcome.why
        if grant is not None and grant.state is GrantState.VOID:
            state, said = "void", grant.note
    return HistoryLine(
        version=decision.proposal["version"],
        state=state,
        at=decision.submitted_at,
        previous=decision.facts.get("base"),
        proposed_by=decision.submitter,
        decision_id=decision.id,
        review_id=filed.review_id,
        reason=decision.facts.get("reason"),
        note=said,
    )
