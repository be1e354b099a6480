"""First policies: what they say follows from the data, and they pass the gate's own check."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail.bulk.draft import Draft, from_fields, from_rows, quoted, scalar
from handrail.bulk.infer import key_of, look_at
from handrail.bulk.models import fields_of
from handrail.bulk.names import name_columns
from handrail.bulk.read import Row
from handrail.gate import load
from handrail.model.errors import BadInput
from handrail.model.modes import Lane


def draft_of(
    columns: dict[str, list[Any]], *, proposal: tuple[str, ...] = (), keys: tuple[str, ...] = ()
) -> Draft:
    headers = list(columns)
    count = len(columns[headers[0]])
    rows = [
        Row(number=n + 1, values={header: columns[header][n] for header in headers})
        for n in range(count)
    ]
    found, sample = look_at(rows, name_columns(headers, "t.csv"))
    return from_rows(
        "trial",
        found,
        sample,
        origin="t.csv",
        keys=keys or key_of(found, sample),
        proposal=proposal,
    )


def spend(count: int = 100) -> dict[str, list[Any]]:
    return {
        "Ad ID": [f"a{n}" for n in range(count)],
        "Spend": [f"{n}.50" for n in range(count)],
        "Status": ["on" if n % 3 else "off" for n in range(count)],
        "seen": ["2026-01-01 10:00:00"] * count,
        "note": ["" if n % 4 else "hm" for n in range(count)],
    }


def test_types_subject_rules_and_cases_follow_from_the_data() -> None:
    draft = draft_of(spend())
    policy = load(draft.text, path="trial.yaml", require_cases=True)
    kinds = {field.name: (field.kind, field.optional) for field in policy.fields}
    assert kinds == {
        "ad_id": ("string", False),
        "spend": ("decimal", False),
        "status": ("enum", False),
        "seen": ("timestamp", False),
        "note": ("string", True),
    }
    assert policy.subject == ("ad_id",)
    assert [rule.id for rule in policy.rules] == ["spend-high"]
    assert len(policy.cases) == 2
    record = policy.ingest(
        {"ad_id": "x", "spend": "99.50", "status": "on", "seen": "2026-01-01T00:00:00Z"}
    )
    ruling = policy.evaluate(record, decision_id="d_" + "0" * 26, evaluated_at=0)
    assert ruling.lane is Lane.HOLD
    assert "is over" in ruling.why and "of 100 rows" in ruling.why


def test_about_one_row_in_twenty_is_held() -> None:
    columns = spend(400)
    policy = load(draft_of(columns).text, path="trial.yaml")
    held = 0
    for n in range(400):
        record = policy.ingest(
            {
                "ad_id": columns["Ad ID"][n],
                "spend": columns["Spend"][n],
                "status": columns["Status"][n],
                "seen": "2026-01-01T00:00:00Z",
            }
        )
        held += not policy.evaluate(record, decision_id="d_" + "0" * 26, evaluated_at=0).passed
    assert 10 <= held <= 40


def test_proposal_columns_are_what_an_edit_may_change() -> None:
    policy = load(draft_of(spend(), proposal=("Spend",)).text, path="trial.yaml")
    assert policy.edit_fields == ("spend",)
    assert [field.name for field in policy.fields if field.proposed] == ["spend"]


def test_an_unknown_column_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="no column 'budget'; it has Ad ID, Spend"):
        draft_of(spend(), proposal=("budget",))


def test_e_mail_addresses_and_long_texts_stay_out_of_the_cases() -> None:
    columns = spend()
    columns["owner"] = [f"person{n}@example.org" for n in range(100)]
    columns["text"] = [f"{n} " + "long " * 50 for n in range(100)]
    draft = draft_of(columns)
    assert "person1@example.org" not in draft.text
    assert "someone@example.com" in draft.text
    assert "long " * 20 not in draft.text


def test_a_file_without_a_measure_holds_by_a_rare_value_or_holds_all() -> None:
    rare = draft_of({"id": [str(n) for n in range(40)], "state": ["paused"] * 4 + ["live"] * 36})
    assert 'state == "paused"' in rare.text
    none = draft_of({"id": ["1", "2"], "name": ["a", "b"]})
    assert "otherwise: in_the_loop" in none.text
    assert none.cases == 1


def test_codes_with_leading_zeros_and_long_numbers_are_text() -> None:
    policy = load(
        draft_of({"row_id": ["1", "2", "3"], "plz": ["01234", "99999", "00001"]}).text,
        path="t.yaml",
    )
    assert {field.name: field.kind for field in policy.fields} == {
        "row_id": "string",
        "plz": "string",
    }


CELL = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.integers(-(10**9), 10**9).map(str),
    st.decimals(-1000, 100000, places=2).map(str),
    st.sampled_from(
        ["", "yes", "no", "NULL", "2026-01-01", '"', "\\", "{x}", ": #", "- a", "\x85"]
    ),
)


@settings(
    max_examples=settings().max_examples * 3 // 5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=5),
    st.data(),
)
def test_whatever_is_in_a_file_the_policy_passes_its_check(
    headers: list[str], data: st.DataObject
) -> None:
    columns = {
        header: data.draw(st.lists(CELL, min_size=12, max_size=12), label=header)
        for header in headers
    }
    try:
        draft = draft_of(columns)
    except BadInput as error:
        known = ("both become", "no column has a value", "have no name")
        assert any(each in str(error) for each in known), error
        return
    load(draft.text, path="trial.yaml", require_cases=True)


def test_scalars_come_back_as_they_were() -> None:
    from ruamel.yaml import YAML

    for text in ("a", "no", "1", "10:30", "x: y", '"q"', "a\u202eb", "\x85", "é", "- a", "#", ""):
        assert YAML(typ="safe").load(scalar(text)) == text
        assert YAML(typ="safe").load(quoted(text)) == text


# ------------------------------------------------------------------------------- typed models


class Channel(enum.Enum):
    SEARCH = "search"
    SOCIAL = "social"


@dataclasses.dataclass
class Campaign:
    id: str
    budget: Decimal
    clicks: int
    channel: Channel
    live: bool
    starts: dt.datetime
    tags: list[str]
    length: dt.timedelta
    share: float | None = None


class Order(msgspec.Struct):
    id: str
    amount: Annotated[float, msgspec.Meta(ge=0, le=500)]
    kind: Literal["new", "again"] = "new"


def test_a_dataclass_becomes_a_policy() -> None:
    fields = {field.name: field for field in fields_of(Campaign, "m:Campaign")}
    assert {name: field.kind for name, field in fields.items()} == {
        "id": "string",
        "budget": "decimal",
        "clicks": "int",
        "channel": "enum",
        "live": "bool",
        "starts": "timestamp",
        "tags": "list",
        "length": "duration",
        "share": "double",
    }
    assert fields["channel"].members == ("search", "social")
    assert fields["share"].optional
    draft = from_fields("campaign", list(fields.values()), origin="m:Campaign")
    policy = load(draft.text, path="campaign.yaml", require_cases=True)
    assert policy.subject == ("id",)
    assert len(policy.cases) == 2


def test_a_struct_keeps_its_bounds() -> None:
    fields = {field.name: field for field in fields_of(Order, "m:Order")}
    assert (fields["amount"].low, fields["amount"].high) == ("0", "500")
    assert fields["kind"].members == ("new", "again")
    assert fields["kind"].optional
    draft = from_fields("order", list(fields.values()), origin="m:Order")
    assert "amount > 400" in draft.text
    load(draft.text, path="order.yaml", require_cases=True)


def test_a_pydantic_model_keeps_its_bounds() -> None:
    pydantic = pytest.importorskip("pydantic")
    Refund = pydantic.create_model(
        "Refund",
        order=(str, ...),
        amount=(Decimal, pydantic.Field(ge=0, decimal_places=3)),
        note=(str | None, None),
    )
    fields = {field.name: field for field in fields_of(Refund, "m:Refund")}
    assert (fields["amount"].low, fields["amount"].places) == ("0", 3)
    assert fields["note"].optional
    draft = from_fields("refund", list(fields.values()), origin="m:Refund")
    load(draft.text, path="refund.yaml", require_cases=True)


def test_types_without_a_field_are_named_all_at_once() -> None:
    @dataclasses.dataclass
    class Odd:
        a: bytes
        b: dict[str, int]
        c: int | str

    with pytest.raises(BadInput) as caught:
        fields_of(Odd, "m:Odd")
    assert len(str(caught.value).splitlines()) == 3


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(BadInput, match="expected a dataclass"):
        fields_of(Path, "pathlib:Path")


def test_numbers_and_days_as_people_write_them_are_told_of() -> None:
    columns = {
        "Campaign": [f"c{n}" for n in range(40)],
        "Budget": [f"${n},200.00" for n in range(40)],
        "Euro": [f"{n}.200,50 €" if n else "1200" for n in range(40)],
        "CTR": [f"{n}.5%" for n in range(40)],
        "Start": [f"{n % 28 + 1}.03.2026" for n in range(40)],
        "Postcode": [f"0{n:04}" for n in range(40)],
        "Size": [f"{n} x {n}" for n in range(40)],
    }
    notes = draft_of(columns).notes
    assert any(
        note.startswith("Budget, Euro, CTR: read as text, such as '$0,200.00'")
        and "1200.50" in note
        for note in notes
    )
    assert any(note.startswith("Start: read as text, such as '1.03.2026'") for note in notes)
    assert not any("Postcode" in note and "read as text" in note for note in notes)
    assert not any("Size" in note and "read as text" in note for note in notes)
