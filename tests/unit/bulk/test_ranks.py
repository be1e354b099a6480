"""`top: 5%` in a file is the exact rank: held against sorting, in every way a file is judged."""

from __future__ import annotations

import hashlib
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.gate import Policy, load
from handrail.model.errors import PolicyErrors

pl = pytest.importorskip("polars")
from handrail import bulk  # noqa: E402
from handrail.bulk.files import batches  # noqa: E402
from handrail.bulk.judge import plan_columns  # noqa: E402
from handrail.bulk.ranks import ranks_of  # noqa: E402
from handrail.bulk.read import open_source  # noqa: E402

TEXT = """\
handrail: 1
workflow: riskiest
owners: [team:risk]
fields:
  order: string
  shop: {shop}
  risk: {field}
  amount: {{type: decimal, places: 2, from: proposal}}
aggregates:
  mark: {{top: {share}, of: risk, between: [-100, 100], over: decisions:submitted, window: 7d
    {more}}}
otherwise: auto
rules:
  - id: riskiest
    when: risk >= mark
    on_unknown: hold
    because: Risk {{risk}} is not below {{mark}}
route: [{{to: team:risk, silence: block}}]
"""
DOUBLE = "{type: double, optional: true}"
KINDS = {
    "double": DOUBLE,
    "int": "{type: int, optional: true}",
    "decimal": "{type: decimal, places: 2, optional: true}",
}


def policy(
    share: str = "5%",
    field: str = DOUBLE,
    more: str = "",
    shop: str = "{type: string, optional: true}",
) -> Policy:
    """The rule is unknown, and holds, where there is no mark."""
    return load(TEXT.format(field=field, share=share, more=more, shop=shop))


def rows_of(risks: list[Any], shops: list[str | None] | None = None) -> list[dict[str, Any]]:
    return [
        {
            "order": f"o{at}",
            "shop": shops[at] if shops else None,
            "risk": risk,
            "amount": "1.00",
        }
        for at, risk in enumerate(risks)
    ]


def expected(rows: list[dict[str, Any]], share: float, by: bool = False) -> set[str]:
    """Orders among the riskiest by sorting: the highest first, then the lowest hash of the key."""
    groups: dict[Any, list[tuple[Any, bytes, str]]] = {}
    for row in rows:
        if row["risk"] is not None:
            key = hashlib.sha256(row["order"].encode()).digest()[:8]
            group = groups.setdefault(row["shop"] if by else None, [])
            group.append((-row["risk"], key, row["order"]))
    return {
        order
        for group in groups.values()
        for _, _, order in sorted(group)[: math.ceil(share * len(group))]
    }


def write(folder: Path, rows: list[dict[str, Any]], form: str) -> Path:
    path = folder / f"rows.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        names = ["order", "shop", "risk", "amount"]
        frame = pl.DataFrame(rows, schema_overrides={"shop": pl.String}).select(names)
        frame.write_csv(path) if form == "csv" else frame.write_parquet(path)
    return path


def judged(made: Policy, path: Path, *, columns: bool | None = None, size: int = 7) -> set[str]:
    plan = ranks_of(plan_columns(made, open_source(path), keys=["order"]))
    return {
        str(values["order"])
        for batch in batches(plan, 7, columns=columns, size=size)
        for values, found in batch.lines()
        if "riskiest" in found["handrail_rules"]
    }


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_way_to_judge_a_file_gives_the_exact_rank(
    tmp_path: Path, form: str, kind: str
) -> None:
    dice = random.Random(f"{form}{kind}")
    risks: list[Any] = [dice.choice([0.29, 0.93, 0.1 + 0.2, dice.random()]) for _ in range(300)]
    if kind == "int":
        risks = [dice.randrange(-9, 9) for _ in risks]
    elif kind == "decimal":
        risks = [round(risk, 2) for risk in risks]
    risks[3] = None
    rows = rows_of(risks)
    made = policy(field=KINDS[kind])
    want = expected(rows, 0.05)
    assert len(want) == 15
    path = write(tmp_path, rows, form)
    assert judged(made, path, columns=False) == want
    if form != "jsonl":
        assert judged(made, path, columns=True) == want
    dice.shuffle(rows)
    assert judged(made, write(tmp_path, rows, form)) == want, "the order of the file is no matter"


