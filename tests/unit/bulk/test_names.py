"""Headers of files become names of fields by one rule."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.bulk.names import RESERVED, field_name, name_columns
from handrail.model.errors import BadInput


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Impressions", "impressions"),
        ("Total_Conversion", "total_conversion"),
        ("COST_PER_1000_REACHED", "cost_per_1000_reached"),
        ("\ufeffid", "id"),
        ("customerID", "customer_id"),
        ("_fivetran_id", "fivetran_id"),
        ("Date (UTC)", "date_utc"),
        ("7_d_click", "n7_d_click"),
        ("%", ""),
        ("not", "not_value"),
        ("Prix en €", "prix_en"),
        ("日本", ""),
        ("spend (USD) ", "spend_usd"),
    ],
)
def test_headers(header: str, name: str) -> None:
    assert field_name(header) == name


@given(st.text(max_size=40))
def test_a_name_is_an_identifier_and_stays_itself(header: str) -> None:
    name = field_name(header)
    assert name == "" or re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert name not in RESERVED
    assert field_name(name) == name


def test_two_headers_that_become_one_field_are_refused_with_both_names() -> None:
    with pytest.raises(BadInput) as caught:
        name_columns(["Spend", "Clicks", "SPEND", "spend ", "Clicks"], "f.csv")
    both = "both become the field 'spend'; rename one of the two"
    assert str(caught.value).splitlines() == [
        f"f.csv:1:1: the headers 'Spend' and 'SPEND' {both}",
        f"f.csv:1:1: the headers 'Spend' and 'spend ' {both}",
        "f.csv:1:1: the header 'Clicks' stands twice; rename one of the two",
    ]


def test_headers_of_which_nothing_remains_are_named_by_their_place() -> None:
    assert name_columns(["%", "a", "日本"], "f.csv") == {
        "%": "column_1",
        "a": "a",
        "日本": "column_3",
    }


def test_columns_without_a_name_are_told_once() -> None:
    with pytest.raises(BadInput) as told:
        name_columns(["a", "", "b", "", " "], "t.csv")
    assert str(told.value) == (
        "t.csv:1:1: the columns 2, 4, 5 have no name; the first line has to hold the names of all "
        "columns: name them, or delete them"
    )
