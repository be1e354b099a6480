-- name: get
SELECT workflow, reason, by, at FROM stops WHERE workflow IN ($1, '*')
ORDER BY workflow = '*' LIMIT 1;

-- name: put
INSERT INTO stops (workflow, reason, by, at) VALUES ($1, $2, $3, $4)
ON CONFLICT (workflow) DO UPDATE SET
    reason = excluded.reason, by = excluded.by, at = excluded.at;

-- name: clear
DELETE FROM stops WHERE workflow = $1;

-- name: all
SELECT workflow, reason, by, at FROM stops ORDER BY workflow;
