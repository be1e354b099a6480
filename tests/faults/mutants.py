"""Deliberately broken builds: the product patched here, in this process, to break one promise each.

The judge must catch every one of them in a bounded run. There is no switch for any of this in the
product.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import apsw
import msgspec

import handrail.flow as flow
import handrail.store.sqlite as sqlite
from handrail.audit.tree import leaf_hash
from handrail.model import commands as c
from handrail.model.modes import GrantState, Verdict
from handrail.store.sqlite import connection
from handrail.store.sqlite.audit import SqliteAudit
from handrail.store.sqlite.grants import SqliteGrants
from handrail.store.sqlite.outcomes import SqliteOutcomes
from handrail.store.sqlite.reviews import SqliteReviews
from handrail.store.sqlite.writer import Writer, _Member
from tests.faults import cuts, jumps, races
from tests.faults.tally import Tally

ROUNDS = 16
"""Most strikes at a team for one broken build; the first few show it."""

Hunt = Callable[[Path, int, frozenset[str]], Tally]
"""A bounded run in a folder, by seed, that ends when one of these promises was broken."""


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One broken build."""

    name: str
    says: str
    """What it does wrong."""
    broken: Callable[[], AbstractContextManager[Any]]
    caught_by: Hunt
    """The bounded run that must find it."""
    promises: frozenset[str]
    """Any of these must be among what is found."""
    strike: tuple[str, str] | None = None
    """What is struck, and where, to show it: of a team, whose servers alone are broken."""

    @property
    def on_postgres(self) -> bool:
        """Whether the servers of a team are broken."""
        return self.strike is not None


# `handrail.flow.sweep` and the like are functions; these are the modules they stand in.
_sweep = importlib.import_module("handrail.flow.sweep")
_vote = importlib.import_module("handrail.flow.vote")

MUTANTS: dict[str, Mutant] = {}


def _cuts(folder: Path, seed: int, promises: frozenset[str]) -> Tally:
    return cuts.run(folder, seed=seed, count=150, stop_at=promises)


def _races(folder: Path, seed: int, promises: frozenset[str]) -> Tally:
    return races.in_process(folder, seed=seed, rounds=10, threads=12)


def _jumps(folder: Path, seed: int, promises: frozenset[str]) -> Tally:
    return jumps.run(folder, seed=seed, count=20, steps=200, stop_at=promises)


Broken = Callable[[], Iterator[None]]


def mutant(
    says: str, *promises: str, run: Hunt = _cuts, strike: tuple[str, str] | None = None
) -> Callable[[Broken], Broken]:
    """Register a way of breaking the product."""

    def keep(function: Broken) -> Broken:
        name = function.__name__.replace("_", "-")
        MUTANTS[name] = Mutant(
            name=name,
            says=says,
            broken=contextlib.contextmanager(function),
            caught_by=run,
            promises=frozenset(promises),
            strike=strike,
        )
        return function

    return keep


def hunt(name: str, seed: int) -> Tally:
    """Run against one broken build until the judge finds what it must, or the run is over."""
    found = MUTANTS[name]
    folder = Path(tempfile.mkdtemp(prefix="handrail-mutant-"))
    try:
        if found.strike is not None:
            from tests.faults import team

            return team.run(
                folder,
                seed=seed,
                count=ROUNDS,
                plan=partial(team.Plan.aimed, *found.strike),
                broken=found.broken,
                stop_at=found.promises,
            )
        with found.broken():
            return found.caught_by(folder, seed, found.promises)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------ durability


@contextlib.contextmanager
def _pragma(text: str) -> Iterator[None]:
    usual = connection.connect

    def connect(path: str, *, vfs: str | None, writing: bool) -> apsw.Connection:
        made = usual(path, vfs=vfs, writing=writing)
        if writing:
            made.execute(text)
        return made

    with mock.patch.object(sqlite, "connect", connect):
        yield


@mutant("never syncs", "lost", "broken-log", "cried-wolf")
def sync_off() -> Iterator[None]:
    with _pragma("PRAGMA synchronous = OFF"):
        yield


@mutant("syncs only when it copies the log back", "lost", "cried-wolf")
def sync_normal() -> Iterator[None]:
    with _pragma("PRAGMA synchronous = NORMAL"):
        yield


