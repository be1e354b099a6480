"""A back test over frames says what the gate says of each row, counted by what is known."""

from __future__ import annotations

import polars as pl
import pytest

from handrail.bulk.backtest import Comparison, Known, known_of
from handrail.gate import Policy, load
from handrail.model.errors import BadInput

TEXT = """
handrail: 1
workflow: refund
owners: [team:support]
fields:
  order: string
  amount: {{type: decimal, places: 2, unit: USD, from: proposal}}
  paid: {{type: decimal, places: 2, unit: USD, optional: true}}
values:
  share: amount / paid
otherwise: auto
rules:
  - id: large
    when: amount > {cap}
  - id: more-than-paid
    when: has(share) and share > 1
{more}
route:
  - {{to: team:support, silence: block}}
"""


def policy(cap: int, more: str = "") -> Policy:
    return load(TEXT.format(cap=cap, more=more))


FRAME = pl.DataFrame(
    {
        "order": [f"o{number}" for number in range(8)],
        "amount": ["10", "60", "110", "250", "60", "90", "x", "400"],
        "paid": ["20", None, "200", "300", "50", "100", "1", "400"],
        "bad": ["no", "", "yes", "true", "TRUE", None, "no", "good"],
    }
)


def test_two_policies_are_compared_row_by_row() -> None:
    compared = Comparison(policy(50), FRAME.columns, against=policy(100))
    compared.add(FRAME, known_of(FRAME["bad"], FRAME.height), now=0)
    found = compared.result(minutes_each=2.0)
    assert (compared.rows, compared.bad_rows, found.decisions) == (8, 1, 7)
    assert found.held_before is not None
    assert (found.held_before.count, found.held_after.count) == (4, 6)
    assert found.moves == {"pass → hold": 2}
    assert (found.caught_after.count, found.caught_after.of) == (3, 3)
    assert (found.hit_after.count, found.hit_after.of) == (1, 2)
    assert found.nobody_looked == 2
    by_rule = {rule.rule: rule for rule in found.rules}
    large = by_rule["large"]
    assert (large.before, large.after, large.alone) == (3, 6, 5)
    assert (large.bad, large.good) == (3, 1)
    assert by_rule["more-than-paid"].after == 1
    assert found.load.minutes_after == 12.0


def test_rows_labelled_at_random_stand_for_the_others() -> None:
    compared = Comparison(policy(1000), FRAME.columns)
    compared.add(FRAME, known_of(FRAME["bad"], FRAME.height, sample=True), now=0)
    found = compared.result(minutes_each=2.0)
    assert found.against is None and found.held_before is None
    assert found.passing_after.value is not None
    # six pass (one row is bad, one is over what was paid): two of four drawn were bad
    assert found.passing_after.value == pytest.approx((2 + 2 * 0.5) / 6)


def test_rows_labelled_no_one_knows_how_give_bounds() -> None:
    compared = Comparison(policy(1000), FRAME.columns)
    compared.add(FRAME, known_of(FRAME["bad"], FRAME.height), now=0)
    passing = compared.result(minutes_each=2.0).passing_after
    assert (passing.value, passing.low, passing.high) == (None, 2 / 6, 4 / 6)


def test_a_label_that_says_neither_is_refused_with_its_row() -> None:
    with pytest.raises(BadInput, match="row 3: the label fraud is 'maybe'"):
        known_of(pl.Series("fraud", ["yes", "", "maybe"]), 3)


def test_nothing_readable_is_refused() -> None:
    frame = FRAME.filter(pl.col("amount") == "x")
    compared = Comparison(policy(1000), frame.columns)
    compared.add(frame, known_of(None, 1), now=0)
    with pytest.raises(BadInput, match="none of the 1 rows"):
        compared.result(minutes_each=2.0)
    with pytest.raises(BadInput, match="no decision"):
        Comparison(policy(1000), frame.columns).result(minutes_each=2.0)


def test_rulings_of_the_past_are_compared_with() -> None:
    height = FRAME.height
    known = known_of(None, height)
    ruled = Known(
        bad=known.bad,
        looked=known.looked,
        chance=known.chance,
        rank=pl.Series([0, 0, 2, 2, 0, 0, 0, 2], dtype=pl.UInt8),
        fired={"gone": pl.Series([False] * 7 + [True])},
    )
    compared = Comparison(policy(50), FRAME.columns, ruled=True)
    compared.add(FRAME, ruled, now=0)
    found = compared.result(minutes_each=2.0)
    assert found.against == "as ruled"
    assert found.moves == {"pass → hold": 3}
    gone = next(rule for rule in found.rules if rule.rule == "gone")
    assert (gone.before, gone.after) == (1, None)


