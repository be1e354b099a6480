"""Personal data that its form gives away, found by the check `support.pii`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from handrail.packs.checks import CHECKS, pii

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "pii-synthetic"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("write to ann@example.com", ["email"]),
        ("write to ann at example.com", []),
        ("DE89 3704 0044 0532 0130 00 is the account", ["iban"]),
        ("DE89 3704 0044 0532 0130 02", []),
        ("gb82west12345698765432", ["iban"]),
        ("card 4111-1111-1111-1111.", ["card"]),
        ("card 4111-1111-1111-1112", []),
        ("0000 0000 0000 0000", []),
        ("078-05-1120", ["ssn"]),
        ("000-12-3456 and 2026-11-30", []),
        ("from 10.0.0.255 at 10:30:45", ["ip"]),
        ("version 1.2.3.400", []),
        ("2001:db8::1 answered", ["ip"]),
        ("a :: b", []),
        ("", []),
    ],
)
def test_what_counts_as_personal_data(text: str, found: list[str]) -> None:
    assert pii({"body": text, "none": None, "list": [text]}) == found


def test_it_is_installed_under_its_name() -> None:
    assert CHECKS["support.pii"] is pii


@pytest.mark.needs("data")
def test_on_real_like_sentences_it_finds_what_has_a_form() -> None:
    kinds = {
        "EMAIL_ADDRESS": "email",
        "IBAN_CODE": "iban",
        "CREDIT_CARD": "card",
        "US_SSN": "ssn",
        "IP_ADDRESS": "ip",
    }
    rows = json.loads((DATA / "synth_dataset_v2.json").read_text("utf-8"))
    there, found, too_much = Counter[str](), Counter[str](), Counter[str]()
    for row in rows:
        says = set(pii({"text": row["full_text"]}))
        wanted = {kinds[s["entity_type"]] for s in row["spans"] if s["entity_type"] in kinds}
        there.update(wanted)
        found.update(wanted & says)
        too_much.update(says - wanted)
    assert (len(rows), sum(there.values())) == (1500, 236)
    assert all(found[kind] == there[kind] for kind in ("email", "iban", "ssn", "ip"))
    assert found["card"] == there["card"] - 1  # one has 12 digits
    assert sum(too_much.values()) == 2