@mutant("acknowledges before the commit", "lost", "cried-wolf")
def ack_before_commit() -> Iterator[None]:
    commit, report = Writer._commit, _Member.report

    def early(self: Writer, group: list[_Member]) -> None:
        usual = self._steps

        def steps(name: str) -> None:
            usual(name)
            if name == "store.before_commit":
                for member in group:
                    report(member)

        self._steps = steps
        try:
            commit(self, group)
        finally:
            self._steps = usual

    def once(self: _Member) -> None:
        if not (self.future if self.batch is None else self.batch.future).done():
            report(self)

    with mock.patch.object(Writer, "_commit", early), mock.patch.object(_Member, "report", once):
        yield


# ------------------------------------------------------------------------------ the log


@mutant("writes the audit entries in a transaction of their own", "unlogged")
def audit_apart() -> Iterator[None]:
    seal, sealed, write = SqliteAudit.seal, SqliteAudit.sealed, SqliteAudit.write

    def apart(self: SqliteAudit) -> None:
        self._execute("BEGIN IMMEDIATE")
        with mock.patch.object(SqliteAudit, "write", write):
            seal(self)
        self._execute("COMMIT")
        sealed(self)

    with (
        mock.patch.object(SqliteAudit, "write", lambda self: None),
        mock.patch.object(SqliteAudit, "seal", lambda self: None),
        mock.patch.object(SqliteAudit, "sealed", apart),
    ):
        yield


@mutant("rolls back without restoring the head of the tree", "broken-log")
def head_not_restored() -> Iterator[None]:
    back_to = SqliteAudit.back_to

    def forgetful(self: SqliteAudit, mark: Any) -> None:
        lost = self._waiting[mark[1] :]
        back_to(self, mark)
        self._frontier, _ = self._frontier.grow([leaf_hash(body) for body in lost])

    with mock.patch.object(SqliteAudit, "back_to", forgetful):
        yield


# ------------------------------------------------------------------------------ one verdict


