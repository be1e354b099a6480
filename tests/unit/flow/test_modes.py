"""The four modes side by side, what people may always do, and what is held for which cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from handrail import packs
from handrail.cli.card import paint
from handrail.flow import activate
from handrail.gate import load
from handrail.model import commands as c
from handrail.model.errors import BadInput, HandrailError
from handrail.model.modes import Lane, Mode, Verdict
from handrail.model.outcome import Outcome
from handrail.model.review import Card
from handrail.model.ruling import Ruling

from .conftest import PROGRAM, SECOND, START, World

DOCS = Path(__file__).resolve().parents[3] / "docs"
HOUR = 3600 * SECOND

ONE = """
handrail: 1
workflow: NAME
title: Payment
owners: [team:ops]
subject: order
if_open: refuse
fields:
  order: string
  amount: {type: decimal, places: 2, unit: EUR, min: 0, from: proposal}
stakes: {money: amount, reversible: true}
otherwise: NAME
route:
  - {to: team:ops, sla: 1h, clock: always, silence: SILENCE}
review:
  reasons: {wrong: Wrong amount}
  edit: [amount]
  undo: 0s
sampling: {spot_check: SHARE}
"""


def start(world: World, text: str, name: str = "p.yaml") -> None:
    activate(load(text, path=name), {}, PROGRAM, world.ports)


def mode(world: World, name: str, *, silence: str = "block", share: str = "0%") -> None:
    text = ONE.replace("workflow: NAME", f"workflow: {name.replace('_', '-')}")
    start(world, text.replace("NAME", name).replace("SILENCE", silence).replace("SHARE", share))


def ask(world: World, workflow: str, order: str = "o1", **more: Any) -> Ruling:
    world.after(1)
    proposal = more.pop("proposal", {"amount": 50})
    facts = {"order": order, **more.pop("facts", {})}
    command = c.Submit(workflow=workflow.replace("_", "-"), facts=facts, proposal=proposal, **more)
    return world.call(command)  # type: ignore[no-any-return]


def run(world: World, outcome: Outcome[Any]) -> None:
    name = "run-0123456789abcdef"
    world.call(c.Redeem(grant_id=outcome.grant_id or "", digest=outcome.digest, run=name))
    world.call(c.Confirm(grant_id=outcome.grant_id or "", run=name, done=True))


@pytest.mark.ledger("M-102", "R-008", "Z-004")
def test_workflows_of_every_mode_live_side_by_side(world: World) -> None:
    for name in Mode:
        if name is not Mode.REFUSE:
            mode(world, name)
    rulings = {name: ask(world, name) for name in Mode if name is not Mode.REFUSE}
    assert {name: ruling.lane for name, ruling in rulings.items()} == {
        Mode.AUTO: Lane.PASS,
        Mode.ON_THE_LOOP: Lane.PASS,
        Mode.IN_THE_LOOP: Lane.HOLD,
        Mode.IN_COMMAND: Lane.HOLD,
    }
    for name in (Mode.AUTO, Mode.ON_THE_LOOP):
        assert world.outcome(rulings[name]) is not None, "it waits for nobody"
        assert rulings[name].review_id is None
    seen = [entry["type"] for entry in world.entries() if
            entry.get("decision") == rulings[Mode.AUTO].decision_id]  # fmt: skip
    assert seen == ["decision.submitted", "outcome.released"], "only a log"
    held = {card.workflow for card in world.call(c.ListReviews(), "ann")}
    assert held == {"in-the-loop", "in-command"}
    for number in range(20):  # reviewed in full: every one of them waits
        assert ask(world, "in_the_loop", f"full-{number}").lane is Lane.HOLD
        assert ask(world, "auto", f"none-{number}").lane is Lane.PASS


@pytest.mark.ledger("R-005")
def test_in_command_nothing_happens_without_a_person(world: World) -> None:
    mode(world, "in_command", silence="approve")
    ignored = ask(world, "in_command", confidence=1.0)
    world.after(30 * 24 * 3600)
    nothing = world.outcome(ignored)
    assert nothing is not None and nothing.verdict is Verdict.EXPIRED and not nothing.allowed
    assert nothing.grant_id is None, "neither confidence nor silence lets it run"
    ruling = ask(world, "in_command", "o2", confidence=1.0)
    with pytest.raises(HandrailError, match="enter"):
        world.vote(ruling, "approve")
    assert world.outcome(ruling) is None
    world.vote(ruling, "edit", edits={"amount": "40"})
    outcome = world.outcome(ruling)
    assert outcome is not None and outcome.by == "ann" and outcome.value == {"amount": "40.00"}


@pytest.mark.ledger("M-023")
def test_approval_comes_before_the_effect_or_the_look_after_it(world: World) -> None:
    mode(world, "in_the_loop")
    mode(world, "on_the_loop", share="100%")
    first = ask(world, "in_the_loop")
    with pytest.raises(HandrailError):
        run(world, Outcome(decision_id=first.decision_id, verdict=Verdict.APPROVED, at=0,
                           digest="", release_at=0, grant_id="g_none"))  # fmt: skip
    world.after(60)
    world.vote(first, "approve")
    world.after(60)
    before = world.outcome(first)
    assert before is not None
    run(world, before)
    second = ask(world, "on_the_loop")
    after = world.outcome(second)
    assert after is not None
    run(world, after)
    world.after(60)
    world.vote(second, "approve")

    def times(ruling: Ruling) -> tuple[int, int]:
        votes = world.store.read(lambda tx: tx.reviews.votes(ruling.review_id or ""))
        grant = world.store.read(lambda tx: tx.grants.current(ruling.decision_id))
        assert grant is not None and grant.redeemed_at is not None
        return votes[0].at, grant.redeemed_at

    vote, effect = times(first)
    assert vote < effect, "in the loop: approved, then run"
    vote, effect = times(second)
    assert effect < vote, "on the loop: run, then looked at"


@pytest.mark.ledger("M-016", "A-018")
@pytest.mark.parametrize("name", ["auto", "on_the_loop", "in_the_loop", "in_command"])
def test_a_person_can_always_say_no(world: World, name: str) -> None:
    mode(world, name)
    ruling = ask(world, name)
    if ruling.lane is Lane.HOLD:
        world.vote(ruling, "reject")
        outcome = world.outcome(ruling)
        assert outcome is not None and not outcome.allowed and outcome.grant_id is None
        [entry] = world.entries("vote.cast")
        assert entry["person"] or entry["actor"]
        return
    world.call(c.Reverse(decision_id=ruling.decision_id, reason="no"), "ann")
    outcome = world.outcome(ruling)
    assert outcome is not None
    with pytest.raises(HandrailError, match="taken back"):
        run(world, outcome)  # stopped before it ran
    [voided] = world.entries("grant.voided")
    assert voided["decision"] == ruling.decision_id
    late = ask(world, name, "o2")
    done = world.outcome(late)
    assert done is not None
    run(world, done)
    asked = world.call(c.Reverse(decision_id=late.decision_id, reason="no"), "ann")
    assert asked.ruling.lane is Lane.HOLD, "what has run is undone by another decision"
    assert world.entries("decision.reversed")


CAUSES = ONE.replace("otherwise: NAME", "otherwise: auto").replace("SILENCE", "block").replace(
    "SHARE", "0%"
).replace("  order: string\n", """\
  order: string
  age: {type: int, optional: true}
  explain: {type: bool, optional: true}
  legal: {type: bool, optional: true}
