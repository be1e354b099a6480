-- name: insert
INSERT INTO reviews (id, kind, workflow, subject, lead, attached, status, round, severity, asked,
    stage, next_at, due, case_key, behind, snoozed_until, opened_at, verdict, decided_by,
    decided_at, closed_why, undo_until)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
    ?21, ?22);

-- name: get
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE id = ?1;

-- name: get_seq
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE seq = ?1;

-- name: replace
UPDATE reviews SET kind = ?2, workflow = ?3, subject = ?4, lead = ?5, attached = ?6, status = ?7,
    round = ?8, severity = ?9, asked = ?10, stage = ?11, next_at = ?12, due = ?13, case_key = ?14,
    behind = ?15, snoozed_until = ?16, opened_at = ?17, verdict = ?18, decided_by = ?19,
    decided_at = ?20, closed_why = ?21, undo_until = ?22
WHERE id = ?1 AND status = ?23 AND round = ?24 AND stage = ?25
RETURNING seq;

-- name: open_case
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE status = 'open' AND case_key = ?1
ORDER BY seq LIMIT 1;

-- name: due
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE status = 'open' AND next_at IS NOT NULL AND next_at <= ?1
ORDER BY next_at, seq LIMIT ?2;

-- name: behind
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE status = 'open' AND behind = ?1
ORDER BY seq;

-- name: next_workflow
SELECT workflow FROM reviews WHERE workflow > ?1 ORDER BY workflow LIMIT 1;

-- name: by_urgency
SELECT urgency, due_or_never, opened_at, seq FROM reviews
WHERE workflow = ?1 AND status = ?2
ORDER BY urgency, due_or_never, opened_at, seq;

-- name: seq_of
SELECT seq FROM reviews WHERE id = ?1;

-- name: drop_asks
DELETE FROM review_asks WHERE review = ?1;

-- name: add_ask
INSERT INTO review_asks (who, workflow, urgency, due, opened_at, review, busy_until)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: set_busy
UPDATE review_asks SET busy_until = ?2 WHERE review = ?1 AND busy_until <> ?2;

-- name: free_lapsed
UPDATE review_asks SET busy_until = 0
WHERE who = ?1 AND busy_until > 0 AND busy_until <= ?2;

-- name: next_asked_workflow
SELECT workflow FROM review_asks WHERE who = ?1 AND workflow > ?2 ORDER BY workflow LIMIT 1;

-- name: asked
SELECT urgency, due, opened_at, review FROM review_asks
WHERE who = ?1 AND workflow = ?2
ORDER BY urgency, due, opened_at, review LIMIT ?3;

-- name: free
SELECT urgency, due, opened_at, review FROM review_asks
WHERE who = ?1 AND workflow = ?2 AND busy_until = 0
ORDER BY urgency, due, opened_at, review LIMIT ?3;

-- name: lapsed
SELECT urgency, due, opened_at, review FROM review_asks
WHERE who = ?1 AND busy_until > 0 AND busy_until <= ?2 AND (?3 IS NULL OR +workflow = ?3);

-- name: add_round
INSERT INTO rounds (review, number, body) VALUES (?1, ?2, ?3);

-- name: round
SELECT body FROM rounds WHERE review = ?1 AND number = ?2;

-- name: add_vote
INSERT INTO votes (id, review, round, person, said, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (review, round, person) DO NOTHING;

-- name: votes
SELECT body FROM votes WHERE review = ?1 AND round = ?2 ORDER BY seq;

-- name: all_votes
SELECT body FROM votes WHERE review = ?1 ORDER BY seq;

-- name: drop_vote
DELETE FROM votes WHERE id = ?1;

-- name: seat
SELECT review, round, holder, token, lease_until, blind FROM seats
WHERE review = ?1 AND round = ?2 AND holder = ?3;

-- name: seats
SELECT review, round, holder, token, lease_until, blind FROM seats
WHERE review = ?1 AND round = ?2 AND lease_until > ?3
ORDER BY holder;

-- name: put_seat
INSERT INTO seats (review, round, holder, token, lease_until, blind)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (review, round, holder) DO UPDATE SET
    token = excluded.token, lease_until = excluded.lease_until, blind = excluded.blind;

-- name: last_lease
SELECT max(lease_until) FROM seats WHERE review = ?1 AND round = ?2;

-- name: add_act
INSERT INTO acts (review, body) VALUES (?1, ?2);

-- name: acts
SELECT body FROM acts WHERE review = ?1 ORDER BY seq;

-- name: state
SELECT id, status, round, verdict, lead FROM reviews ORDER BY seq;

-- name: votes_state
SELECT votes.id, votes.review, votes.round, votes.person, votes.said, votes.body, reviews.lead
FROM votes LEFT JOIN reviews ON reviews.id = votes.review
ORDER BY votes.seq;

-- name: rounds_state
SELECT rounds.review, rounds.number, rounds.body, reviews.lead
FROM rounds LEFT JOIN reviews ON reviews.id = rounds.review
ORDER BY rounds.rowid;
