"""The workload: policies, people, and what submitters, reviewers and workers do, by seed.

All of it goes through `handrail.client.Client`, as a program or a desk would; `point(name)` is
called between the steps of a client, so that a fault can strike there.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

from handrail.client import Client
from handrail.client.transport import Transport
from handrail.model import commands as c
from handrail.model.errors import AlreadyRun, BadInput, Conflict, HandrailError, NotFound, Refused
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.ruling import Ruling
from handrail.model.wire import time_text
from tests.faults.journal import Journaled, Sink, effect_digest, world_us

_FIELDS = """
fields:
  account: string
  country: {type: string, optional: true}
  asked_by: {type: person, optional: true}
  amount: {type: decimal, places: 2, unit: EUR, min: 0, from: proposal}
stakes: {money: amount, reversible: true}
otherwise: auto
rules:
  - id: large
    when: amount > 100
    because: "{amount} is over 100"
  - id: foreign
    when: has(country) and country == "xx"
    severity: low
    same_case: [country]
    because: Payments to {country} are looked at together
  - id: huge
    when: amount > 1000
    severity: high
    because: "{amount} is over 1,000"
    approve: [{any: 2, of: team:money}]
  - id: absurd
    when: amount > 100000
    then: refuse
    because: Nobody pays that much
route:
  - {to: team:money, sla: 4h, fallback: [team:leads], silence: block}
"""

PAY = f"""
handrail: 1
workflow: pay
title: Payment
owners: [team:leads]
subject: account
if_open: replace
requester: asked_by
{_FIELDS}
review:
  reasons: {{wrong: Wrong amount}}
  edit: [amount]
  undo: 0s
  valid: 24h
sampling: {{spot_check: 5%}}
cases:
  - {{name: small, facts: {{account: a1}}, proposal: {{amount: 20}}, fires: [], lane: pass}}
"""
"""Decided at once: no undo time."""

WIRE = f"""
handrail: 1
workflow: wire
title: Wire transfer
owners: [team:leads]
subject: account
if_open: queue
requester: asked_by
{_FIELDS}
review:
  reasons: {{wrong: Wrong amount}}
  edit: [amount]
  undo: 1s
  valid: 24h
cases:
  - {{name: small, facts: {{account: a1}}, proposal: {{amount: 20}}, fires: [], lane: pass}}
"""
"""Decided with a second to take it back; repeats queue up."""

POLICIES = {"pay": PAY, "wire": WIRE}
PEOPLE = tuple(f"person{number}@example.org" for number in range(8))
"""All in team:money."""

PROGRAM = Actor(name="local")
"""A program of who owns the workspace."""

STRANGER = "stranger@example.org"
"""In no team: whatever they do is refused, and rolled back."""
SAYINGS: tuple[Literal["approve", "edit", "reject"], ...] = (
    "approve",
    "approve",
    "approve",
    "edit",
    "reject",
)
ANSWERS: tuple[Literal["happened", "again", "never"], ...] = ("happened", "again", "never")

CLIENT_POINTS = (
    "client.before_submit",
    "client.after_submit",
    "client.before_vote",
    "client.after_vote",
    "client.before_redeem",
    "client.after_redeem",
    "client.in_effect",
    "client.after_effect",
    "client.after_confirm",
)
"""Where a client can be struck, in the order of one decision's walk."""

Point = Callable[[str], None]


def person(handle: str) -> Actor:
    """Somebody at a desk."""
    return Actor(name=handle, program=False)


def register(client: Client, people: Sequence[str] = PEOPLE) -> None:
    """Make the people known; from here on rights are by team."""
    for handle in people:
        client.call(c.SetPerson(handle=handle, holds=("team:money",)))


