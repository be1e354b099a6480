-- name: add_entry
INSERT INTO audit_entries (idx, leaf, body) VALUES (?1, ?2, ?3);

-- name: add_node
INSERT INTO audit_nodes (level, idx, hash) VALUES (?1, ?2, ?3);

-- name: size
SELECT coalesce(max(idx) + 1, 0) FROM audit_entries;

-- name: entries
SELECT body FROM audit_entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx;

-- name: leaf
SELECT leaf FROM audit_entries WHERE idx = ?1;

-- name: node
SELECT hash FROM audit_nodes WHERE level = ?1 AND idx = ?2;

-- name: leaves
SELECT idx, leaf FROM audit_entries ORDER BY idx;

-- name: nodes
SELECT idx, hash FROM audit_nodes WHERE level = ?1 ORDER BY idx;

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
