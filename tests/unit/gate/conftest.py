"""What the gate's tests share: a small policy to vary, and one call to a ruling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from handrail import gate
from handrail.gate.outside import Given
from handrail.model.errors import Mistake
from handrail.model.ruling import Ruling

HEAD = """\
handrail: 1
workflow: example
owners: [team:a]
route: [{to: team:a, silence: block}]
"""

Make = Callable[..., gate.Policy]
Rule = Callable[..., Ruling]


@pytest.fixture
def policy() -> Make:
    """A policy from its lines behind the head."""

    def make(body: str, **more: Any) -> gate.Policy:
        return gate.load(HEAD + body, **more)

    return make


@pytest.fixture
def mistakes() -> Callable[..., list[Mistake]]:
    """The mistakes of a policy's lines behind the head."""

    def check(body: str, **more: Any) -> list[Mistake]:
        return gate.check(HEAD + body, path="p.yaml", **more)

    return check


def agree(policy: gate.Policy, record: gate.Record, **more: Any) -> None:
    """The generated program finds what the closures of the type check find."""
    given = Given(
        more.get("evaluated_at", 1),
        more.get("confidence"),
        more.get("alternatives", ()),
        more.get("checks") or {},
    )
    rest = policy._tail.copy()
    policy._fill(record.slots, rest, given, more.get("aggregates") or {})
    generated = sorted(policy._program.judge(record.slots, rest.copy()))
    assert generated == policy._program.interpret(record.slots, rest)


@pytest.fixture
def ruled() -> Rule:
    """The ruling of a policy over facts and proposal."""

    def rule(
        policy: gate.Policy,
        facts: dict[str, Any] | None = None,
        proposal: dict[str, Any] | None = None,
        **more: Any,
    ) -> Ruling:
        record = policy.ingest(facts or {}, proposal or {})
        agree(policy, record, **more)
        more.setdefault("evaluated_at", 1)
        return policy.evaluate(record, decision_id="d_test", **more)

    return rule
