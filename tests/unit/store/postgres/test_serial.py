"""Use cases that run at once leave what they would have left one after another, in log order.

Random use cases run on two stores of one database from many threads. Then the same use cases run
again, one by one in the order in which the log tells them, on the embedded store. Everything each
one read, and what is stored in the end, has to be the same. Builds in which one kind of lock is
missing are caught.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace

from handrail.audit.entry import decode
from handrail.model.access import Password
from handrail.model.decision import Decision
from handrail.model.errors import Conflict
from handrail.model.feedback import Label, Stop
from handrail.model.modes import GrantState, Lane, Mode, ReviewKind, ReviewStatus, Said, Verdict
from handrail.model.outcome import Grant, Outcome
from handrail.model.people import Person, SubjectKey
from handrail.model.review import Review, Round, Seat, Vote
from handrail.model.ruling import Ruling
from handrail.ports import Ahead, Store, Transaction
from handrail.store.sqlite import SqliteStore
from handrail.testing import FakeClock

from .conftest import Open

pytestmark = pytest.mark.needs("postgres")

THREADS = 8
WAIT_SECONDS = 300
"""Whoever waits so long hangs."""
BLOCK, HOT = 40, 4
LATER = 2**50

T = TypeVar("T")


class Trace(list[Any]):
    """What a use case read. Taking notes takes time, so that others come in between."""

    pauses: random.Random | None = None
    longest = 0.002
    """Seconds."""

    def append(self, note: Any) -> None:
        super().append(note)
        if self.pauses is not None and self.pauses.random() < 0.5:
            time.sleep(self.pauses.random() * self.longest)


class Script:
    """One random use case: reads that decide what it writes. Run twice on one state it is the same.

    What it refers to are things that other scripts may have made.
    """

    def __init__(self, number: int, seed: int) -> None:
        self.number = number
        dice = random.Random(seed * 100_003 + number)
        made = number % BLOCK < HOT
        self.kind = submit if made else dice.choice(KINDS)
        self.subject = f"s{dice.randrange(3)}"
        self.key = f"k{number // 4 if made else dice.randrange(40)}"
        self.near = max(0, number // BLOCK * BLOCK - BLOCK + dice.randrange(HOT))
        """A script of the block before, that many others of this block refer to."""
        self.person = f"p{dice.randrange(3)}"
        self.coin = dice.random() < 0.5
        self.ahead: Ahead | None = None
        """Those that say what they will look up share transactions."""
        if self.kind is submit and dice.random() < 0.7:
            subject = self.subject if dice.random() < 0.8 else None
            self.ahead = Ahead(workflow="w", submitter="bot", key=self.key, subject=subject)
        self.pauses: random.Random | None = None

    def __call__(self, tx: Transaction) -> Trace:
        trace = Trace()
        trace.pauses = self.pauses
        self.kind(self, tx, trace)
        tx.audit.append({"unit": self.number})
        return trace


def d(number: int) -> str:
    return f"d_{number:026d}"


def r(number: int) -> str:
    return f"r_{number:026d}"


def g(number: int) -> str:
    return f"g_{number:026d}"


class Nobody(Exception):
    """No such thing yet. Ids are unknown before they are stored, so no lock covers that."""


def found(thing: T | None) -> T:
    if thing is None:
        raise Nobody
    return thing


def ids(items: Sequence[Any]) -> list[str]:
    """Lists in order of age may differ: what is made first may be committed last."""
    return sorted(item.decision.id for item in items)


def submit(s: Script, tx: Transaction, trace: Trace) -> None:
    earlier = tx.decisions.by_key("w", "bot", s.key)
    trace.append(earlier and earlier.decision.id)
    if earlier is not None:
        return
    stop = tx.stops.get("w")
    count, total = tx.counters.read("w/spend", s.subject, 0, LATER)
    trace += [stop and stop.by, count, total]
    key = tx.subjects.key_of("w", s.subject)
    trace.append(key and key.made_at)
    if key is None:
        tx.subjects.insert(
            SubjectKey(workflow="w", subject=s.subject, key=bytes(32), made_at=s.number)
        )
    waiting = tx.decisions.unsettled_of("w", s.subject)
    trace.append(ids(waiting))
    decision = Decision(
        id=d(s.number),
        workflow="w",
        subject=s.subject,
        submitter="bot",
        key=s.key,
        submitted_at=s.number,
        body_digest="",
    )
    case = None
    if count % 3 == 2:
        case = tx.reviews.open_case(s.subject)
        trace.append(case and [case.id, case.attached])
    hold = stop is not None or len(waiting) > 1 or s.coin
    review_id = case.id if case is not None else r(s.number) if hold else None
    ruling = Ruling(
        decision_id=decision.id,
        lane=Lane.HOLD if hold else Lane.PASS,
        mode=Mode.IN_THE_LOOP,
        policy="w@1",
        gate_digest="",
        evaluated_at=s.number,
        review_id=review_id,
    )
    tx.decisions.insert(decision, ruling, settled=review_id is None)
    tx.counters.add("w/spend", s.subject, 7, 1, s.number)
    if case is not None:
        trace.append(tx.reviews.replace(case, replace(case, attached=case.attached + 1)))
    elif hold:
        behind = None
        if waiting and s.number % 3 == 0:
            behind = min(item.review_id or "" for item in waiting) or None
        review = Review(
            id=r(s.number),
            kind=ReviewKind.HOLD,
            workflow="w",
            subject=s.subject,
            lead=decision.id,
            status=ReviewStatus.OPEN,
            to=("team:a",),
            case_key=s.subject if s.coin else None,
            behind=behind,
            opened_at=s.number,
        )
        tx.reviews.insert(
            review,
            Round(review=review.id, number=1, proposal={}, ruling=ruling, started_at=s.number),
        )


def vote(s: Script, tx: Transaction, trace: Trace) -> None:
    """Two votes decide; the decisions on the review get their outcomes."""
    review = found(tx.reviews.get(r(s.near)))
    trace.append([review.id, review.status, review.attached, review.behind])
    if review.status is not ReviewStatus.OPEN:
        return
    body = tx.reviews.add_vote(
        Vote(
            id=f"v_{s.number:026d}",
            review=review.id,
            round=1,
            person=s.person,
            said=Said.APPROVE,
            card="",
            at=s.number,
        )
    )
    votes = tx.reviews.votes(review.id, 1)
    trace += [body is None, [one.id for one in votes]]
    if len(votes) < 2:
        return
    decided = replace(review, status=ReviewStatus.DECIDED, decided_by=s.person, case_key=None)
    trace.append(tx.reviews.replace(review, decided))
    members = tx.decisions.of_review(review.id)
    trace.append(ids(members))
    for item in members:
        if item.settled or tx.outcomes.get(item.decision.id) is not None:
            continue
        tx.outcomes.insert(
            Outcome(
                decision_id=item.decision.id,
                verdict=Verdict.APPROVED,
                by=s.person,
                at=s.number,
                digest="",
                release_at=s.number,
            )
        )
    for waiting in sorted(tx.reviews.behind(review.id), key=lambda one: one.id):
        trace.append(waiting.id)
        tx.reviews.replace(waiting, replace(waiting, behind=None))


def undo(s: Script, tx: Transaction, trace: Trace) -> None:
    review = found(tx.reviews.get(r(s.near)))
    trace.append([review.status, review.decided_by])
    if review.status is not ReviewStatus.DECIDED:
        return
    taken = [tx.outcomes.take_back(i.decision.id) for i in tx.decisions.of_review(review.id)]
    trace.append(sorted(taken))
    if not all(taken):
        raise Nobody
    tx.reviews.replace(review, replace(review, status=ReviewStatus.OPEN, decided_by=None))
    for one in tx.reviews.votes(review.id, 1):
        if one.person == s.person:
            tx.reviews.drop_vote(one.id)
            trace.append(one.id)


def release(s: Script, tx: Transaction, trace: Trace) -> None:
    name = found(tx.decisions.get(d(s.near))).decision.id
    outcome = tx.outcomes.get(name)
    trace.append(None if outcome is None else [outcome.by, outcome.released])
    if outcome is None or outcome.released:
        return
    tx.grants.insert(
        Grant(
            id=g(s.number),
            decision_id=name,
            state=GrantState.GRANTED,
            digest="",
            minted_at=s.number,
        )
    )
    trace.append(tx.outcomes.release(name, g(s.number)))
    tx.decisions.settle(name)
    filed = tx.decisions.get(name)
    trace.append(filed and [filed.review_id, filed.settled])


def redeem(s: Script, tx: Transaction, trace: Trace) -> None:
    grant = found(tx.grants.current(found(tx.decisions.get(d(s.near))).decision.id))
    trace.append([grant.state, grant.run])
    stop = tx.stops.get("w")
    outcome = tx.outcomes.get(grant.decision_id)
    trace += [stop and stop.by, None if outcome is None else outcome.by]
    if grant.state is GrantState.GRANTED and stop is None:
        new = replace(grant, state=GrantState.REDEEMED, run=f"run-{s.number}")
        trace.append(tx.grants.replace(grant, new))


def supersede(s: Script, tx: Transaction, trace: Trace) -> None:
    filed = found(tx.decisions.get(d(s.near)))
    trace.append([filed.settled, filed.review_id])
    if filed.settled:
        grant = tx.grants.current(filed.decision.id)
        trace.append(grant and [grant.id, grant.state])
        if grant is not None and grant.state is GrantState.GRANTED:
            trace.append(tx.grants.replace(grant, replace(grant, state=GrantState.VOID)))
        return
    review = tx.reviews.get(filed.review_id) if filed.review_id else None
    if review is not None and review.attached > 1 and review.status is ReviewStatus.OPEN:
        tx.decisions.attach(filed.decision.id, None)
        moved = replace(review, attached=review.attached - 1)
        trace += [review.attached, tx.reviews.replace(review, moved)]


def stop(s: Script, tx: Transaction, trace: Trace) -> None:
    there = tx.stops.get("w")
    trace.append(there and there.by)
    if there is None:
        tx.stops.put(Stop(workflow="w", reason="r", by=str(s.number), at=s.number))
    else:
        trace.append(tx.stops.clear("w"))


def person(s: Script, tx: Transaction, trace: Trace) -> None:
    there = tx.people.by_handle(s.person)
    trace.append(there and [there.id, there.holds])
    trace.append(tx.people.registered())
    if there is None:
        tx.people.put(Person(id=f"p_{s.number:026d}", handle=s.person, added_at=s.number))
    elif s.coin:
        tx.people.put(replace(there, holds=() if there.holds else ("team:a",)))


def sit(s: Script, tx: Transaction, trace: Trace) -> None:
    name = found(tx.reviews.get(r(s.near))).id
    taken = tx.reviews.seats(name, 1, 0)
    trace.append([one.holder for one in taken])
    if len(taken) < 2:
        mine = tx.reviews.seat(name, 1, s.person)
        trace.append(mine and mine.token)
        tx.reviews.put_seat(
            Seat(review=name, round=1, holder=s.person, token=str(s.number), lease_until=LATER)
        )


def label(s: Script, tx: Transaction, trace: Trace) -> None:
    name = found(tx.decisions.get(d(s.near))).decision.id
    trace.append([one.id for one in tx.labels.of(name)])
    tx.labels.insert(
        Label(
            id=f"l_{s.number:026d}",
            decision_id=name,
            wrong=True,
            source="x",
            at=s.number,
            added_at=s.number,
        )
    )


def password(s: Script, tx: Transaction, trace: Trace) -> None:
    owner = found(tx.people.by_handle(s.person))
    held = tx.access.password(owner.id)
    failures = held.failures if held is not None else 0
    trace.append(failures)
    tx.access.put_password(Password(person=owner.id, hash="h", changed_at=0, failures=failures + 1))


KINDS: list[Callable[[Script, Transaction, Trace], None]] = [
    *[submit] * 6,
    *[vote] * 8,
    undo,
    undo,
    undo,
    *[release] * 3,
    redeem,
    redeem,
    supersede,
    supersede,
    stop,
    person,
    sit,
    label,
    password,
]


def finally_(tx: Transaction) -> Any:
    """What is stored in the end, without orders that may differ."""
    rows = sorted(
        ((row.table, row.id, row.columns, row.body) for row in tx.state_rows()),
        key=lambda row: row[:2],
    )
    people = {one.handle: (one.id, one.holds) for one in tx.people.all()}
    counted = [tx.counters.read("w/spend", f"s{n}", 0, LATER) for n in range(3)]
    stops = [one.by for one in tx.stops.all()]
    return msgspec.to_builtins([rows, people, counted, stops])


def attempt(store: Store, script: Script) -> Trace | None:
    try:
        return store.write(script)
    except Nobody:
        return None


def history(stores: Sequence[Store], seed: int, count: int) -> dict[int, Trace | None]:
    """What each of `count` scripts read, run from many threads."""
    scripts = [Script(number, seed) for number in range(count)]
    for script in scripts:
        script.pauses = random.Random(script.number)
    with ThreadPoolExecutor(THREADS) as pool:
        futures = {
            script.number: pool.submit(attempt, stores[script.number % len(stores)], script)
            for script in scripts
        }
        return {number: future.result(WAIT_SECONDS) for number, future in futures.items()}


def differences(stores: Sequence[Store], seed: int, count: int) -> list[str]:
    """Where a concurrent run differs from the run that the log tells."""
    try:
        traces = history(stores, seed, count)
    except Conflict as error:
        # Each looks first and does only what can be done: nothing is in its way.
        return [str(error)]
    stores[0].settle_log()
    log = stores[0].read(lambda tx: [decode(entry)["unit"] for entry in tx.audit.entries()])
    done = [number for number, trace in traces.items() if trace is not None]
    if sorted(log) != sorted(done):
        return [f"the log tells {len(log)} of {len(done)} use cases"]
    wrong = []
    replayed = SqliteStore.open(":memory:", clock=FakeClock())
    try:
        for number in log:
            trace = attempt(replayed, Script(number, seed))
            if msgspec.to_builtins(trace) != msgspec.to_builtins(traces[number]):
                kind = Script(number, seed).kind.__name__
                wrong.append(f"{kind} {number} read {traces[number]}, then {trace}")
        if not wrong and stores[0].read(finally_) != replayed.read(finally_):
            wrong.append("what is stored in the end differs")
    finally:
        replayed.close()
    return wrong


@pytest.mark.parametrize("seed", range(4))
def test_a_concurrent_run_is_the_run_that_the_log_tells(open_store: Open, seed: int) -> None:
    assert differences([open_store(), open_store()], seed, 400) == []


def no_locks_on_values(patch: pytest.MonkeyPatch) -> None:
    from handrail.store.postgres.session import Session

    patch.setattr(Session, "hold", lambda self, *value: None)
    no_locks_before_a_look(patch)


def no_locks_before_a_look(patch: pytest.MonkeyPatch) -> None:
    from handrail.store.postgres import session

    patch.setattr(session, "_ADVISORIES", "SELECT cardinality($1)")


def no_locks_on_reviews(patch: pytest.MonkeyPatch) -> None:
    from handrail.store.postgres import decisions, reviews
    from handrail.store.postgres.session import Session

    patch.setattr(Session, "hold_review", lambda self, review_id: None)
    patch.setattr(reviews, "_TAKE", reviews._GET)
    for module, name in (
        (decisions, "_TAKE"),
        (decisions, "_TAKE_BY_KEY"),
        (decisions, "_TAKE_UNSETTLED_OF"),
    ):
        patch.setattr(module, name, getattr(module, name).replace("FOR NO KEY UPDATE\n", ""))


def no_locks_on_decisions(patch: pytest.MonkeyPatch) -> None:
    from handrail.store.postgres import decisions, grants
    from handrail.store.postgres.session import Session

    patch.setattr(Session, "hold_decision", lambda self, decision_id: None)
    for name in ("_TAKE", "_TAKE_BY_KEY", "_TAKE_UNSETTLED_OF"):
        changed = getattr(decisions, name).replace("FOR NO KEY UPDATE OF d", "")
        patch.setattr(decisions, name, changed)
    changed = grants._TAKE.replace("FOR NO KEY UPDATE OF d", "").replace(
        "FOR NO KEY UPDATE OF g", ""
    )
    patch.setattr(grants, "_TAKE", changed)


def no_second_run_for_what_was_taken(patch: pytest.MonkeyPatch) -> None:
    from handrail.store.postgres.session import Session

    patch.setattr(Session, "taken", lambda self, *key: None)


def no_standing(patch: pytest.MonkeyPatch) -> None:
    from handrail.store.postgres import session, units

    for name in ("_BEGIN_SHARED", "_BEGIN_ALONE"):
        text = getattr(units, name)
        for mode in ("ROW SHARE", "EXCLUSIVE"):
            text = text.replace(f"LOCK TABLE standing IN {mode} MODE;", "")
        patch.setattr(units, name, text)
    patch.setattr(session, "_HOLD_STANDING", "SELECT 1")


def no_new_version_of_standing(patch: pytest.MonkeyPatch) -> None:
    from handrail.store.postgres import session

    patch.setattr(session, "_COUNT_UP", "UPDATE standing SET version = version")


def tickets_drawn_early(patch: pytest.MonkeyPatch) -> None:
    from handrail.store.postgres.transaction import PostgresTransaction

    start = PostgresTransaction.start

    def early(self: PostgresTransaction, now: int) -> Any:
        mark = start(self, now)
        session = self.session
        if session.writing:
            row = session.one("SELECT nextval('audit_stage_ticket_seq')")
            assert row is not None
            ticket = row[0]

            def staging(
                origin: str, topics: frozenset[str], due: int | None
            ) -> tuple[str, tuple[Any, ...]]:
                sql = "INSERT INTO audit_stage VALUES ($1, $2, $3, $4, $5)"
                params = (ticket, self.audit.pending, origin, sorted(topics), due)
                return f"{sql} RETURNING pg_current_xact_id()::text", params

            patch.setattr(self.audit, "staging", staging)
        return mark

    patch.setattr(PostgresTransaction, "start", early)


FAULTS = [
    no_locks_on_values,
    no_locks_before_a_look,
    no_locks_on_reviews,
    no_locks_on_decisions,
    no_second_run_for_what_was_taken,
    no_standing,
    no_new_version_of_standing,
    tickets_drawn_early,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_missing_lock_is_caught(
    open_store: Open,
    fault: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault(monkeypatch)
    for seed in range(24):
        from tests import postgres

        # On a machine that runs one thread after the other, only longer pauses make them meet.
        monkeypatch.setattr(Trace, "longest", 0.002 * (1 + seed // 3))
        schema = postgres.new_schema()
        stores = [open_store(schema=schema), open_store(schema=schema)]
        try:
            if differences(stores, seed, 400):
                return
        finally:
            for store in stores:
                store.close()
            postgres.drop(schema)
    pytest.fail("no history showed it")
