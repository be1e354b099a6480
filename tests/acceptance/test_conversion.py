"""Whatever way a decision comes in, the same bytes are stored: here, by socket, from a file."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest

import handrail
from handrail.app import LocalTransport
from handrail.client import Client
from handrail.client.convert import wire
from handrail.errors import BadInput
from handrail.model.canonical import canonical_bytes
from tests.workspace import make_workspace

MATRIX = """\
handrail: 1
workflow: matrix
title: Every type
owners: [team:ops]
subject: id
fields:
  id: string
  price: {type: decimal, places: 2, unit: USD, optional: true}
  share: {type: double, optional: true}
  count: {type: int, optional: true}
  ok: {type: bool, optional: true}
  at: {type: timestamp, optional: true}
  took: {type: duration, optional: true}
  amount: {type: decimal, places: 2, unit: USD, from: proposal}
otherwise: in_the_loop
rules:
  - {id: always, when: amount >= 0, because: "all are looked at"}
route:
  - {to: team:ops, sla: 4h, clock: always, silence: block}
review: {edit: [amount]}
cases:
  - {name: any, facts: {id: a}, proposal: {amount: 1}, fires: [always], lane: hold}
"""

MOMENT = dt.datetime(2026, 11, 21, 9, 0, 0, 250, tzinfo=dt.timezone(dt.timedelta(hours=1)))


@dataclasses.dataclass
class AsDataclass:
    id: str
    price: Decimal
    count: int
    at: dt.datetime
    took: dt.timedelta


class AsStruct(msgspec.Struct):
    id: str
    price: Decimal
    count: int
    at: dt.datetime
    took: dt.timedelta


class AsModel(pydantic.BaseModel):
    id: str
    price: Decimal
    count: int
    at: dt.datetime
    took: dt.timedelta


BASE: dict[str, Any] = {
    "id": "a",
    "price": Decimal("19.90"),
    "count": 3,
    "at": MOMENT,
    "took": dt.timedelta(minutes=90),
}
WRITTEN = {
    "id": "a",
    "price": 19.9,
    "count": 3,
    "at": "2026-11-21T08:00:00.000250Z",
    "took": "5400s",
}
"""What people write into a file for it."""

SAME: dict[str, Any] = {
    "mapping": BASE,
    "dataclass": AsDataclass(**BASE),
    "struct": AsStruct(**BASE),
    "pydantic": AsModel(**BASE),
    "numpy": {**BASE, "price": np.float64(19.9), "count": np.int32(3), "id": np.str_("a")},
    "numpy timedelta": {**BASE, "took": np.timedelta64(5400, "s")},
    "pandas": {**BASE, "at": pd.Timestamp(MOMENT), "took": pd.Timedelta("90min")},
    "whole float": {**BASE, "count": 3.0},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("conversion") / "work", matrix=MATRIX)


@pytest.fixture(scope="module")
def here(folder: Path) -> Iterator[Client]:
    with handrail.open(folder, name="same") as client:
        assert isinstance(client._transport, LocalTransport)
        assert client._transport.workspace is not None
        yield client


@pytest.fixture(scope="module")
def far(here: Client, folder: Path) -> Iterator[Client]:
    with handrail.open(folder, name="same") as client:
        assert isinstance(client._transport, LocalTransport)
        assert client._transport.workspace is None
        yield client


def shell(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from handrail.cli import main; main()",
            "--workspace",
            str(folder),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def stored(hr: Client, decision_id: str) -> tuple[str, bytes]:
    """Digest of what arrived, and the bytes of what is kept of it."""
    [decision] = [
        view.decision for view in hr.decisions(limit=1000) if view.decision["id"] == decision_id
    ]
    kept = {name: decision.get(name) for name in ("facts", "proposal", "confidence", "context")}
    return decision["body_digest"], canonical_bytes(kept)


def submit(hr: Client, facts: Any, proposal: Any) -> tuple[str, bytes]:
    ruling = hr.submit("matrix", facts=facts, proposal=proposal)
    assert ruling.review_id is not None
    return stored(hr, ruling.decision_id)


@pytest.mark.parametrize("kind", SAME)
def test_every_kind_and_way_is_the_same_bytes(here: Client, far: Client, kind: str) -> None:
    wanted = submit(here, WRITTEN, {"amount": 5})
    assert submit(here, SAME[kind], {"amount": np.int64(5)}) == wanted
    assert submit(far, SAME[kind], {"amount": Decimal("5.00")}) == wanted


VALUES: list[Any] = [
    0.1,
    -0.0,
    1e300,
    5e-324,
    2**53 - 1,
    2.0**53,
    1.0,
    Decimal("0.10"),
    Decimal("123456789012.345678"),
    Decimal("1E-400"),
    "é\u2028\U0001f600",
    "",
    None,
    [],
    {},
    [[1, {"a": None}], "x"],
    np.float32(0.1),
    np.array([[1.5, 2.0], [3.0, 4.0]]),
    pd.NA,
    pd.NaT,
    pd.Timestamp("2026-11-21T08:00:00.123456789Z"),
    dt.date(2026, 11, 21),
    dt.time(9, 30),
    True,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_undeclared_facts_too(here: Client, far: Client, value: Any) -> None:
    facts = {"id": "a", "extra": value, "nested": {"é": [value]}}
    assert submit(far, facts, {"amount": 5}) == submit(here, facts, {"amount": 5})


def test_a_file_is_read_to_the_same_bytes(here: Client, folder: Path) -> None:
    facts = {"id": "a", "extra": VALUES, "other": dict(enumerate_text(VALUES))}
    wanted = submit(here, facts, {"amount": 5})
    # Another spelling of the same JSON: other order, blanks and escapes, exponents.
    text = json.dumps(dict(reversed(wire(facts).items())), indent=2, ensure_ascii=True)
    file = folder / "facts.json"
    file.write_text(text.replace("1e+300", "10.0E+299"), encoding="ascii")
    done = shell(
        folder, "--json", "submit", "matrix", "--facts", f"@{file}", "--proposal", '{"amount":5.0}'
    )
    assert done.returncode == 1, done.stderr
    assert stored(here, json.loads(done.stdout)["decision_id"]) == wanted


def enumerate_text(values: list[Any]) -> Iterator[tuple[str, Any]]:
    for number, value in enumerate(values):
        yield f"é{number}", value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), np.float64("nan"), Decimal("NaN"), np.array([1.0, np.nan])],
    ids=repr,
)
def test_nan_is_refused_by_every_way(here: Client, far: Client, value: Any) -> None:
    before = len(here.decisions(limit=1000))
    for hr in (here, far):
        with pytest.raises(BadInput) as caught:
            hr.submit("matrix", facts={"id": "a", "extra": value}, proposal={"amount": 5})
        assert caught.value.pointer.startswith("/facts/extra")
    assert len(here.decisions(limit=1000)) == before


def test_nan_is_refused_from_a_file(here: Client, folder: Path) -> None:
    before = len(here.decisions(limit=1000))
    done = shell(folder, "submit", "matrix", "--facts", '{"id":"a","extra":NaN}')
    assert done.returncode == 2
    assert "NaN is not JSON" in done.stderr
    assert len(here.decisions(limit=1000)) == before


def test_a_file_of_rows_is_the_same(here: Client, folder: Path) -> None:
    rows = folder / "rows.jsonl"
    rows.write_text(
        "".join(json.dumps({**WRITTEN, "amount": 5, "id": f"row-{n}"}) + "\n" for n in range(3))
    )
    done = shell(folder, "gate", "matrix", "--input", str(rows), "--submit", "--key", "id")
    assert done.returncode in (0, 1), done.stderr
    wanted = submit(here, {**BASE, "id": "row-1"}, {"amount": 5})[1]
    [view] = here.decisions(key="row-1")
    assert stored(here, view.ruling.decision_id)[1] == wanted
