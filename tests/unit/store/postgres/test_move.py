"""Moving an embedded store into a team store: everything, byte by byte, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from handrail.app.keys import read_signer
from handrail.audit.tree import consistency_proof, verify_consistency
from handrail.flow import Ports, Shelf, against_state, checkpoint, create_log
from handrail.model import commands as c
from handrail.model.errors import Conflict, NotFound, Unavailable
from handrail.model.outcome import Outcome
from handrail.ports import Checkpoint, Store, Transaction
from handrail.settings import Settings
from handrail.store import move as module
from handrail.store.move import ONLY_THERE, TABLES, move
from handrail.store.sqlite import SqliteStore
from tests import postgres
from tests.unit.flow.conftest import World

from .conftest import Connect, Open

pytestmark = pytest.mark.needs("postgres")


class Anchor:
    """Keeps checkpoints in memory."""

    def __init__(self) -> None:
        self.kept: list[Checkpoint] = []

    def publish(self, checkpoint: Checkpoint) -> None:
        self.kept.append(checkpoint)

    def last(self) -> Checkpoint | None:
        return self.kept[-1] if self.kept else None


class Busy(World):
    """A workspace in which about everything has happened."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "handrail.db")
        self.signer = read_signer(folder / "audit.key")
        self.anchor = Anchor()
        super().__init__()

    def open(self) -> Store:
        return SqliteStore.open(self.path, clock=self.clock, settings=Settings())

    def live(self) -> None:
        create_log(self.ports, self.signer)
        self.policy()
        self.register(ann=("team:refunds",), bea=("role:director", "team:refunds"))
        for number in range(20):
            self.submit(20 + number, order=f"o{number}", key=f"k{number}")
        checkpoint(self.ports, self.signer, self.anchor)
        held = [self.submit(200, order=f"h{number}") for number in range(6)]
        self.vote(held[0], "approve")
        self.vote(held[1], "reject", comment="no \x00 and \x01 “ü”")
        self.vote(held[2], "edit", edits={"amount": "150.00"})
        self.call(c.Claim(review_id=held[3].review_id), "ann")
        self.vote(self.submit(2_000, order="huge"), "approve", "ann")
        self.after(11)
        outcome = self.outcome(held[0])
        assert isinstance(outcome, Outcome) and outcome.grant_id is not None
        self.call(c.Redeem(grant_id=outcome.grant_id, digest=outcome.digest, run="r" * 16))
        self.call(c.SetStop(workflow="refund", reason="just \x00 so"), "ann")
        self.submit(20, order="with \x00 and \x01")
        checkpoint(self.ports, self.signer, self.anchor)
        self.clock.advance(5)
        self.submit(30, order="after")


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    world = Busy(tmp_path)
    world.live()
    yield world
    world.store.close()


def everything(tx: Transaction) -> dict[str, Any]:
    """What both stores have to say alike."""
    found: dict[str, Any] = {
        "entries": list(tx.audit.entries()),
        "root": tx.audit.root(),
        "nodes": [list(tx.audit.nodes(level)) for level in range(8)],
        "checkpoints": tx.audit.checkpoints(),
        "state": sorted(tx.state_rows(), key=lambda row: (row.table, row.id)),
        "people": tx.people.all(),
        "stops": tx.stops.all(),
        "workflows": tx.policies.workflows(),
        "undelivered": tx.outbox.undelivered(1_000),
        "decisions": tx.decisions.find(
            workflow=None, lane=None, state=None, subject=None, key=None, before=None, limit=1_000
        ),
    }
    for filed in found["decisions"]:
        decision = filed.decision
        found[decision.id] = [
            tx.outcomes.get(decision.id),
            tx.grants.current(decision.id),
            tx.subjects.key_of(decision.workflow, decision.subject or decision.id),
        ]
    found["reviews"] = tx.reviews.open_list(workflow=None, status=None, to=None, limit=1_000)
    for review in found["reviews"]:
        found[review.id] = [
            tx.reviews.round(review.id, review.round),
            tx.reviews.votes(review.id),
            tx.reviews.seats(review.id, review.round, 0),
            tx.reviews.acts(review.id),
        ]
    found["claimable"] = tx.reviews.claimable(workflow=None, to=None, now=2**60, limit=100)
    return found


def test_everything_is_there_and_the_log_goes_on(busy: Busy, open_store: Open, schema: str) -> None:
    before = busy.store.read(everything)
    busy.store.close()
    told: list[tuple[str, int]] = []
    moved = move(busy.path, postgres.url(), schema=schema, told=lambda *news: told.append(news))
    assert dict(told) == moved.rows
    assert moved.rows["audit_entries"] == moved.size == len(before["entries"])
    assert moved.root == before["root"].hex()
    store = open_store(clock=busy.clock)
    assert store.read(everything) == before
    # It goes on as the same workspace: deadlines, keys, numbers, the log.
    busy.store = store
    busy.ports = Ports(store=store, shelf=Shelf(), secret=b"s" * 32)
    assert against_state(busy.ports) == []
    again = busy.submit(20, order="o0", key="k0")
    assert again.decision_id == before["decisions"][-1].decision.id
    busy.call(c.ClearStop(workflow="refund", reason="fine"), "ann")
    held = busy.submit(300, order="new")
    busy.vote(held, "approve")
    busy.after(11)
    outcome = busy.outcome(held)
    assert outcome is not None and outcome.allowed
    busy.after(24 * 3600)
    checkpoint(busy.ports, busy.signer, busy.anchor)
    assert against_state(busy.ports) == []

    def consistent(tx: Transaction) -> bool:
        size, old = tx.audit.size(), moved.size
        proof = consistency_proof(old, size, tx.audit.node)
        return size > old and verify_consistency(old, size, before["root"], tx.audit.root(), proof)

    assert store.read(consistent)
    assert store.read(lambda tx: tx.audit.checkpoints()) == busy.anchor.kept


