"""The promises, one by one, against a workspace that this process opened."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from handrail.app import LocalTransport, Workspace, open_workspace
from handrail.client import Client
from handrail.flow import against_state
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.canonical import digest
from handrail.model.errors import (
    AlreadyRun,
    BadInput,
    Conflict,
    NotAllowed,
    PolicyErrors,
    Refused,
    WaitTimeout,
)
from handrail.model.modes import GrantState, Lane, Mode, Verdict
from handrail.model.outcome import Outcome
from handrail.model.people import Actor
from handrail.model.review import Card
from handrail.model.ruling import Ruling
from handrail.settings import Settings
from handrail.testing.clock import FakeClock

CAMPAIGN = files("handrail.packs").joinpath("marketing", "campaign-launch.yaml").read_text("utf-8")
BIOPSY = files("handrail.packs").joinpath("medical", "biopsy-triage.yaml").read_text("utf-8")

QUOTE = """
handrail: 1
workflow: quote
title: Quote
owners: [team:leads]
subject: quote
if_open: replace
requester: seller
fields:
  quote: string
  seller: {type: person, optional: true}
  discount: {type: decimal, places: 2, min: 0, max: 100, from: proposal}
stakes: {reversible: true}
otherwise: auto
rules:
  - id: over-ten
    when: discount > 10
    because: A discount of {discount} % is over 10 %
  - id: over-thirty
    when: discount > 30
    severity: high
    because: A discount of {discount} % is over 30 %
    approve: [{any: 2, of: team:sales}, role:director]
route:
  - {to: team:sales, sla: 1h, fallback: [team:leads], silence: approve}
review:
  reasons: {margin: No margin}
  edit: [discount]
  undo: 0s
cases:
  - {name: small, facts: {quote: q1}, proposal: {discount: 10}, fires: [], lane: pass}
"""
"""Without undo time: what is decided is out at once."""

CAMPAIGN_FACTS = {"channel": "search", "utm_source": "google"}
BIOPSY_FACTS = {
    "sample_id": "s1",
    "mean_radius": 12.1,
    "mean_texture": 17.9,
    "mean_concave_points": 0.02,
    "worst_radius": 13.4,
    "worst_area": 550,
    "worst_concave_points": 0.07,
}
REASONS = {"campaign-launch": "wrong-entry", "biopsy-triage": "wrong-entry", "quote": "margin"}
MINUTE, HOUR = 60.0, 3600.0


class House:
    """An open workspace, its clock, and people to ask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        policies = folder / "policies"
        policies.mkdir(parents=True)
        for name, text in {"campaign": CAMPAIGN, "biopsy": BIOPSY, "quote": QUOTE}.items():
            (policies / f"{name}.yaml").write_text(text, "utf-8")
        self.client = self.open()

    def open(self) -> Client:
        return open_workspace(
            self.folder,
            clock=self.clock,
            settings=Settings(sweep_seconds=HOUR),
            channels=(),
        )

    def restart(self) -> None:
        self.client.close()
        self.client = self.open()

    @property
    def workspace(self) -> Workspace:
        transport = self.client._transport
        assert isinstance(transport, LocalTransport) and transport.workspace is not None
        return transport.workspace

    def rewrite(self, name: str, change: Callable[[str], str]) -> None:
        """Change a policy file, as its author would."""
        path = self.folder / "policies" / f"{name}.yaml"
        before = path.read_text("utf-8")
        after = change(before)
        assert after != before
        path.write_text(after, "utf-8")
        self.workspace.policies.refresh(now=True)
        assert not self.workspace.policies.mistakes

    def after(self, seconds: float) -> None:
        """Let time pass, and do what is due."""
        self.clock.advance(seconds)
        while self.workspace.scheduler.step():
            pass

    def campaign(self, budget: float, campaign: str = "c1", **more: Any) -> Ruling:
        facts = {**CAMPAIGN_FACTS, "campaign_id": campaign, **more.pop("facts", {})}
        proposal = {"daily_budget": budget}
        return self.client.submit("campaign-launch", facts=facts, proposal=proposal, **more)

    def quote(self, discount: float, quote: str = "q1", **more: Any) -> Ruling:
        facts = {"quote": quote, **more.pop("facts", {})}
        return self.client.submit("quote", facts=facts, proposal={"discount": discount}, **more)

    def register(self, **holds: tuple[str, ...]) -> None:
        for handle, names in holds.items():
            self.client.call(c.SetPerson(handle=handle, holds=names))

    def card(self, ruling: Ruling, who: str = "ann") -> Card:
        assert ruling.review_id is not None
        found = self.client.call(c.GetReview(review_id=ruling.review_id), person(who))
        assert isinstance(found, Card)
        return found

    def vote(self, ruling: Ruling, said: Any, who: str = "ann", **more: Any) -> c.Voted:
        workflow = ruling.policy.split("@")[0]
        more.setdefault("reason", None if said == "approve" else REASONS[workflow])
        seen = more.pop("card", None) or self.card(ruling, who).digest
        assert ruling.review_id is not None
        command = c.CastVote(review_id=ruling.review_id, said=said, card=seen, **more)
        voted = self.client.call(command, person(who))
        assert isinstance(voted, c.Voted)
        return voted

    def outcome(self, ruling: Ruling) -> Outcome[Any]:
        return self.client.wait(ruling, timeout=0)

    def ran(self, outcome: Outcome[Any]) -> Any:
        """Run it; the value that ran, None where nothing did."""
        with self.client.run(outcome) as run:
            return run.value if run else None

    def status(self, ruling: Ruling) -> str:
        return str(self.card(ruling).status)


