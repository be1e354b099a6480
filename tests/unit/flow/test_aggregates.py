"""Aggregates over decisions and recorded events: counted once, kept exactly, made again alike."""

from __future__ import annotations

from typing import Any

import pytest

from handrail.flow import astray, let_go, mend
from handrail.flow.aggregates import active_policies
from handrail.model import commands as c
from handrail.model.errors import BadInput
from handrail.model.ruling import Ruling

from .conftest import SECOND, START, World

DAY = 86_400
HEAD = """
handrail: 1
workflow: launch
owners: [team:owners]
subject: id
fields:
  id: string
  account: {type: string, normal: lower}
  budget: {type: decimal, places: 2, unit: EUR, min: 0, from: proposal}
otherwise: auto
route: [{to: team:owners, silence: block}]
review: {edit: [budget], reasons: {wrong: Wrong}, undo: 10s}
"""
SPEND = (
    HEAD
    + """
aggregates:
  spent: {sum: spend, places: 2, unit: EUR, over: events:spend, by: [account], window: 7d}
  before: {like: spent, offset: 7d}
  asked: {count: decisions, over: decisions:submitted, by: [account], window: 24h}
  granted: {sum: budget, over: decisions:released, by: [account], window: 24h}
rules:
  - {id: jump, when: before > 0 and spent > before * 1.5}
  - {id: often, when: asked >= 3}
  - {id: much, when: granted + budget > 1000}
"""
)


class Launches(World):
    """A world whose policies read aggregates."""

    def launch(
        self, number: object, budget: object = 10, account: str = "a", **more: Any
    ) -> Ruling:
        return self.call(  # type: ignore[no-any-return]
            c.Submit(
                workflow="launch",
                facts={"id": f"c{number}", "account": account},
                proposal={"budget": budget},
                **more,
            )
        )

    def record(self, *rows: tuple[str, object, dict[str, Any]], stream: str = "spend") -> Any:
        return self.call(
            c.Record(
                stream=stream,
                rows=[
                    c.Row(key=key, at=at if isinstance(at, str) else self.time(at), facts=facts)
                    for key, at, facts in rows
                ],
            )
        )

    def time(self, days_ago: object) -> str:
        from handrail.model.wire import time_text

        assert isinstance(days_ago, int | float)
        return time_text(int(self.clock() - days_ago * DAY * SECOND))

    def aggregates(self, account: str = "a") -> dict[str, Any]:
        ruling = self.call(
            c.Preview(
                workflow="launch", facts={"id": "p", "account": account}, proposal={"budget": 1}
            )
        )
        return ruling.aggregates  # type: ignore[no-any-return]

    def wrong(self) -> list[str]:
        """Series that are not what their sources make of them."""
        return self.store.read(
            lambda tx: [found.why for found in astray(tx, active_policies(tx, self.ports))]
        )


@pytest.fixture
def world(kind: None) -> Any:
    made = Launches()
    made.policy(SPEND)
    yield made
    made.store.close()


def test_recorded_events_are_summed_by_key_and_window(world: Launches) -> None:
    answer = world.record(
        ("1", 1, {"account": "A ", "spend": "10.10"}),
        ("2", 2, {"account": "a", "spend": 0.2}),
        ("3", 8, {"account": "a", "spend": 7}),
        ("4", 1, {"account": "b", "spend": 99}),
        ("5", 1, {"account": "a"}),
        ("6", 1, {"spend": 5, "more": ["x", None]}),
    )
    assert (answer.recorded, answer.repeated, answer.late, answer.bad) == (6, 0, 0, 0)
    assert answer.read_by == ("launch/before", "launch/spent")
    assert world.aggregates() == {
        "spent": "10.30",
        "before": "7.00",
        "asked": 0,
        "granted": "0.00",
    }
    assert world.aggregates("b")["spent"] == "99.00"
    ruling = world.launch(1)
    assert [fired.rule for fired in ruling.fired] == []
    world.record(("7", 0, {"account": "a", "spend": "0.21"}))
    fired = world.launch(2).fired
    assert [one.rule for one in fired] == ["jump"]
    assert world.wrong() == []


