-- name: insert
WITH made AS (
    INSERT INTO reviews (id, kind, workflow, subject, lead, attached, status, round, severity,
        asked, stage, next_at, due, case_key, behind, snoozed_until, opened_at, verdict,
        decided_by, decided_at, closed_why, undo_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22)
    RETURNING seq, workflow, urgency, due_or_never, opened_at
)
INSERT INTO review_asks (who, workflow, urgency, due, opened_at, review, busy_until)
SELECT asked.who, made.workflow, made.urgency, made.due_or_never, made.opened_at, made.seq, $24
FROM made, unnest($23::text[]) AS asked (who);

-- name: get
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE id = $1;

-- name: take
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE id = $1
FOR NO KEY UPDATE;

-- name: lock
SELECT seq FROM reviews WHERE id = $1 FOR NO KEY UPDATE;

-- name: replace
UPDATE reviews AS r SET kind = $2, workflow = $3, subject = $4, lead = $5, attached = $6,
    status = $7, round = $8, severity = $9, asked = $10, stage = $11, next_at = $12, due = $13,
    case_key = $14, behind = $15, snoozed_until = $16, opened_at = $17, verdict = $18,
    decided_by = $19, decided_at = $20, closed_why = $21, undo_until = $22
FROM reviews AS old
WHERE old.id = $1 AND r.seq = old.seq AND old.status = $23 AND old.round = $24 AND old.stage = $25
RETURNING r.seq,
    (old.status, old.workflow, old.urgency, old.due_or_never, old.opened_at, old.asked)
        IS DISTINCT FROM
    (r.status, r.workflow, r.urgency, r.due_or_never, r.opened_at, r.asked),
    (old.round, old.behind, old.snoozed_until) IS DISTINCT FROM (r.round, r.behind, r.snoozed_until);

-- name: open_case
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE status = 'open' AND case_key = $1
ORDER BY seq LIMIT 1;

-- name: take_open_case
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE status = 'open' AND case_key = $1
ORDER BY seq LIMIT 1
FOR NO KEY UPDATE;

-- name: due
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE status = 'open' AND next_at IS NOT NULL AND next_at <= $1
ORDER BY next_at, seq LIMIT $2;

-- name: behind
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE status = 'open' AND behind = $1
ORDER BY seq;

-- name: take_behind
SELECT id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage, next_at,
    due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at, closed_why,
    undo_until
FROM reviews WHERE status = 'open' AND behind = $1
ORDER BY seq
FOR NO KEY UPDATE;

-- name: next_workflow
SELECT workflow FROM reviews WHERE workflow > $1 ORDER BY workflow LIMIT 1;

-- name: by_urgency
SELECT urgency, due_or_never, opened_at, seq, id, kind, workflow, subject, lead, attached, status,
    round, severity, asked, stage, next_at, due, case_key, behind, snoozed_until, opened_at,
    verdict, decided_by, decided_at, closed_why, undo_until
FROM reviews
WHERE workflow = $1 AND status = $2
    AND (urgency, due_or_never, opened_at, seq) > ($3, $4, $5, $6)
ORDER BY urgency, due_or_never, opened_at, seq LIMIT $7;

-- name: drop_asks
DELETE FROM review_asks WHERE review = $1;

-- name: add_asks
INSERT INTO review_asks (who, workflow, urgency, due, opened_at, review, busy_until)
SELECT asked.who, r.workflow, r.urgency, r.due_or_never, r.opened_at, r.seq,
    CASE WHEN r.behind IS NOT NULL THEN 9223372036854775807
    ELSE greatest(0, r.snoozed_until,
        (SELECT max(s.lease_until) FROM seats AS s WHERE s.review = r.id AND s.round = r.round))
    END
FROM reviews AS r, unnest($2::text[]) AS asked (who)
WHERE r.seq = $1 AND r.status = 'open';

-- name: set_busy
UPDATE review_asks AS a SET busy_until = b.until
FROM (
    SELECT r.seq,
        CASE WHEN r.behind IS NOT NULL THEN 9223372036854775807
        ELSE greatest(0, r.snoozed_until,
            (SELECT max(s.lease_until) FROM seats AS s WHERE s.review = r.id AND s.round = r.round))
        END AS until
    FROM reviews AS r WHERE r.id = $1 AND r.status = 'open'
) AS b
WHERE a.review = b.seq AND a.busy_until <> b.until;

-- name: free_lapsed
UPDATE review_asks AS a SET busy_until = 0
FROM (
    SELECT who, workflow, urgency, due, opened_at, review FROM review_asks
    WHERE who = ANY ($1::text[]) AND busy_until > 0 AND busy_until <= $2
    FOR NO KEY UPDATE SKIP LOCKED
) AS l
WHERE a.who = l.who AND a.workflow = l.workflow AND a.urgency = l.urgency AND a.due = l.due
    AND a.opened_at = l.opened_at AND a.review = l.review;

-- name: asked
WITH RECURSIVE arm AS (
    SELECT one.who, (
        SELECT a.workflow FROM review_asks AS a WHERE a.who = one.who ORDER BY a.workflow LIMIT 1
    ) AS workflow
    FROM unnest($1::text[]) AS one (who)
    UNION ALL
    SELECT arm.who, (
        SELECT a.workflow FROM review_asks AS a
        WHERE a.who = arm.who AND a.workflow > arm.workflow ORDER BY a.workflow LIMIT 1
    )
    FROM arm WHERE arm.workflow IS NOT NULL
)
SELECT place.urgency, place.due, place.opened_at, place.review
FROM arm
CROSS JOIN LATERAL (
    SELECT a.urgency, a.due, a.opened_at, a.review FROM review_asks AS a
    WHERE a.who = arm.who AND a.workflow = arm.workflow
    ORDER BY a.urgency, a.due, a.opened_at, a.review LIMIT $2
) AS place
WHERE arm.workflow IS NOT NULL;