def person(handle: str) -> Actor:
    return Actor(name=handle, program=False)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "work")
    yield made
    made.client.close()


# ------------------------------------------------------------------------------ three lanes


def test_what_no_rule_minds_passes_and_runs_once(house: House) -> None:
    ruling = house.campaign(10_000)
    assert (ruling.lane, ruling.review_id, ruling.passed) == (Lane.PASS, ruling.review_id, True)
    outcome = house.outcome(ruling)
    assert outcome.verdict is Verdict.PASSED and outcome.by == "gate"
    assert house.ran(outcome) == {"daily_budget": "10000.00"}
    with pytest.raises(AlreadyRun) as again:
        house.ran(outcome)
    assert again.value.receipt.state is GrantState.DONE


def test_what_is_held_waits_for_a_person_and_then_runs_once(house: House) -> None:
    ruling = house.campaign(10_000.01)
    assert ruling.lane is Lane.HOLD and [fired.rule for fired in ruling.fired] == ["budget-cap"]
    with pytest.raises(WaitTimeout):
        house.outcome(ruling)
    house.vote(ruling, "approve")
    house.after(10)
    outcome = house.outcome(ruling)
    assert outcome.verdict is Verdict.APPROVED and outcome.by == "ann"
    assert house.ran(outcome) == {"daily_budget": "10000.01"}
    with pytest.raises(AlreadyRun):
        house.ran(outcome)


def test_what_is_refused_tells_why_and_never_runs(house: House) -> None:
    ruling = house.campaign(200_000.01)
    assert ruling.lane is Lane.REFUSE and ruling.review_id is None
    outcome = house.outcome(ruling)
    assert outcome.verdict is Verdict.REFUSED and not outcome.allowed and outcome.why
    assert house.ran(outcome) is None
    with pytest.raises(NotAllowed):
        _ = outcome.value


def test_rejected_never_runs(house: House) -> None:
    ruling = house.campaign(20_000)
    house.vote(ruling, "reject")
    house.after(10)
    outcome = house.outcome(ruling)
    assert outcome.verdict is Verdict.REJECTED and outcome.reason == "wrong-entry"
    assert outcome.grant_id is None and house.ran(outcome) is None


# ------------------------------------------------------------------------------ frozen


@pytest.mark.ledger("R-029")
def test_a_changed_threshold_changes_nothing_for_an_open_review(house: House) -> None:
    held = house.campaign(20_000, "old")
    sentence = house.card(held).why
    house.rewrite(
        "campaign",
        lambda text: (
            text.split("cases:")[0]
            .replace("daily_budget > 10000\n", "daily_budget > 1000000\n")
            .replace("[200000, refuse, -], [100000,", "[9000000, refuse, -], [8000000,")
            + "cases: [{name: any, facts: {campaign_id: c, channel: search, utm_source: google},"
            " proposal: {daily_budget: 1}, fires: [], lane: pass}]\n"
        ),
    )
    new = house.campaign(20_000, "new")
    assert new.lane is Lane.PASS and new.policy != held.policy
    assert house.status(held) == "open" and house.card(held).why == sentence
    with pytest.raises(BadInput, match="refuses this edit"):
        house.vote(held, "edit", edits={"daily_budget": 250_000})
    house.vote(held, "reject")
    house.after(10)
    outcome = house.outcome(held)
    assert outcome.verdict is Verdict.REJECTED and house.ran(outcome) is None


