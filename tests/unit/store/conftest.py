"""Small things to store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from handrail.model.decision import Decision
from handrail.model.ids import new_id
from handrail.model.modes import Lane, Mode
from handrail.model.ruling import Ruling
from handrail.ports import Transaction
from handrail.store.sqlite import SqliteStore
from handrail.testing import FakeClock

Open = Callable[..., SqliteStore]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def open_store(tmp_path: Path, clock: FakeClock) -> Iterator[Open]:
    """Opens `tmp_path/store.db` (or `path`); what is left open is closed at the end."""
    opened: list[SqliteStore] = []

    def open_(path: Path | str | None = None, **given: Any) -> SqliteStore:
        given.setdefault("clock", clock)
        store = SqliteStore.open(str(path or tmp_path / "store.db"), **given)
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.close()


def filing(number: int, size: int = 10) -> Callable[[Transaction], str]:
    """A use case that files decision `number` and logs it; returns the decision's id."""

    def use_case(tx: Transaction) -> str:
        decision = Decision(
            id=new_id("d", tx.now()),
            workflow="w",
            submitter="bot",
            key=f"k{number}",
            facts={"text": "x" * size},
            submitted_at=tx.now(),
            body_digest="sha256:" + "0" * 64,
        )
        ruling = Ruling(
            decision_id=decision.id,
            lane=Lane.HOLD,
            mode=Mode.IN_THE_LOOP,
            policy="w@1",
            gate_digest="sha256:" + "1" * 64,
            evaluated_at=tx.now(),
        )
        tx.decisions.insert(decision, ruling, settled=False)
        tx.audit.append({"number": number})
        tx.counters.add("s", "k", 0, 1, number)
        return decision.id

    return use_case


def numbers(tx: Transaction) -> list[int]:
    """Numbers of the filed decisions, oldest first; held to the log and the counters."""
    found = tx.decisions.find(
        workflow="w", lane=None, state=None, subject=None, key=None, before=None, limit=10**6
    )
    stored = [int((filed.decision.key or "")[1:]) for filed in reversed(found)]
    logged = [int(entry[len(b'{"number":') : -1]) for entry in tx.audit.entries()]
    assert stored == logged
    assert tx.counters.read("s", "k", 0, 1) == (len(stored), sum(stored))
    return stored
