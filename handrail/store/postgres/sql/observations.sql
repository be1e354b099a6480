-- name: insert
INSERT INTO observations (stream, submitter, key, batch, at, day, recorded_at, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING;

-- name: get
SELECT stream, submitter, key, batch, at, day, recorded_at, facts FROM observations
WHERE stream = $1 AND submitter = $2 AND key = $3;

-- name: since
SELECT stream, submitter, key, batch, at, day, recorded_at, facts, seq FROM observations
WHERE stream = $1 AND at >= $2 ORDER BY at DESC, seq + 0 DESC LIMIT $3;

-- name: of_batch
SELECT stream, submitter, key, batch, at, day, recorded_at, facts FROM observations
WHERE batch = $1 ORDER BY seq + 0;

-- name: streams
SELECT name, kept_from FROM streams ORDER BY name;

-- name: kept_from
SELECT kept_from FROM streams WHERE name = $1;

-- name: begin
INSERT INTO streams (name, kept_from) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING;

-- name: keep_from
UPDATE streams SET kept_from = greatest(kept_from, $2) WHERE name = $1;

-- name: prune
DELETE FROM observations WHERE seq IN (
    SELECT seq FROM observations WHERE stream = $1 AND at < $2 ORDER BY at, seq + 0 LIMIT $3
);
