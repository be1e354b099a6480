"""The life of a policy: drafts, what a change does, who proposed it, and who let it rule."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

from handrail.model.canonical import digest
from handrail.model.noun import Noun

_encode = msgspec.json.Encoder(order="deterministic").encode

POLICY_CHANGE = "policy-change"
"""Workflow of the decisions that change policies. No file may take the name."""
LIST_CHANGE = "list-change"
"""Workflow of the decisions that change stored lists by hand."""
BUILT_IN = (POLICY_CHANGE, LIST_CHANGE)
"""Nobody hands such decisions in, and no file takes their names."""


class How(StrEnum):
    """On which way a version came to rule."""

    FILE = "file"
    """A changed file, in a workspace of one person."""
    PROPOSAL = "proposal"
    """Proposed, and approved by people as a decision; in a workspace of one person at once."""
    APPLIED = "applied"
    """Handed in by a program with the name of an approval made elsewhere."""
    BUILT_IN = "built_in"
    """Shipped with the program."""


class DraftState(StrEnum):
    """How a file stands to the version that rules."""

    ACTIVE = "active"
    """It is the version that rules."""
    DRAFT = "draft"
    """It differs from what rules, and nobody has proposed it."""
    PROPOSED = "proposed"
    """It is under review."""
    BROKEN = "broken"
    """It has mistakes and cannot rule."""


class Evidence(Noun, frozen=True, kw_only=True):
    """What a proposal is tested by, such as a back test over stored decisions."""

    kind: str
    """`backtest`, or another name of how it was found."""
    summary: str
    """One sentence a person reads."""
    figures: dict[str, Any] = msgspec.field(default_factory=dict)
    """Name to number, text or [low, high]; as the test gave them."""
    version: str | None = None
    """The version that was tested. One of another version is refused."""
    digest: str | None = None
    """`sha256:…` of the whole result, where it is kept elsewhere."""


class PolicyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A policy file as it lies in the workspace's folder."""

    path: str
    """`policies/NAME.yaml`."""
    workflow: str | None = None
    """None where the file cannot be read so far."""
    title: str = ""
    version: str | None = None
    gate_digest: str | None = None
    text: str = ""
    files: dict[str, str] = msgspec.field(default_factory=dict)
    """Text of each list file it names."""
    mistakes: tuple[str, ...] = ()
    """`file:line:col: what is, what was expected, what to do`, one a mistake."""


class Change(Noun, frozen=True, kw_only=True):
    """One difference between two versions, in words."""

    part: str
    """`rule`, `list`, `field`, `value`, `owners`, `route` …"""
    name: str = ""
    """Which one; empty where there is one only."""
    kind: str
    """`added`, `removed` or `changed`."""
    sentence: str
    """What a person reads."""
    before: Any = None
    after: Any = None
    decides: bool = True
    """Whether it can change which decisions pass (it is part of `gate_digest`)."""


class CaseChange(Noun, frozen=True, kw_only=True):
    """A case, of either file, that comes out otherwise."""

    name: str
    before: str
    """Lane, mode and fired rules under the old version, such as `hold, in_the_loop (cap)`."""
    after: str


class PolicyDiff(Noun, frozen=True, kw_only=True):
    """What changes between two versions: in words, and in effects on their cases."""

    workflow: str
    old: str | None
    """Version, or None where nothing ruled before."""
    new: str
    gate_changed: bool
    """False where only words, routes or people differ: certificates stay good."""
    owners_changed: bool
    changes: tuple[Change, ...] = ()
    cases: tuple[CaseChange, ...] = ()
    same_cases: int = 0
    """How many cases come out as before."""


class Activation(Noun, frozen=True, kw_only=True):
    """A version began to rule: what change control asks for."""

    workflow: str
    version: str
    previous: str | None
    """The version that ruled until then."""
    gate_digest: str
    gate_changed: bool
    how: How
    at: int
    by: str
    """Person id or program whose act made it rule."""
    proposed_by: str | None = None
    approved_by: tuple[str, ...] = ()
    """Person ids; for `applied` the name the program gave."""
    decision_id: str | None = None
    reason: str | None = None
    reference: str | None = None
    """Where an approval made elsewhere is recorded."""
    evidence: Evidence | None = None
    single_person: bool = False
    """True where one person runs the workspace and nobody else could approve."""