def test_a_changed_list_changes_nothing_for_an_open_review(house: House) -> None:
    held = house.campaign(100, "old", facts={"utm_source": "tiktok"})
    assert [fired.rule for fired in held.fired] == ["utm-unlisted"]
    house.rewrite(
        "campaign", lambda text: text.split("cases:")[0].replace("linkedin,", "linkedin, tiktok,")
    )
    assert house.campaign(100, "new", facts={"utm_source": "tiktok"}).lane is Lane.PASS
    voted = house.vote(held, "edit", edits={"daily_budget": 90})
    assert voted.decided
    rounds = house.workspace.store.read(lambda tx: tx.reviews.round(held.review_id or "", 2))
    assert [fired.rule for fired in rounds.ruling.fired] == ["utm-unlisted"]
    assert rounds.ruling.lists == held.lists


def test_a_repeat_gets_the_ruling_of_then(house: House) -> None:
    first = house.quote(20, key="k1")
    house.rewrite("quote", lambda text: text.replace("discount > 10\n", "discount > 25\n"))
    assert house.quote(20, "q2").lane is Lane.PASS
    assert house.quote(20, key="k1") == first


# ------------------------------------------------------------------------------ edits


CRUMBS = {"facts": {"utm_source": "crumbs"}}
"""Held for its source alone, so that every edit of the budget starts below every other rule."""


@pytest.mark.parametrize(
    ("budget", "rule", "asked"),
    [
        pytest.param(10_000.01, "budget-cap", "team:budget", id="budget-cap"),
        pytest.param(60_000, "budget-cap", "team:budget", id="the tier of high stakes"),
        pytest.param(100_000.01, "size", "role:director", id="the director's row"),
    ],
)
def test_an_edit_past_a_rule_of_the_campaign_policy_adds_whom_it_names(
    house: House, budget: float, rule: str, asked: str
) -> None:
    house.register(
        ann=("team:marketing-ops",), bea=("team:budget",), dan=("role:director",), cyd=()
    )
    held = house.campaign(100, **CRUMBS)
    voted = house.vote(held, "edit", "ann", edits={"daily_budget": budget})
    assert not voted.decided and voted.missing == (asked,)
    current = house.workspace.store.read(lambda tx: tx.reviews.round(held.review_id or "", 2))
    assert rule in [fired.rule for fired in current.ruling.fired]
    who = {"team:budget": "bea", "role:director": "dan"}[asked]
    if current.ruling.mode is Mode.IN_COMMAND:
        house.vote(held, "edit", who, edits={"daily_budget": budget})
    else:
        house.vote(held, "approve", who)
    house.after(10)
    outcome = house.outcome(held)
    assert outcome.verdict is Verdict.EDITED and outcome.by == who
    assert house.ran(outcome) == {"daily_budget": f"{budget:.2f}"}


def test_an_edit_to_five_times_the_usual_budget_is_gated_again(house: House) -> None:
    held = house.campaign(100, facts={"utm_source": "crumbs", "median_budget": 200})
    house.vote(held, "edit", edits={"daily_budget": 1000})
    current = house.workspace.store.read(lambda tx: tx.reviews.round(held.review_id or "", 2))
    assert {fired.rule for fired in current.ruling.fired} == {"utm-unlisted", "budget-5x"}


def test_an_edit_that_the_policy_refuses_leaves_the_review_as_it_was(house: House) -> None:
    held = house.campaign(100, **CRUMBS)
    before = house.card(held)
    with pytest.raises(BadInput, match="refuses this edit") as refused:
        house.vote(held, "edit", edits={"daily_budget": 200_000.01})
    assert refused.value.status == 422 and refused.value.pointer == "/edits"
    assert house.card(held) == before


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"worst_radius": 17}, "benign-but-large"),
        ({"worst_concave_points": 0.16}, "benign-but-ragged"),
    ],
)
def test_an_edit_past_a_rule_of_the_biopsy_policy_needs_the_pathologists_it_names(
    house: House, facts: dict[str, Any], rule: str
) -> None:
    house.register(pat=("team:pathology",), sec=("team:secretaries",))
    held = house.client.submit(
        "biopsy-triage",
        facts={**BIOPSY_FACTS, **facts},
        proposal={"diagnosis": "malignant"},
        confidence=0.5,
    )
    assert held.fired == ()
    with pytest.raises(Refused):
        house.vote(held, "edit", "sec", edits={"diagnosis": "benign"})
    house.vote(held, "edit", "pat", edits={"diagnosis": "benign"})
    current = house.workspace.store.read(lambda tx: tx.reviews.round(held.review_id or "", 2))
    assert [fired.rule for fired in current.ruling.fired] == [rule]
    house.after(10)
    assert house.outcome(held).by == "pat"


