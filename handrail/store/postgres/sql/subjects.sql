-- name: key_of
SELECT workflow, subject, key, made_at FROM subject_keys WHERE workflow = $1 AND subject = $2;

-- name: insert
INSERT INTO subject_keys (workflow, subject, key, made_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING;

-- name: insert_all
INSERT INTO subject_keys (workflow, subject, key, made_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[]);
