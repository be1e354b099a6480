-- name: insert
INSERT INTO labels (id, decision, body) VALUES ($1, $2, $3);

-- name: of
SELECT body FROM labels WHERE decision = $1 ORDER BY seq + 0;

-- name: state
SELECT seq, id, decision, body FROM labels WHERE seq > $1 ORDER BY seq LIMIT $2;
