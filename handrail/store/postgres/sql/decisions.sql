-- name: insert
INSERT INTO decisions (id, workflow, subject, submitter, key, lane, mode, review_id, settled,
    expires_at, submitted_at, body, ruling, requester)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT DO NOTHING;

-- name: insert_all
INSERT INTO decisions (id, workflow, subject, submitter, key, lane, mode, review_id, settled,
    expires_at, submitted_at, body, ruling, requester)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::text[], $9::boolean[], $10::bigint[], $11::bigint[], $12::bytea[], $13::bytea[],
    $14::text[]);

-- name: look
SELECT a.place, used.it IS NOT NULL, unsettled.it IS NOT NULL, k.key, k.made_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    WITH ORDINALITY AS a (workflow, submitter, key, subject, place)
LEFT JOIN LATERAL (
    SELECT true AS it FROM decisions
    WHERE key = a.key AND workflow = a.workflow AND submitter = a.submitter LIMIT 1
) AS used ON true
LEFT JOIN LATERAL (
    SELECT true AS it FROM decisions
    WHERE workflow = a.workflow AND subject = a.subject AND NOT settled LIMIT 1
) AS unsettled ON true
LEFT JOIN subject_keys AS k ON k.workflow = a.workflow AND k.subject = a.subject;

-- name: get
SELECT body, ruling, review_id, settled FROM decisions WHERE id = $1;

-- name: take
SELECT d.body, d.ruling, d.review_id, d.settled, r.id
FROM decisions AS d
LEFT JOIN LATERAL (
    SELECT id FROM reviews WHERE id = d.review_id FOR NO KEY UPDATE
) AS r ON true
WHERE d.id = $1
FOR NO KEY UPDATE OF d;

-- name: lock
SELECT r.id
FROM decisions AS d
LEFT JOIN LATERAL (
    SELECT id FROM reviews WHERE id = d.review_id FOR NO KEY UPDATE
) AS r ON true
WHERE d.id = $1
FOR NO KEY UPDATE OF d;

-- name: by_key
SELECT body, ruling, review_id, settled FROM decisions
WHERE key = $3 AND workflow = $1 AND submitter = $2;

-- name: take_by_key
SELECT d.body, d.ruling, d.review_id, d.settled, r.id, d.id
FROM decisions AS d
LEFT JOIN LATERAL (
    SELECT id FROM reviews WHERE id = d.review_id FOR NO KEY UPDATE
) AS r ON true
WHERE d.key = $3 AND d.workflow = $1 AND d.submitter = $2
FOR NO KEY UPDATE OF d;

-- name: unsettled_of
SELECT body, ruling, review_id, settled FROM decisions
WHERE workflow = $1 AND subject = $2 AND NOT settled
ORDER BY seq + 0;

-- name: take_unsettled_of
SELECT d.body, d.ruling, d.review_id, d.settled, r.id, d.id
FROM decisions AS d
LEFT JOIN LATERAL (
    SELECT id FROM reviews WHERE id = d.review_id FOR NO KEY UPDATE
) AS r ON true
WHERE d.workflow = $1 AND d.subject = $2 AND NOT d.settled
ORDER BY d.seq + 0
FOR NO KEY UPDATE OF d;

-- name: of_review
SELECT body, ruling, review_id, settled FROM decisions
WHERE review_id = $1
ORDER BY seq + 0 LIMIT $2;

-- name: attach
UPDATE decisions SET review_id = $2 WHERE id = $1;

-- name: settle
UPDATE decisions SET settled = true WHERE id = $1;

-- name: expiring
SELECT body, ruling, review_id, settled FROM decisions
WHERE NOT settled AND expires_at IS NOT NULL AND expires_at <= $1
ORDER BY expires_at, seq LIMIT $2;

-- name: seq_of
SELECT seq FROM decisions WHERE id = $1;

-- name: find_by_key
SELECT body, ruling, review_id, settled FROM decisions
WHERE key = $1 AND seq < $2
    AND ($3::text IS NULL OR workflow = $3) AND ($4::text IS NULL OR lane = $4)
    AND ($5::boolean IS NULL OR settled = $5) AND ($6::text IS NULL OR subject = $6)
    AND ($7::text IS NULL OR submitter = $7) AND ($8::text IS NULL OR requester = $8)
ORDER BY seq + 0 DESC LIMIT $9;

-- name: find_by_subject
SELECT body, ruling, review_id, settled FROM decisions
WHERE subject = $1 AND seq + 0 < $2
    AND ($3::text IS NULL OR workflow = $3) AND ($4::text IS NULL OR lane = $4)
    AND ($5::boolean IS NULL OR settled = $5) AND ($6::text IS NULL OR key = $6)
    AND ($7::text IS NULL OR submitter = $7) AND ($8::text IS NULL OR requester = $8)
