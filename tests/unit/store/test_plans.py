"""How each query finds its rows: the index is pinned, and nothing hot walks a table.

A plan that changes is not wrong by itself; look at it, then change the line here.
"""

from __future__ import annotations

import re

import pytest

from handrail.store.sqlite.queries import nouns, queries

from .conftest import Open

PLANS = {
    "access.drop_sessions": "sessions by sessions_until (until<?)",
    "access.end_invitations": "invitations by invitations_unused (folded=?)",
    "access.end_session": "sessions by hash (hash=?)",
    "access.end_sessions_of": "sessions by sessions_person (person=?)",
    "access.identities_of": "identities by identities_person (person=?)",
    "access.identity": "identities by issuer, subject (issuer=? AND subject=?)",
    "access.invitation": "invitations by hash (hash=?)",
    "access.password": "passwords by key (person=?)",
    "access.put_token": "tokens by id (id=?)",
    "access.session": "sessions by hash (hash=?)",
    "access.sessions_of": "sessions by sessions_person (person=?)",
    "access.token": "tokens by id (id=?)",
    "access.token_by_hash": "tokens by hash (hash=?)",
    "access.use_invitation": "invitations by hash (hash=?)",
    "audit.entries": "audit_entries by rowid (rowid>? AND rowid<?)",
    "audit.leaf": "audit_entries by rowid (rowid=?)",
    "audit.node": "audit_entries by rowid (rowid=?)",
    "audit.size": "audit_entries by rowid, one end",
    "buckets.body": "buckets by key (series=? AND key=? AND bucket=?)",
    "buckets.cover": "series by key (id=?)",
    "buckets.empty": "buckets by key (series=?)",
    "buckets.forget": "series by key (id=?)",
    "buckets.keys": "buckets by key (series=?)",
    "buckets.late": "series by key (id=?)",
    "buckets.prune": "buckets by key (series=?)",
    "buckets.rows": "buckets by key (series=? AND key=? AND bucket>? AND bucket<?)",
    "buckets.set_body": "buckets by key (series=? AND key=? AND bucket=?)",
    "buckets.since": "series by key (id=?)",
    "buckets.total": (
        "buckets by key (series=? AND key=? AND bucket>? AND bucket<?); series by key (id=?)"
    ),
    "buckets.whole": "buckets by key (series=?)",
    "counters.read": "counters by key (scope=? AND key=? AND bucket>? AND bucket<?)",
    "decisions.attach": "decisions by id (id=?)",
    "decisions.by_key": "decisions by decisions_key (key=? AND workflow=? AND submitter=?)",
    "decisions.expiring": "decisions by decisions_expiring (expires_at>? AND expires_at<?)",
    "decisions.find_any": "decisions by rowid (rowid<?)",
    # A key names a few decisions, a doubt is rare: sorting them is nothing.
    "decisions.find_by_key": "decisions by decisions_key (key=?); sort",
    "decisions.find_by_requester": "decisions by decisions_requester (requester=? AND seq<?)",
    "decisions.find_by_subject": "decisions by decisions_subject (subject=? AND seq<?)",
    "decisions.find_by_workflow": "decisions by decisions_workflow (workflow=? AND seq<?)",
    "decisions.find_ended": "decisions by decisions_ended (workflow=? AND seq<?)",
    "decisions.find_in_doubt": (
        "decisions by id (id=? AND rowid<?); grants by grants_state (state=?); sort"
    ),
    "decisions.find_open": "decisions by decisions_open (seq<?)",
    "decisions.get": "decisions by id (id=?)",
    "decisions.of_review": "decisions by decisions_review (review_id=?)",
    "decisions.past": (
        "d by decisions_workflow (workflow=?); r by id (id=?); l by labels_decision (decision=?)"
    ),
    "decisions.released": ("g by rowid (rowid<?); o by decision (decision=?); d by id (id=?)"),
    "decisions.seq_of": "decisions by id (id=?)",
    "decisions.settle": "decisions by id (id=?)",
    "decisions.submitted": "decisions by decisions_workflow (workflow=? AND seq<?)",
    "decisions.unsettled_of": ("decisions by decisions_open_subject (workflow=? AND subject=?)"),
    "grants.current": "grants by grants_decision (decision=?)",
    "grants.get": "grants by id (id=?)",
    "grants.in_state": "grants by grants_state (state=?)",
    "grants.overdue": "grants by grants_overdue (overdue_at>? AND overdue_at<?)",
    "grants.replace": "grants by id (id=?)",
    "labels.of": "labels by labels_decision (decision=?)",
    "lists.at": (
        "list_entries by workflow, name, since, value (workflow=? AND name=? AND since<?)"
    ),
    "lists.end": (
        "list_entries by workflow, name, since, value "
        "(workflow=? AND name=? AND since=? AND value=?)"
    ),
    "lists.version": "list_versions by key (workflow=? AND name=?)",
    "observations.get": (
        "observations by stream, submitter, key (stream=? AND submitter=? AND key=?)"
    ),
    "observations.keep_from": "streams by key (name=?)",
    "observations.kept_from": "streams by key (name=?)",
    "observations.of_batch": "observations by observations_batch (batch=?)",
    "observations.prune": (
        "observations by rowid (rowid=?); observations by observations_at (stream=? AND at<?)"
    ),
    "observations.since": "observations by observations_at (stream=? AND at>?)",
    "outbox.due": "notices by notices_due (next_at>? AND next_at<?)",
    "outbox.put": "notices by id (id=?)",
    "outcomes.body": "outcomes by decision (decision=?)",
    "outcomes.due": "outcomes by outcomes_due (release_at<?)",
    "outcomes.get": "outcomes by decision (decision=?)",
    "outcomes.release": "outcomes by decision (decision=?)",
    "outcomes.take_back": "outcomes by decision (decision=?)",
    "people.by_handle": "people by folded (folded=?)",
    "people.get": "people by id (id=?)",
    "policies.activations": "activations by activations_workflow (workflow=?)",
    "policies.active": "active_policies by key (workflow=?)",
    "policies.get": (
        "versions by workflow, version (workflow=? AND version=?); active by key (workflow=?)"
    ),
    "policies.versions": "policy_versions by workflow, version (workflow=?)",
    "reviews.acts": "acts by acts_review (review=?)",
    # A review has a handful of votes.
    "reviews.all_votes": "votes by review, round, person (review=?); sort",
    "reviews.asked": "review_asks by key (who=? AND workflow=?)",
    "reviews.behind": "reviews by reviews_behind (behind=?)",
    "reviews.by_urgency": "reviews by reviews_urgency (workflow=? AND status=?)",
    "reviews.drop_asks": "review_asks by review_asks_review (review=?)",
    "reviews.drop_vote": "votes by id (id=?)",
    "reviews.due": "reviews by reviews_due (next_at>? AND next_at<?)",
    "reviews.free": "review_asks by review_asks_free (who=? AND workflow=?)",
    "reviews.free_lapsed": (
        "review_asks by review_asks_busy (who=? AND busy_until>? AND busy_until<?)"
    ),
    "reviews.get": "reviews by id (id=?)",
    "reviews.get_seq": "reviews by rowid (rowid=?)",
    "reviews.lapsed": "review_asks by review_asks_busy (who=? AND busy_until>? AND busy_until<?)",
    "reviews.last_lease": "seats by key (review=? AND round=?)",
    "reviews.next_asked_workflow": "review_asks by key (who=? AND workflow>?)",
    "reviews.next_workflow": "reviews by reviews_urgency (workflow>?)",
    "reviews.open_case": "reviews by reviews_case (case_key=?)",
    "reviews.replace": "reviews by id (id=?)",
    "reviews.round": "rounds by review, number (review=? AND number=?)",
    "reviews.seat": "seats by key (review=? AND round=? AND holder=?)",
    "reviews.seats": "seats by key (review=? AND round=?)",
    "reviews.seq_of": "reviews by id (id=?)",
    "reviews.set_busy": "review_asks by review_asks_review (review=?)",
    "reviews.votes": "votes by review, round, person (review=? AND round=?); sort",
    "stops.clear": "stops by key (workflow=?)",
    "stops.get": "stops by key (workflow=?); stops by key (workflow=?)",
    "subjects.key_of": "subject_keys by key (workflow=? AND subject=?)",
}

