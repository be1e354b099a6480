"""Which policy version rules a workflow."""

from __future__ import annotations

from handrail.flow.ports import Ports
from handrail.flow.records import note
from handrail.flow.who import actor_id
from handrail.gate import Policy
from handrail.model.feedback import PolicyVersion
from handrail.model.people import Actor
from handrail.ports import Transaction


def activate(policy: Policy, files: dict[str, str], actor: Actor, ports: Ports) -> PolicyVersion:
    """Make this checked version rule its workflow. The same version again changes nothing.

    `files` holds the text of each list file the policy names, so that the version is whole.
    """

    def use_case(tx: Transaction) -> PolicyVersion:
        previous = tx.policies.active(policy.workflow)
        if previous == policy.version:
            stored = tx.policies.get(policy.workflow, policy.version)
            if stored is not None:
                return stored
        who = actor_id(tx, actor)
        version = PolicyVersion(
            workflow=policy.workflow,
            version=policy.version,
            gate_digest=policy.gate_digest,
            text=policy.text,
            files=files,
            path=policy.path,
            activated_at=tx.now(),
            activated_by=who,
            active=True,
        )
        tx.policies.activate(version)
        note(
            tx,
            "policy.activated",
            who,
            workflow=policy.workflow,
            policy=f"{policy.workflow}@{policy.version}",
            gate_digest=policy.gate_digest,
            previous=f"{policy.workflow}@{previous}" if previous else None,
            single_person=True if not tx.people.registered() else None,
        )
        tx.wake("policies")
        return version

    return ports.store.write(use_case)