EDIT_TESTED = {
    "campaign-launch": {"budget-cap", "budget-5x", "size"},
    "biopsy-triage": {"benign-but-large", "benign-but-ragged"},
}
"""Rules that an edit can run into, each tested above; trial rules never act."""


@pytest.mark.parametrize("text", [CAMPAIGN, BIOPSY])
def test_every_rule_that_an_edit_can_run_into_is_tested(text: str) -> None:
    policy = load(text, run_cases=False)
    proposed = {field.name for field in policy.fields if field.proposed} | {"times_normal"}
    reached = {
        rule.id
        for rule in policy.rules
        if not rule.trial and any(name in rule.when for name in proposed)
    }
    assert reached == EDIT_TESTED[policy.workflow]


def test_only_what_may_run_can_be_edited(house: House) -> None:
    held = house.campaign(20_000)
    for edits in ({"utm_source": "google"}, {"daily_budget": "many"}, {"daily_budget": -1}):
        with pytest.raises(BadInput) as bad:
            house.vote(held, "edit", edits=edits)
        assert bad.value.status == 422
    assert house.status(held) == "open"


@pytest.mark.ledger("M-128")
def test_two_people_and_a_director_are_three_people(house: House) -> None:
    house.register(
        ann=("team:sales", "role:director"),
        bob=("team:sales",),
        cyd=("team:sales",),
        dan=("role:director",),
    )
    ruling = house.quote(40)
    assert not house.vote(ruling, "approve", "ann").decided
    assert not house.vote(ruling, "approve", "bob").decided
    assert not house.vote(ruling, "approve", "bob").decided, "nobody counts twice"
    assert house.vote(ruling, "approve", "cyd").decided
    assert house.outcome(ruling).verdict is Verdict.APPROVED


def test_votes_fall_when_an_edit_makes_it_worse_and_stay_when_it_makes_it_better(
    house: House,
) -> None:
    house.register(ann=("team:sales",), bob=("team:sales",), dan=("role:director",))
    worse, better = house.quote(35, "q1"), house.quote(35, "q2")
    house.vote(worse, "approve", "ann")
    house.vote(better, "approve", "ann")
    house.vote(worse, "edit", "bob", edits={"discount": 40})
    house.vote(better, "edit", "bob", edits={"discount": 32})
    assert not house.vote(worse, "approve", "dan").decided, "the approval of 35 % is none of 40 %"
    assert house.vote(better, "approve", "dan").decided


# ------------------------------------------------------------------------------ one subject


def test_two_subjects_with_equal_values_are_two_reviews(house: House) -> None:
    one, two = house.quote(20, "q1"), house.quote(20, "q2")
    assert one.review_id != two.review_id
    assert house.card(one).attached == house.card(two).attached == 1
    house.vote(one, "approve")
    assert house.outcome(one).allowed
    with pytest.raises(WaitTimeout):
        house.outcome(two)


def test_a_replaced_quote_can_neither_be_approved_nor_run(house: House) -> None:
    old = house.quote(20)
    seen = house.card(old)
    new = house.quote(25)
    assert house.outcome(old).verdict is Verdict.SUPERSEDED
    with pytest.raises(Conflict) as lost:
        house.vote(old, "approve", card=seen.digest)
    assert lost.value.winner["verdict"] == "superseded" and lost.value.winner["at"]
    assert house.ran(house.outcome(old)) is None
    house.vote(new, "approve")
    assert house.ran(house.outcome(new)) == {"discount": "25.00"}