class Hand:
    """One client: submits, votes and runs by its own dice."""

    def __init__(
        self,
        transport: Transport,
        *,
        name: str,
        seed: int,
        journal: Sink,
        effects: Sink,
        point: Point = lambda name: None,
        clock: Callable[[], int] = world_us,
        wait_seconds: float = 0.0,
        lease_seconds: float = 1.0,
        workflows: Sequence[str] = ("pay", "wire"),
        expire_seconds: float | None = None,
        program: Actor = PROGRAM,
    ) -> None:
        """`program`: who submits and runs. `expire_seconds`: a tenth of the decisions is of no use
        any more after so long."""
        self.client = Client(Journaled(transport, journal, name, clock), program)
        self.name = name
        self.submitted = 0
        self._random = random.Random(seed)
        self._effects = effects
        self._point = point
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._lease_seconds = lease_seconds
        self._workflows = tuple(workflows)
        self._expire_seconds = expire_seconds
        self._rulings: list[Ruling] = []
        self._number = 0
        self._last: tuple[c.Submit, Ruling] | None = None

    # ------------------------------------------------------------------ submit

    def submit(self) -> None:
        """Hand in one decision (or several), sometimes the same again, sometimes a replacement."""
        dice = self._random.random()
        if self._last is not None and dice < 0.08:
            command, first = self._last
            again = self.client.call(command)
            assert again.decision_id == first.decision_id, "a repeat answered another decision"
            return
        if dice < 0.16:
            self._point("client.before_submit")
            rows = [self._command() for _ in range(self._random.randint(2, 4))]
            answers = self.client.call(c.SubmitBatch(rows=rows))
            self._rulings += [answer.ruling for answer in answers if answer.ruling is not None]
            self.submitted += len(rows)
            self._point("client.after_submit")
            return
        command = self._command()
        if dice < 0.22 and self._rulings:
            old = self._random.choice(self._rulings)
            if old.policy.startswith(command.workflow):
                command = c.Submit(
                    **{name: getattr(command, name) for name in command.__struct_fields__}
                    | {"supersedes": old.decision_id}
                )
        self._point("client.before_submit")
        with contextlib.suppress(Conflict):
            ruling = self.client.call(command)
            self._last = command, ruling
            self._rulings.append(ruling)
            self.submitted += 1
        self._point("client.after_submit")

    def _command(self) -> c.Submit:
        self._number += 1
        amount = self._random.choice((20, 20, 150, 150, 400, 2000, 200000))
        account = f"a{self._random.randint(1, 12)}"
        if self._random.random() < 0.7:
            account = f"{self.name}-{self._number}"
        facts = {"account": account}
        workflow = self._random.choice(self._workflows)
        if self._random.random() < 0.25:
            # All of one workflow, so that they become one case.
            facts["country"], amount, workflow = "xx", 20, self._workflows[0]
        expires_at = None
        if self._expire_seconds is not None and self._random.random() < 0.1:
            expires_at = time_text(self._clock() + round(self._expire_seconds * 1_000_000))
        return c.Submit(
            workflow=workflow,
            key=f"{self.name}-{self._number}",
            facts=facts,
            proposal={"amount": amount + self._number % 7},
            expires_at=expires_at,
        )

    # ------------------------------------------------------------------ vote

    def vote(self) -> None:
        """Say something about one of the open reviews; sometimes undo, withdraw or claim."""
        dice = self._random.random()
        if dice < 0.05:
            self._undo_late()
            return
        who = person(STRANGER if dice < 0.1 else self._random.choice(PEOPLE))
        found = self.client.call(c.ListReviews(limit=12), who)
        if not found:
            return
        card = self._random.choice(found)
        if dice > (0.75 if card.attached > 1 else 0.95) and card.decision_ids:
            with contextlib.suppress(Conflict):
                self.client.withdraw(card.decision_ids[0], reason="changed my mind")
            return
        token = None
        if dice > 0.85:
            with contextlib.suppress(Conflict, Refused):
                token = self.client.call(c.Claim(review_id=card.review), who).token
        said: Literal["approve", "edit", "reject"] = self._random.choice(SAYINGS)
        self._point("client.before_vote")
        with contextlib.suppress(Conflict, Refused, BadInput, NotFound):
            voted = self.client.call(
                c.CastVote(
                    review_id=card.review,
                    said=said,
                    card=card.digest,
                    reason=None if said == "approve" else "wrong",
                    edits={"amount": self._random.randint(1, 3000)} if said == "edit" else {},
                    token=token,
                ),
                who,
            )
            self._point("client.after_vote")
            if voted.decided and self._random.random() < 0.12:
                self.client.call(c.Undo(review_id=card.review), who)

    def _undo_late(self) -> None:
        """Whoever closed a review tries to take it back, most often too late."""
        looking = person(self._random.choice(PEOPLE))
        found = self.client.call(
            c.ListReviews(workflow="wire", status="decided", limit=20), looking
        )
        closed = [card for card in found if card.decided_by in PEOPLE]
        if closed:
            card = self._random.choice(closed)
            with contextlib.suppress(Conflict, Refused):
                self.client.call(c.Undo(review_id=card.review), person(card.decided_by))

    # ------------------------------------------------------------------ run

    def run(self) -> None:
        """Run what may run: own decisions first, then what dead clients left behind."""
        self._random.shuffle(self._rulings)
        for ruling in self._rulings[:6]:
            outcome = self.client.call(
                c.WaitOutcome(decision_id=ruling.decision_id, wait=self._wait_seconds)
            )
            if outcome is not None:
                self._rulings.remove(ruling)
                self.effect(outcome)
        if self._random.random() < 0.3:
            for view in self.client.decisions(state="done", limit=20):
                if view.grant is not None and view.grant.state == "granted":
                    outcome = self.client.call(c.WaitOutcome(decision_id=view.ruling.decision_id))
                    if outcome is not None:
                        self.effect(outcome)

    def effect(self, outcome: Outcome[Any]) -> None:
        """Spend the grant around an effect on the outside world; sometimes try it twice."""
        self._spend(outcome)
        if self._random.random() < 0.1:
            self._spend(outcome)

    def _spend(self, outcome: Outcome[Any]) -> None:
        view = self.client.call(c.GetDecision(decision_id=outcome.decision_id))
        decision = view.decision
        self._point("client.before_redeem")
        with contextlib.suppress(AlreadyRun, Refused, Conflict):
            with self.client.run(outcome, lease_seconds=self._lease_seconds) as run:
                if run:
                    self._point("client.after_redeem")
                    line = {
                        "grant": run.key,
                        "decision": outcome.decision_id,
                        "run": run._name,
                        "by": self.name,
                    }
                    ran = effect_digest(
                        decision["workflow"],
                        decision.get("subject"),
                        decision.get("facts", {}),
                        run.value,
                    )
                    begun = {"say": "begin", "digest": ran, "at": self._clock()}
                    self._effects.write({**line, **begun})
                    self._point("client.in_effect")
                    self._effects.write({**line, "say": "end", "at": self._clock()})
                    self._point("client.after_effect")
            self._point("client.after_confirm")

    # ------------------------------------------------------------------ everything

    def step(self) -> None:
        """One thing, by dice; a store that is away is tried again later."""
        act = self._random.choice((self.submit, self.submit, self.vote, self.vote, self.run))
        act()

    def settle_doubt(self) -> None:
        """A person answers one doubt."""
        for doubt in self.client.call(c.ListDoubts(limit=5)):
            answer: Literal["happened", "again", "never"] = self._random.choice(ANSWERS)
            with contextlib.suppress(HandrailError):
                self.client.call(
                    c.Resolve(grant_id=doubt.grant.id, answer=answer, note="looked it up"),
                    person(self._random.choice(PEOPLE)),
                )