-- name: asked_of
SELECT place.urgency, place.due, place.opened_at, place.review
FROM unnest($1::text[]) AS arm (who)
CROSS JOIN LATERAL (
    SELECT a.urgency, a.due, a.opened_at, a.review FROM review_asks AS a
    WHERE a.who = arm.who AND a.workflow = $3
    ORDER BY a.urgency, a.due, a.opened_at, a.review LIMIT $2
) AS place;

-- name: free
WITH RECURSIVE arm AS (
    SELECT one.who, (
        SELECT a.workflow FROM review_asks AS a WHERE a.who = one.who ORDER BY a.workflow LIMIT 1
    ) AS workflow
    FROM unnest($1::text[]) AS one (who)
    UNION ALL
    SELECT arm.who, (
        SELECT a.workflow FROM review_asks AS a
        WHERE a.who = arm.who AND a.workflow > arm.workflow ORDER BY a.workflow LIMIT 1
    )
    FROM arm WHERE arm.workflow IS NOT NULL
)
SELECT place.urgency, place.due, place.opened_at, place.review
FROM arm
CROSS JOIN LATERAL (
    SELECT a.urgency, a.due, a.opened_at, a.review FROM review_asks AS a
    WHERE a.who = arm.who AND a.workflow = arm.workflow AND a.busy_until = 0
    ORDER BY a.urgency, a.due, a.opened_at, a.review LIMIT $2
) AS place
WHERE arm.workflow IS NOT NULL;

-- name: free_of
SELECT place.urgency, place.due, place.opened_at, place.review
FROM unnest($1::text[]) AS arm (who)
CROSS JOIN LATERAL (
    SELECT a.urgency, a.due, a.opened_at, a.review FROM review_asks AS a
    WHERE a.who = arm.who AND a.workflow = $3 AND a.busy_until = 0
    ORDER BY a.urgency, a.due, a.opened_at, a.review LIMIT $2
) AS place;

-- name: lapsed
SELECT urgency, due, opened_at, review FROM review_asks
WHERE who = ANY ($1::text[]) AND busy_until > 0 AND busy_until <= $2
    AND ($3::text IS NULL OR workflow = $3);

-- name: of_seqs
SELECT seq, id, kind, workflow, subject, lead, attached, status, round, severity, asked, stage,
    next_at, due, case_key, behind, snoozed_until, opened_at, verdict, decided_by, decided_at,
    closed_why, undo_until
FROM reviews WHERE seq = ANY ($1::bigint[]);

-- name: lock_seq
SELECT id FROM reviews WHERE seq = $1 FOR NO KEY UPDATE;

-- name: try_seq
SELECT id FROM reviews WHERE seq = $1 FOR NO KEY UPDATE SKIP LOCKED;

-- name: still_free
SELECT r.id, r.kind, r.workflow, r.subject, r.lead, r.attached, r.status, r.round, r.severity,
    r.asked, r.stage, r.next_at, r.due, r.case_key, r.behind, r.snoozed_until, r.opened_at,
    r.verdict, r.decided_by, r.decided_at, r.closed_why, r.undo_until
FROM reviews AS r
WHERE r.seq = $1 AND EXISTS (
    SELECT 1 FROM review_asks AS a
    WHERE a.review = r.seq AND a.who || '' = ANY ($2::text[]) AND a.busy_until <= $3
);

-- name: add_round
INSERT INTO rounds (review, number, body) VALUES ($1, $2, $3);

-- name: round
SELECT body FROM rounds WHERE review = $1 AND number = $2;

-- name: add_vote
INSERT INTO votes (id, review, round, person, said, body) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (review, round, person) DO NOTHING;

-- name: votes
SELECT body FROM votes WHERE review = $1 ORDER BY seq + 0;

-- name: drop_vote
DELETE FROM votes WHERE id = $1 RETURNING review;

-- name: seats
SELECT review, round, holder, token, lease_until, blind FROM seats
WHERE review = $1 AND round = $2
ORDER BY holder;

-- name: put_seat
INSERT INTO seats (review, round, holder, token, lease_until, blind)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (review, round, holder) DO UPDATE SET
    token = excluded.token, lease_until = excluded.lease_until, blind = excluded.blind;

-- name: add_act
INSERT INTO acts (review, body) VALUES ($1, $2);

-- name: acts
SELECT body FROM acts WHERE review = $1 ORDER BY seq + 0;

-- name: state
SELECT seq, id, status, round, verdict, lead FROM reviews WHERE seq > $1 ORDER BY seq LIMIT $2;

-- name: votes_state
SELECT v.seq, v.id, v.review, v.round, v.person, v.said, v.body, r.lead
FROM votes AS v LEFT JOIN reviews AS r ON r.id = v.review
WHERE v.seq > $1 ORDER BY v.seq LIMIT $2;

-- name: rounds_state
SELECT o.review, o.number, o.body, r.lead
FROM rounds AS o LEFT JOIN reviews AS r ON r.id = o.review
WHERE (o.review, o.number) > ($1, $2) ORDER BY o.review, o.number LIMIT $3;