def test_a_quote_that_was_approved_and_then_replaced_cannot_run(house: House) -> None:
    old = house.quote(20)
    house.vote(old, "approve")
    approved = house.outcome(old)
    new = house.quote(25, supersedes=old)
    with pytest.raises(Refused, match="superseded"):
        house.ran(approved)
    house.vote(new, "approve")
    assert house.ran(house.outcome(new)) == {"discount": "25.00"}


def test_what_ran_cannot_be_replaced(house: House) -> None:
    old = house.quote(20)
    house.vote(old, "approve")
    house.ran(house.outcome(old))
    with pytest.raises(Conflict, match="ran already"):
        house.quote(25, supersedes=old)


def test_a_verdict_in_its_undo_time_is_replaced_with_its_review(house: House) -> None:
    old = house.campaign(20_000)
    house.vote(old, "approve")
    house.campaign(30_000)
    house.after(10)
    assert house.outcome(old).verdict is Verdict.SUPERSEDED
    assert house.ran(house.outcome(old)) is None


def test_a_case_merges_across_subjects_only_where_the_rule_says_so(house: House) -> None:
    one = house.campaign(100, "c1", facts={"utm_source": "crumbs"})
    two = house.campaign(200, "c2", facts={"utm_source": "crumbs"})
    other = house.campaign(100, "c3", facts={"utm_source": "loaves"})
    large = house.campaign(20_000, "c4", facts={"utm_source": "crumbs"})
    assert one.review_id == two.review_id
    assert len({one.review_id, other.review_id, large.review_id}) == 3
    with pytest.raises(BadInput, match="an edit is for one"):
        house.vote(one, "edit", edits={"daily_budget": 50})
    house.vote(one, "approve")
    house.after(10)
    first, second = house.outcome(one), house.outcome(two)
    assert first.digest != second.digest
    assert house.ran(first) == {"daily_budget": "100.00"}
    assert house.ran(second) == {"daily_budget": "200.00"}


def test_who_leaves_a_case_takes_only_their_own_value_along(house: House) -> None:
    one, two, three = (
        house.campaign(100 * n, f"c{n}", facts={"utm_source": "crumbs"}) for n in (1, 2, 3)
    )
    seen = house.card(two)
    house.client.withdraw(one, reason="cancelled")
    assert house.card(two).proposal == {"daily_budget": "200.00"}
    with pytest.raises(Conflict, match="has moved"):
        house.vote(two, "approve", card=seen.digest)
    house.vote(two, "approve")
    house.client.withdraw(two, reason="cancelled too")
    house.client.call(c.Undo(review_id=three.review_id or ""), person("ann"))
    house.vote(three, "approve")
    house.after(10)
    assert [house.ran(house.outcome(ruling)) for ruling in (one, two)] == [None, None]
    assert house.outcome(three).verdict is Verdict.APPROVED
    assert house.ran(house.outcome(three)) == {"daily_budget": "300.00"}
    assert against_state(house.workspace.ports) == []


def test_one_decision_is_replaced_by_one(house: House) -> None:
    old = house.quote(20)
    new = house.quote(25, supersedes=old)
    with pytest.raises(Conflict, match="superseded") as late:
        house.quote(26, "q1", supersedes=old)
    assert late.value.winner["verdict"] == "superseded"
    assert house.status(new) == "open"


# ------------------------------------------------------------------------------ retries


def test_the_same_submit_twice_is_one_decision(house: House) -> None:
    first, again = house.quote(20, key="k1"), house.quote(20, key="k1")
    assert again == first
    assert len(house.client.decisions("quote")) == 1
    with pytest.raises(Conflict, match="a new decision needs a new key") as other:
        house.quote(21, key="k1")
    assert other.value.winner == {"decision_id": first.decision_id}


def test_the_same_vote_twice_is_one_vote(house: House) -> None:
    ruling = house.quote(20)
    seen = house.card(ruling).digest
    first = house.vote(ruling, "approve", card=seen)
    assert house.vote(ruling, "approve", card=seen) == first
    assert len(house.client.feedback("quote")) == 1
    assert house.ran(house.outcome(ruling)) == {"discount": "20.00"}


def test_a_redeem_sent_twice_is_one_redeem_and_another_one_is_refused(house: House) -> None:
    outcome = house.outcome(house.quote(5))
    redeem = c.Redeem(grant_id=outcome.grant_id or "", digest=outcome.digest, run="r" * 32)
    assert house.client.call(redeem) == house.client.call(redeem)
    with pytest.raises(AlreadyRun):
        house.ran(outcome)
    other = c.Redeem(grant_id=outcome.grant_id or "", digest=digest("else"), run="r" * 32)
    with pytest.raises(Conflict, match="not what was approved"):
        house.client.call(other)