def test_the_days_between_first_and_last_are_told() -> None:
    compared = Comparison(policy(50), FRAME.columns)
    times = pl.Series([86_400_000_000 * day for day in range(8)], dtype=pl.Int64)
    compared.add(FRAME, known_of(None, FRAME.height), now=0, times=times)
    assert compared.result(minutes_each=2.0).load.days == 7.0


CUT = TEXT.replace("fields:", "groups: [band, member, shop]\nfields:").replace(
    "  order: string",
    "  order: string\n  band: {{enum: [young, old], optional: true}}\n"
    "  member: {{type: bool, optional: true}}\n  shop: {{type: string, normal: lower}}",
)


def test_every_figure_is_cut_by_the_groups_of_the_policy() -> None:
    made = load(CUT.format(cap=100, more=""))
    rows = 400
    frame = pl.DataFrame(
        {
            "order": [f"o{n}" for n in range(rows)],
            "band": ["old" if n % 4 == 0 else "young" if n % 4 < 3 else None for n in range(rows)],
            "member": ["yes" if n % 2 else "FALSE" for n in range(rows)],
            "shop": [f" Shop {n % 200}" if n % 2 else "shop 1" for n in range(rows)],
            "amount": ["150" if n % 8 == 0 else "50" for n in range(rows)],
            "bad": ["yes" if n % 16 == 0 else "no" for n in range(rows)],
        }
    )
    compared = Comparison(made, frame.columns[:-1], against=load(CUT.format(cap=1000, more="")))
    for part in (frame[:130], frame[130:]):
        compared.add(part, known_of(part["bad"], part.height), now=0)
    band, member, shop = compared.cuts()
    by_value = {group.value: group for group in band.groups}
    assert list(by_value) == ["young", "old", None]
    old = by_value["old"]
    assert (old.decisions, old.held_after.count, old.held_before.count) == (100, 50, 0)
    assert by_value["young"].held_after.value == 0.0
    assert by_value[None].decisions == 100
    assert band.gaps[0].certain and band.gaps[0].highest == "old"
    whole = compared.result(minutes_each=2.0)
    assert sum(group.held_after.count for group in band.groups) == whole.held_after.count == 50
    assert sum(group.caught_after.count for group in band.groups) == whole.caught_after.count
    assert {group.value for group in member.groups} == {"true", "false"}
    assert [group.value for group in shop.groups][:1] == ["shop 1"]
    assert shop.groups[0].decisions == 202, "cells of one normal form are one group"
    assert len(shop.groups) == 100 and not any(group.others for group in shop.groups)


def test_the_values_that_come_last_are_one_group() -> None:
    made = load(CUT.format(cap=100, more=""))
    frame = pl.DataFrame(
        {"order": ["o"] * 250, "shop": [f"s{n}" for n in range(250)], "amount": ["50"] * 250}
    )
    compared = Comparison(made, frame.columns)
    for part in (frame[:120], frame[120:]):
        compared.add(part, known_of(None, part.height), now=0)
    assert compared.uncut == ("band", "member")
    [shop] = compared.cuts()
    assert shop.groups[-1].others and len(shop.groups) == 101
    assert sum(group.decisions for group in shop.groups) == 250
    assert shop.groups[-1].decisions == 150


RANKED = TEXT.replace("otherwise: auto", "otherwise: auto\n{aggregates}").replace(
    "when: amount > {cap}", "when: amount >= mark"
)
TOP = (
    "aggregates:\n  mark: {{top: {share}, of: amount, between: [0, 500], over: {over}, window: 7d}}"
)


def test_both_policies_are_ranked_in_a_file() -> None:
    def ranked(share: str) -> Policy:
        top = TOP.format(share=share, over="decisions:submitted")
        return load(RANKED.format(cap=0, more="", aggregates=top))

    frame = pl.DataFrame(
        {"order": [f"o{n}" for n in range(100)], "amount": ["7"] * 60 + ["9"] * 40}
    )
    compared = Comparison(ranked("5%"), frame.columns, against=ranked("50%"))
    parts = [(frame[:33], range(1, 34)), (frame[33:], range(40, 107))]
    compared.rank(lambda: parts)
    for part, numbers in parts:
        compared.add(part, known_of(None, part.height), now=0, numbers=numbers)
    found = compared.result(minutes_each=2.0)
    assert found.held_before is not None
    assert (found.held_before.count, found.held_after.count) == (50, 5)
