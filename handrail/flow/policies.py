"""Which policy version rules a workflow, and what it says."""

from __future__ import annotations

from msgspec.structs import replace

from handrail.access import Thing, allow
from handrail.flow.ports import Ports
from handrail.flow.records import handles_of, note
from handrail.flow.who import actor_id, enter
from handrail.gate import Policy
from handrail.model.commands import GetPolicy, ListPolicies, PolicyLine
from handrail.model.errors import NotFound
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


def list_policies(command: ListPolicies, actor: Actor, ports: Ports) -> list[PolicyLine]:
    """The policies that rule now; for a token those of the workflows it is bound to."""

    def query(tx: Transaction) -> list[PolicyLine]:
        who = enter(tx, actor, meet=False)
        allow(who, ListPolicies)
        found = []
        for workflow in filter(who.within, tx.policies.workflows()):
            version = tx.policies.active(workflow)
            stored = tx.policies.get(workflow, version) if version is not None else None
            if stored is None:
                continue
            names = handles_of(tx, [stored.activated_by])
            found.append(
                PolicyLine(
                    workflow=workflow,
                    title=ports.shelf.version(tx, workflow, stored.version).title,
                    version=stored.version,
                    gate_digest=stored.gate_digest,
                    activated_at=stored.activated_at,
                    activated_by=names.get(stored.activated_by, stored.activated_by),
                )
            )
        return found

    return ports.store.read(query)


def get_policy(command: GetPolicy, actor: Actor, ports: Ports) -> PolicyVersion:
    """One version, whole. Raises `NotFound`."""

    def query(tx: Transaction) -> PolicyVersion:
        allow(enter(tx, actor, meet=False), GetPolicy, Thing(workflow=command.workflow))
        version = command.version or tx.policies.active(command.workflow)
        stored = tx.policies.get(command.workflow, version) if version is not None else None
        if stored is None:
            wanted = f"{command.workflow}@{version}" if version else command.workflow
            raise NotFound(f"no policy {wanted!r}; GET /policies names those there are")
        names = handles_of(tx, [stored.activated_by])
        return replace(stored, activated_by=names.get(stored.activated_by, stored.activated_by))

    return ports.store.read(query)
