-- name: add
INSERT INTO counters AS c (scope, key, bucket, count, total) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (scope, key, bucket) DO UPDATE SET
    count = c.count + excluded.count, total = c.total + excluded.total;

-- name: read
SELECT coalesce(sum(count), 0)::bigint, coalesce(sum(total), 0)::bigint FROM counters
WHERE scope = $1 AND key = $2 AND bucket >= $3 AND bucket < $4;