ORDER BY seq + 0 DESC LIMIT $9;

-- name: find_by_requester
SELECT body, ruling, review_id, settled FROM decisions
WHERE requester = $1 AND seq + 0 < $2
    AND ($3::text IS NULL OR workflow = $3) AND ($4::text IS NULL OR lane = $4)
    AND ($5::boolean IS NULL OR settled = $5) AND ($6::text IS NULL OR subject = $6)
    AND ($7::text IS NULL OR key = $7) AND ($8::text IS NULL OR submitter = $8)
ORDER BY seq + 0 DESC LIMIT $9;

-- name: find_open
SELECT body, ruling, review_id, settled FROM decisions
WHERE NOT settled AND seq + 0 < $1
    AND ($2::text IS NULL OR workflow = $2) AND ($3::text IS NULL OR lane = $3)
    AND ($4::text IS NULL OR subject = $4) AND ($5::text IS NULL OR key = $5)
    AND ($6::text IS NULL OR submitter = $6) AND ($7::text IS NULL OR requester = $7)
ORDER BY seq + 0 DESC LIMIT $8;

-- name: find_ended
SELECT body, ruling, review_id, settled FROM decisions
WHERE workflow = $1 AND settled AND lane = 'hold' AND seq + 0 < $2
    AND ($3::text IS NULL OR submitter = $3)
ORDER BY seq + 0 DESC LIMIT $4;

-- name: find_by_workflow
SELECT body, ruling, review_id, settled FROM decisions
WHERE workflow = $1 AND seq + 0 < $2
    AND ($3::text IS NULL OR lane = $3) AND ($4::boolean IS NULL OR settled = $4)
    AND ($5::text IS NULL OR subject = $5) AND ($6::text IS NULL OR key = $6)
    AND ($7::text IS NULL OR submitter = $7) AND ($8::text IS NULL OR requester = $8)
ORDER BY seq + 0 DESC LIMIT $9;

-- name: find_any
SELECT body, ruling, review_id, settled FROM decisions
WHERE seq < $1
    AND ($2::text IS NULL OR workflow = $2) AND ($3::text IS NULL OR lane = $3)
    AND ($4::boolean IS NULL OR settled = $4) AND ($5::text IS NULL OR subject = $5)
    AND ($6::text IS NULL OR key = $6) AND ($7::text IS NULL OR submitter = $7)
    AND ($8::text IS NULL OR requester = $8)
ORDER BY seq DESC LIMIT $9;

-- name: find_in_doubt
SELECT d.body, d.ruling, d.review_id, d.settled
FROM (SELECT DISTINCT decision FROM grants WHERE state = 'in_doubt') AS g
CROSS JOIN LATERAL (SELECT * FROM decisions WHERE id = g.decision OFFSET 0) AS d
WHERE d.seq < $1
    AND ($2::text IS NULL OR d.workflow = $2) AND ($3::text IS NULL OR d.lane = $3)
    AND ($4::boolean IS NULL OR d.settled = $4) AND ($5::text IS NULL OR d.subject = $5)
    AND ($6::text IS NULL OR d.key = $6) AND ($7::text IS NULL OR d.submitter = $7)
    AND ($8::text IS NULL OR d.requester = $8)
ORDER BY d.seq DESC LIMIT $9;

-- name: state
SELECT seq, id, workflow, lane, mode, body, ruling FROM decisions
WHERE seq > $1 ORDER BY seq LIMIT $2;

-- name: past
SELECT d.seq, d.body, d.ruling, d.review_id,
    (SELECT r.verdict FROM reviews r WHERE r.id = d.review_id AND r.decided_by IS NOT NULL),
    (SELECT l.body FROM labels l WHERE l.decision = d.id ORDER BY l.seq + 0 DESC LIMIT 1)
FROM decisions d
WHERE d.workflow = $1 AND d.seq + 0 > $2 ORDER BY d.seq + 0 LIMIT $3;

-- name: submitted
SELECT seq, submitted_at, body FROM decisions
WHERE workflow = $1 AND seq + 0 < $2 ORDER BY seq + 0 DESC LIMIT $3;

-- name: released
SELECT g.seq, g.minted_at, d.workflow, d.body, o.body
FROM grants AS g
JOIN LATERAL (
    SELECT body FROM outcomes WHERE decision = g.decision AND grant_id = g.id OFFSET 0
) AS o ON true
JOIN LATERAL (SELECT workflow, body FROM decisions WHERE id = g.decision OFFSET 0) AS d ON true
WHERE g.seq < $1 ORDER BY g.seq DESC LIMIT $2;
