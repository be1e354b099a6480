-- name: get
SELECT id, handle, holds, limits, active, added_at FROM people WHERE id = $1;

-- name: by_handle
SELECT id, handle, holds, limits, active, added_at FROM people WHERE folded = $1;

-- name: insert
INSERT INTO people (id, handle, folded, holds, limits, active, added_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING;

-- name: change
UPDATE people SET handle = $2, folded = $3, holds = $4, limits = $5, active = $6,
    added_at = $7
WHERE id = $1
    AND NOT EXISTS (SELECT 1 FROM people AS other WHERE other.folded = $3 AND other.id <> $1);

-- name: all
SELECT id, handle, holds, limits, active, added_at FROM people ORDER BY seq;

-- name: registered
SELECT EXISTS (SELECT 1 FROM people WHERE holds <> '[]');
