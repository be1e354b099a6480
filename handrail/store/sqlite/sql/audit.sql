-- name: add_entry
INSERT INTO audit_entries (idx, leaf, nodes, body) VALUES (?1, ?2, ?3, ?4);

-- name: size
SELECT coalesce(max(idx) + 1, 0) FROM audit_entries;

-- name: entries
SELECT body FROM audit_entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx;

-- name: leaf
SELECT leaf FROM audit_entries WHERE idx = ?1;

-- name: node
SELECT substr(nodes, 32 * ?1 - 31, 32) FROM audit_entries
WHERE idx = ((?2 + 1) << ?1) - 1 AND length(nodes) >= 32 * ?1;

-- name: leaves
SELECT idx, leaf FROM audit_entries ORDER BY idx;

-- name: rows
SELECT idx, body, leaf, nodes FROM audit_entries ORDER BY idx;

-- name: nodes
WITH RECURSIVE ends (idx) AS (
    VALUES ((1 << ?1) - 1)
    UNION ALL
    SELECT idx + (1 << ?1) FROM ends WHERE idx + (1 << ?1) < ?2
)
SELECT ((idx + 1) >> ?1) - 1, substr(nodes, 32 * ?1 - 31, 32)
FROM ends CROSS JOIN audit_entries USING (idx)
WHERE length(nodes) >= 32 * ?1;

-- name: head
SELECT size, root FROM audit_head;

-- name: set_head
INSERT INTO audit_head (one, size, root) VALUES (1, ?1, ?2)
ON CONFLICT (one) DO UPDATE SET size = excluded.size, root = excluded.root;

-- name: put_checkpoint
INSERT INTO checkpoints (size, text, at, anchored) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (size) DO UPDATE SET
    text = excluded.text, at = excluded.at, anchored = excluded.anchored;

-- name: checkpoints
SELECT size, text, at, anchored FROM checkpoints ORDER BY size, seq;

-- name: last_checkpoint
SELECT size, text, at, anchored FROM checkpoints ORDER BY size DESC LIMIT 1;
