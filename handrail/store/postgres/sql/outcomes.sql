-- name: insert
INSERT INTO outcomes (decision, verdict, release_at, released, grant_id, body)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (decision) DO NOTHING;

-- name: insert_all
INSERT INTO outcomes (decision, verdict, release_at, released, grant_id, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[], $5::text[], $6::bytea[]);

-- name: get
SELECT body, released, grant_id FROM outcomes WHERE decision = $1;

-- name: body
SELECT body FROM outcomes WHERE decision = $1;

-- name: release
UPDATE outcomes SET released = true, grant_id = $2 WHERE decision = $1 AND NOT released;

-- name: take_back
DELETE FROM outcomes WHERE decision = $1 AND NOT released;

-- name: due
SELECT body, released, grant_id FROM outcomes
WHERE NOT released AND release_at <= $1
ORDER BY release_at, seq LIMIT $2;

-- name: state
SELECT seq, decision, verdict, released, body FROM outcomes
WHERE seq > $1 ORDER BY seq LIMIT $2;
