"""How PostgreSQL looks things up, pinned: a changed query or index shows here, not under load.

Each line says the way into a table and what leads there: `grants by grants_id_key (id)`.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from handrail.store.postgres.queries import nouns, queries

from .conftest import Open

pytestmark = pytest.mark.needs("postgres")

PLANS: dict[str, str] = {
    "access.token": "tokens by tokens_id_key (id)",
    "access.token_by_hash": "tokens by tokens_hash_key (hash)",
    "access.put_token": "tokens by tokens_id_key (id)",
    "access.session": "sessions by sessions_hash_key (hash)",
    "access.sessions_of": "sessions by sessions_person (person)",
    "access.end_session": "sessions by sessions_hash_key (hash)",
    "access.end_sessions_of": "sessions by sessions_person (person)",
    "access.drop_sessions": "sessions by sessions_until (until)",
    "access.password": "passwords by passwords_pkey (person)",
    "access.identity": "identities by identities_issuer_subject_key (issuer, subject)",
    "access.identities_of": "identities by identities_person (person)",
    "access.invitation": "invitations by invitations_hash_key (hash)",
    "access.use_invitation": "invitations by invitations_hash_key (hash)",
    "access.end_invitations": "invitations by invitations_unused (folded)",
    "audit.staged_to": "audit_stage by audit_stage_pkey (ticket)",
    "audit.waiting": "audit_stage by audit_stage_pkey (ticket)",
    "audit.unstage": "audit_stage by audit_stage_pkey (ticket)",
    "audit.entries": "audit_entries by audit_entries_pkey (idx)",
    "audit.leaf": "audit_entries by audit_entries_pkey (idx)",
    "audit.node": "audit_entries by audit_entries_pkey (idx)",
    "audit.leaves": "audit_entries by audit_entries_pkey (idx)",
    "audit.rows": "audit_entries by audit_entries_pkey (idx)",
    "audit.nodes": "sort; audit_entries by audit_entries_pkey (idx)",
    "audit.head": "audit_head by audit_head_pkey (one)",
    "buckets.body": "buckets by buckets_pkey (series, key, bucket)",
    "buckets.cover": "series by series_pkey (id)",
    "buckets.empty": "buckets by buckets_pkey (series)",
    "buckets.forget": "series by series_pkey (id)",
    "buckets.keys": "buckets by buckets_pkey (series, bucket)",
    "buckets.late": "series by series_pkey (id)",
    "buckets.prune": "buckets by buckets_pkey (series, bucket)",
    "buckets.rows": "buckets by buckets_pkey (series, key, bucket)",
    "buckets.set_body": "buckets by buckets_pkey (series, key, bucket)",
    "buckets.since": "series by series_pkey (id)",
    "buckets.total": ("series by series_pkey (id); buckets by buckets_pkey (series, key, bucket)"),
    "buckets.whole": "buckets by buckets_pkey (series, key, bucket)",
    "counters.read": "counters by counters_pkey (scope, key, bucket)",
    "decisions.look": (
        "decisions by decisions_key (key, workflow, submitter);"
        " decisions by decisions_open_subject (workflow, subject);"
        " subject_keys by subject_keys_pkey (workflow, subject)"
    ),
    "decisions.get": "decisions by decisions_id_key (id)",
    "decisions.take": "decisions by decisions_id_key (id); reviews by reviews_id_key (id)",
    "decisions.lock": "decisions by decisions_id_key (id); reviews by reviews_id_key (id)",
    "decisions.by_key": "decisions by decisions_key (key, workflow, submitter)",
    "decisions.take_by_key": (
        "decisions by decisions_key (key, workflow, submitter); reviews by reviews_id_key (id)"
    ),
    "decisions.unsettled_of": "decisions by decisions_open_subject (workflow, subject)",
    "decisions.take_unsettled_of": (
        "decisions by decisions_open_subject (workflow, subject); reviews by reviews_id_key (id)"
    ),
    "decisions.of_review": "decisions by decisions_review (review_id)",
    "decisions.attach": "decisions by decisions_id_key (id)",
    "decisions.settle": "decisions by decisions_id_key (id)",
    "decisions.expiring": "decisions by decisions_expiring (expires_at)",
    "decisions.past": (
        "decisions by decisions_workflow (workflow, seq); "
        "reviews by reviews_id_key (id); "
        "labels by labels_decision (decision)"
    ),
    "decisions.released": (
        "grants by grants_pkey (seq); outcomes by outcomes_decision_key (decision); "
        "decisions by decisions_id_key (id)"
    ),
    "decisions.submitted": "decisions by decisions_workflow (workflow, seq)",
    "decisions.seq_of": "decisions by decisions_id_key (id)",
    "decisions.find_by_key": "sort; decisions by decisions_key (key)",
    "decisions.find_by_subject": "decisions by decisions_subject (subject, seq)",
    "decisions.find_by_requester": "decisions by decisions_requester (requester, seq)",
    "decisions.find_open": "decisions by decisions_open (seq)",
    "decisions.find_ended": "decisions by decisions_ended (workflow, seq)",
    "decisions.find_by_workflow": "decisions by decisions_workflow (workflow, seq)",
    "decisions.find_any": "decisions by decisions_pkey (seq)",
    "decisions.find_in_doubt": (
        "sort; grants by grants_state (state); decisions by decisions_id_key (id)"
    ),
    "decisions.state": "decisions by decisions_pkey (seq)",
    "grants.get": "grants by grants_id_key (id)",
    "grants.take": (
        "grants by grants_id_key (id); "
        "decisions by decisions_id_key (id); "
        "reviews by reviews_id_key (id)"
    ),
    "grants.current": "grants by grants_decision (decision)",
    "grants.replace": "grants by grants_id_key (id)",
    "grants.overdue": "grants by grants_overdue (overdue_at)",
    "grants.in_state": "grants by grants_state (state)",
    "grants.state": "grants by grants_pkey (seq)",
    "labels.of": "labels by labels_decision (decision)",
    "labels.state": "labels by labels_pkey (seq)",
    "lists.at": (
        "list_entries by list_entries_workflow_name_since_value_key (workflow, name, since)"
    ),
    "lists.end": (
        "list_entries by list_entries_workflow_name_since_value_key (workflow, name, since, value)"
    ),
    "lists.version": "list_versions by list_versions_pkey (workflow, name)",
    "observations.get": "observations by observations_key (key, stream, submitter)",
    "observations.keep_from": "streams by streams_pkey (name)",
    "observations.kept_from": "streams by streams_pkey (name)",
    "observations.of_batch": "observations by observations_batch (batch)",
    "observations.prune": (
        "observations by observations_at (stream, at); observations by observations_pkey (seq)"
    ),
    "observations.since": "observations by observations_at (stream, at)",
    "outbox.due": "notices by notices_due (next_at)",
    "outbox.put": "notices by notices_id_key (id)",
    "outcomes.get": "outcomes by outcomes_decision_key (decision)",
    "outcomes.body": "outcomes by outcomes_decision_key (decision)",
    "outcomes.release": "outcomes by outcomes_decision_key (decision)",
    "outcomes.take_back": "outcomes by outcomes_decision_key (decision)",
    "outcomes.due": "outcomes by outcomes_due (release_at)",
    "outcomes.state": "outcomes by outcomes_pkey (seq)",
    "people.get": "people by people_id_key (id)",
    "people.by_handle": "people by people_folded_key (folded)",
    "people.change": "people by people_folded_key (folded); people by people_id_key (id)",
    "policies.activations": "activations by activations_workflow (workflow)",
    "policies.versions": ("policy_versions by policy_versions_workflow_version_key (workflow)"),
    "policies.active": "active_policies by active_policies_pkey (workflow)",
    "policies.get": (
        "policy_versions by policy_versions_workflow_version_key (workflow, version); "
        "active_policies by active_policies_pkey (workflow)"
    ),
    "reviews.get": "reviews by reviews_id_key (id)",
    "reviews.take": "reviews by reviews_id_key (id)",
    "reviews.lock": "reviews by reviews_id_key (id)",
    "reviews.replace": "reviews by reviews_id_key (id); reviews by reviews_pkey (seq)",
    "reviews.open_case": "reviews by reviews_case (case_key)",
    "reviews.take_open_case": "reviews by reviews_case (case_key)",
    "reviews.due": "reviews by reviews_due (next_at)",
    "reviews.behind": "reviews by reviews_behind (behind)",
    "reviews.take_behind": "reviews by reviews_behind (behind)",
    "reviews.next_workflow": "reviews by reviews_urgency (workflow)",
    "reviews.by_urgency": (
        "reviews by reviews_urgency (workflow, status, urgency, due_or_never, opened_at, seq)"
    ),
    "reviews.drop_asks": "review_asks by review_asks_review (review)",
    "reviews.add_asks": "reviews by reviews_pkey (seq); seats by seats_pkey (review, round)",
    "reviews.set_busy": (
        "reviews by reviews_id_key (id); "
        "review_asks by review_asks_review (review); "
        "seats by seats_pkey (review, round)"
    ),
    "reviews.free_lapsed": (
        "review_asks by review_asks_busy (who, busy_until); "
        "review_asks by review_asks_pkey (who, workflow, urgency, due, opened_at, review)"
    ),
    "reviews.asked": (
        "review_asks by review_asks_pkey (who); review_asks by review_asks_pkey (who, workflow)"
    ),
    "reviews.asked_of": "review_asks by review_asks_pkey (who, workflow)",
    "reviews.free": (
        "review_asks by review_asks_pkey (who); review_asks by review_asks_free (who, workflow)"
    ),
    "reviews.free_of": "review_asks by review_asks_free (who, workflow)",
    "reviews.lapsed": "review_asks by review_asks_busy (who, busy_until)",
    "reviews.of_seqs": "reviews by reviews_pkey (seq)",
    "reviews.lock_seq": "reviews by reviews_pkey (seq)",
    "reviews.try_seq": "reviews by reviews_pkey (seq)",
    "reviews.still_free": (
        "reviews by reviews_pkey (seq); review_asks by review_asks_review (review)"
    ),
    "reviews.round": "rounds by rounds_pkey (review, number)",
    "reviews.votes": "sort; votes by votes_review_round_person_key (review)",
    "reviews.drop_vote": "votes by votes_id_key (id)",
    "reviews.seats": "seats by seats_pkey (review, round)",
    "reviews.acts": "acts by acts_review (review)",
    "reviews.state": "reviews by reviews_pkey (seq)",
    "reviews.votes_state": "votes by votes_pkey (seq); reviews by reviews_id_key (id)",
    "reviews.rounds_state": (
        "rounds by rounds_pkey (review, number); reviews by reviews_id_key (id)"
    ),
    "stops.get": "sort; stops by stops_pkey (workflow)",
    "stops.clear": "stops by stops_pkey (workflow)",
    "subjects.key_of": "subject_keys by subject_keys_pkey (workflow, subject)",
}

WALKS: dict[str, str] = {
    # One end of an index, or the first rows of it.
    "audit.staged": "all of audit_stage by audit_stage_pkey",
    "audit.last_ticket": "all of audit_stage by audit_stage_pkey",
    "audit.size": "all of audit_entries by audit_entries_pkey",
    "audit.last_checkpoint": "all of checkpoints by checkpoints_size_key",
    "outbox.undelivered": "all of notices by notices_undelivered",
    "people.registered": "all of people by people_registered",
    # Small tables.
    "access.tokens": "all of tokens by tokens_pkey",
    "audit.checkpoints": "all of checkpoints by checkpoints_size_key",
    "buckets.all": "all of series by series_pkey",
    "observations.streams": "all of streams by streams_pkey",
    "people.all": "all of people by people_pkey",
    "policies.workflows": "all of active_policies by active_policies_pkey",
    "stops.all": "all of stops by stops_pkey",
    "lists.state": "all of list_versions by list_versions_pkey",
    "policies.state": "all of active_policies by active_policies_pkey",
    # Everything that waits is what is asked for.
    "audit.holds": "all of audit_stage; audit_entries by audit_entries_pkey (idx)",
    "audit.committed": "all of audit_entries by audit_entries_pkey; all of audit_stage",
    "tallies.now": (
        "review_asks by review_asks_pkey (who); "
        "review_asks by review_asks_pkey (who, due); "
        "grants by grants_state (state); "
        "all of notices by notices_undelivered; "
        "all of stops by stops_pkey"
    ),
}
"""Queries that walk a table or index, each for a reason."""


def ways(node: dict[str, Any], columns: dict[str, list[str]]) -> list[str]:
    """The ways into tables of a plan and all below it."""
    found = []
    kind = node["Node Type"]
    if kind == "Sort":
        found.append("sort")
    elif kind.endswith("Scan") and "Relation Name" in node:
        index = node.get("Index Name")
        said = node.get("Index Cond", "")
        led = [
            name
            for name in (c.replace("expr", "seq") for c in columns.get(index or "", []))
            if re.search(rf"\b{name}\b", said)
        ]
        if index is None:
            found.append(f"all of {node['Relation Name']}")
        elif not led:
            found.append(f"all of {node['Relation Name']} by {index}")
        else:
            found.append(f"{node['Relation Name']} by {index} ({', '.join(led)})")
    elif "Join" in kind or kind in ("Hash", "Materialize"):
        found.append(kind.lower())
    for child in node.get("Plans", []):
        found += ways(child, columns)
    return found


FILLED = """
INSERT INTO decisions (id, workflow, subject, submitter, key, lane, mode, review_id, settled,
    submitted_at, body, ruling, requester)
