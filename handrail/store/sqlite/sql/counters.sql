-- name: add
INSERT INTO counters (scope, key, bucket, count, total) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (scope, key, bucket) DO UPDATE SET
    count = count + excluded.count, total = total + excluded.total;

-- name: read
SELECT coalesce(sum(count), 0), coalesce(sum(total), 0) FROM counters
WHERE scope = ?1 AND key = ?2 AND bucket >= ?3 AND bucket < ?4;
