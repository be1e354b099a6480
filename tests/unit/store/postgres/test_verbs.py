"""The verbs from many threads of several processes: the log and the tables say the same."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handrail.audit.entry import decode
from handrail.flow import USE_CASES, Ports, Shelf, activate, against_state, sweep
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.errors import HandrailError, Unavailable
from handrail.model.people import Actor
from handrail.testing import FakeClock
from tests.unit.flow.conftest import PROGRAM, REFUND

from .conftest import Open

pytestmark = pytest.mark.needs("postgres")

PEOPLE = ("ann", "bea", "cyd", "dan")
WAIT_SECONDS = 300


class Crowd:
    """Threads that submit, look, claim, vote, undo, run and sweep, on ports of their own."""

    def __init__(self, ports: list[Ports], clock: FakeClock) -> None:
        self.ports = ports
        self.clock = clock
        self.said: Counter[str] = Counter()
        self.reviews: list[str] = []
        self.decisions: list[str] = []
        self.strange: list[BaseException] = []
        self.gate = threading.Lock()

    def call(self, command: c.Command, who: str | None, ports: Ports) -> Any:
        actor = Actor(name=who, program=False) if who else PROGRAM
        return USE_CASES[type(command)](command, actor, ports)

    def work(self, number: int) -> None:
        dice = random.Random(number)
        ports = self.ports[number % len(self.ports)]
        for turn in range(25):
            act = dice.choice((self.submit, self.vote, self.vote, self.claim, self.undo, self.run))
            try:
                act(dice, f"{number}-{turn}", ports)
                self.said[act.__name__] += 1
            except Unavailable as error:
                self.strange.append(error)
            except HandrailError as error:
                self.said[type(error).__name__] += 1
            except Exception as error:
                self.strange.append(error)
            if turn % 8 == number % 8:
                self.clock.advance(4)
                sweep(ports)

    def submit(self, dice: random.Random, key: str, ports: Ports) -> None:
        ruling = self.call(
            c.Submit(
                workflow="refund",
                facts={
                    "order": f"o{dice.randrange(12)}",
                    "kind": dice.choice(("goods", "service")),
                },
                proposal={"amount": dice.choice((20, 60, 200, 2_000))},
                key=f"k{dice.randrange(60)}" if dice.random() < 0.3 else key,
            ),
            None,
            ports,
        )
        with self.gate:
            self.decisions.append(ruling.decision_id)
            if ruling.review_id:
                self.reviews.append(ruling.review_id)

    def vote(self, dice: random.Random, key: str, ports: Ports) -> None:
        review, who = dice.choice(self.reviews[-8:]), dice.choice(PEOPLE)
        card = self.call(c.GetReview(review_id=review), who, ports)
        said = dice.choice(("approve", "approve", "reject", "edit"))
        self.call(
            c.CastVote(
                review_id=review,
                said=said,  # type: ignore[arg-type]
                card=card.digest,
                reason=None if said == "approve" else "wrong",
                edits={"amount": "120.00"} if said == "edit" else {},
            ),
            who,
            ports,
        )

    def claim(self, dice: random.Random, key: str, ports: Ports) -> None:
        self.call(c.Claim(lease_seconds=5.0), dice.choice(PEOPLE), ports)

    def undo(self, dice: random.Random, key: str, ports: Ports) -> None:
        review = dice.choice(self.reviews[-8:])
        self.call(c.Undo(review_id=review, reason="wrong"), dice.choice(PEOPLE), ports)

    def run(self, dice: random.Random, key: str, ports: Ports) -> None:
        name = dice.choice(self.decisions[-12:])
        outcome = self.call(c.WaitOutcome(decision_id=name), None, ports)
        if outcome is None or outcome.grant_id is None:
            return
        run = f"run-{key}".ljust(20, "x")
        self.call(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run=run), None, ports)
        if dice.random() < 0.7:
            self.call(c.Confirm(grant_id=outcome.grant_id, run=run, done=True), None, ports)


def test_a_crowd_leaves_a_log_that_tells_the_tables(open_store: Open, clock: FakeClock) -> None:
    stores = [open_store() for _ in range(2)]
    ports = [Ports(store=store, shelf=Shelf(), secret=b"s" * 32) for store in stores]
    text = REFUND.replace("if_open: refuse\n", "").replace(
        "subject: order\n", "subject: order\nif_open: queue\n"
    )
    activate(load(text, path="refund.yaml"), {}, PROGRAM, ports[0])
    crowd = Crowd(ports, clock)
    for handle in PEOPLE:
        holds = ("team:refunds", "role:director", "team:owners", "role:admin")
        crowd.call(c.SetPerson(handle=handle, holds=holds), None, ports[0])
    for first in range(8):
        crowd.submit(random.Random(first), f"first-{first}", ports[0])
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(crowd.work, number) for number in range(8)]:
            future.result(WAIT_SECONDS)
    assert crowd.strange == []
    assert crowd.said["submit"] > 10 and crowd.said["vote"] > 2
    clock.advance(60)
    while sweep(ports[0]) + sweep(ports[1]):
        pass
    for one in ports:
        assert against_state(one) == []
    stores[0].settle_log()
    log = [decode(raw) for raw in stores[0].read(lambda tx: list(tx.audit.entries()))]
    # What an auditor reads from first to last: nothing happens to what is not there yet.
    known: set[str] = set()
    redeemed: Counter[str] = Counter()
    for entry in log:
        if entry["type"] == "decision.submitted":
            known.add(entry["decision"])
        elif entry["type"] == "review.opened":
            assert entry["decision"] in known
            known.add(entry["review"])
        elif entry["type"] in ("vote.cast", "review.claimed", "review.decided", "review.undone"):
            assert entry["review"] in known
        elif entry["type"] == "outcome.released":
            assert entry["decision"] in known
            known.add(entry.get("grant", ""))
        elif entry["type"] == "grant.redeemed":
            assert entry["grant"] in known
            redeemed[entry["grant"]] += 1
    assert set(redeemed.values()) <= {1}
    released = [entry["decision"] for entry in log if entry["type"] == "outcome.released"]
    assert len(released) == len(set(released))