""").replace("route:", """\
rules:
  - id: edge-case
    when: has(age) and (age < 18 or age > 110)
    because: The age {age} lies outside of what the model was made for
  - id: over-budget
    when: amount > 1000
    because: "{amount} is over the approved 1,000 EUR"
  - id: asks-why
    when: explain
    on_unknown: ignore
    because: Somebody affected asked why
  - id: regulated
    when: legal
    on_unknown: ignore
    because: It has legal consequence
tiers:
  risk: {any: else}
  at_least: [0.8, 0, none]
  any: [auto, in_the_loop, in_the_loop]
route:""").replace("NAME", "causes")  # fmt: skip


@pytest.mark.ledger("M-002", "R-004", "Z-010")
@pytest.mark.parametrize(
    ("facts", "amount", "rule"),
    [
        ({"age": 140}, 50, "edge-case"),
        ({"age": 40}, 1000.01, "over-budget"),
        ({"age": 40, "explain": True}, 50, "asks-why"),
    ],
)
def test_each_trigger_holds_and_is_named(
    world: World, facts: dict[str, Any], amount: float, rule: str
) -> None:
    start(world, CAUSES)
    fine = ask(world, "causes", "fine", facts={"age": 40}, confidence=0.9)
    assert fine.lane is Lane.PASS, "what is routine passes"
    ruling = ask(world, "causes", facts=facts, proposal={"amount": amount}, confidence=0.9)
    assert ruling.lane is Lane.HOLD and [fired.rule for fired in ruling.fired] == [rule]
    card = world.card(ruling, "ann")
    assert card.to == ("team:ops",) and card.why and card.rules[0]["rule"] == rule


@pytest.mark.ledger("R-024")
def test_each_of_four_causes_holds_with_its_name(world: World) -> None:
    """Over a risk threshold, ambiguous, with regulatory, with financial consequence."""
    start(world, CAUSES)
    age = {"age": 40}
    risky = ask(world, "causes", "a", facts={"age": 9}, confidence=0.9)
    assert [fired.rule for fired in risky.fired] == ["edge-case"]
    torn = ask(world, "causes", "b", facts=age, confidence=0.5)
    assert torn.lane is Lane.HOLD and torn.fired == () and "confidence" in torn.why.lower()
    legal = ask(world, "causes", "c", facts={**age, "legal": True}, confidence=0.9)
    assert [fired.rule for fired in legal.fired] == ["regulated"]
    money = ask(world, "causes", "d", facts=age, proposal={"amount": 2000}, confidence=0.9)
    assert [fired.rule for fired in money.fired] == ["over-budget"]


@pytest.mark.ledger("A-047", "A-073")
def test_a_model_that_fails_passes_nothing(world: World) -> None:
    start(world, CAUSES)
    silent = ask(world, "causes", "a", facts={"age": 40})
    assert silent.lane is Lane.HOLD, "no confidence is no confidence"
    nothing = ask(world, "causes", "b", facts={"age": 40}, proposal={}, on_bad="hold")
    assert nothing.lane is Lane.HOLD and world.outcome(nothing) is None
    with pytest.raises(BadInput):
        ask(world, "causes", "c", facts={"age": 40}, proposal={})
    assert {card.subject for card in world.call(c.ListReviews(), "ann")} == {"a", "b"}


@pytest.mark.ledger("M-048")
def test_what_would_go_over_the_days_limit_is_held_before_it_runs(world: World) -> None:
    text = CAUSES.replace("NAME", "causes").replace("rules:\n", """\