@settings(max_examples=60)
@given(
    risks=st.lists(
        st.one_of(st.none(), st.sampled_from([0.0, 0.29, 0.57, 1e-10, 2e-10, 0.1 + 0.2, 0.3]),
                  st.floats(-99, 99)),
        min_size=1, max_size=60,
    ),
    share=st.sampled_from([0.05, 0.333, 0.5, 0.98]),
)  # fmt: skip
def test_ranks_are_those_of_sorting(risks: list[float | None], share: float) -> None:
    rows = rows_of(risks)
    table = pl.DataFrame(rows, schema_overrides={"shop": pl.String, "risk": pl.Float64})
    found = bulk.gate(table, policy(str(share)), why=False)
    fired = {
        order
        for order, rules in zip(found["order"], found["handrail_rules"], strict=True)
        if "riskiest" in rules
    }
    number = {f"o{at}": str(at + 1) for at in range(len(rows))}  # a table has no key columns
    as_keys = [{**row, "order": number[row["order"]]} for row in rows]
    assert {number[order] for order in fired} == expected(as_keys, share)
    for unknown, risk in zip(found["handrail_unknown"].to_list(), risks, strict=True):
        assert (unknown == ["riskiest"]) == (risk is None)


def test_a_rank_within_each_group(tmp_path: Path) -> None:
    dice = random.Random(4)
    shops: list[str | None] = [dice.choice("abc") for _ in range(200)]
    rows = rows_of([dice.randrange(12) for _ in shops], shops)
    made = policy("10%", KINDS["int"], ", by: [shop]", shop="string")
    want = expected(rows, 0.1, by=True)
    for form, columns in (("csv", True), ("csv", False), ("parquet", True)):
        assert judged(made, write(tmp_path, rows, form), columns=columns, size=60) == want


def test_too_few_have_no_rank() -> None:
    rows = rows_of([0.1, 0.9])
    table = pl.DataFrame(rows, schema_overrides={"shop": pl.String})
    found = bulk.gate(table, policy("50%", more=", min: 3"))
    assert found["handrail_lane"].to_list() == ["hold", "hold"]
    assert found["handrail_unknown"].to_list() == [["riskiest"], ["riskiest"]]
    assert bulk.gate(table, policy("50%", more=", min: 2"))["handrail_lane"].to_list() == [
        "pass", "hold",
    ]  # fmt: skip


def test_frames_of_a_stream_have_no_rank() -> None:
    table = pl.DataFrame(rows_of([0.1, 0.9]), schema_overrides={"shop": pl.String})
    found = bulk.BulkGate(policy("50%")).frame(table)
    assert found["handrail_unknown"].to_list() == [["riskiest"], ["riskiest"]]


@pytest.mark.parametrize(
    ("share", "more", "says"),
    [
        ("0%", "", "a share such as 5% or 0.05"),
        ("100%", "", "a share such as 5%"),
        ("many", "", "a share such as 5%"),
        ("5%", ", offset: 7d", "`offset` beside `top`"),
        ("5%", ", quantile: 0.5", "has 2 functions"),
    ],
)
def test_what_is_no_rank_is_a_mistake(share: str, more: str, says: str) -> None:
    with pytest.raises(PolicyErrors, match=says):
        policy(share, more=more)


def test_among_decisions_only() -> None:
    text = TEXT.format(field=DOUBLE, share="5%", more="", shop="string")
    with pytest.raises(PolicyErrors, match="a decision is ranked among decisions"):
        load(text.replace("decisions:submitted", "decisions:released"))