def test_an_empty_store_moves_too(tmp_path: Path, open_store: Open, schema: str) -> None:
    path = str(tmp_path / "handrail.db")
    SqliteStore.open(path).close()
    assert move(path, postgres.url(), schema=schema).size == 0
    store = open_store()
    store.write(lambda tx: tx.audit.append({"n": 1}))
    store.settle_log()
    assert store.read(lambda tx: tx.audit.size()) == 1


def test_a_store_that_holds_something_is_left_alone(
    busy: Busy, open_store: Open, schema: str
) -> None:
    busy.store.close()
    store = open_store()
    store.write(lambda tx: tx.audit.append({"n": 1}))
    with pytest.raises(Conflict, match=r"holds audit_\w+ already.*empty"):
        move(busy.path, postgres.url(), schema=schema)
    store.settle_log()
    with pytest.raises(Conflict, match="holds audit_entries"):
        move(busy.path, postgres.url(), schema=schema)
    assert store.read(lambda tx: list(tx.audit.entries())) == [b'{"n":1}']


@pytest.mark.parametrize("table", ["decisions", "counters", "checkpoints"])
def test_a_move_that_dies_leaves_nothing_and_is_tried_again(
    busy: Busy, connect: Connect, schema: str, table: str
) -> None:
    class Died(BaseException):
        pass

    def told(name: str, rows: int) -> None:
        if name == table:
            raise Died

    busy.store.close()
    with pytest.raises(Died):
        move(busy.path, postgres.url(), schema=schema, told=told)
    for name in TABLES:
        row = connect().execute(f"SELECT count(*) FROM {name}").fetchone()
        assert row == (0,)
    assert move(busy.path, postgres.url(), schema=schema).size > 0


def damaged(path: str, sql: str) -> None:
    connection = apsw.Connection(path)
    connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE audit_entries SET body = CAST(body || ' ' AS BLOB) WHERE idx = 3", "entry 3"),
        ("UPDATE audit_entries SET nodes = x'' WHERE idx = 7", "nodes of entry 7"),
        ("DELETE FROM audit_entries WHERE idx = 5", "entry 5"),
        ("UPDATE audit_head SET root = x'00'", "another root"),
        ("INSERT INTO schema_version VALUES (99, 'later', 0)", "schema 99"),
        ("PRAGMA application_id = 7", "another program"),
    ],
)
def test_a_source_that_does_not_fit_is_refused(
    busy: Busy, connect: Connect, schema: str, sql: str, words: str
) -> None:
    busy.store.close()
    damaged(busy.path, sql)
    with pytest.raises(Unavailable, match=words):
        move(busy.path, postgres.url(), schema=schema)
    row = connect().execute("SELECT count(*) FROM decisions").fetchone()
    assert row == (0,)


def test_a_source_that_is_not_there_is_named(tmp_path: Path, schema: str) -> None:
    with pytest.raises(NotFound, match="no store to move"):
        move(str(tmp_path / "none.db"), postgres.url(), schema=schema)


def test_every_table_of_both_stores_is_known(
    tmp_path: Path, open_store: Open, connect: Connect, schema: str
) -> None:
    """A table or column that one store has and the other has not would be lost on the way."""
    path = str(tmp_path / "handrail.db")
    SqliteStore.open(path).close()
    open_store()
    source = apsw.Connection(path)
    here = {
        str(name)
        for (name,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not str(name).startswith("sqlite_")
    }
    there = {
        name
        for (name,) in connect().execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,)
        )
    }
    assert here - {"schema_version"} == set(TABLES) == there - set(ONLY_THERE)
    for table in TABLES:
        columns = {
            str(row[1])
            for row in source.execute(f"PRAGMA table_xinfo({table})")
            if row[6] == 0  # neither hidden nor generated
        }
        kept = connect().execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = %s AND table_name = %s AND is_generated = 'NEVER'",
            (schema, table),
        )
        assert columns == {name for (name,) in kept}, table
    source.close()


def test_the_move_would_notice_a_lost_row(
    busy: Busy, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy: Callable[..., Any] = module.Session.copy

    def losing(self: Any, sql: str, types: Any, rows: Any) -> None:
        copy(self, sql, types, list(rows)[:-1])

    busy.store.close()
    monkeypatch.setattr(module.Session, "copy", losing)
    with pytest.raises(Unavailable, match="others arrived"):
        move(busy.path, postgres.url(), schema=schema)
