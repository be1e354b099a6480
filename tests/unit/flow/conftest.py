"""A small world for the verbs: an in-memory store, a clock that is moved by hand, one policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from handrail.flow import USE_CASES, Ports, Shelf, activate, sweep
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.review import Card
from handrail.model.ruling import Ruling
from handrail.ports import Store
from handrail.settings import Settings
from handrail.store.sqlite import SqliteStore
from handrail.testing.clock import FakeClock
from tests import postgres

PROGRAM = Actor(name="local")
START = 1_790_000_000_000_000
SECOND = 1_000_000

REFUND = """
handrail: 1
workflow: refund
title: Refund
owners: [team:owners]
subject: order
requester: asked_by
fields:
  order: string
  asked_by: {type: person, optional: true}
  kind: {enum: [goods, service]}
  amount: {type: decimal, places: 2, unit: EUR, min: 0, from: proposal}
  note: {type: string, optional: true, from: proposal}
stakes: {money: amount, reversible: true}
otherwise: auto
rules:
  - id: large
    when: amount > 100
    severity: medium
    because: Refund {amount} is over 100
  - id: odd-kind
    when: kind == "service" and amount > 10
    severity: low
    same_case: [kind]
    because: Services are seldom refunded
  - id: huge
    when: amount > 1000
    severity: high
    because: Refund {amount} is over 1,000
    approve: [role:director]
  - id: absurd
    when: amount > 100000
    then: refuse
    because: Nobody refunds that much
route:
  - {severity: high, to: team:refunds, sla: 30m, fallback: [team:leads], silence: block}
  - {to: team:refunds, sla: 4h, silence: escalate}
review:
  reasons: {policy: Against policy, wrong: Wrong amount}
  edit: [amount]
  if_approved: The customer gets {amount}
  if_rejected: The customer gets nothing
  undo: 10s
  valid: 24h
cases:
  - name: small
    facts: {order: o1, kind: goods}
    proposal: {amount: 20}
    fires: []
    lane: pass
"""


TEAM = pytest.param("team", marks=pytest.mark.needs("postgres"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever is tested in a world of its own is tested on both stores."""
    if {"world", "office"} & set(metafunc.fixturenames):
        metafunc.parametrize("kind", ["embedded", TEAM], indirect=True)


@pytest.fixture(autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Which store a new world has."""
    monkeypatch.setattr(World, "kind", getattr(request, "param", "embedded"))
    yield
    while World.schemas:
        postgres.drop(World.schemas.pop())


class World:
    """Everything a test of the verbs touches."""

    kind = "embedded"
    schemas: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.clock = FakeClock(START)
        self.store = self.open()
        self.ports = Ports(store=self.store, shelf=Shelf(), secret=b"s" * 32)

    def open(self) -> Store:
        if self.kind == "embedded":
            return SqliteStore.open(":memory:", clock=self.clock, settings=Settings())
        from handrail.store.postgres import PostgresStore

        self.schemas.append(postgres.new_schema())
        return PostgresStore.open(
            postgres.url(), clock=self.clock, settings=Settings(), schema=self.schemas[-1]
        )

    def policy(self, text: str = REFUND) -> str:
        """Activate a policy; returns its version."""
        return activate(load(text, path="refund.yaml"), {}, PROGRAM, self.ports).version

    def call(self, command: c.Command, who: str | None = None) -> Any:
        """Run a command as a person, or as the program where nobody is named."""
        actor = Actor(name=who, program=False) if who else PROGRAM
        return USE_CASES[type(command)](command, actor, self.ports)

    def submit(self, amount: object = 20, *, order: str = "o1", **more: Any) -> Ruling:
        facts = {"order": order, "kind": more.pop("kind", "goods")} | more.pop("facts", {})
        return self.call(  # type: ignore[no-any-return]
            c.Submit(workflow="refund", facts=facts, proposal={"amount": amount}, **more)
        )

    def card(self, ruling: Ruling, who: str | None = None) -> Card:
        assert ruling.review_id is not None
        return self.call(c.GetReview(review_id=ruling.review_id), who)  # type: ignore[no-any-return]

    def vote(self, ruling: Ruling, said: str, who: str = "ann", **more: Any) -> c.Voted:
        card = more.pop("card", None) or self.card(ruling, who).digest
        if said != "approve":
            more.setdefault("reason", "wrong")
        return self.call(  # type: ignore[no-any-return]
            c.CastVote(review_id=ruling.review_id or "", said=said, card=card, **more), who
        )

    def outcome(self, ruling: Ruling) -> Outcome[Any] | None:
        return self.call(c.WaitOutcome(decision_id=ruling.decision_id))  # type: ignore[no-any-return]

    def after(self, seconds: float) -> None:
        """Let time pass and do what is due."""
        self.clock.advance(seconds)
        while sweep(self.ports):
            pass

    def entries(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Audit entries, of one type where it is named."""
        from handrail.audit.entry import decode

        self.store.settle_log()
        found = self.store.read(lambda tx: [decode(raw) for raw in tx.audit.entries()])
        return [entry for entry in found if kind in (None, entry["type"])]

    def register(self, **holds: tuple[str, ...]) -> None:
        for handle, names in holds.items():
            self.call(c.SetPerson(handle=handle, holds=names))


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.policy()
    yield made
    made.store.close()


Redeemer = Callable[[Outcome[Any]], Any]