# ------------------------------------------------------------------------------ undo, withdraw


def test_undo_within_its_time_and_by_who_closed_it(house: House) -> None:
    ruling = house.campaign(20_000)
    house.vote(ruling, "approve", "ann")
    undo = c.Undo(review_id=ruling.review_id or "")
    with pytest.raises(Refused, match="only who closed"):
        house.client.call(undo, person("bob"))
    house.after(9.9)
    house.client.call(undo, person("ann"))
    house.after(60)
    with pytest.raises(WaitTimeout):
        house.outcome(ruling)
    house.vote(ruling, "reject", "ann")
    house.after(10)
    assert house.outcome(ruling).verdict is Verdict.REJECTED


def test_undo_after_its_time_changes_nothing(house: House) -> None:
    ruling = house.campaign(20_000)
    house.vote(ruling, "approve")
    house.after(10)
    with pytest.raises(Conflict, match="the outcome is out"):
        house.client.call(c.Undo(review_id=ruling.review_id or ""), person("ann"))
    assert house.ran(house.outcome(ruling)) == {"daily_budget": "20000.00"}


def test_undo_is_too_late_where_the_clock_says_so_though_nothing_was_swept(house: House) -> None:
    ruling = house.campaign(20_000)
    house.vote(ruling, "approve")
    house.clock.advance(10)
    with pytest.raises(Conflict, match="ended at"):
        house.client.call(c.Undo(review_id=ruling.review_id or ""), person("ann"))


def test_a_clock_put_back_does_not_bring_the_undo_time_back(house: House) -> None:
    ruling = house.campaign(20_000)
    house.vote(ruling, "approve")
    house.after(10)
    house.clock.advance(-8)
    with pytest.raises(Conflict, match="released already"):
        house.client.call(c.Undo(review_id=ruling.review_id or ""), person("ann"))
    assert house.outcome(ruling).verdict is Verdict.APPROVED


def test_withdrawn_within_the_undo_time_was_never_approved(house: House) -> None:
    ruling = house.campaign(20_000)
    seen = house.card(ruling, "bob").digest
    house.vote(ruling, "approve", "ann")
    house.client.withdraw(ruling, reason="cancelled")
    house.after(10)
    assert house.ran(house.outcome(ruling)) is None
    with pytest.raises(Conflict) as lost:
        house.vote(ruling, "approve", "bob", card=seen)
    assert lost.value.winner["verdict"] == "withdrawn"
    assert lost.value.winner["by"] != "ann", "ann approved it; she did not withdraw it"


