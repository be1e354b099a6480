"""One connection as the nouns use it: statements, and the locks a use case takes as it reads.

The isolation level is READ COMMITTED, and a unit of work locks what it reads before it goes by it:
strict two-phase locking on objects. So whoever depends on another's commit, or must come before it,
waits for it or is waited for; the order of commits is an order in which the use cases could have
run one after another, and the log is numbered in it.

- A review's lock covers the review, its rounds, seats, votes and acts, and which decisions hang on
  it. A decision's lock covers the decision, its outcome, grants and labels; the lock of the review
  it hangs on is taken first. Both are row locks, taken by the statement that reads the row.
- What a query by value finds or does not find (an open case, a subject's unsettled decisions, a
  counter) is covered by an advisory lock on the value.
- What was looked up by a unique key and was not there is covered by the key itself: whoever then
  inserts it and finds it taken is run again (`Again`).
- What is locked is read once in a unit of work, and known until it changes it itself.
- What holds for everybody (stops, active policies, people's rights) is covered by the table
  `standing`: held weakly by every unit of work from its start, and alone by one that changes it.
  Its version, read with the lock, says whether what an earlier unit of work found still holds.

Lists (`find`, `due`, `open_list`, …) lock nothing: they are hints, to be read again before use.

A transaction that several use cases share looks up for all of them at once what they said they
would (`Ahead`), under the same locks, and keeps the rows they insert until its end, or until one of
them needs to see them: to begin and look is one round trip, and the rows, the log's entries and the
commit are another. There are no savepoints. Where a row does not fit, or a use case fails that has
written already, the whole transaction is taken back (`Again`), and each is run on its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import psycopg

from handrail.model.people import SubjectKey
from handrail.ports import Ahead
from handrail.store.postgres.columns import Rows, numbers, texts, words
from handrail.store.postgres.queries import queries

T = TypeVar("T")

_LOCK_REVIEW = queries("reviews")["lock"]
_LOCK_DECISION = queries("decisions")["lock"]
_COUNT_UP = "UPDATE standing SET version = version + 1"
_ADVISORY = "SELECT pg_advisory_xact_lock($1)"

NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""SQL: µs since 1970 UTC by the database's clock."""

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_HOLD_STANDING = "LOCK TABLE standing IN ROW SHARE MODE"
_STANDS = f"SELECT {NOW}, (SELECT version FROM standing), pg_current_xact_id()::text"
_ADVISORIES = "SELECT count(pg_advisory_xact_lock(key)) FROM unnest($1) AS key"
_LOOK = queries("decisions")["look"]

PAGE = 1_000
"""Rows read at a time where all are wanted."""

MOST_LASTING = 2_000
"""Things kept from one unit of work to the next."""


class Again(Exception):
    """What this use case went by has moved: run it again."""


class Alone(Exception):
    """The use case changes what holds for all: run it again, holding `standing` alone."""


