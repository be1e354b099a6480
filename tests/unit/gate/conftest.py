"""What the gate's tests share: a small policy to vary, and one call to a ruling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from handrail import gate
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
        return policy.evaluate(record, decision_id="d_test", evaluated_at=1, **more)

    return rule
