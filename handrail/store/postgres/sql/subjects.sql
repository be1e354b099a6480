-- name: key_of
SELECT workflow, subject, key, made_at FROM subject_keys WHERE workflow = $1 AND subject = $2;

-- name: insert
INSERT INTO subject_keys (workflow, subject, key, made_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING;
