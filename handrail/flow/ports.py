"""What every verb is given beside its command: the store, the policies, the secret."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import msgspec

from handrail.flow.passwords import Passwords
from handrail.gate import Check, Policy, load
from handrail.model.commands import Submit
from handrail.model.errors import NotFound
from handrail.model.feedback import PolicyVersion
from handrail.model.versions import ListEntry, in_force
from handrail.ports import Drafts, NoDrafts, Steps, Store, Transaction, no_steps
from handrail.review.deadlines import Hours
from handrail.settings import Settings


def read_policy(stored: PolicyVersion, checks: Mapping[str, Check] | None = None) -> Policy:
    """The checked policy of a stored version. Its cases ran when it was activated.

    `checks` are those that are installed here; without them what hangs on one is unknown.
    """

    def read_file(name: str) -> bytes:
        return stored.files[name].encode()

    return load(stored.text, path=stored.path, read_file=read_file, run_cases=False, checks=checks)


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A policy with what its stored lists hold, and for how long that is so."""

    policy: Policy
    since: int
    until: int | None
    """When the next value leaves because its time is over (µs UTC); None where none does."""


class Shelf:
    """Checked policies by (workflow, version). A version never changes, so neither does an item."""

    def __init__(self, checks: Mapping[str, Check] | None = None) -> None:
        self.checks = checks
        """The checks that are installed here."""
        self.checking: set[str] = set()
        """Workflows of which some version runs checks."""
        self._policies: dict[tuple[str, str], Policy] = {}
        self._filled: dict[tuple[str, str], Filled] = {}
        self._latest: dict[str, Policy] = {}
        self._lock = threading.Lock()

    def active(self, tx: Transaction, workflow: str) -> Policy:
        """The policy that rules `workflow` now. Raises `NotFound` that names those there are."""
        version = tx.policies.active(workflow)
        if version is None:
            names = ", ".join(tx.policies.workflows()) or "none"
            raise NotFound(
                f"no policy rules the workflow {workflow!r}; active are: {names}. "
                f"Put a policy file into the workspace's policies folder"
            )
        found = self._latest[workflow] = self.version(tx, workflow, version)
        return found

    def subject_in(self, command: Submit) -> str | None:
        """The subject a command will have, as the policy that ruled last reads it; a guess."""
        policy = self._latest.get(command.workflow)
        if policy is None or len(policy.subject) != 1:
            return None
        [name] = policy.subject
        value = command.facts.get(name)
        if value is None and isinstance(command.proposal, dict):
            value = command.proposal.get(name)
        return value if isinstance(value, str) else None

    def named(self, tx: Transaction, policy: str) -> Policy:
        """The policy of a ruling's `workflow@version`."""
        workflow, _, version = policy.rpartition("@")
        return self.version(tx, workflow, version)

    def version(self, tx: Transaction, workflow: str, version: str) -> Policy:
        """One version, active or not."""
        found = self._policies.get((workflow, version))
        if found is None:
            stored = tx.policies.get(workflow, version)
            if stored is None:
                raise NotFound(f"the policy {workflow}@{version} is not in the store")
            found = self.put(version, read_policy(stored, self.checks))
        return found

    def filled(
        self,
        policy: Policy,
        versions: dict[str, int],
        now: int,
        read: Callable[[str], list[ListEntry]],
    ) -> Policy:
        """The policy with what these versions of its stored lists hold at `now` (µs UTC).

        `read` gives the entries of a list. It is asked again only when a list has changed, or the
        time of one of its values is over.
        """
        key = policy.workflow, policy.version
        kept = self._filled.get(key)
        if (
            kept is not None
            and kept.policy.list_versions == versions
            and kept.since <= now
            and (kept.until is None or now < kept.until)
        ):
            return kept.policy
        held: dict[str, tuple[str, ...]] = {}
        ends: list[int] = []
        for name in versions:
            entries = in_force(read(name), now)
            held[name] = tuple(entry.value for entry in entries)
            ends += [entry.expires_at for entry in entries if entry.expires_at is not None]
        made = policy.with_lists(held, versions)
        self._filled[key] = Filled(policy=made, since=now, until=min(ends, default=None))
        return made

    def put(self, version: str, policy: Policy) -> Policy:
        with self._lock:
            if policy.checks:
                self.checking.add(policy.workflow)
            return self._policies.setdefault((policy.workflow, version), policy)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The world as the verbs see it."""

    store: Store
    shelf: Shelf
    secret: bytes
    """Installation secret: keys the coins and the card digests."""
    settings: Settings = Settings()
    hours: Hours = Hours()
    steps: Steps = no_steps
    passwords: Passwords = msgspec.field(default_factory=Passwords)
    drafts: Drafts = NoDrafts()
    """The policy files beside the store."""


UseCase = Callable[..., object]
