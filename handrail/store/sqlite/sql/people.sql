-- name: get
SELECT id, handle, holds, limits, active, added_at FROM people WHERE id = ?1;

-- name: by_handle
SELECT id, handle, holds, limits, active, added_at FROM people WHERE folded = ?1;

-- name: put
INSERT INTO people (id, handle, folded, holds, limits, active, added_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (id) DO UPDATE SET handle = excluded.handle, folded = excluded.folded,
    holds = excluded.holds, limits = excluded.limits, active = excluded.active, added_at = excluded.added_at;

-- name: all
SELECT id, handle, holds, limits, active, added_at FROM people ORDER BY seq;

-- name: registered
SELECT EXISTS (SELECT 1 FROM people WHERE holds <> '[]');