WALKS = {
    # Small tables.
    "access.tokens": "all of tokens",
    "audit.checkpoints": "all of checkpoints by size",
    "buckets.all": "all of series",
    "observations.streams": "all of streams",
    "audit.head": "all of audit_head",
    "audit.last_checkpoint": "all of checkpoints by size",  # from its end; one row
    "people.all": "all of people",
    "policies.workflows": "all of active_policies",
    "stops.all": "all of stops",
    "tallies.now": (
        "review_asks by key (who=?); review_asks by key (who=?); grants by grants_state (state=?); "
        "notices by notices_due (next_at>?); all of notices by notices_undelivered; all of stops"
    ),
    # A partial index from its start, which ends at the first row or the limit.
    "outbox.undelivered": "all of notices by notices_undelivered",
    "people.registered": "all of people by people_registered",
    # Everything is what is asked for.
    "audit.leaves": "all of audit_entries",
    "audit.rows": "all of audit_entries",
    "audit.nodes": "all of ends; all of ends; audit_entries by rowid (rowid=?)",
    "decisions.state": "all of decisions",
    "grants.state": "all of grants",
    "labels.state": "all of labels",
    "lists.state": "all of list_versions",
    "outcomes.state": "all of outcomes",
    "policies.state": "all of active_policies",
    "reviews.state": "all of reviews",
    "reviews.rounds_state": "all of rounds; reviews by id (id=?) LEFT-JOIN",
    "reviews.votes_state": "all of votes; reviews by id (id=?) LEFT-JOIN",
}
"""Queries that walk a table or index, each for a reason."""