def test_a_repeat_counts_once_and_another_content_is_a_conflict(world: Launches) -> None:
    row = ("k", "2026-09-20T10:00:00Z", {"account": "a", "spend": 5})
    assert world.record(row, row).repeated == 1
    assert world.record(row).repeated == 1
    assert world.aggregates()["spent"] == "5.00"
    answer = world.record(("k", row[1], {"account": "a", "spend": 6}), ("k2", row[1], row[2]))
    assert [one.status for one in answer.rows] == ["bad", "recorded"]
    assert answer.rows[0].error is not None and answer.rows[0].error["status"] == 409
    assert "'k' was used before in spend" in answer.rows[0].error["detail"]
    moved = world.record(("k", "2026-09-20T10:00:01Z", row[2]))
    assert moved.bad == 1
    assert world.aggregates()["spent"] == "10.00"
    assert world.record(row, stream="other").recorded == 1
    assert world.wrong() == []


@pytest.mark.parametrize(
    ("row", "pointer", "says"),
    [
        (("k", "yesterday", {}), "/rows/0/at", "is not a time"),
        (("k", "2026-09-20T10:00:00", {}), "/rows/0/at", "has no zone"),
        (("k", "2026-02-30", {}), "/rows/0/at", "no day of the calendar"),
        (("k", "2026-12-20", {}), "/rows/0/at", "a day ahead of now"),
        (("", "2026-09-20", {}), "/rows/0/key", "1 to 200"),
        (("k" * 201, "2026-09-20", {}), "/rows/0/key", "1 to 200"),
        (("k", "2026-09-20", {"x": "y" * 17_000}), "/rows/0/facts", "at most 16384"),
        (("k", "2026-09-20", {"account": "a", "spend": "ten"}), "/rows/0/facts/spend",
         "expected a number, as launch/spent and launch/before read it"),
        (("k", "2026-09-20", {"account": "a", "spend": 1.005}), "/rows/0/facts/spend",
         "at most 2 digits"),
        (("k", "2026-09-20", {"account": 7, "spend": 1}), "/rows/0/facts/account",
         "expected text"),
    ],
)  # fmt: skip
def test_a_bad_row_stores_nothing_and_stops_no_other(
    world: Launches, row: Any, pointer: str, says: str
) -> None:
    answer = world.record(row, ("good", "2026-09-20", {"account": "a", "spend": 3}))
    assert [one.status for one in answer.rows] == ["bad", "recorded"]
    error = answer.rows[0].error
    assert error is not None and error["pointer"] == pointer and says in error["detail"], error
    assert world.store.read(lambda tx: tx.observations.get("spend", "local", row[0])) is None
    assert world.aggregates()["spent"] == "3.00"


def test_streams_have_plain_names_and_batches_an_end(world: Launches) -> None:
    with pytest.raises(BadInput, match="small letters"):
        world.record(stream="Ad Spend")
    with pytest.raises(BadInput, match="at most 1000"):
        world.record(*[(str(n), 1, {}) for n in range(1001)])
    assert world.record(("k", 1, {}), stream="nobody").read_by == ()


def test_the_log_tells_of_a_batch_without_what_is_in_it(world: Launches) -> None:
    world.record(("cust-ann@example.com", 1, {"account": "secret-account", "spend": 5}))
    world.record(("cust-ann@example.com", "2026-09-20T10:00:00Z", {}), stream="spend")
    world.store.settle_log()
    entries = world.store.read(lambda tx: list(tx.audit.entries()))
    recorded = [one for one in entries if b"stream.recorded" in one]
    assert len(recorded) == 1, "a batch that brings nothing new is no entry"
    assert b'"rows":1' in recorded[0] and b'"stream":"spend"' in recorded[0]
    assert b"secret" not in recorded[0] and b"ann" not in recorded[0]


def test_decisions_count_for_those_after_them(world: Launches) -> None:
    rulings = [world.launch(n) for n in range(4)]
    assert [ruling.aggregates["asked"] for ruling in rulings] == [0, 1, 2, 3]
    assert [fired.rule for fired in rulings[3].fired] == ["often"]
    assert world.launch(0, key=None, test=True).aggregates["asked"] == 4
    assert world.launch(5, 980).aggregates["granted"] == "30.00"
    again = world.launch(6, key="k6"), world.launch(6, key="k6")
    assert again[0] == again[1]
    assert world.aggregates()["asked"] == 6
    assert world.wrong() == []


