"""Connections that are cut, servers that restart, commits whose answer is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from handrail.model.errors import Conflict, HandrailError, Unavailable
from handrail.ports import Transaction
from handrail.testing import FakeClock
from tests import postgres
from tests.unit.store.conftest import filing, numbers

from .conftest import Connect, Open

pytestmark = pytest.mark.needs("postgres")

WAIT_SECONDS = 300


def pid(tx: Transaction) -> int:
    row = tx.decisions._session.one("SELECT pg_backend_pid()")  # type: ignore[attr-defined]
    return int(row[0])


def terminate(connect: Connect, backend: int) -> None:
    """End a connection from outside, and wait until it is gone."""
    connection = connect()
    connection.execute("SELECT pg_terminate_backend(%s, 10000)", (backend,))


def whole(tx: Transaction) -> list[int]:
    """Numbers of the filed decisions, oldest first, held to log, counters and tree."""
    return numbers(tx)


def test_a_use_case_that_loses_its_connection_is_run_again(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    runs: list[int] = []

    def use_case(tx: Transaction) -> str:
        runs.append(pid(tx))
        made = filing(7)(tx)
        if len(runs) < 3:
            terminate(connect, runs[-1])
        return made

    store.write(use_case)
    assert len(runs) == len(set(runs)) == 3
    store.settle_log()
    assert store.read(whole) == [7]


def test_a_use_case_that_swallows_the_loss_is_run_again_too(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    runs: list[int] = []

    def use_case(tx: Transaction) -> bool:
        runs.append(pid(tx))
        if len(runs) == 1:
            terminate(connect, runs[-1])
        try:
            filing(7)(tx)
        except Exception:
            return False
        return True

    assert store.write(use_case) is True
    assert len(runs) == 2
    store.settle_log()
    assert store.read(whole) == [7]


def test_a_chunk_that_loses_its_connection_is_run_again_whole(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    cut = threading.Event()

    def case(number: int) -> Callable[[Transaction], str]:
        def use_case(tx: Transaction) -> str:
            if number == 20 and not cut.is_set():
                cut.set()
                terminate(connect, pid(tx))
            return filing(number)(tx)

        return use_case

    results = store.write_many([case(number) for number in range(30)])
    assert not [result for result in results if isinstance(result, BaseException)]
    store.settle_log()
    assert store.read(whole) == list(range(30))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_commit_whose_answer_is_lost_is_looked_up(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Cut just before the server commits, or just after: run again, or not; once in any case."""
    from handrail.store.postgres.session import Session

    control = Session.control
    cuts: list[str] = []

    def cutting(self: Session, statements: str) -> Any:
        if statements != "COMMIT" or cuts:
            return control(self, statements)
        cuts.append(statements)
        backend = self.connection.info.backend_pid
        if after:
            control(self, statements)
        terminate(connect, backend)
        # What the driver says of a connection that went away meanwhile.
        self.connection.execute("SELECT 1")
        raise AssertionError("the connection was not cut")

    monkeypatch.setattr(Session, "control", cutting)
    store = open_store()
    runs: list[int] = []

    def use_case(tx: Transaction) -> str:
        runs.append(1)
        return filing(7)(tx)

    made = store.write(use_case)
    assert cuts
    assert len(runs) == (1 if after else 2)
    store.settle_log()
    assert store.read(whole) == [7]
    assert store.read(lambda tx: tx.decisions.get(made)) is not None


