-- name: add_token
INSERT INTO tokens (id, name, prefix, scopes, workflows, made_by, made_at, expires_at, last_used_at,
    revoked_at, hash)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11);

-- name: token
SELECT id, name, prefix, scopes, workflows, made_by, made_at, expires_at, last_used_at, revoked_at
FROM tokens WHERE id = ?1;

-- name: token_by_hash
SELECT id, name, prefix, scopes, workflows, made_by, made_at, expires_at, last_used_at, revoked_at
FROM tokens WHERE hash = ?1;

-- name: put_token
UPDATE tokens SET last_used_at = ?2, revoked_at = ?3 WHERE id = ?1;

-- name: tokens
SELECT id, name, prefix, scopes, workflows, made_by, made_at, expires_at, last_used_at, revoked_at
FROM tokens ORDER BY seq;

-- name: put_session
INSERT INTO sessions (hash, person, made_at, seen_at, until, last, local)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (hash) DO UPDATE SET seen_at = excluded.seen_at, until = excluded.until;

-- name: session
SELECT hash, person, made_at, seen_at, until, last, local FROM sessions WHERE hash = ?1;

-- name: sessions_of
SELECT hash, person, made_at, seen_at, until, last, local
FROM sessions WHERE person = ?1 ORDER BY seq;

-- name: end_session
DELETE FROM sessions WHERE hash = ?1;

-- name: end_sessions_of
DELETE FROM sessions WHERE person = ?1 AND hash <> ?2;

-- name: drop_sessions
DELETE FROM sessions WHERE until <= ?1;

-- name: password
SELECT person, hash, changed_at, failures, locked_until FROM passwords WHERE person = ?1;

-- name: put_password
INSERT INTO passwords (person, hash, changed_at, failures, locked_until)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (person) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at,
    failures = excluded.failures, locked_until = excluded.locked_until;

-- name: identity
SELECT issuer, subject, person, linked_at FROM identities WHERE issuer = ?1 AND subject = ?2;

-- name: identities_of
SELECT issuer, subject, person, linked_at FROM identities WHERE person = ?1 ORDER BY seq;

-- name: add_identity
INSERT INTO identities (issuer, subject, person, linked_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (issuer, subject) DO NOTHING;

-- name: add_invitation
INSERT INTO invitations (id, hash, handle, holds, limits, made_by, until, used_at, folded, local)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10);

-- name: invitation
SELECT id, hash, handle, holds, limits, made_by, until, used_at, local
FROM invitations WHERE hash = ?1;

-- name: use_invitation
UPDATE invitations SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL;

-- name: end_invitations
DELETE FROM invitations WHERE folded = ?1 AND used_at IS NULL;