def test_an_edited_value_is_what_is_released(world: Launches) -> None:
    ruling = world.launch(1, 5000)
    world.vote(ruling, "edit", reason="wrong", edits={"budget": 600})
    assert world.aggregates()["granted"] == "0.00"
    world.after(10)
    assert world.aggregates()["granted"] == "600.00"
    assert world.wrong() == []


def test_a_new_aggregate_does_not_start_at_nothing(world: Launches) -> None:
    world.record(("1", 1, {"account": "a", "spend": 4}), ("2", 20, {"account": "a", "spend": 8}))
    world.launch(1, 30)
    ruling = world.launch(2, 5000)
    world.after(3600)
    changed = SPEND.replace("window: 24h", "window: 48h").replace(
        "rules:", "  month: {like: spent, window: 30d}\n"
        "  biggest: {largest: budget, over: decisions:submitted, window: 2d}\nrules:"
    )  # fmt: skip
    world.policy(changed)
    assert world.aggregates() == {
        "spent": "4.00",
        "before": "0.00",
        "asked": 2,
        "granted": "30.00",
        "month": "12.00",
        "biggest": "5000.00",
    }
    # What was held under the old version is released into the new one's figures.
    world.vote(ruling, "approve")
    world.after(10)
    assert world.aggregates()["granted"] == "5030.00"
    assert world.wrong() == []
    series = world.store.read(lambda tx: tx.buckets.all())
    assert len(series) == len({one.id for p in world.store.read(
        lambda tx: active_policies(tx, world.ports)) for one in p.series})  # fmt: skip


def test_what_an_old_decision_cannot_say_is_unknown_not_nothing(world: Launches) -> None:
    world.launch(1, 30)
    held = world.launch(2, 5000)
    world.policy(
        SPEND.replace(
            "budget: {type: decimal, places: 2", "budget: {type: decimal, places: 2"
        ).replace("account: {type: string, normal: lower}", "account: int")
    )
    facts = {"id": "p", "account": 7}
    preview = c.Preview(workflow="launch", facts=facts, proposal={"budget": 1})
    assert world.call(preview).aggregates["asked"] is None
    world.after(2 * DAY)
    assert world.call(preview).aggregates["asked"] == 0
    assert world.call(preview).aggregates["granted"] == "0.00"
    world.vote(held, "approve")
    world.after(10)
    assert world.call(preview).aggregates["granted"] is None
    world.after(2 * DAY)
    assert world.call(preview).aggregates["granted"] == "0.00"


def test_what_nobody_looks_back_to_is_let_go(world: Launches) -> None:
    world.record(
        ("old", 80, {"account": "a", "spend": 1}),
        ("kept", 40, {"account": "a", "spend": 2}),
        ("new", 1, {"account": "a", "spend": 4}),
    )
    assert let_go(world.ports) > 0
    assert world.aggregates()["spent"] == "4.00"
    keys = world.store.read(lambda tx: [o.key for o in tx.observations.since("spend", 0, 9)])
    assert keys == ["kept", "new"]
    late = world.record(("old", 80, {"account": "a", "spend": 1}))
    assert (late.late, late.recorded) == (1, 0), "it is not counted again once it is forgotten"
    assert world.record(("kept", 40, {"account": "a", "spend": 2})).repeated == 1
    assert let_go(world.ports) == 0
    assert world.wrong() == []
    world.policy(SPEND.replace("rules:", "  year: {like: spent, window: 360d}\nrules:"))
    assert world.aggregates()["year"] is None, "what was let go is not known, and is not 0"
    assert world.aggregates()["spent"] == "4.00"


def test_a_clock_that_jumps_back_forgets_no_decision(world: Launches) -> None:
    for number in range(3):
        world.launch(number)
    world.clock.set(START - 5 * 3600 * SECOND)
    assert world.aggregates()["asked"] == 3
    world.clock.set(START + 30 * 3600 * SECOND)
    assert world.aggregates()["asked"] == 0


