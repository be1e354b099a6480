"""The contract on broken stores: each of these faults must fail the test that is there for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw
import pytest

from handrail.ports import Transaction
from handrail.store.sqlite import audit, grants, outcomes, people, readers, reviews, writer

from .test_sqlite import TestSqliteFile as _File

Patch = pytest.MonkeyPatch


def keeps_what_was_rolled_back(patch: Patch) -> None:
    patch.setattr(audit.SqliteAudit, "back_to", lambda self, mark: None)


def forgets_what_was_written_of_a_group(patch: Patch) -> None:
    def back_to(self: audit.SqliteAudit, mark: audit.Mark) -> None:
        self._frontier, waiting, _ = mark
        del self._waiting[waiting:]

    patch.setattr(audit.SqliteAudit, "back_to", back_to)


def replaces_reviews_that_moved(patch: Patch) -> None:
    patch.setattr(
        reviews,
        "_REPLACE",
        reviews._REPLACE.replace(
            "status = ?23 AND round = ?24 AND stage = ?25", "?23 || ?24 || ?25 IS NOT NULL"
        ),
    )


def redeems_grants_that_moved(patch: Patch) -> None:
    patch.setattr(
        grants, "_REPLACE", grants._REPLACE.replace("state = ?16 AND run IS ?17", "?16 IS NOT ?17")
    )


def takes_back_what_is_released(patch: Patch) -> None:
    changed = outcomes._SQL["take_back"].replace("AND released = 0", "")
    patch.setitem(outcomes._SQL, "take_back", changed)


def releases_twice(patch: Patch) -> None:
    patch.setattr(outcomes, "_RELEASE", outcomes._RELEASE.replace("AND released = 0", ""))


def leaves_taken_reviews_free(patch: Patch) -> None:
    changed = reviews._SQL["set_busy"].replace("busy_until = ?2", "busy_until = 0 * ?2", 1)
    patch.setitem(reviews._SQL, "set_busy", changed)


def counts_a_second_vote(patch: Patch) -> None:
    changed = reviews._SQL["add_vote"].split("ON CONFLICT")[0].replace("INSERT", "REPLACE")
    patch.setitem(reviews._SQL, "add_vote", changed)


def sees_case_in_handles(patch: Patch) -> None:
    def by_handle(self: people.SqlitePeople, handle: str) -> object:
        row = self._execute(people._SQL["by_handle"].replace("folded", "handle"), (handle,))
        found = row.fetchone()
        return people._person(found) if found else None

    patch.setattr(people.SqlitePeople, "by_handle", by_handle)


def reads_without_a_snapshot(patch: Patch) -> None:
    def run(self: readers.Reader, query: Callable[[Transaction], Any], now: int) -> Any:
        self.transaction.start(now)
        return query(self.transaction)

    patch.setattr(readers.Reader, "run", run)


def keeps_rows_of_a_use_case_that_raised(patch: Patch) -> None:
    def attempt(self: writer.Writer, member: Any) -> None:
        mark = self.transaction.start(self._clock())
        try:
            member.result = member.use_case(self.transaction)
            self.transaction.kept()
        except Exception as error:
            if isinstance(error, apsw.Error):
                raise
            self.transaction.back_to(mark)
            member.error = error

    patch.setattr(writer.Writer, "_attempt", attempt)


def acknowledges_before_the_commit(patch: Patch) -> None:
    attempt = writer.Writer._attempt

    def eager(self: writer.Writer, member: Any) -> None:
        attempt(self, member)
        member.report()
        member.report = lambda: None

    patch.setattr(writer._Member, "__slots__", (), raising=False)
    patch.setattr(writer, "_Member", type("_Member", (writer._Member,), {}))
    patch.setattr(writer.Writer, "_attempt", eager)


def runs_what_was_given_up(patch: Patch) -> None:
    def take(self: writer.Writer, item: Any, group: list[Any]) -> None:
        if isinstance(item, writer.Job):
            future = type(item.future)()
            group.append(writer._Member(item.use_case, future, None, 0))
            future.add_done_callback(
                lambda done: item.future.cancelled() or item.future.set_result(done.result())
            )

    patch.setattr(writer.Writer, "_take", take)


def lets_one_clock_reading_serve_all(patch: Patch) -> None:
    start = writer.SqliteTransaction.start

    def frozen(self: writer.SqliteTransaction, now: int) -> Any:
        return start(self, self._now or now)

    patch.setattr(writer.SqliteTransaction, "start", frozen)


CAUGHT_BY = {
    keeps_what_was_rolled_back: "test_of_many_each_succeeds_or_fails_alone_in_order",
    forgets_what_was_written_of_a_group: (
        "test_random_work_with_failures_leaves_the_tree_of_what_was_kept"
    ),
    replaces_reviews_that_moved: "test_of_stale_replacements_one_wins",
    redeems_grants_that_moved: "test_one_of_many_redeems_a_grant",
    takes_back_what_is_released: "test_an_outcome_is_released_once",
    releases_twice: "test_one_of_many_outcomes_stands",
    leaves_taken_reviews_free: "test_what_rests_or_is_taken_cannot_be_claimed",
    counts_a_second_vote: "test_one_of_many_votes_of_a_person_counts",
    sees_case_in_handles: "test_people_are_known_by_id_and_by_handle_without_case",
    reads_without_a_snapshot: "test_a_query_stays_on_its_snapshot",
    keeps_rows_of_a_use_case_that_raised: "test_a_use_case_that_raises_leaves_nothing",
    acknowledges_before_the_commit: "test_a_full_disk_stops_writing_and_loses_nothing",
    runs_what_was_given_up: "test_what_was_given_up_while_waiting_is_not_run",
    lets_one_clock_reading_serve_all: "test_each_of_many_has_its_own_time",
}


RUNS = 8
"""How often a broken store may slip through before it counts as not caught."""


def run(test: str) -> None:
    suite = _File()
    suite.setup_method()
    try:
        getattr(suite, test)()
    finally:
        suite.teardown_method()


@pytest.mark.parametrize("fault", CAUGHT_BY, ids=lambda fault: fault.__name__)
def test_a_broken_store_fails(fault: Callable[[Patch], None], monkeypatch: Patch) -> None:
    run(CAUGHT_BY[fault])
    fault(monkeypatch)
    # A race shows a fault on most runs, not on each.
    with pytest.raises(AssertionError):
        for _ in range(RUNS):
            run(CAUGHT_BY[fault])
