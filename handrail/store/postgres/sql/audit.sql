-- name: stage
INSERT INTO audit_stage (entries, origin, topics, due) VALUES ($1, $2, $3, $4)
RETURNING pg_current_xact_id()::text;

-- name: staged
SELECT ticket, entries, origin, topics, due FROM audit_stage ORDER BY ticket LIMIT $1;

-- name: last_ticket
SELECT ticket FROM audit_stage ORDER BY ticket DESC LIMIT 1;

-- name: staged_to
SELECT 1 FROM audit_stage WHERE ticket <= $1 LIMIT 1;

-- name: waiting
SELECT ticket, entries FROM audit_stage WHERE ticket > $1 ORDER BY ticket LIMIT $2;

-- name: holds
SELECT EXISTS (SELECT 1 FROM audit_stage WHERE $1::bytea = ANY (entries))
    OR EXISTS (SELECT 1 FROM audit_entries WHERE idx >= $2 AND body = $1::bytea);

-- name: committed
SELECT coalesce((SELECT idx + 1 FROM audit_entries ORDER BY idx DESC LIMIT 1), 0)
    + coalesce((SELECT sum(cardinality(entries)) FROM audit_stage), 0)::bigint;

-- name: unstage
DELETE FROM audit_stage WHERE ticket = ANY ($1);

-- name: add_entries
INSERT INTO audit_entries (idx, leaf, nodes, body)
SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[]);

-- name: size
SELECT coalesce((SELECT idx + 1 FROM audit_entries ORDER BY idx DESC LIMIT 1), 0);

-- name: entries
SELECT idx, body FROM audit_entries WHERE idx >= $1 AND idx < $2 ORDER BY idx LIMIT $3;

-- name: leaf
SELECT leaf FROM audit_entries WHERE idx = $1;

-- name: node
SELECT substr(nodes, (32 * $1 - 31)::int, 32) FROM audit_entries
WHERE idx = (($2::bigint + 1) << $1::int) - 1 AND length(nodes) >= 32 * $1;

-- name: leaves
SELECT idx, leaf FROM audit_entries WHERE idx > $1 ORDER BY idx LIMIT $2;

-- name: rows
SELECT idx, body, leaf, nodes FROM audit_entries WHERE idx > $1 ORDER BY idx LIMIT $2;

-- name: nodes
SELECT place.idx, substr(e.nodes, (32 * $1 - 31)::int, 32)
FROM generate_series($2::bigint, $3::bigint) AS place (idx)
JOIN audit_entries AS e ON e.idx = ((place.idx + 1) << $1::int) - 1
WHERE length(e.nodes) >= 32 * $1
ORDER BY place.idx;

-- name: head
SELECT size, root FROM audit_head WHERE one = 1;

-- name: set_head
INSERT INTO audit_head (one, size, root) VALUES (1, $1, $2)
ON CONFLICT (one) DO UPDATE SET size = excluded.size, root = excluded.root;

-- name: put_checkpoint
INSERT INTO checkpoints (size, text, at, anchored) VALUES ($1, $2, $3, $4)
ON CONFLICT (size) DO UPDATE SET
    text = excluded.text, at = excluded.at, anchored = excluded.anchored;

-- name: checkpoints
SELECT size, text, at, anchored FROM checkpoints ORDER BY size;

-- name: last_checkpoint
SELECT size, text, at, anchored FROM checkpoints ORDER BY size DESC LIMIT 1;
