-- name: version
SELECT version FROM list_versions WHERE workflow = $1 AND name = $2;

-- name: put_version
INSERT INTO list_versions (workflow, name, version) VALUES ($1, $2, $3)
ON CONFLICT (workflow, name) DO UPDATE SET version = excluded.version;

-- name: insert
INSERT INTO list_entries (workflow, name, value, since, until, body)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: end
UPDATE list_entries SET until = $5, body = $6
WHERE workflow = $1 AND name = $2 AND value = $3 AND since = $4 AND until IS NULL;

-- name: at
SELECT body FROM list_entries
WHERE workflow = $1 AND name = $2 AND since <= $3 AND (until IS NULL OR until > $3)
ORDER BY since, value;

-- name: state
SELECT workflow, name, version FROM list_versions ORDER BY workflow, name;
