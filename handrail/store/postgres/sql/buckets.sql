-- name: since
SELECT since FROM series WHERE id = $1;

-- name: start
INSERT INTO series AS s (id, source, since, late) VALUES ($1, $2, $3, 0)
ON CONFLICT (id) DO UPDATE SET since = excluded.since, late = 0;

-- name: cover
UPDATE series SET since = greatest(since, $2) WHERE id = $1;

-- name: late
UPDATE series SET late = late + $2 WHERE id = $1;

-- name: all
SELECT id, source, since, late FROM series ORDER BY id;

-- name: forget
DELETE FROM series WHERE id = $1;

-- name: empty
DELETE FROM buckets WHERE series = $1;

-- name: add
INSERT INTO buckets AS b (series, key, bucket, count, high, low) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (series, key, bucket) DO UPDATE SET
    count = b.count + excluded.count, high = b.high + excluded.high, low = b.low + excluded.low;

-- name: body
SELECT body FROM buckets WHERE series = $1 AND key = $2 AND bucket = $3;

-- name: set_body
UPDATE buckets SET body = $4 WHERE series = $1 AND key = $2 AND bucket = $3;

-- name: total
SELECT (SELECT since FROM series WHERE id = $1),
    coalesce(sum(count), 0)::bigint, coalesce(sum(high), 0)::bigint,
    coalesce(sum(low), 0)::bigint
FROM buckets WHERE series = $1 AND key = $2 AND bucket >= $3 AND bucket < $4;

-- name: rows
SELECT bucket, count, high, low, body FROM buckets
WHERE series = $1 AND key = $2 AND bucket >= $3 AND bucket < $4 ORDER BY bucket;

-- name: whole
SELECT key, bucket, count, high, low, body FROM buckets
WHERE series = $1 AND (key, bucket) > ($2, $3) ORDER BY key, bucket LIMIT $4;

-- name: keys
SELECT DISTINCT key FROM buckets WHERE series = $1 AND bucket >= $2 ORDER BY key LIMIT $3;

-- name: prune
DELETE FROM buckets WHERE series = $1 AND bucket < $2;
