"""A loaded policy: what the other rooms ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from handrail.model.errors import Mistake
from handrail.model.policy import (
    AggregateAdd,
    AggregateRead,
    Field,
    IfOpen,
    Record,
    RouteLine,
    Rule,
    Sampling,
)
from handrail.model.ruling import Ruling


class Policy:
    """One version of one workflow's policy, checked. Make it with `load`."""

    workflow: str
    version: str
    """SHA-256 (64 hex digits) over the file's text and the digests of its list files."""
    gate_digest: str
    """`sha256:…` of what decides the lane; sentences and routes are not part of it."""
    title: str
    text: str
    path: str
    owners: tuple[str, ...]
    review_by: str | None
    fields: tuple[Field, ...]
    subject: tuple[str, ...]
    requester: str | None
    if_open: IfOpen
    rules: tuple[Rule, ...]
    routes: tuple[RouteLine, ...]
    reasons: dict[str, str]
    """Reason code → what a person reads."""
    edit_fields: tuple[str, ...]
    """Fields a person may edit: `review.edit`."""
    choices: tuple[str, ...]
    sampling: Sampling
    lists: dict[str, tuple[Any, ...]]
    list_digests: dict[str, str]
    undo_us: int
    """How long the person who closed the review may take it back, µs."""
    valid_us: int | None
    """How long an unused approval stays good, µs; None for ever."""
    cost: int
    """AST node visits of one evaluation, at most."""

    def ingest(self, facts: Mapping[str, Any], proposal: Mapping[str, Any] | None = None) -> Record:
        """Read facts and proposal by the declared types; `BadRecord` names every wrong one."""
        raise NotImplementedError

    def aggregate_reads(self, record: Record) -> tuple[AggregateRead, ...]:
        raise NotImplementedError

    def aggregate_adds(self, record: Record, over: str) -> tuple[AggregateAdd, ...]:
        raise NotImplementedError

    def evaluate(
        self,
        record: Record,
        *,
        decision_id: str,
        evaluated_at: int,
        confidence: float | Mapping[str, float] | None = None,
        aggregates: Mapping[str, int | None] | None = None,
        stopped: str | None = None,
    ) -> Ruling:
        raise NotImplementedError

    def edit(self, record: Record, changes: Mapping[str, Any]) -> Record:
        raise NotImplementedError

    def got_worse(self, before: Ruling, after: Ruling) -> bool:
        raise NotImplementedError

    def subject_of(self, record: Record) -> str | None:
        raise NotImplementedError

    def requester_of(self, record: Record) -> str | None:
        raise NotImplementedError


def load(
    text: str | bytes,
    *,
    path: str = "policy.yaml",
    read_file: Callable[[str], bytes] | None = None,
    run_cases: bool = True,
    require_cases: bool = False,
) -> Policy:
    """The checked policy; raises `PolicyErrors` with every mistake at once."""
    raise NotImplementedError


def check(
    text: str | bytes,
    *,
    path: str = "policy.yaml",
    read_file: Callable[[str], bytes] | None = None,
    require_cases: bool = False,
) -> list[Mistake]:
    """Every mistake of the file in its order, empty when it loads. Never raises."""
    raise NotImplementedError