SELECT 'd' || n, 'w' || n % 3, 's' || n % 50, 'b', 'k' || n, 'hold', 'm', 'r' || n % 1000,
    n % 2 = 0, n, '', '', 'p' || n % 9 FROM generate_series(1, 2000) AS n;
INSERT INTO reviews (id, kind, workflow, lead, attached, status, round, asked, stage, opened_at,
    next_at, due, case_key, behind)
SELECT 'r' || n, 'hold', 'w' || n % 3, 'd' || n, 1, (ARRAY['open', 'decided'])[1 + n % 2], 1, '[]',
    0, n, n, n, 'c' || n, 'r' || n / 2 FROM generate_series(1, 1000) AS n;
INSERT INTO review_asks SELECT who, 'w' || n % 3, 3, n, n, n, n % 4 * 7
FROM generate_series(1, 1000) AS n, unnest('{"", team:a}'::text[]) AS one (who);
INSERT INTO rounds SELECT 'r' || n, 1, '' FROM generate_series(1, 1000) AS n;
INSERT INTO seats SELECT 'r' || n, 1, 'p', 't', n, false FROM generate_series(1, 1000) AS n;
INSERT INTO votes (id, review, round, person, said, body)
SELECT 'v' || n || p, 'r' || n, 1, p, 'approve', ''
FROM generate_series(1, 1000) AS n, unnest('{a, b}'::text[]) AS one (p);
INSERT INTO acts (review, body) SELECT 'r' || n, '' FROM generate_series(1, 1000) AS n;
INSERT INTO outcomes (decision, verdict, release_at, released, body)
SELECT 'd' || n, 'passed', n, n % 2 = 0, '' FROM generate_series(1, 1000) AS n;
INSERT INTO grants (id, decision, state, digest, minted_at, lease_until)
SELECT 'g' || n, 'd' || n, (ARRAY['granted', 'redeemed', 'done', 'in_doubt'])[1 + n % 4], '', n, n
FROM generate_series(1, 1000) AS n;
INSERT INTO labels (id, decision, body) SELECT 'l' || n, 'd' || n, ''
FROM generate_series(1, 500) AS n;
INSERT INTO people (id, handle, folded, holds, active, added_at)
SELECT 'p' || n, 'p' || n, 'p' || n, '[]', true, n FROM generate_series(1, 100) AS n;
INSERT INTO policy_versions (workflow, version, body)
SELECT 'w' || n % 3, 'v' || n, '' FROM generate_series(1, 100) AS n;
INSERT INTO active_policies SELECT 'w' || n % 3, 'v' || n FROM generate_series(1, 3) AS n;
INSERT INTO activations (workflow, body)
SELECT 'w' || n % 3, '' FROM generate_series(1, 500) AS n;
INSERT INTO list_versions SELECT 'w' || n % 3, 'l' || n, 2 FROM generate_series(1, 9) AS n;
INSERT INTO list_entries (workflow, name, value, since, body)
SELECT 'w' || n % 3, 'l' || n % 9, 'x' || n, n, '' FROM generate_series(1, 500) AS n;
INSERT INTO subject_keys SELECT 'w' || n % 3, 's' || n, '', n FROM generate_series(1, 500) AS n;
INSERT INTO counters SELECT 's', 'k' || n % 9, n, 1, 1 FROM generate_series(1, 500) AS n;
INSERT INTO series SELECT 's' || n, 'events:x', 0, 0 FROM generate_series(1, 50) AS n;
INSERT INTO buckets SELECT 's' || n % 5, 'k' || n % 9, n, 1, 0, 1, NULL
FROM generate_series(1, 2000) AS n;
INSERT INTO streams SELECT 't' || n, 0 FROM generate_series(1, 50) AS n;
INSERT INTO observations (stream, submitter, key, batch, at, day, recorded_at, facts)
SELECT 't' || n % 5, 'b', 'k' || n, 'b' || n / 10, n, false, n, '{}'
FROM generate_series(1, 2000) AS n;
INSERT INTO notices (id, topic, addressed, text, made_at, attempts, next_at)
SELECT 'n' || n, 't', '[]', '', n, 0, n FROM generate_series(1, 500) AS n;
INSERT INTO sessions (hash, person, made_at, seen_at, until, last, local)
SELECT 'h' || n, 'p' || 1 + n % 100, n, n, n, n, false FROM generate_series(1, 500) AS n;
INSERT INTO tokens (id, hash, name, prefix, scopes, workflows, made_by, made_at)
SELECT 't' || n, 'h' || n, 'n', 'p', '[]', '[]', 'x', n FROM generate_series(1, 100) AS n;
INSERT INTO audit_entries SELECT n, '', '', '' FROM generate_series(0, 1999) AS n;
INSERT INTO audit_stage (entries, origin, topics) SELECT '{}', 'o', '{}'
FROM generate_series(1, 100);
ANALYZE
"""


def plans(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The plan of every named query, in the words of `PLANS`."""
    columns: dict[str, list[str]] = {}
    for name, column in connection.execute(
        "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a"
        " ON a.attrelid = c.oid WHERE c.relkind = 'i' ORDER BY a.attnum"
    ):
        columns.setdefault(name, []).append(column)
    made = {}
    for noun in nouns():
        for name, sql in queries(noun).items():
            if sql.startswith("COPY"):
                continue
            found = list(dict.fromkeys(ways(explain(connection, sql), columns)))
            if found:
                made[f"{noun}.{name}"] = "; ".join(found)
    return made


def explain(connection: psycopg.Connection[Any], sql: str) -> dict[str, Any]:
    """The generic plan that the store's own connections run."""
    places = max((int(place) for place in re.findall(r"\$(\d+)", sql)), default=0)
    given = f"({', '.join(['NULL'] * places)})" if places else ""
    connection.execute(f"PREPARE planned AS {sql}")
    row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE planned{given}").fetchone()
    connection.execute("DEALLOCATE planned")
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def test_plans_are_as_pinned_whatever_is_in_the_tables(open_store: Open) -> None:
    with open_store()._units.connection() as connection:
        assert plans(connection) == {**PLANS, **WALKS}
        connection.execute(FILLED)
        assert plans(connection) == {**PLANS, **WALKS}


def test_nothing_walks_a_table_without_a_reason() -> None:
    assert not [name for name, plan in PLANS.items() if "all of" in plan]
    assert all("all of" in plan for plan in WALKS.values())
