"""Use cases that say what they will look up, and share transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from handrail.model.decision import Decision
from handrail.model.errors import Conflict, HandrailError, Unavailable
from handrail.model.ids import new_id
from handrail.model.modes import Lane, Mode
from handrail.model.people import SubjectKey
from handrail.model.ruling import Ruling
from handrail.ports import Ahead, Foreseen, Store, Transaction
from handrail.store.postgres import columns

from .conftest import Connect, Open
from .test_faults import WAIT_SECONDS, pid, terminate

pytestmark = pytest.mark.needs("postgres")


def made(tx: Transaction, key: str, subject: str | None) -> tuple[Decision, Ruling]:
    """A decision with this key, and its ruling."""
    decision = Decision(
        id=new_id("d", tx.now()),
        workflow="w",
        subject=subject,
        submitter="bot",
        key=key,
        submitted_at=tx.now(),
        body_digest="sha256:" + "0" * 64,
    )
    ruling = Ruling(
        decision_id=decision.id,
        lane=Lane.PASS,
        mode=Mode.AUTO,
        policy="w@1",
        gate_digest="sha256:" + "1" * 64,
        evaluated_at=tx.now(),
    )
    return decision, ruling


def passing(
    number: int, before: Callable[[Transaction], object] = lambda tx: None
) -> Foreseen[str]:
    """Files decision `number` of a subject of its own; `before` is called when all is read."""
    key, subject = f"k{number}", f"s{number}"

    def use_case(tx: Transaction) -> str:
        if (earlier := tx.decisions.by_key("w", "bot", key)) is not None:
            return earlier.decision.id
        assert tx.decisions.unsettled_of("w", subject) == []
        owner = tx.subjects.key_of("w", subject)
        before(tx)
        if owner is None:
            tx.subjects.insert(
                SubjectKey(workflow="w", subject=subject, key=bytes(32), made_at=number)
            )
        decision, ruling = made(tx, key, subject)
        tx.decisions.insert(decision, ruling, settled=True)
        tx.audit.append({"number": number})
        return decision.id

    return Foreseen(Ahead(workflow="w", submitter="bot", key=key, subject=subject), use_case)


def numbers(tx: Transaction) -> list[int]:
    """Numbers of what was filed, sorted; held to the log."""
    found = tx.decisions.find(
        workflow="w", lane=None, state=None, subject=None, key=None, before=None, limit=10**6
    )
    stored = sorted(int((filed.decision.key or "")[1:]) for filed in found)
    logged = sorted(int(entry[len(b'{"number":') : -1]) for entry in tx.audit.entries())
    assert stored == logged
    return stored


def test_what_was_foreseen_is_not_asked_for_again(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look and a commit for all of them, and nothing in between."""
    from handrail.store.postgres.session import Session

    store = open_store()
    asked: list[str] = []
    run, begin, commit = Session._run, Session.begin_shared, Session.commit_shared

    def running(self: Session, sql: str, params: Sequence[Any]) -> Any:
        if self.shared:
            asked.append(sql)
        return run(self, sql, params)

    def beginning(self: Session, aheads: Any) -> Any:
        asked.append("begin")
        return begin(self, aheads)

    def committing(self: Session, last: str, params: Any) -> str:
        asked.append("commit")
        return commit(self, last, params)

    monkeypatch.setattr(Session, "_run", running)
    monkeypatch.setattr(Session, "begin_shared", beginning)
    monkeypatch.setattr(Session, "commit_shared", committing)
    results = store.write_many([passing(number) for number in range(20)])
    assert all(isinstance(result, str) for result in results)
    assert asked == ["begin", "commit"]
    # Repeats are read one by one, and leave nothing to commit.
    asked.clear()
    assert store.write_many([passing(number) for number in range(2)]) == results[:2]
    assert asked[0] == "begin" and "commit" not in asked
    store.settle_log()
    assert store.read(numbers) == list(range(20))


def one_after_the_other(store: Store) -> tuple[list[object], list[int]]:
    """Three submits of one subject in one transaction, the last with the key of the first: which
    earlier decision each found by its key, and how many of its subject were unsettled."""
    by_key: list[object] = []
    unsettled: list[int] = []

    def filing(key: str) -> Foreseen[None]:
        def use_case(tx: Transaction) -> None:
            earlier = tx.decisions.by_key("w", "bot", key)
            by_key.append(earlier and earlier.decision.key)
            unsettled.append(len(tx.decisions.unsettled_of("w", "s")))
            if earlier is None:
                decision, ruling = made(tx, key, "s")
                tx.decisions.insert(decision, ruling, settled=False)
                tx.audit.append({"key": key})

        return Foreseen(Ahead(workflow="w", submitter="bot", key=key, subject="s"), use_case)

    results = store.write_many([filing("a"), filing("b"), filing("a")])
    assert results == [None] * 3
    return by_key, unsettled