def test_bucket_edges(world: Launches) -> None:
    """A window is never shorter than it says, and at most one bucket longer."""
    hour = 3600 * SECOND
    world.clock.set(START - START % hour)
    now = world.clock()
    from handrail.model.wire import time_text

    for name, at in (("in", now - 7 * 24 * hour), ("out", now - 7 * 24 * hour - 1)):
        world.record((name, time_text(at), {"account": name, "spend": 1}))
    assert [world.aggregates(n)["spent"] for n in ("in", "out")] == ["1.00", "0.00"]
    assert [world.aggregates(n)["before"] for n in ("in", "out")] == ["0.00", "1.00"]
    world.clock.set(now + hour - 1)
    assert [world.aggregates(n)["spent"] for n in ("in", "out")] == ["1.00", "0.00"]
    world.clock.set(now + hour)
    assert [world.aggregates(n)["spent"] for n in ("in", "out")] == ["0.00", "0.00"]
    assert [world.aggregates(n)["before"] for n in ("in", "out")] == ["1.00", "1.00"]


def test_a_damaged_bucket_is_found(world: Launches) -> None:
    world.record(("1", 1, {"account": "a", "spend": 4}))
    world.launch(1)
    assert world.wrong() == []
    (series,) = {
        one.series.id
        for policy in world.store.read(lambda tx: active_policies(tx, world.ports))
        for one in policy.aggregate_parts
        if one.name == "spent"
    }
    at = world.clock() - 1 * DAY * SECOND
    world.store.write(
        lambda tx: tx.buckets.add(series, '["a"]', at - at % (3600 * SECOND), 0, 1, None)
    )
    assert len(world.wrong()) == 1
    assert world.aggregates()["spent"] == "4.01"
    (found,) = mend(world.ports)
    assert found.aggregates == ("launch/spent", "launch/before")
    assert world.wrong() == [] and mend(world.ports) == []
    assert world.aggregates()["spent"] == "4.00"


def test_what_comes_too_late_is_reported_and_not_counted(world: Launches) -> None:
    prompt = "  prompt: {like: spent, lateness: 6h}\nrules:"
    world.policy(SPEND.replace("rules:", prompt))
    answer = world.record(
        ("1", 0.1, {"account": "a", "spend": 5}), ("2", 0.5, {"account": "a", "spend": 7})
    )
    assert answer.recorded == 2
    assert [one.late for one in answer.rows] == [(), ("launch/prompt",)]
    seen = world.aggregates()
    assert (seen["spent"], seen["prompt"]) == ("12.00", "5.00")
    assert sum(late for *_, late in world.store.read(lambda tx: tx.buckets.all())) == 1
    assert world.wrong() == []


COST_PER_LEAD = """
handrail: 1
workflow: cost-per-lead
owners: [team:owners]
fields: {account: string}
aggregates:
  spend: {sum: spend, places: 2, over: events:ads, by: [account], window: 7d}
  spend_before: {like: spend, offset: 7d}
  leads: {sum: leads, places: 0, over: events:ads, by: [account], window: 7d}
  leads_before: {like: leads, offset: 7d}
otherwise: auto
rules:
  - {id: no-leads, when: leads == 0 and spend > 0}
  - {id: jump, when: leads > 0 and spend / leads > spend_before / leads_before * 1.5}
route: [{to: team:owners, silence: block}]
"""


@pytest.mark.ledger("M-075")
def test_a_lead_may_cost_half_as_much_again_and_not_a_cent_more(world: Launches) -> None:
    world.policy(COST_PER_LEAD)
    spent = {"half": ("150.00", 10), "more": ("150.01", 10), "none": ("150.00", 0)}
    for account, (spend, leads) in spent.items():
        now = {"account": account, "spend": spend, "leads": leads}
        before = {"account": account, "spend": "100.00", "leads": 10}
        answer = world.record((f"{account}/1", 2, now), (f"{account}/2", 9, before), stream="ads")
        assert answer.recorded == 2
    fired = {
        account: [
            one.rule
            for one in world.call(
                c.Submit(workflow="cost-per-lead", facts={"account": account})
            ).fired
        ]
        for account in spent
    }
    assert fired == {"half": [], "more": ["jump"], "none": ["no-leads"]}