aggregates:
  spent_today: {sum: amount, over: decisions:released, window: 24h}
rules:
  - id: day-is-full
    when: spent_today + amount > 900
    because: "{spent_today} is spent today; {amount} more is over the approved 900 EUR"
""")  # fmt: skip
    start(world, text)
    lanes = [
        ask(world, "causes", f"o{n}", facts={"age": 40}, proposal={"amount": 400}, confidence=0.9)
        for n in range(3)
    ]
    assert [one.lane for one in lanes] == [Lane.PASS, Lane.PASS, Lane.HOLD]
    assert [fired.rule for fired in lanes[2].fired] == ["day-is-full"]
    assert world.outcome(lanes[2]) is None


@pytest.mark.ledger("M-063")
def test_only_what_deviates_waits(world: World) -> None:
    start(world, packs.read("marketing/campaign-launch"))
    launched = 0
    held: set[str] = set()
    for number in range(105):
        odd = number % 21 == 20
        ruling = world.call(
            c.Submit(
                workflow="campaign-launch",
                facts={"campaign_id": f"c{number}", "channel": "search", "utm_source": "google"},
                proposal={"daily_budget": 20000 if odd else 100},
                confidence=0.99,
            )
        )
        outcome = world.outcome(ruling)
        if outcome is None:
            held.add(ruling.decision_id)
        else:
            run(world, outcome)
            launched += 1
    assert (launched, len(held)) == (100, 5)
    waiting = world.call(c.ListReviews(limit=1000), "ann")
    assert {card.decision_ids[0] for card in waiting if card.kind == "hold"} == held


@pytest.mark.ledger("M-032")
def test_who_is_asked_hears_of_it_before_the_start(world: World) -> None:
    start(world, packs.read("marketing/campaign-launch"))
    starts = START + HOUR
    ruling = world.call(
        c.Submit(
            workflow="campaign-launch",
            facts={"campaign_id": "c", "channel": "search", "utm_source": "google",
                   "starts_at": starts},
            proposal={"daily_budget": 20000}, confidence=0.99,
        )
    )  # fmt: skip
    notices = world.store.read(lambda tx: tx.outbox.due(starts, 100))
    told = [notice for notice in notices if notice.review == ruling.review_id]
    assert told and all(notice.made_at < starts for notice in told)
    world.after(3700)
    assert world.store.read(lambda tx: tx.now()) > starts
    outcome = world.outcome(ruling)
    assert outcome is None or not outcome.allowed, "the start has come, and it stays blocked"


@pytest.mark.ledger("R-031")
def test_within_ones_limit_one_overrides_alone(world: World) -> None:
    mode(world, "in_the_loop")
    world.register(ann=("team:ops",), bob=("team:ops",))
    world.call(c.SetPerson(handle="ann", holds=("team:ops",), limits={"*": "100"}))
    ruling = ask(world, "in_the_loop")
    assert world.vote(ruling, "edit", edits={"amount": "90"}).decided, "nobody else is asked"
    above = ask(world, "in_the_loop", "o2", proposal={"amount": 500})
    with pytest.raises(HandrailError):
        world.vote(above, "edit", "ann", edits={"amount": "400"})


@pytest.mark.ledger("Z-014", "A-007")
def test_who_decided_or_which_rule_let_it_pass_can_be_stated(world: World) -> None:
    start(world, CAUSES)
    facts = {"age": 40}
    ask(world, "causes", "by-itself", facts=facts, confidence=0.9)
    held = ask(world, "causes", "held", facts=facts, proposal={"amount": 2000}, confidence=0.9)
    world.vote(held, "approve", "ann")
    no = ask(world, "causes", "refused", facts=facts, proposal={"amount": 2000}, confidence=0.9)
    world.vote(no, "reject", "bob")
    [asked] = world.call(c.ListDecisions(subject="held"), "ann")
    assert asked.outcome.by == "ann", "a subject's request: the person who decided"
    for view in world.call(c.ListDecisions(), "ann"):
        outcome = view.outcome
        if outcome.verdict is Verdict.PASSED:
            assert outcome.by == "gate"
            assert view.ruling.policy.startswith("causes@") and view.ruling.why
        else:
            assert outcome.by in ("ann", "bob")
    people = {entry["actor"] for entry in world.entries("vote.cast")}
    named = {world.store.read(lambda tx, p=p: tx.people.get(p)).handle for p in people}
    assert named == {"ann", "bob"}


@pytest.mark.ledger("M-045")
def test_a_known_domain_passes_and_a_torn_lead_is_held_with_both_answers(world: World) -> None:
    start(world, (DOCS / "policies" / "lead-label.yaml").read_text("utf-8"))

    def lead(name: str, **more: Any) -> Ruling:
        facts = {"lead": name, "region": "europe", **more.pop("facts", {})}
        return world.call(  # type: ignore[no-any-return]
            c.Submit(workflow="lead-label", facts=facts, **more)
        )

    known = lead(
        "l1", facts={"domain": "nhs.uk"}, proposal={"industry": "health"}, confidence=0.95,
        alternatives=({"value": {"industry": "public"}, "confidence": 0.04},),
    )  # fmt: skip
    assert known.lane is Lane.PASS
    other = {"value": {"industry": "finance"}, "confidence": 0.44}
    torn = lead("l2", proposal={"industry": "software"}, confidence=0.5, alternatives=(other,))
    assert torn.lane is Lane.HOLD and "torn" in [fired.rule for fired in torn.fired]
    card = world.card(torn, "ann")
    assert card.proposal == {"industry": "software"} and card.alternatives == (other,)


@pytest.mark.ledger("R-007")
def test_the_modes_are_distinct_and_the_short_form_is_explained() -> None:
    assert [mode.value for mode in sorted(Mode, key=lambda mode: mode.rank)] == [
        "auto", "on_the_loop", "in_the_loop", "in_command", "refuse",
    ]  # fmt: skip
    glossary = (DOCS / "glossary.md").read_text("utf-8")
    assert "HOTL" in glossary, "founding texts use it for two opposite things"


@pytest.mark.ledger("M-035")
def test_a_new_value_is_asked_about_once_and_not_for_each_row(world: World) -> None:
    start(world, packs.read("marketing/campaign-launch"))

    def launch(name: str, source: str) -> Ruling:
        facts = {"campaign_id": name, "channel": "search", "utm_source": source}
        return world.call(  # type: ignore[no-any-return]
            c.Submit(
                workflow="campaign-launch", facts=facts, proposal={"daily_budget": 100},
                confidence=0.99,
            )
        )  # fmt: skip

    first = [launch(f"c{number}", "tiktok") for number in range(5)]
    assert {ruling.review_id for ruling in first} == {first[0].review_id}
    other = launch("c9", "bing")
    assert other.lane is Lane.HOLD and other.review_id != first[0].review_id
    assert world.card(first[0], "ann").attached == 5


@pytest.mark.ledger("A-032")
def test_a_card_gives_its_reasons_or_says_that_there_are_none(world: World) -> None:
    start(world, CAUSES)
    ruling = ask(world, "causes", facts={"age": 140}, confidence=0.9)
    card = world.card(ruling, "ann")

    def shown(card: Card) -> str:
        return "\n".join(str(line) for line in paint(card, width=100, now=START).lines)

    assert "lies outside of what the model was made for" in shown(card)
    assert "edge-case, medium: 140" in shown(card), "the rule, and the value that made it fire"
    bare = msgspec.structs.replace(card, why=(), rules=(), unknown=())
    assert "no reason is stored" in shown(bare)


@pytest.mark.ledger("A-113")
def test_what_is_of_a_high_tier_takes_a_second_person(world: World) -> None:
    text = CAUSES.replace("rules:\n", """\
rules:
  - matrix: size
    columns: [amount >, then, approve]
    rows: [[10000, in_the_loop, [{any: 2, of: team:ops}]], [1000, in_the_loop, [team:ops]]]
""")  # fmt: skip
    start(world, text)
    world.register(ann=("team:ops",), bob=("team:ops",))
    facts = {"age": 40}
    low = ask(world, "causes", "low", facts=facts, proposal={"amount": 2000}, confidence=0.9)
    assert world.vote(low, "approve", "ann").decided
    high = ask(world, "causes", "high", facts=facts, proposal={"amount": 20000}, confidence=0.9)
    assert not world.vote(high, "approve", "ann").decided
    assert world.outcome(high) is None
    assert world.vote(high, "approve", "bob").decided
