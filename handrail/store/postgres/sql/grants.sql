-- name: insert
INSERT INTO grants (id, decision, state, digest, minted_at, valid_until, redeemed_at, lease_until,
    run, by, finished_at, error, resolved_by, note, replaced_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: insert_all
INSERT INTO grants (id, decision, state, digest, minted_at, valid_until, redeemed_at, lease_until,
    run, by, finished_at, error, resolved_by, note, replaced_by)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::text[], $13::text[],
    $14::text[], $15::text[]);

-- name: get
SELECT id, decision, state, digest, minted_at, valid_until, redeemed_at, lease_until, run, by,
    finished_at, error, resolved_by, note, replaced_by
FROM grants WHERE id = $1;

-- name: take
SELECT g.id, g.decision, g.state, g.digest, g.minted_at, g.valid_until, g.redeemed_at,
    g.lease_until, g.run, g.by, g.finished_at, g.error, g.resolved_by, g.note, g.replaced_by,
    d.review
FROM grants AS g
LEFT JOIN LATERAL (
    SELECT r.id AS review
    FROM decisions AS d
    LEFT JOIN LATERAL (
        SELECT id FROM reviews WHERE id = d.review_id FOR NO KEY UPDATE
    ) AS r ON true
    WHERE d.id = g.decision
    FOR NO KEY UPDATE OF d
) AS d ON true
WHERE g.id = $1
FOR NO KEY UPDATE OF g;

-- name: current
SELECT id, decision, state, digest, minted_at, valid_until, redeemed_at, lease_until, run, by,
    finished_at, error, resolved_by, note, replaced_by
FROM grants WHERE decision = $1
ORDER BY seq + 0 DESC LIMIT 1;

-- name: replace
UPDATE grants SET decision = $2, state = $3, digest = $4, minted_at = $5, valid_until = $6,
    redeemed_at = $7, lease_until = $8, run = $9, by = $10, finished_at = $11, error = $12,
    resolved_by = $13, note = $14, replaced_by = $15
WHERE id = $1 AND state IS NOT DISTINCT FROM $16 AND run IS NOT DISTINCT FROM $17;

-- name: overdue
SELECT id, decision, state, digest, minted_at, valid_until, redeemed_at, lease_until, run, by,
    finished_at, error, resolved_by, note, replaced_by
FROM grants WHERE overdue_at IS NOT NULL AND overdue_at <= $1
ORDER BY overdue_at, seq LIMIT $2;

-- name: in_state
SELECT id, decision, state, digest, minted_at, valid_until, redeemed_at, lease_until, run, by,
    finished_at, error, resolved_by, note, replaced_by, seq
FROM grants WHERE state = $1
ORDER BY seq + 0 LIMIT $2;

-- name: state
SELECT seq, id, decision, state FROM grants WHERE seq > $1 ORDER BY seq LIMIT $2;