def test_use_cases_of_one_transaction_see_each_other(open_store: Open) -> None:
    assert one_after_the_other(open_store()) == ([None, None, "a"], [0, 1, 2])


def test_what_one_of_them_changed_is_not_kept_as_it_was(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that keeps it gives the second of them what the first has changed."""
    from handrail.store.postgres.session import Session

    monkeypatch.setattr(Session, "moved", lambda self, *what: None)
    _, unsettled = one_after_the_other(open_store())
    assert unsettled[:2] == [0, 0]


def test_who_is_in_somebodys_way_holds_up_nobody(open_store: Open, connect: Connect) -> None:
    store = open_store()
    session = store._units._pair
    with store._units.connection() as connection:
        key = session(connection)[0].session.advisory("subject", "w", "s1")
    other = connect()
    other.execute("BEGIN")
    other.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(store.write, passing(number)) for number in range(8)]
        for number, future in enumerate(futures):
            if number != 1:
                future.result(WAIT_SECONDS)
        assert not futures[1].done()
        other.execute("COMMIT")
        futures[1].result(WAIT_SECONDS)
    store.settle_log()
    assert store.read(numbers) == list(range(8))


def test_a_row_that_does_not_fit_costs_the_others_nothing(
    open_store: Open, connect: Connect
) -> None:
    """Rows are sent at the end: the one that is refused is told, and only that one."""
    store = open_store()
    connection = connect()
    connection.execute(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.key = 'k3' THEN RAISE EXCEPTION 'cannot' USING ERRCODE = '23514'; END IF;"
        " RETURN new; END $$"
    )
    connection.execute(
        "CREATE TRIGGER fails BEFORE INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION fails()"
    )
    results = store.write_many([passing(number) for number in range(6)])
    assert [isinstance(result, Conflict) for result in results] == [n == 3 for n in range(6)]
    with pytest.raises(Conflict, match="does not go with"):
        store.write(passing(3))
    store.settle_log()
    assert store.read(numbers) == [0, 1, 2, 4, 5]


def test_a_key_that_somebody_takes_meanwhile_is_found(open_store: Open) -> None:
    """Looked up and free, and taken by another process before the rows are sent."""
    store, other = open_store(), open_store()
    taken: list[str] = []

    def take(tx: Transaction) -> None:
        if not taken:
            # Nobody says what it looks up here, so it does not wait for the subject's lock.
            taken.append(other.write(lambda tx: filed_by_another(tx)))

    assert store.write(passing(7, before=take)) == taken[0]
    store.settle_log()
    assert store.read(numbers) == [7]


def filed_by_another(tx: Transaction) -> str:
    decision, ruling = made(tx, "k7", None)
    tx.decisions.insert(decision, ruling, settled=True)
    tx.audit.append({"number": 7})
    return decision.id


def test_a_connection_that_is_lost_in_company_costs_a_second_run(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    runs: list[int] = []

    def lose(tx: Transaction) -> None:
        runs.append(pid(tx))
        if len(runs) == 1:
            terminate(connect, runs[-1])

    cases = [
        passing(number, before=lose if number == 3 else lambda tx: None) for number in range(6)
    ]
    results = store.write_many(cases)
    assert not [result for result in results if isinstance(result, BaseException)]
    assert len(runs) == len(set(runs)) == 2
    store.settle_log()
    assert store.read(numbers) == list(range(6))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_shared_commit_whose_answer_is_lost_is_looked_up(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Cut just before the server commits, or just after: run again, or not; once in any case."""
    from handrail.store.postgres.session import Session

    commit = Session.commit_shared
    cuts: list[str] = []

    def cutting(self: Session, last: str, params: Any) -> str:
        if cuts:
            return commit(self, last, params)
        cuts.append(last)
        backend = self.connection.info.backend_pid
        if after:
            commit(self, last, params)
        terminate(connect, backend)
        self.connection.execute("SELECT 1")
        raise AssertionError("the connection was not cut")

    monkeypatch.setattr(Session, "commit_shared", cutting)
    store = open_store()
    runs: list[int] = []
    cases = [passing(number, before=lambda tx: runs.append(1)) for number in range(3)]
    results = store.write_many(cases)
    assert cuts and len(runs) == (3 if after else 6)
    store.settle_log()
    assert store.read(numbers) == [0, 1, 2]
    for result in results:
        assert isinstance(result, str)
        assert store.read(lambda tx, made=result: tx.decisions.get(made)) is not None  # type: ignore[misc]


def test_a_shared_commit_that_cannot_be_looked_up_is_not_run_again(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handrail.store.postgres import units
    from handrail.store.postgres.session import Session

    commit = Session.commit_shared

    def cutting(self: Session, last: str, params: Any) -> str:
        terminate(connect, self.connection.info.backend_pid)
        return commit(self, last, params)

    monkeypatch.setattr(units, "_STATUS", "SELECT NULL WHERE $1::text IS NOT NULL")
    monkeypatch.setattr(Session, "commit_shared", cutting)
    store = open_store()
    runs: list[int] = []
    results = store.write_many(
        [passing(number, before=lambda tx: runs.append(1)) for number in range(3)]
    )
    assert all(isinstance(result, Unavailable) for result in results)
    with pytest.raises(Unavailable, match=r"not known.*repeat it with its key"):
        store.write(passing(4, before=lambda tx: runs.append(1)))
    assert len(runs) == 4


def test_who_stopped_waiting_is_not_run_and_closing_finishes_the_rest(open_store: Open) -> None:
    store = open_store()
    inside, go_on = threading.Event(), threading.Event()

    def wait(tx: Transaction) -> None:
        inside.set()
        assert go_on.wait(WAIT_SECONDS)

    from handrail.store.postgres.company import AT_ONCE

    first = [store.begin(passing(number, before=wait)) for number in range(AT_ONCE)]
    assert inside.wait(WAIT_SECONDS)
    # Whatever thread is free is held up too; from then on everybody queues up.
    while len([future for future in first if future.running()]) < AT_ONCE:
        inside.wait(0.001)
    left, given_up = store.begin(passing(10)), store.begin(passing(11))
    assert given_up.cancel()
    closing = threading.Thread(target=store.close)
    closing.start()
    go_on.set()
    closing.join(WAIT_SECONDS)
    assert all(future.result(WAIT_SECONDS) for future in (*first, left))
    with pytest.raises(Unavailable, match="closed"):
        store.write(passing(12))
    again = open_store()
    again.settle_log()
    assert again.read(numbers) == [*range(AT_ONCE), 10]


def test_errors_of_a_use_case_are_its_own(open_store: Open) -> None:
    """Raised before it wrote it costs nothing; raised after, the others are run again."""
    store = open_store()
    runs: list[int] = []

    def fail(tx: Transaction) -> None:
        raise Conflict("no")

    def early(number: int) -> Foreseen[str]:
        return passing(number, before=fail if number == 2 else lambda tx: runs.append(number))

    results = store.write_many([early(number) for number in range(4)])
    assert [isinstance(result, HandrailError) for result in results] == [n == 2 for n in range(4)]
    assert runs == [0, 1, 3]

    def late(tx: Transaction) -> str:
        made = passing(5)(tx)
        raise Conflict(made)

    runs.clear()
    results = store.write_many([Foreseen(Ahead(workflow="w"), late), early(6)])
    assert isinstance(results[0], Conflict) and isinstance(results[1], str)
    store.settle_log()
    assert store.read(numbers) == [0, 1, 3, 6]


def test_arrays_arrive_as_they_were_sent(open_store: Open) -> None:
    with open_store()._units.connection() as connection:
        cursor = psycopg.RawCursor(connection)

        def back(sent: bytes, kind: str) -> list[Any]:
            rows = cursor.execute(f"SELECT v FROM unnest($1::{kind}[]) AS v", (sent,), binary=True)
            return [row[0] for row in rows]

        texts = ["", "a", None, "Zoë \u2028", "nul \x00, one \x01", "'\"{},\\"]
        assert back(columns.texts(texts), "text") == texts
        blobs = [b"", None, bytes(range(256))]
        assert back(columns.blobs(blobs), "bytea") == blobs
        numbers = [0, -1, None, 2**63 - 1, -(2**63)]
        assert back(columns.numbers(numbers), "bigint") == numbers
        flags = [True, False]
        assert back(columns.flags(flags), "boolean") == flags
        for empty, kind in (
            (columns.texts([]), "text"),
            (columns.blobs([]), "bytea"),
            (columns.numbers([]), "bigint"),
            (columns.flags([]), "boolean"),
        ):
            assert back(empty, kind) == []