class _Anything:
    """Equal to every card."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


@contextlib.contextmanager
def _saves_by_id() -> Iterator[None]:
    """Rows are saved by their id, whatever became of them meanwhile."""
    replace, insert = SqliteReviews.replace, SqliteOutcomes.insert

    def save(self: SqliteReviews, old: Any, new: Any) -> bool:
        return replace(self, self.get(new.id) or old, new)

    def upsert(self: SqliteOutcomes, outcome: Any) -> bytes:
        self._execute("DELETE FROM outcomes WHERE decision = ?", (outcome.decision_id,))
        return insert(self, outcome)

    with (
        mock.patch.object(SqliteReviews, "replace", save),
        mock.patch.object(SqliteOutcomes, "insert", upsert),
    ):
        yield


@mutant(
    "asks neither whether the review is open nor whether it moved",
    "decided-twice",
    run=_races,
)
def no_compare_and_set() -> Iterator[None]:
    with (
        _saves_by_id(),
        mock.patch.object(_vote, "require_open", lambda tx, review: None),
        mock.patch.object(_vote, "card_now", lambda *_: _Anything()),
        mock.patch.object(_vote, "require_free", lambda *_: None),
    ):
        yield


@contextlib.contextmanager
def _reads_before() -> Iterator[None]:
    """The review is read before the transaction that decides it."""
    usual, vote, get_review = flow.USE_CASES[c.CastVote], _vote._vote, _vote.get_review
    seen: dict[int, Any] = {}
    current: list[Any] = []

    def read_first(command: Any, actor: Any, ports: Any) -> Any:
        seen[id(command)] = ports.store.read(lambda tx: get_review(tx, command.review_id))
        return usual(command, actor, ports)

    def then_vote(tx: Any, command: Any, *rest: Any) -> Any:
        current[:] = [seen[id(command)]]  # on the one writer thread
        return vote(tx, command, *rest)

    with (
        mock.patch.dict(flow.USE_CASES, {c.CastVote: read_first}),
        mock.patch.object(_vote, "_vote", then_vote),
        mock.patch.object(_vote, "get_review", lambda tx, name: current[0]),
        mock.patch.object(_vote, "card_now", lambda *_: _Anything()),
        mock.patch.object(_vote, "_same_vote", lambda *_: None),
    ):
        yield


@mutant(
    "reads the review before the transaction, and saves it by its id", "decided-twice", run=_races
)
def reads_outside() -> Iterator[None]:
    with _saves_by_id(), _reads_before():
        yield


@mutant(
    "reads the review before the transaction, and only notices when it saves",
    "loser-misled",
    run=_races,
)
def notices_late() -> Iterator[None]:
    with _reads_before():
        yield


# ------------------------------------------------------------------------------ one effect


@mutant("redeems whatever became of the grant", "ran-twice")
def redeem_without_lease() -> Iterator[None]:
    usual, get = flow.USE_CASES[c.Redeem], SqliteGrants.get

    def redeem(command: Any, actor: Any, ports: Any) -> Any:
        def forget(tx: Any) -> None:
            grant = get(tx.grants, command.grant_id)
            if grant is not None and grant.state is not GrantState.VOID:
                free = msgspec.structs.replace(grant, state=GrantState.GRANTED, run=None)
                tx.grants.replace(grant, free)

        ports.store.write(forget)
        return usual(command, actor, ports)

    with mock.patch.dict(flow.USE_CASES, {c.Redeem: redeem}):
        yield


@mutant("gives a run that was not confirmed back to be run again", "hidden-doubt", "ran-twice")
def lapsed_lease_granted_again() -> Iterator[None]:
    usual = _sweep._overdue

    def silent(tx: Any, ports: Any, seen: Any) -> bool:
        grant = tx.grants.get(seen.id)
        if grant is not None and grant.state is GrantState.REDEEMED:
            free = msgspec.structs.replace(
                grant, state=GrantState.GRANTED, run=None, redeemed_at=None, lease_until=None
            )
            return bool(tx.grants.replace(grant, free))
        return bool(usual(tx, ports, seen))

    with mock.patch.object(_sweep, "_overdue", silent):
        yield


@mutant("runs what the machine proposed where a person edited it", "wrong-effect")
def runs_the_proposal() -> Iterator[None]:
    usual = flow.USE_CASES[c.Redeem]

    def redeem(command: Any, actor: Any, ports: Any) -> Any:
        answer = usual(command, actor, ports)
        filed = ports.store.read(lambda tx: tx.decisions.get(answer.decision_id))
        return msgspec.structs.replace(answer, value=filed.decision.proposal)

    with mock.patch.dict(flow.USE_CASES, {c.Redeem: redeem}):
        yield


@mutant("gives a case the value of a decision that left it", "wrong-effect", run=_jumps)
def value_of_another() -> Iterator[None]:
    add_round = SqliteReviews.add_round

    def keep(self: SqliteReviews, new: Any) -> Any:
        if new.number > 1 and new.editor is None:
            before = self.round(new.review, new.number - 1)
            new = msgspec.structs.replace(new, proposal=before.proposal)
        return add_round(self, new)

    with mock.patch.object(SqliteReviews, "add_round", keep):
        yield


@mutant("lets an undo take back what was released", "undone-too-late", "decided-twice")
def undo_after_release() -> Iterator[None]:
    get = SqliteReviews.get

    def never_over(self: SqliteReviews, review_id: str) -> Any:
        review = get(self, review_id)
        if review is not None and review.undo_until is not None:
            return msgspec.structs.replace(review, undo_until=2**52)
        return review

    def take_back(self: SqliteOutcomes, decision_id: str) -> bool:
        self._execute("DELETE FROM outcomes WHERE decision = ?", (decision_id,))
        return True

    with (
        mock.patch.object(SqliteReviews, "get", never_over),
        mock.patch.object(SqliteOutcomes, "take_back", take_back),
    ):
        yield


@mutant("releases before the undo time is over", "before-permission")
def release_at_once() -> Iterator[None]:
    usual = _sweep._release

    def now(tx: Any, ports: Any, seen: Any) -> bool:
        get = tx.outcomes.get

        def due(decision_id: str) -> Any:
            outcome = get(decision_id)
            return None if outcome is None else msgspec.structs.replace(outcome, release_at=0)

        with mock.patch.object(tx.outcomes, "get", due):
            return bool(usual(tx, ports, seen))

    def every(self: SqliteOutcomes, now: int, limit: int) -> Any:
        rows = self._execute("SELECT decision FROM outcomes WHERE NOT released")
        return [self.get(row[0]) for row in rows.fetchall()]

    with (
        mock.patch.object(SqliteOutcomes, "due", every),
        mock.patch.object(_sweep, "_release", now),
    ):
        yield


# ------------------------------------------------------------------------------ deadlines


@contextlib.contextmanager
def _step(change: Callable[[Any, int], Any]) -> Iterator[None]:
    usual = _sweep.step

    def step(**asked: Any) -> Any:
        return change(usual(**asked), asked["now"])

    with mock.patch.object(_sweep, "step", step):
        yield


@mutant("lets silence approve where it must block", "unbacked-verdict", run=_jumps)
def silence_approves() -> Iterator[None]:
    def approve(found: Any, now: int) -> Any:
        if found.kind != "silence":
            return found
        return msgspec.structs.replace(found, verdict=Verdict.APPROVED)

    with _step(approve):
        yield


@mutant("forgets that it reminded", "fired-twice", run=_jumps)
def reminds_again() -> Iterator[None]:
    def forget(found: Any, now: int) -> Any:
        if found.kind != "remind":
            return found
        return msgspec.structs.replace(found, next_at=now + 10_000_000)

    usual = SqliteReviews.replace

    def same_stage(self: SqliteReviews, old: Any, new: Any) -> bool:
        if new.stage == 1 and old.stage == 0:
            new = msgspec.structs.replace(new, stage=0)
        return usual(self, old, new)

    with _step(forget), mock.patch.object(SqliteReviews, "replace", same_stage):
        yield


# ------------------------------------------------------------------------------ PostgreSQL

ACKNOWLEDGED, UNCOMMITTED, BARE = "broken.acknowledged", "broken.uncommitted", "broken.bare"
"""Steps that only broken builds have: acknowledged and not committed, about to be committed,
committed and not in the log. Only those are named at which a decision is filed: nobody would miss
the work of a clock, which is done again."""


def _files(transaction: Any) -> bool:
    """Whether a decision is filed."""
    return any(b'"decision.submitted"' in entry for entry in transaction.audit.pending)


@mutant(
    "lets PostgreSQL flush a commit after it was acknowledged",
    "lost",
    strike=("postmaster", "store.before_ack"),
)
def team_flushes_late() -> Iterator[None]:
    from handrail.store.postgres.connection import Place

    configure = Place.configure

    def hasty(self: Place, connection: Any) -> None:
        configure(self, connection)
        connection.execute("SET synchronous_commit = off")

    with mock.patch.object(Place, "configure", hasty):
        yield


@mutant(
    "acknowledges before PostgreSQL commits",
    "lost",
    "decided-twice",
    strike=("server", ACKNOWLEDGED),
)
def team_ack_before_commit() -> Iterator[None]:
    from handrail.store.postgres import PostgresStore
    from handrail.store.postgres.units import Member, Units

    commit = Units._commit
    here = threading.local()

    def early(self: Units, transaction: Any, xid: str | None) -> bool:
        if (answered := getattr(here, "answered", None)) is not None:
            answered.set()
            time.sleep(0.1)
            if _files(transaction):
                self._steps(ACKNOWLEDGED)
        return commit(self, transaction, xid)

    def write(self: PostgresStore, use_case: Any) -> Any:
        member, answered = Member(use_case), threading.Event()

        def work() -> None:
            here.answered = answered
            self._run([member])
            answered.set()

        threading.Thread(target=work, daemon=True).start()
        answered.wait()
        if member.error is not None:
            raise member.error
        return member.result

    def begin(self: PostgresStore, use_case: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(write(self, use_case))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future

    with (
        mock.patch.object(Units, "_commit", early),
        mock.patch.object(PostgresStore, "write", write),
        mock.patch.object(PostgresStore, "begin", begin),
    ):
        yield


@mutant(
    "stages the audit entries after the commit, in one of their own",
    "unlogged",
    strike=("server", BARE),
)
def team_audit_apart() -> Iterator[None]:
    from handrail.store.postgres.units import Units

    seal, commit = Units._seal, Units._commit

    def unsealed(self: Units, transaction: Any) -> str | None:
        row = transaction.session.one("SELECT pg_current_xact_id_if_assigned()::text")
        return str(row[0]) if row is not None and row[0] is not None else None

    def apart(self: Units, transaction: Any, xid: str | None) -> bool:
        done = commit(self, transaction, xid)
        if done and transaction.audit.pending:
            if _files(transaction):
                self._steps(BARE)
            transaction.session.control("BEGIN")
            seal(self, transaction)
            transaction.session.control("COMMIT")
        return done

    with (
        mock.patch.object(Units, "share", lambda self, members: False),
        mock.patch.object(Units, "_seal", unsealed),
        mock.patch.object(Units, "_commit", apart),
    ):
        yield


@mutant(
    "takes a commit whose answer was lost for done",
    "lost",
    strike=("backend", UNCOMMITTED),
)
def team_believes_in_commits() -> Iterator[None]:
    from handrail.store.postgres.units import Units

    commit = Units._commit

    def named(self: Units, transaction: Any, xid: str | None) -> bool:
        if _files(transaction):
            self._steps(UNCOMMITTED)
        return commit(self, transaction, xid)

    with (
        mock.patch.object(Units, "_commit", named),
        mock.patch.object(Units, "_resolve", lambda self, *given: True),
    ):
        yield
