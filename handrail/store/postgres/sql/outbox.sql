-- name: add
INSERT INTO notices (id, topic, addressed, review, decision, text, made_at, attempts, next_at,
    delivered_at, error)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: due
SELECT id, topic, addressed, review, decision, text, made_at, attempts, next_at, delivered_at, error
FROM notices WHERE next_at IS NOT NULL AND next_at <= $1
    AND (topic = 'outcome.released') = $3
ORDER BY next_at, seq LIMIT $2;

-- name: put
UPDATE notices SET topic = $2, addressed = $3, review = $4, decision = $5, text = $6, made_at = $7,
    attempts = $8, next_at = $9, delivered_at = $10, error = $11
WHERE id = $1;

-- name: undelivered
SELECT id, topic, addressed, review, decision, text, made_at, attempts, next_at, delivered_at, error
FROM notices WHERE delivered_at IS NULL
ORDER BY seq + 0 LIMIT $1;
