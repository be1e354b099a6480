-- name: insert
INSERT INTO outcomes (decision, verdict, release_at, released, grant_id, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: get
SELECT body, released, grant_id FROM outcomes WHERE decision = ?1;

-- name: body
SELECT body FROM outcomes WHERE decision = ?1;

-- name: release
UPDATE outcomes SET released = 1, grant_id = ?2 WHERE decision = ?1 AND released = 0;

-- name: take_back
DELETE FROM outcomes WHERE decision = ?1 AND released = 0;

-- name: due
SELECT body, released, grant_id FROM outcomes
WHERE released = 0 AND release_at <= ?1
ORDER BY release_at, seq LIMIT ?2;

-- name: state
SELECT decision, verdict, released, body FROM outcomes ORDER BY seq;
