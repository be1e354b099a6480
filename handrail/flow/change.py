"""What an approved change of a policy does: in the transaction that releases the approval.

No program redeems its grant. The release itself is the run: the version that was approved rules
from that commit on, or it never does. So it happens at most once, and with what was approved.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec

from handrail.audit.events import SYSTEM
from handrail.flow.lists import DAY_US, change_list
from handrail.flow.policies import let_rule, version_of
from handrail.flow.ports import Ports, read_policy
from handrail.flow.readiness import refuse, remarks
from handrail.flow.records import note
from handrail.gate import Policy, load
from handrail.model.decision import Decision
from handrail.model.decoding import convert
from handrail.model.errors import BadInput, Conflict, HandrailError
from handrail.model.modes import GrantState, Said
from handrail.model.outcome import Grant, Outcome
from handrail.model.versions import BUILT_IN, LIST_CHANGE, Evidence, How
from handrail.ports import Filed, Transaction

PROGRAM = "handrail"
"""Who runs such a change."""


def built_in(tx: Transaction, ports: Ports, workflow: str) -> Policy:
    """The shipped policy of a built-in workflow; it rules from its first use on."""
    text = files("handrail.flow").joinpath(f"{workflow}.yaml").read_text("utf-8")
    policy = load(text, path=f"{workflow}.yaml", run_cases=False)
    if tx.policies.active(workflow) != policy.version:
        let_rule(tx, ports, version_of(policy, {}), how=How.BUILT_IN, by=SYSTEM)
    return ports.shelf.put(policy.version, policy)


def carry_out(
    tx: Transaction, ports: Ports, filed: Filed, outcome: Outcome[Any], grant: Grant | None
) -> None:
    """Do what an outcome allows that changes a policy; nothing for any other decision.

    Where something else rules by now than was proposed against, the stored text is no longer what
    was approved, or the people there are by now could not carry it, the grant is taken back and
    says so.
    """
    if filed.decision.workflow not in BUILT_IN or grant is None:
        return
    try:
        if filed.decision.workflow == LIST_CHANGE:
            _change_list(tx, filed, outcome)
        else:
            _activate(tx, ports, filed, outcome)
    except HandrailError as error:
        voided = msgspec.structs.replace(
            grant, state=GrantState.VOID, finished_at=tx.now(), note=str(error)
        )
        _move(tx, grant, voided)
        note(tx, "grant.voided", SYSTEM, grant=grant.id, decision=grant.decision_id)
        return
    done = msgspec.structs.replace(
        grant,
        state=GrantState.DONE,
        redeemed_at=tx.now(),
        finished_at=tx.now(),
        run=f"release of {grant.decision_id}",
        by=PROGRAM,
    )
    _move(tx, grant, done)
    note(tx, "grant.redeemed", PROGRAM, grant=grant.id, decision=grant.decision_id)
    note(
        tx,
        "grant.confirmed",
        PROGRAM,
        grant=grant.id,
        decision=grant.decision_id,
        state=GrantState.DONE,
    )


def _change_list(tx: Transaction, filed: Filed, outcome: Outcome[Any]) -> None:
    decision, asked = filed.decision, outcome.approved
    days = asked.get("days")
    change_list(
        tx,
        decision.facts["policy"],
        decision.facts["list"],
        add=asked["add"],
        remove=asked["remove"],
        by=outcome.by or SYSTEM,
        expires_at=None if days is None else tx.now() + days * DAY_US,
        decision_id=decision.id,
    )


def _move(tx: Transaction, old: Grant, new: Grant) -> None:
    if not tx.grants.replace(old, new):
        raise Conflict(f"{old.id} moved; try again")


def _activate(tx: Transaction, ports: Ports, filed: Filed, outcome: Outcome[Any]) -> None:
    """Let the approved version rule. Raises where it cannot; nothing was changed then."""
    decision = filed.decision
    workflow, version = decision.facts["policy"], outcome.approved["version"]
    base, now = decision.facts.get("base"), tx.policies.active(workflow)
    if now != base:
        raise Conflict(
            f"{workflow} is ruled by {now} by now, and this was proposed against "
            f"{base or 'nothing'}; propose it again"
        )
    stored = tx.policies.get(workflow, version)
    policy = None if stored is None else read_policy(stored, ports.shelf.checks)
    if stored is None or policy is None or policy.version != version:
        raise Conflict(
            f"the stored text of {workflow}@{version} is not what was approved; "
            "run `handrail audit verify --against-state`, and propose it again"
        )
    _still_carried(tx, ports, policy, decision)
    votes = []
    if filed.review_id is not None:
        votes = tx.reviews.votes(filed.review_id)
    evidence = (decision.context or {}).get("evidence")
    let_rule(
        tx,
        ports,
        stored,
        how=How.PROPOSAL,
        by=outcome.by or SYSTEM,
        decision_id=decision.id,
        proposed_by=decision.submitter,
        approved_by=tuple(
            dict.fromkeys(vote.person for vote in votes if vote.said is not Said.REJECT)
        ),
        reason=decision.facts["reason"],
        evidence=None if evidence is None else convert(evidence, Evidence),
        single_person=any(vote.single_person for vote in votes),
    )


def _still_carried(tx: Transaction, ports: Ports, policy: Policy, decision: Decision) -> None:
    """The activation check again: people may have left since it was proposed."""
    try:
        refuse(remarks(tx, ports, policy, asked=(), proposer=decision.submitter))
    except BadInput as error:
        raise Conflict(
            f"since {policy.workflow}@{policy.version[:12]} was proposed, what it asks of people "
            f"can no longer be given; mend that, and propose it again:\n{error}"
        ) from error


__all__ = ["built_in", "carry_out"]