@pytest.mark.parametrize("number", ["another's", "the future's"])
def test_a_number_that_a_crash_gave_to_another_is_not_taken_for_ours(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    """A crash forgets the number of a transaction that left no trace; the next one gets it."""
    from handrail.store.postgres.session import Session

    control = Session.control
    cuts: list[int] = []

    def cutting(self: Session, statements: str) -> Any:
        if statements != "COMMIT" or len(cuts) >= 2:
            return control(self, statements)
        cuts.append(1)
        terminate(connect, self.connection.info.backend_pid)
        return control(self, statements)

    theirs = connect().execute("SELECT pg_current_xact_id()::text").fetchone()
    assert theirs is not None
    asked = theirs[0] if number == "another's" else str(int(theirs[0]) + 1_000_000)
    store = open_store()
    seal = store._units._seal

    def sealed(transaction: Any) -> str | None:
        return asked if seal(transaction) and len(cuts) < 2 else None

    monkeypatch.setattr(store._units, "_seal", sealed)
    monkeypatch.setattr(Session, "control", cutting)
    runs: list[int] = []

    def use_case(tx: Transaction) -> str:
        runs.append(1)
        return filing(7)(tx)

    made = store.write(use_case)
    assert len(runs) == 3
    store.settle_log()
    assert store.read(whole) == [7]
    assert store.read(lambda tx: tx.decisions.get(made)) is not None


def test_a_commit_that_cannot_be_looked_up_is_said_to_be_unknown(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handrail.store.postgres import units
    from handrail.store.postgres.session import Session

    control = Session.control

    def cutting(self: Session, statements: str) -> Any:
        if statements != "COMMIT":
            return control(self, statements)
        terminate(connect, self.connection.info.backend_pid)
        return control(self, statements)

    monkeypatch.setattr(units, "_STATUS", "SELECT NULL WHERE $1::text IS NOT NULL")
    store = open_store()
    runs: list[int] = []

    def use_case(tx: Transaction) -> None:
        runs.append(1)
        filing(7)(tx)

    monkeypatch.setattr(Session, "control", cutting)
    with pytest.raises(Unavailable, match=r"not known.*repeat it with its key"):
        store.write(use_case)
    assert len(runs) == 1
    results = store.write_many([use_case] * 3)
    assert all(isinstance(result, Unavailable) for result in results)
    assert len(runs) == 4


def test_a_client_that_stops_in_the_middle_loses_its_locks(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process holds up nobody for long, and does not commit later what it began."""
    from handrail.store.postgres import connection as module

    monkeypatch.setattr(module, "IDLE_MS", 300)
    store, other = open_store(), open_store()
    made = store.write(filing(1))
    inside, go_on = threading.Event(), threading.Event()
    runs: list[int] = []

    def stopped(tx: Transaction) -> int:
        runs.append(1)
        tx.decisions.get(made)
        inside.set()
        assert go_on.wait(WAIT_SECONDS)
        tx.decisions.settle(made)
        return len(runs)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(store.write, stopped)
        assert inside.wait(WAIT_SECONDS)
        other.write(lambda tx: tx.decisions.settle(made))
        go_on.set()
        assert future.result(WAIT_SECONDS) == 2


def test_a_database_that_is_not_there_is_named_without_its_password() -> None:
    from handrail.store.postgres import PostgresStore

    with pytest.raises(Unavailable, match=r"127\.0\.0\.1/9/none cannot be reached") as caught:
        PostgresStore.open("postgresql://ana:secret-word@127.0.0.1:9/none")
    assert "secret-word" not in str(caught.value)
    with pytest.raises(Unavailable, match="address"):
        PostgresStore.open("mysql://secret-word@x/y")


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("53100", Unavailable, "full"),
        ("23514", Conflict, "does not go with"),
        ("58030", Unavailable, "nothing was stored"),
        ("42501", Unavailable, "defect"),
    ],
)
def test_errors_of_the_server_are_ours_and_leave_nothing(
    open_store: Open, connect: Connect, code: str, kind: type[HandrailError], words: str
) -> None:
    store = open_store()
    connection = connect()
    connection.execute(
        f"CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'cannot' USING ERRCODE = '{code}'; END $$"
    )
    connection.execute(
        "CREATE TRIGGER fails BEFORE INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION fails()"
    )
    with pytest.raises(kind, match=words):
        store.write(filing(1))
    results = store.write_many([filing(1), lambda tx: tx.audit.append({"number": 2})])
    assert isinstance(results[0], kind) and results[1] is None
    connection.execute("DROP TRIGGER fails ON decisions")
    store.settle_log()
    assert store.read(lambda tx: list(tx.audit.entries())) == [b'{"number":2}']


CLIENT = """
import os, sys, threading
from handrail.model.errors import HandrailError
from handrail.settings import Settings
from handrail.store.postgres import PostgresStore
from tests.unit.store.conftest import filing

url, schema, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = PostgresStore.open(url, schema=schema, settings=Settings(connections=4))
numbers = iter(range(first, last))
gate = threading.Lock()

def work():
    while True:
        with gate:
            number = next(numbers, None)
        if number is None:
            return
        while True:
            try:
                store.write(filing(number))
                break
            except HandrailError as error:
                print("again", number, type(error).__name__, error, file=sys.stderr)
                if "has used the key" in str(error):
                    break
        os.write(1, b"%d\\n" % number)

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
store.close()
"""


def client(schema: str, first: int, last: int, url: str | None = None) -> subprocess.Popen[str]:
    """Another process that files decisions and says which ones were acknowledged."""
    arguments = (url or postgres.url(), schema, str(first), str(last))
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CLIENT), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=os.getcwd(),
    )


def test_processes_killed_in_the_middle_lose_nothing_that_was_acknowledged(
    open_store: Open, schema: str
) -> None:
    """kill -9, again and again; the log stays gapless, and others number what was left."""
    store = open_store()
    acknowledged: list[int] = []
    first = 0
    for _ in range(4):
        running = [
            client(schema, first, first + 5_000),
            client(schema, first + 5_000, first + 9_999),
        ]
        first += 10_000
        for process in running:
            assert process.stdout is not None
            for _ in range(25):
                acknowledged.append(int(process.stdout.readline()))
        for process in running:
            process.send_signal(signal.SIGKILL)
        for process in running:
            out, _ = process.communicate()
            acknowledged += [int(line) for line in out.splitlines() if line]
    store.settle_log()
    logged = store.read(
        lambda tx: [int(entry[len(b'{"number":') : -1]) for entry in tx.audit.entries()]
    )
    stored = store.read(
        lambda tx: tx.decisions.find(
            workflow="w", lane=None, state=None, subject=None, key=None, before=None, limit=10**6
        )
    )
    assert len(logged) == len(set(logged))
    assert sorted(logged) == sorted(int((filed.decision.key or "")[1:]) for filed in stored)
    assert set(acknowledged) <= set(logged)
    count, total = store.read(lambda tx: tx.counters.read("s", "k", 0, 1))
    assert (count, total) == (len(logged), sum(logged))
    assert store.read(lambda tx: tx.audit.size()) == len(logged)


@pytest.fixture
def own_server() -> Iterator[postgres.Server]:
    """A server that the test may kill."""
    server = postgres.Server()
    yield server
    server.stop()


def test_a_server_that_is_stopped_is_gone_whatever_became_of_it(
    own_server: postgres.Server,
) -> None:
    """Killed with -9, and stopped twice: once by the test, once by its fixture."""
    os.kill(own_server.postmaster, signal.SIGKILL)
    own_server.stop()
    assert not own_server.socket.parent.parent.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own_server.url)


@pytest.mark.slow
def test_a_server_that_is_killed_and_restarted_loses_nothing(
    own_server: postgres.Server, clock: FakeClock
) -> None:
    """The database itself: stopped at once, and killed with -9, while clients write."""
    from handrail.settings import Settings
    from handrail.store.postgres import PostgresStore

    server = own_server
    store = PostgresStore.open(server.url, settings=Settings(connections=4), clock=clock)
    acknowledged: list[int] = []
    lost: list[tuple[int, str]] = []
    stop = threading.Event()
    places = iter(range(10**9))
    gate = threading.Lock()

    def work() -> None:
        while not stop.is_set():
            with gate:
                number = next(places)
            try:
                store.write(filing(number))
            except HandrailError as error:
                lost.append((number, str(error)))
            else:
                acknowledged.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for how in ("immediate", "kill", "fast"):
            until = len(acknowledged) + 50
            while len(acknowledged) < until:
                time.sleep(0.01)
            if how == "kill":
                # A backend that dies takes all others with it: the server recovers.
                with psycopg.connect(server.url, autocommit=True) as connection:
                    [(victim,)] = connection.execute(
                        "SELECT pid FROM pg_stat_activity WHERE application_name = 'handrail'"
                        " LIMIT 1"
                    ).fetchall()
                os.kill(victim, signal.SIGKILL)
            else:
                server.restart(how)
        until = len(acknowledged) + 50
        while len(acknowledged) < until:
            time.sleep(0.01)
    finally:
        stop.set()
        for thread in threads:
            thread.join(WAIT_SECONDS)
    store.settle_log()
    stored = store.read(numbers_any_order)
    store.close()
    assert set(acknowledged) <= set(stored)
    unknown = {number for number, why in lost if "not known" in why}
    assert set(stored) - set(acknowledged) <= unknown
    assert all("nothing was stored" in why or "not known" in why for _, why in lost)


def numbers_any_order(tx: Transaction) -> list[int]:
    logged = [int(entry[len(b'{"number":') : -1]) for entry in tx.audit.entries()]
    assert len(logged) == len(set(logged))
    assert tx.counters.read("s", "k", 0, 1) == (len(logged), sum(logged))
    return logged


def test_a_database_that_is_back_is_found_at_a_steady_pace(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it was away: a pause that doubles would double the outage too."""
    from handrail.store.postgres.units import RECONNECT_SECONDS, Linked

    store = open_store()
    pool = store._units.pool
    usual, schedule = Linked.connect, pool.schedule_task
    attempts: list[int] = []
    pauses: list[float] = []

    def connecting(*given: Any, **named: Any) -> Any:
        attempts.append(1)
        if len(attempts) <= 8:
            raise psycopg.OperationalError("nobody is there")
        return usual(*given, **named)

    def scheduling(task: Any, delay: float) -> None:
        pauses.append(delay)
        schedule(task, delay)

    monkeypatch.setattr(Linked, "connect", connecting)
    monkeypatch.setattr(pool, "schedule_task", scheduling)

    def use_case(tx: Transaction) -> None:
        if len(attempts) <= 8:
            terminate(connect, pid(tx))
        filing(7)(tx)

    store.write(use_case)
    store.settle_log()
    assert store.read(whole) == [7]
    assert len(attempts) > 8
    assert pauses and max(pauses) <= RECONNECT_SECONDS