class Session:
    """Statements on one connection, and what the running unit of work holds."""

    def __init__(self, connection: psycopg.Connection[Any], *, schema: str, writing: bool) -> None:
        self.connection = connection
        self.writing = writing
        self.schema = schema
        self._cursor = psycopg.RawCursor(connection)
        self._control = psycopg.Cursor(connection)
        self._held: dict[tuple[str, ...], None] = {}
        self._absent: dict[tuple[str, ...], None] = {}
        self._known: dict[tuple[str, ...], dict[object, Any]] = {}
        self.offered: dict[str, object] = {}
        """Reviews that were given out without locking them, as they were then."""
        self.recheck: Callable[[str, object], bool] = lambda review_id, offered: True
        """Whether an offered review, locked by now, has not moved."""
        self.alone = False
        """Whether `standing` is held alone."""
        self._version: int | None = None
        self._lasting: dict[tuple[str, ...], Any] = {}
        """What was found under `standing` at this version."""
        self._lasts = False
        """Whether it may be gone by in this unit of work."""
        self._counted = False
        self._cursors: list[psycopg.RawCursor[tuple[Any, ...]]] = []
        self.shared = False
        """Whether the transaction is one of several use cases, without savepoints."""
        self._ahead: dict[tuple[str, ...], Any] = {}
        """What was looked up for the use cases of a shared transaction, and still is so."""
        self._rows: dict[Rows, list[tuple[Any, ...]]] = {}
        """Rows that are sent later."""
        self.wrote = False
        """Whether the running use case has changed anything."""
        self.changed = False
        """Whether the transaction has."""
        self.failure: Exception | None = None
        """What ended the unit of work, should the use case have swallowed it."""

    # ------------------------------------------------------------------ statements

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        return self._run(sql, params).fetchone()

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._run(sql, params).fetchall()

    def change(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Number of rows that were changed."""
        return self._run(sql, params).rowcount

    def pages(self, sql: str, params: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """All rows of a query that goes on after the first column, a page at a time."""
        last = -1
        while rows := self.all(sql, (*params, last, PAGE)):
            yield from rows
            last = rows[-1][0]

    def copy(self, sql: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Send rows through a binary COPY."""
        try:
            with self._cursor.copy(sql) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:
            self.failure = error
            raise

    def together(
        self, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> list[psycopg.RawCursor[tuple[Any, ...]]]:
        """Run statements in one round trip; a cursor for each, with what it gave.

        After one that fails the server runs none of those behind it.
        """
        while len(self._cursors) < len(statements):
            self._cursors.append(psycopg.RawCursor(self.connection))
        used = self._cursors[: len(statements)]
        try:
            with self.connection.pipeline():
                for cursor, (sql, params) in zip(used, statements, strict=True):
                    cursor.execute(sql, params, prepare=True, binary=True)
        except psycopg.Error as error:
            self.failure = error
            raise
        return used

    def control(self, statements: str) -> Any:
        """Run statements without parameters in one go; first column of the last row, if any."""
        row = self.control_row(statements)
        return row[0] if row else None

    def control_row(self, statements: str) -> tuple[Any, ...] | None:
        """As `control`: the last row, if any."""
        cursor = self._control.execute(statements)
        row: tuple[Any, ...] | None = None
        while True:
            if cursor.description is not None:
                row = cursor.fetchone()
            if not cursor.nextset():
                return row

    @property
    def status(self) -> str:
        """What the server called the last statement of `control`: COMMIT, ROLLBACK, …"""
        return self._control.statusmessage or ""

    def _run(self, sql: str, params: Sequence[Any]) -> psycopg.RawCursor[tuple[Any, ...]]:
        reads = sql.startswith("SELECT")
        if not reads:
            self.wrote = self.changed = True
        if self._rows and not (reads and _looks_elsewhere(sql)):
            self._send_rows()
        try:
            return self._cursor.execute(sql, params, prepare=True, binary=True)
        except psycopg.Error as error:
            self.failure = error
            raise

    # ------------------------------------------------------------------ shared transactions

    def begin_shared(self, aheads: Iterable[Ahead]) -> tuple[int, int, str]:
        """Begin a transaction of several use cases and look up what they said they would.

        Returns the time, the version of `standing`, and the transaction's id.
        """
        asked = list(dict.fromkeys(aheads))
        values = {
            ("subject", one.workflow, one.subject) for one in asked if one.subject is not None
        }
        keys = sorted(self.advisory(*value) for value in values)
        columns = (
            words([one.workflow for one in asked]),
            words([one.submitter for one in asked]),
            texts([one.key for one in asked]),
            texts([one.subject for one in asked]),
        )
        _, _, stands, _, look = self.together(
            [
                (_BEGIN, ()),
                (_HOLD_STANDING, ()),
                (_STANDS, ()),
                # In one order for all, so that no two of them wait for each other.
                (_ADVISORIES, (numbers(keys),)),
                # A statement of its own: it sees what was committed before the locks were had.
                (_LOOK, columns),
            ]
        )
        self._held.update(dict.fromkeys(values))
        for place, used, unsettled, key, made_at in look.fetchall():
            one = asked[place - 1]
            if one.submitter is not None and one.key is not None and not used:
                self._ahead["key", one.workflow, one.submitter, one.key] = None
            if one.subject is not None:
                owner = one.workflow, one.subject
                if not unsettled:
                    self._ahead["unsettled", *owner] = None
                self._ahead["subject key", *owner] = (
                    None
                    if key is None
                    else SubjectKey(
                        workflow=one.workflow, subject=one.subject, key=key, made_at=made_at
                    )
                )
        [(now, version, xid)] = stands.fetchall()
        return now, version, xid

    def ahead(self, *what: str) -> bool:
        """Whether this was looked up for the use cases of a shared transaction; see `found`."""
        return what in self._ahead

    def found(self, *what: str) -> Any:
        """What was found then; None: nothing."""
        return self._ahead[what]

    def found_now(self, found: Any, *what: str) -> None:
        """A use case of a shared transaction made what others may look up."""
        if self.shared:
            self._ahead[what] = found

    def moved(self, *what: str) -> None:
        """What was looked up is so no longer."""
        self._ahead.pop(what, None)

    def later(self, rows: Rows, row: tuple[Any, ...]) -> bool:
        """Keep a row to be inserted with others, in a shared transaction. It is presumed to fit."""
        if not self.shared:
            return False
        self.wrote = self.changed = True
        self._rows.setdefault(rows, []).append(row)
        return True

    def _send_rows(self) -> None:
        """Insert the rows that wait: something is to see them."""
        waiting = self._waiting()
        try:
            for sql, params in waiting:
                self._cursor.execute(sql, params, prepare=True, binary=True)
        except psycopg.Error as error:
            self.failure = error
            raise

    def _waiting(self) -> list[tuple[str, Sequence[Any]]]:
        """The inserts of the rows that wait, in an order that others' references allow."""
        waiting = sorted(self._rows.items(), key=lambda item: item[0].rank)
        self._rows.clear()
        return [(rows.sql, rows.params(found)) for rows, found in waiting]

    def commit_shared(self, last: str, params: Sequence[Any]) -> str:
        """Send what waits, then `last`, and commit; what the server called the commit."""
        *_, commit = self.together([*self._waiting(), (last, params), ("COMMIT", ())])
        return commit.statusmessage or ""

    # ------------------------------------------------------------------ what is known

    def known(
        self, about: tuple[str, ...], key: object, read: Callable[[], T], *, absence: bool = False
    ) -> T:
        """What `read` gives, read once: nobody else changes what is locked or on a snapshot.

        `about` is what a change of our own makes us `forget`. `absence`: that it is not there is
        locked too.
        """
        kept = self._known.setdefault(about, {})
        if key in kept:
            found: T = kept[key]
            return found
        made = read()
        if made is not None or absence:
            kept[key] = made
        return made

    def lasting(self, about: str, key: str, read: Callable[[], T], *, absence: bool = False) -> T:
        """As `known`, for what is covered by `standing`: read once a version.

        `absence`: that it is not there is covered too.
        """
        if not self._lasts:
            return self.known((about,), key, read, absence=absence)
        if (about, key) in self._lasting:
            kept: T = self._lasting[about, key]
            return kept
        made = read()
        if made is not None or absence:
            if len(self._lasting) >= MOST_LASTING:
                self._lasting.clear()
            self._lasting[about, key] = made
        return made

    def forget(self, *about: str) -> None:
        """This unit of work changes something."""
        self._known.pop(about, None)

    def forget_lasting(self, about: str, key: str) -> None:
        """This unit of work changes a part of it that `standing` does not cover."""
        self._known.pop((about,), None)
        self._lasting.pop((about, key), None)

    # ------------------------------------------------------------------ locks

    def fresh(self, *, alone: bool, shared: bool = False) -> None:
        """Begin with nothing held."""
        self._held.clear()
        self._known.clear()
        self._ahead.clear()
        self._rows.clear()
        self.shared = shared
        self.changed = False
        self.start()
        self.alone = alone
        self._lasts = self._counted = False

    def stands_at(self, version: int) -> None:
        """`standing` is held, at this version."""
        if version != self._version:
            self._lasting.clear()
            self._version = version
        self._lasts = not self.alone

    def start(self) -> None:
        """A use case begins: it has seen nothing yet."""
        self._absent.clear()
        self.offered.clear()
        self.failure = None
        self.wrote = False

    def mark(self) -> int:
        """What is held, for `back_to`."""
        return len(self._held)

    def back_to(self, mark: int) -> None:
        """A savepoint was rolled back: what was locked since is free again."""
        while len(self._held) > mark:
            self._held.popitem()
        self._known.clear()

    def holds_review(self, review_id: str | None) -> None:
        """The last statement locked this review, or made it."""
        if review_id is None:
            return
        self._held["review", review_id] = None
        if review_id in self.offered and not self.recheck(review_id, self.offered.pop(review_id)):
            self.failure = Again(f"{review_id} moved")
            raise self.failure

    def holds_decision(self, decision_id: str) -> None:
        """The last statement locked this decision, or made it."""
        self._held["decision", decision_id] = None

    def hold_review(self, review_id: str) -> None:
        """Lock a review, unless that was done or this only reads."""
        if self.writing and ("review", review_id) not in self._held:
            self.one(_LOCK_REVIEW, (review_id,))
            self.holds_review(review_id)

    def hold_decision(self, decision_id: str) -> None:
        """Lock a decision, and before it the review it hangs on."""
        if self.writing and ("decision", decision_id) not in self._held:
            row = self.one(_LOCK_DECISION, (decision_id,))
            self._held["decision", decision_id] = None
            if row is not None:
                self.holds_review(row[0])

    def hold(self, *value: str) -> None:
        """Lock a value that queries look for."""
        if self.writing and value not in self._held:
            self.one(_ADVISORY, (self.advisory(*value),))
            self._held[value] = None

    def advisory(self, *value: str) -> int:
        """The key of the advisory lock on a value; advisory locks are one space a database."""
        text = "\x00".join((self.schema, *value))
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)

    def missed(self, *key: str) -> None:
        """Something was looked up by this unique key and was not there."""
        if self.writing:
            self._absent[key] = None

    def made(self, *key: str) -> None:
        """This use case took the key itself."""
        self._absent.pop(key, None)

    def taken(self, *key: str) -> None:
        """A unique key turned out to be taken. Raises `Again` where it was seen free before."""
        if key in self._absent:
            self.failure = Again(f"{key} was taken in between")
            raise self.failure

    def hold_standing(self) -> None:
        """Before a change of what holds for all. Raises `Alone` where that needs a new start."""
        if self.writing and not self.alone:
            self.failure = Alone("standing")
            raise self.failure
        if self.writing and not self._counted:
            self._counted = True
            self.change(_COUNT_UP)


_KEPT_TABLES = re.compile(r"\b(decisions|grants|outcomes|subject_keys)\b")
"""Tables of which rows are sent later."""


@cache
def _looks_elsewhere(sql: str) -> bool:
    return _KEPT_TABLES.search(sql) is None


def refuse_query(session: Session, what: str) -> None:
    """Raise where the session only reads."""
    if not session.writing:
        raise RuntimeError(f"a query {what}; do it in store.write")


__all__ = ["NOW", "Again", "Alone", "Session", "refuse_query"]