_WORDS = re.compile(
    r"(?P<how>SEARCH|SCAN) (?P<table>\w+)"
    r"(?: USING (?:COVERING )?(?:INDEX (?P<index>\w+)|(?P<rowid>INTEGER PRIMARY KEY)"
    r"|(?P<key>PRIMARY KEY)))?(?P<rest>.*)"
)


@pytest.fixture
def plans(open_store: Open) -> dict[str, str]:
    """The plan of every named query, in the words of `PLANS`."""
    connection = open_store()._connection
    automatic = {}
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
        for _, name, *_ in connection.execute(f"PRAGMA index_list({table})").fetchall():
            columns = connection.execute(f"PRAGMA index_info({name})").fetchall()
            automatic[name] = ", ".join(str(column[2]) for column in columns)

    def words(detail: str) -> str | None:
        if "TEMP B-TREE" in detail:
            return "sort"
        found = _WORDS.match(detail)
        if found is None or found["table"] == "CONSTANT":
            return None
        index = found["index"]
        if index is not None and index.startswith("sqlite_autoindex"):
            index = automatic[index]
        way = "rowid" if found["rowid"] else "key" if found["key"] else index
        if found["how"] == "SCAN":
            return f"all of {found['table']}" + (f" by {way}" if way else "") + found["rest"]
        if way is None:
            return f"{found['table']} by rowid, one end"
        return f"{found['table']} by {way}{found['rest']}"

    made = {}
    for noun in nouns():
        for name, sql in queries(noun).items():
            named = re.findall(r":(\w+)", sql)
            places = max((int(place) for place in re.findall(r"\?(\d+)", sql)), default=0)
            bindings = dict.fromkeys(named) if named else (None,) * places
            rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings).fetchall()
            parts = [words(str(row[3])) for row in rows]
            plan = "; ".join(part for part in parts if part)
            if plan:
                made[f"{noun}.{name}"] = plan
    return made


def test_plans_are_as_pinned(plans: dict[str, str]) -> None:
    assert plans == {**PLANS, **WALKS}


def test_nothing_walks_a_table_without_a_reason(plans: dict[str, str]) -> None:
    assert {name for name, plan in plans.items() if "all of" in plan} == set(WALKS)