def test_withdraw_against_approve_has_one_winner(house: House) -> None:
    random_ = random.Random(7)
    verdicts = set()
    for number in range(12):
        ruling = house.quote(20, f"q{number}")
        seen = house.card(ruling).digest
        gate = threading.Barrier(2)
        lost: list[Conflict] = []

        def at_once(work: Callable[[], Any], gate: Any = gate, lost: Any = lost) -> None:
            gate.wait()
            try:
                work()
            except Conflict as error:
                lost.append(error)

        works: list[Callable[[], Any]] = [
            lambda one=ruling, card=seen: house.vote(one, "approve", card=card),  # type: ignore[misc]
            lambda one=ruling: house.client.withdraw(one, reason="cancelled"),  # type: ignore[misc]
        ]
        random_.shuffle(works)
        threads = [threading.Thread(target=at_once, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        outcome = house.outcome(ruling)
        verdicts.add(outcome.verdict)
        assert len(lost) == 1 and lost[0].winner["verdict"] == outcome.verdict.value
        assert (house.ran(outcome) is None) == (outcome.verdict is Verdict.WITHDRAWN)
    assert verdicts <= {Verdict.APPROVED, Verdict.WITHDRAWN}


# ------------------------------------------------------------------------------ rights


def test_the_requester_never_decides_their_own(house: House) -> None:
    house.register(ann=("team:sales",), bob=("team:sales",))
    ruling = house.quote(20, facts={"seller": "Ann"})
    for said in ("approve", "reject"):
        with pytest.raises(Refused, match="asked for this"):
            house.vote(ruling, said, "ann")
    with pytest.raises(Refused):
        house.client.call(c.Claim(review_id=ruling.review_id), person("ANN"))
    house.vote(ruling, "approve", "bob")
    outcome = house.outcome(ruling)
    with pytest.raises(RuntimeError), house.client.run(outcome) as run:
        assert run
        raise RuntimeError("the customer hung up")
    doubt = house.client.call(c.ListDoubts())[0]
    with pytest.raises(Refused, match="asked for this"):
        house.client.call(
            c.Resolve(grant_id=doubt.grant.id, answer="again", note="please"), person("ann")
        )


def test_a_program_never_decides(house: House) -> None:
    ruling = house.quote(20)
    with pytest.raises(Refused, match="only a person decides"):
        house.client.call(c.CastVote(review_id=ruling.review_id or "", said="approve", card="x"))


@pytest.mark.ledger("R-011")
def test_in_command_a_person_enters_the_value(house: House) -> None:
    house.register(dan=("role:director",))
    ruling = house.campaign(150_000, confidence=1.0)
    assert ruling.mode is Mode.IN_COMMAND and ruling.lane is Lane.HOLD
    with pytest.raises(BadInput, match="enter the value yourself"):
        house.vote(ruling, "approve", "dan")
    house.vote(ruling, "edit", "dan", edits={"daily_budget": 150_000})
    house.after(10)
    assert house.ran(house.outcome(ruling)) == {"daily_budget": "150000.00"}


# ------------------------------------------------------------------------------ stop


def test_the_stop_button_holds_at_once_and_survives_a_restart(house: House) -> None:
    waiting = house.outcome(house.quote(5, "q1"))
    held = house.quote(20, "q2")
    house.client.call(c.SetStop(workflow="quote", reason="prices are wrong"), person("ann"))
    house.restart()
    stopped = house.quote(5, "q3")
    assert stopped.lane is Lane.HOLD and stopped.stopped == "prices are wrong"
    with pytest.raises(Refused, match="is stopped"):
        house.ran(waiting)
    house.vote(held, "approve")
    assert house.ran(house.outcome(held)), "what a person approved goes on"
    house.client.call(c.ClearStop(workflow="quote", reason="corrected"), person("ann"))
    assert house.quote(5, "q4").lane is Lane.PASS
    assert house.ran(waiting) == {"discount": "5.00"}
    assert house.status(stopped) == "open", "what was stopped still waits for a person"


# ------------------------------------------------------------------------------ time


@pytest.mark.ledger("M-148")
def test_high_risk_that_nobody_answers_stays_blocked(house: House) -> None:
    ruling = house.campaign(20_000)
    house.after(15 * MINUTE)
    assert house.card(ruling).to == ("team:budget", "cmo"), "the next is asked at half the time"
    house.after(15 * MINUTE)
    assert house.card(ruling).to == ("cmo",)
    house.after(30 * MINUTE)
    outcome = house.outcome(ruling)
    assert outcome.verdict is Verdict.EXPIRED and outcome.by == "silence"
    assert house.ran(outcome) is None


def test_silence_escalates_where_the_route_says_so(house: House) -> None:
    ruling = house.campaign(100, facts={"utm_source": "crumbs"})
    log = house.workspace.store.read(lambda tx: list(tx.audit.entries()))
    house.after(7 * 24 * HOUR)
    assert house.status(ruling) == "open", "the owners are asked before silence speaks"
    later = house.workspace.store.read(lambda tx: list(tx.audit.entries()))
    assert sum(b"review.escalated" in entry for entry in later[len(log) :]) == 1
    house.after(7 * 24 * HOUR)
    outcome = house.outcome(ruling)
    assert outcome.verdict is Verdict.EXPIRED and house.ran(outcome) is None


def test_silence_approves_only_where_the_policy_says_so_and_it_can_be_taken_back(
    house: House,
) -> None:
    ruling = house.quote(20)
    house.after(HOUR)
    with pytest.raises(WaitTimeout):
        house.outcome(ruling)
    house.after(HOUR)
    outcome = house.outcome(ruling)
    assert outcome.verdict is Verdict.APPROVED and outcome.by == "silence"
    with pytest.raises(PolicyErrors, match="silence"):
        load(QUOTE.replace("stakes: {reversible: true}", "stakes: {reversible: false}"))
    with pytest.raises(PolicyErrors, match="silence"):
        load(QUOTE.replace("stakes: {reversible: true}\n", ""))


def test_silence_says_nothing_about_what_waits_in_a_queue(house: House) -> None:
    house.rewrite("quote", lambda text: text.replace("if_open: replace", "if_open: queue"))
    first, second, third = (house.quote(20 + n) for n in range(3))
    assert (first.due is not None, second.due, third.due) == (True, None, None)
    house.client.call(c.Snooze(review_id=first.review_id or "", seconds=60), person("ann"))
    house.after(HOUR)
    assert [house.status(ruling) for ruling in (first, second, third)] == ["open"] * 3
    with pytest.raises(Conflict, match="waits behind"):
        house.vote(third, "approve")
    house.client.withdraw(second, reason="not needed")
    with pytest.raises(Conflict, match="waits behind"):
        house.vote(third, "approve")
    house.vote(first, "reject")
    house.after(HOUR - 1)
    assert house.status(third) == "open", "its hour began when it came forward"
    assert house.card(third).due == house.clock() + 1_000_000
    house.vote(third, "approve")
    assert house.ran(house.outcome(third)) == {"discount": "22.00"}


def test_silence_is_no_approval_of_an_edit_that_needs_one(house: House) -> None:
    house.register(ann=("team:sales",), bob=("team:sales",), dan=("role:director",))
    ruling = house.quote(40)
    house.vote(ruling, "edit", "ann", edits={"discount": 35})
    for _ in range(3):
        house.after(HOUR)
    outcome = house.outcome(ruling)
    assert outcome.by == "silence" and outcome.verdict is Verdict.EXPIRED
    assert house.ran(outcome) is None


def test_a_decision_that_is_of_no_use_any_more_expires(house: House) -> None:
    ruling = house.quote(20, expires_at="2026-11-21T08:30:00Z")
    house.after(30 * MINUTE)
    assert house.outcome(ruling).verdict is Verdict.EXPIRED
    with pytest.raises(Conflict):
        house.vote(ruling, "approve", card="x")


def test_an_approval_that_was_not_used_in_time_cannot_run(house: House) -> None:
    ruling = house.campaign(20_000)
    house.vote(ruling, "approve")
    house.after(10)
    outcome = house.outcome(ruling)
    house.clock.advance(24 * HOUR)
    with pytest.raises(Refused, match="lapsed"):
        house.ran(outcome)
    house.after(0)
    with pytest.raises(Refused, match="lapsed"):
        house.ran(outcome)


def test_a_run_that_was_not_confirmed_is_shown_and_never_repeated(house: House) -> None:
    outcome = house.outcome(house.quote(5))
    redeem = c.Redeem(
        grant_id=outcome.grant_id or "", digest=outcome.digest, run="r" * 32, lease_seconds=60
    )
    house.client.call(redeem)
    assert house.client.call(c.ListDoubts()) == []
    house.after(60)
    (doubt,) = house.client.call(c.ListDoubts())
    assert doubt.grant.state is GrantState.IN_DOUBT and doubt.value == {"discount": "5.00"}
    with pytest.raises(AlreadyRun):
        house.ran(outcome)
    again = house.client.call(
        c.Resolve(grant_id=doubt.grant.id, answer="again", note="it never arrived"), person("ann")
    )
    assert again.state is GrantState.GRANTED
    fresh = house.client.wait(outcome, timeout=0)
    assert house.ran(fresh) == {"discount": "5.00"}
    with pytest.raises(AlreadyRun):
        house.ran(fresh)
    with pytest.raises(Refused, match="taken back"):
        house.ran(outcome)


def test_deadlines_of_a_long_downtime_happen_once_each(house: House) -> None:
    rulings = [house.quote(20, f"q{number}") for number in range(5)]
    approved = house.campaign(20_000)
    house.vote(approved, "approve")
    house.client.close()
    house.clock.advance(30 * 24 * HOUR)
    house.client = house.open()
    house.after(0)
    house.after(HOUR)
    assert {house.outcome(ruling).verdict for ruling in rulings} == {Verdict.APPROVED}
    assert house.outcome(approved).verdict is Verdict.APPROVED
    entries = house.workspace.store.read(lambda tx: list(tx.audit.entries()))
    assert sum(b'"review.decided"' in entry for entry in entries) == 6
    assert sum(b'"outcome.released"' in entry for entry in entries) == 6
