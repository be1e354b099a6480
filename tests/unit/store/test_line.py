"""Rows that wait: everybody sees them, and what fails is undone alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from handrail.model.decision import Decision
from handrail.model.errors import Conflict
from handrail.model.ids import new_id
from handrail.model.modes import GrantState, Lane, Mode, Verdict
from handrail.model.outcome import Grant, Outcome
from handrail.model.people import SubjectKey
from handrail.model.ruling import Ruling
from handrail.ports import Transaction
from handrail.settings import Settings

from .conftest import Open

DIGEST = "sha256:" + "0" * 64


def passing(tx: Transaction, key: str | None, subject: str | None = None) -> Decision:
    """Files a decision that passes, with outcome, grant, key and an entry."""
    now = tx.now()
    decision = Decision(
        id=new_id("d", now), workflow="w", subject=subject, submitter="bot", key=key,
        submitted_at=now, body_digest=DIGEST,
    )  # fmt: skip
    ruling = Ruling(
        decision_id=decision.id, lane=Lane.PASS, mode=Mode.AUTO, policy="w@1",
        gate_digest="sha256:" + "1" * 64, evaluated_at=now,
    )  # fmt: skip
    tx.decisions.insert(decision, ruling, settled=True)
    owner = subject or decision.id
    if tx.subjects.key_of("w", owner) is None:
        key_bytes = owner.encode().ljust(32, b".")[:32]
        tx.subjects.insert(SubjectKey(workflow="w", subject=owner, key=key_bytes, made_at=now))
    grant = Grant(
        id=new_id("g", now), decision_id=decision.id, state=GrantState.GRANTED, digest=DIGEST,
        minted_at=now,
    )  # fmt: skip
    tx.grants.insert(grant)
    tx.outcomes.insert(outcome(decision.id, now, grant.id))
    tx.audit.append({"decision": decision.id})
    return decision


def outcome(decision_id: str, now: int, grant_id: str | None) -> Outcome[Any]:
    return Outcome(
        decision_id=decision_id, verdict=Verdict.PASSED, approved={}, why="", at=now, digest=DIGEST,
        release_at=now, released=True, grant_id=grant_id,
    )  # fmt: skip


class Model:
    """What one use case after the other should see."""

    def __init__(self) -> None:
        self.by_key: dict[str, str] = {}
        self.subjects: set[str] = set()
        self.counted: dict[str, int] = {}
        self.summed: dict[tuple[str, int], int] = {}
        self.entries = 0


LOOKS: dict[str, Callable[[Transaction, str, str], Any]] = {
    "outcome": lambda tx, id_, key: tx.outcomes.get(id_) is not None,
    "grant": lambda tx, id_, key: tx.grants.current(id_) is not None,
    "decision": lambda tx, id_, key: tx.decisions.get(id_) is not None,
    "listed": lambda tx, id_, key: bool(
        tx.decisions.find(
            workflow="w", lane=None, state="done", subject=None, key=key, before=None, limit=9
        )
    ),
    "log": lambda tx, id_, key: tx.audit.root() != b"" and bool(list(tx.audit.entries())),
    "buckets": lambda tx, id_, key: bool(tx.buckets.rows("s", key, 0, 10**6)),
}


def work(plan: dict[str, Any], seen: dict[str, Any]) -> Callable[[Transaction], str]:
    """A use case that files under a key unless that is taken, looks around, and may raise."""

    def use_case(tx: Transaction) -> str:
        seen.clear()
        key, subject = plan["key"], plan["subject"]
        seen["counted"] = tx.counters.read("c", key, 0, 10)[0]
        seen["total"] = tx.buckets.total("s", key, 0, plan["end"]).total
        earlier = tx.decisions.by_key("w", "bot", key)
        seen["earlier"] = earlier.decision.id if earlier else None
        seen["known"] = tx.subjects.key_of("w", subject) is not None
        tx.counters.add("c", key, plan["bucket"], 1, 1)
        tx.buckets.add("s", key, plan["bucket"], 1, plan["amount"], None)
        if earlier is None:
            decision = passing(tx, key, subject)
            for look in plan["looks"]:
                seen[look] = LOOKS[look](tx, decision.id, key)
            with pytest.raises(Conflict):
                tx.outcomes.insert(outcome(decision.id, tx.now(), None))
            if plan["twice"]:
                with pytest.raises(Conflict):
                    passing(tx, key)
        seen["summed"] = tx.buckets.total("s", key, 0, 10**6).total
        if plan["fails"]:
            raise ValueError("planned")
        return decision.id if earlier is None else earlier.decision.id

    return use_case


@pytest.mark.parametrize("seed", range(12))
def test_many_see_each_other_and_fail_alone(open_store: Open, seed: int) -> None:
    rng = random.Random(seed)
    store = open_store(settings=Settings(group_commit_max=rng.choice((1, 5, 64))))
    store.write(lambda tx: tx.buckets.start("s", "submitted:w", 0))
    model = Model()
    for _ in range(4):
        plans = [
            {
                "key": f"k{rng.randrange(12)}",
                "subject": f"s{rng.randrange(5)}",
                "bucket": rng.randrange(8),
                "end": rng.randrange(9),
                "amount": rng.randrange(-(2**70), 2**70),
                "looks": [look for look in LOOKS if rng.random() < 0.15],
                "twice": rng.random() < 0.2,
                "fails": rng.random() < 0.3,
            }
            for _ in range(60)
        ]
        views: list[dict[str, Any]] = [{} for _ in plans]
        results = store.write_many([work(p, v) for p, v in zip(plans, views, strict=True)])
        for plan, seen, result in zip(plans, views, results, strict=True):
            key, subject = plan["key"], plan["subject"]
            mine = {at: sum_ for (of, at), sum_ in model.summed.items() if of == key}
            assert seen["counted"] == model.counted.get(key, 0)
            assert seen["total"] == sum(sum_ for at, sum_ in mine.items() if at < plan["end"])
            assert seen["earlier"] == model.by_key.get(key)
            assert seen["known"] is (subject in model.subjects)
            assert seen["summed"] == sum(mine.values()) + plan["amount"]
            if seen["earlier"] is None:
                assert all(seen[look] for look in plan["looks"])
            if plan["fails"]:
                assert isinstance(result, ValueError)
                continue
            assert isinstance(result, str)
            if key not in model.by_key:
                model.by_key[key] = result
                model.subjects.add(subject)
                model.entries += 1
            assert result == model.by_key[key]
            model.counted[key] = model.counted.get(key, 0) + 1
            place = key, plan["bucket"]
            model.summed[place] = model.summed.get(place, 0) + plan["amount"]

    def settled(tx: Transaction) -> None:
        assert tx.audit.size() == model.entries
        for key in {key for key, _ in model.summed}:
            assert tx.counters.read("c", key, 0, 10)[0] == model.counted[key]
            rows = tx.buckets.rows("s", key, 0, 10)
            assert {(key, row.bucket): row.total for row in rows} == {
                place: sum_ for place, sum_ in model.summed.items() if place[0] == key
            }
        for key, decision_id in model.by_key.items():
            found = tx.decisions.by_key("w", "bot", key)
            assert found is not None and found.decision.id == decision_id and found.settled
            assert tx.outcomes.get(decision_id) is not None
            assert tx.grants.current(decision_id) is not None
        for subject in range(5):
            name = f"s{subject}"
            assert (tx.subjects.key_of("w", name) is not None) is (name in model.subjects)

    store.write(settled)
    store.close()
    open_store().read(settled)


def test_a_group_that_is_lost_leaves_nothing_that_waits(open_store: Open) -> None:
    store = open_store()

    def lose(tx: Transaction) -> None:
        passing(tx, "lost")
        tx.counters.add("c", "k", 0, 1, 1)
        tx.buckets.add("s", "k", 0, 1, 1, None)
        store._connection.execute("ROLLBACK")

    with pytest.raises(Exception, match="could not commit"):
        store.write(lose)

    def nothing(tx: Transaction) -> None:
        assert tx.decisions.by_key("w", "bot", "lost") is None
        assert tx.subjects.key_of("w", "lost") is None
        assert tx.counters.read("c", "k", 0, 1) == (0, 0)
        assert tx.buckets.total("s", "k", 0, 1).count == 0
        assert tx.audit.size() == 0

    store.write(nothing)
    store.write(lambda tx: passing(tx, "lost"))
    store.read(lambda tx: tx.decisions.by_key("w", "bot", "lost"))


def test_a_passing_decision_needs_no_savepoint(open_store: Open) -> None:
    store = open_store()
    ran: list[str] = []
    store._connection.trace_v2(1, lambda event: ran.append(event["sql"]))

    def submit(number: int) -> Callable[[Transaction], Decision]:
        def use_case(tx: Transaction) -> Decision:
            assert tx.decisions.by_key("w", "bot", f"k{number}") is None
            return passing(tx, f"k{number}")

        return use_case

    store.write_many([submit(number) for number in range(20)])
    store._connection.trace_v2(0, None)
    assert not [sql for sql in ran if "SAVEPOINT" in sql]
    assert len([sql for sql in ran if sql.startswith("INSERT INTO decisions")]) == 20
