"""Checks and confidences on their way through submit and edit: run outside, kept, run anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from handrail.flow import USE_CASES, Ports, Shelf, activate
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.people import Actor
from handrail.model.ruling import Checked
from tests.unit.flow.conftest import PROGRAM, World

REPLY = """
handrail: 1
workflow: reply
owners: [team:support]
subject: ticket
fields:
  ticket: string
  body: {type: string, from: proposal}
checks:
  leak: {run: test.leak, reads: [body], gives: bool}
otherwise: auto
rules:
  - id: leak
    when: checks.leak
    on_unknown: hold
    because: The reply holds an address
  - id: torn
    when: margin < 0.1
    on_unknown: ignore
  - id: doubtful
    when: has(confidence.body) and confidence.body < 0.5
route: [{to: team:support, sla: 4h, silence: block}]
review: {edit: [body], reasons: {pii: Personal data}}
"""


class Rig:
    """A world whose installed check counts how often it ran, and inside which transaction."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ran: list[str] = []
        self.ports = Ports(store=world.store, shelf=Shelf({"test.leak": self.leak}), secret=b"s")
        activate(load(REPLY, path="reply.yaml"), {}, PROGRAM, self.ports)

    def leak(self, given: Mapping[str, Any]) -> bool:
        self.ran.append(given["body"])
        return "@" in given["body"]

    def call(self, command: c.Command, who: str | None = None) -> Any:
        actor = Actor(name=who, program=False) if who else PROGRAM
        return USE_CASES[type(command)](command, actor, self.ports)

    def submit(self, body: str, ticket: str = "t1", **more: Any) -> Any:
        return self.call(
            c.Submit(workflow="reply", facts={"ticket": ticket}, proposal={"body": body}, **more)
        )


@pytest.fixture
def rig(world: World) -> Rig:
    return Rig(world)


def test_a_check_runs_once_a_decision_and_its_answer_is_kept(rig: Rig) -> None:
    ruling = rig.submit("write to ann@example.com", key="k1")
    assert ruling.lane == "hold"
    assert ruling.checks == {"leak": Checked(value=True)}
    assert rig.ran == ["write to ann@example.com"]
    assert rig.submit("hello", ticket="t2").lane == "pass"
    assert rig.ran == ["write to ann@example.com", "hello"]
    again = rig.submit("write to ann@example.com", key="k1")
    assert again.decision_id == ruling.decision_id


def test_once_the_policy_is_known_checks_run_before_the_transaction(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.submit("hello", ticket="t0")
    inside: list[bool] = []
    writing = False
    true_write = rig.world.store.write

    def write(work: Any) -> Any:
        nonlocal writing
        writing = True
        try:
            return true_write(work)
        finally:
            writing = False

    def leak(given: Mapping[str, Any]) -> bool:
        inside.append(writing)
        return False

    monkeypatch.setattr(rig.world.store, "write", write)
    monkeypatch.setattr(rig, "leak", leak)
    rig.ports = Ports(store=rig.world.store, shelf=Shelf({"test.leak": leak}), secret=b"s")
    rig.submit("first", ticket="t1")
    rig.submit("second", ticket="t2")
    # Which workflows have checks is known when their policy was read, by the first of them.
    assert inside == [True, False]


def test_an_edit_is_checked_anew(rig: Rig) -> None:
    ruling = rig.submit("write to ann@example.com")
    card = rig.call(c.GetReview(review_id=ruling.review_id), "ann")
    rig.call(
        c.CastVote(
            review_id=ruling.review_id,
            said="edit",
            card=card.digest,
            edits={"body": "write to us"},
            reason="pii",
        ),
        "ann",
    )
    assert rig.ran == ["write to ann@example.com", "write to us"]


def test_where_the_check_is_not_installed_the_decision_is_held(world: World) -> None:
    activate(load(REPLY, path="reply.yaml"), {}, PROGRAM, world.ports)
    ruling = world.call(
        c.Submit(workflow="reply", facts={"ticket": "t"}, proposal={"body": "hello"})
    )
    assert ruling.lane == "hold"
    assert ruling.unknown[0].why == "the check test.leak is not installed"


def test_each_fields_confidence_is_kept_and_read(rig: Rig) -> None:
    ruling = rig.submit("hello", confidence={"body": 0.4})
    assert [fired.rule for fired in ruling.fired] == ["doubtful"]
    shown = rig.call(c.GetReview(review_id=ruling.review_id), "ann")
    assert shown.confidence == {"body": 0.4}


def test_the_margin_is_taken_from_the_alternatives(rig: Rig) -> None:
    ruling = rig.submit(
        "hello", confidence=0.5, alternatives=({"value": "bye", "confidence": 0.45},)
    )
    assert [fired.rule for fired in ruling.fired] == ["torn"]
    assert ruling.margin == 0.05