class HistoryLine(Noun, frozen=True, kw_only=True):
    """One step in a policy's life: a version that came to rule, or a proposal that has not."""

    version: str
    state: str
    """`active`, `replaced`, `open`, `rejected`, `withdrawn`, `superseded`, `expired`, or `void`:
    approved, and not activated because another version ruled by then."""
    at: int
    """When it came to rule, or was proposed."""
    previous: str | None = None
    gate_changed: bool | None = None
    how: How | None = None
    proposed_by: str | None = None
    """Handle, or the name of a program."""
    approved_by: tuple[str, ...] = ()
    decision_id: str | None = None
    review_id: str | None = None
    reason: str | None = None
    reference: str | None = None
    evidence: Evidence | None = None
    single_person: bool = False
    note: str | None = None


class Remark(Noun, frozen=True, kw_only=True):
    """What the activation check found about a version: a warning, or why it is refused."""

    refuses: bool
    place: str
    """`file:line:col`, or the file alone."""
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


class Proposal(Noun, frozen=True, kw_only=True):
    """The answer to a proposal: under review, or active at once in a workspace of one person."""

    workflow: str
    version: str
    base: str | None
    active: bool
    decision_id: str | None = None
    review_id: str | None = None
    approvers: tuple[str, ...] = ()
    """Who is asked, in words."""
    diff: PolicyDiff
    warnings: tuple[str, ...] = ()


class TrialCount(Noun, frozen=True, kw_only=True):
    """How often a trial rule would have acted, since its condition is what it is."""

    rule: str
    fired: int
    of: int
    """Decisions it was tried on; tests and reversals are left out."""
    share: float | None
    """`fired / of`, 0 to 1; None of nothing."""
    low: float | None
    """Lower bound of the 95 % interval (Wilson)."""
    high: float | None


class ListEntry(Noun, frozen=True, kw_only=True):
    """One value of a stored list, with who brought it in and how long it stays."""

    workflow: str
    list: str
    value: str
    since: int
    """Version of the list that first held it."""
    until: int | None = None
    """First version that no longer holds it."""
    added_at: int
    added_by: str
    """Person id whose approval or proposal brought it in, or a program."""
    expires_at: int | None = None
    decision_id: str | None = None
    """The approved decision it came from."""
    removed_at: int | None = None
    removed_by: str | None = None


class StoredList(Noun, frozen=True, kw_only=True):
    """A stored list as it stands."""

    workflow: str
    name: str
    version: int
    """Counts its changes; 0 for one that never had an entry."""
    digest: str
    """`sha256:…` of the values in force."""
    entries: tuple[ListEntry, ...] = ()


class ListProposal(Noun, frozen=True, kw_only=True):
    """The answer to a proposed change of a list: under review, or done at once."""

    workflow: str
    list: str
    done: bool
    decision_id: str | None = None
    review_id: str | None = None
    approvers: tuple[str, ...] = ()
    """Who is asked, in words."""


def items_digest(items: Iterable[Any]) -> str:
    """`sha256:…` of what a list holds, in whatever order."""
    return digest(sorted({str(item) for item in items}))


def in_force(entries: Iterable[ListEntry], at: int) -> list[ListEntry]:
    """The entries whose time is not over at `at` (µs UTC)."""
    return [one for one in entries if one.expires_at is None or one.expires_at > at]


def list_body(entries: Iterable[ListEntry]) -> bytes:
    """What the log commits to of a stored list: its values, each with the end of its time."""
    return _encode(sorted((entry.value, entry.expires_at) for entry in entries))


__all__ = [
    "BUILT_IN",
    "LIST_CHANGE",
    "POLICY_CHANGE",
    "Activation",
    "CaseChange",
    "Change",
    "DraftState",
    "Evidence",
    "HistoryLine",
    "How",
    "ListEntry",
    "ListProposal",
    "PolicyDiff",
    "PolicyDraft",
    "Proposal",
    "Remark",
    "StoredList",
    "TrialCount",
    "in_force",
    "items_digest",
    "list_body",
]
