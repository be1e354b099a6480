-- name: active
SELECT version FROM active_policies WHERE workflow = ?1;

-- name: get
SELECT body, EXISTS (
    SELECT 1 FROM active_policies AS active
    WHERE active.workflow = versions.workflow AND active.version = versions.version
)
FROM policy_versions AS versions WHERE workflow = ?1 AND version = ?2;

-- name: put
INSERT INTO policy_versions (workflow, version, body) VALUES (?1, ?2, ?3)
ON CONFLICT (workflow, version) DO UPDATE SET body = excluded.body;

-- name: activate
INSERT INTO active_policies (workflow, version) VALUES (?1, ?2)
ON CONFLICT (workflow) DO UPDATE SET version = excluded.version;

-- name: workflows
SELECT workflow FROM active_policies ORDER BY workflow;

-- name: versions
SELECT version FROM policy_versions WHERE workflow = ?1 ORDER BY version;

-- name: add_activation
INSERT INTO activations (workflow, body) VALUES (?1, ?2);

-- name: activations
SELECT body FROM activations WHERE workflow = ?1 ORDER BY seq DESC LIMIT ?2;

-- name: state
SELECT workflow, version FROM active_policies ORDER BY workflow;
