-- Ways in: tokens, sessions, passwords, linked identities, invitations; limits of persons; and who a
-- decision was asked for by, as names are compared. `hash` is the SHA-256 (hex) of a secret.

ALTER TABLE people ADD COLUMN limits TEXT NOT NULL DEFAULT '{}'; -- JSON object

ALTER TABLE decisions ADD COLUMN requester TEXT;
UPDATE decisions SET requester = lower(trim(json_extract(CAST(body AS TEXT), '$.requester')));
CREATE INDEX decisions_requester ON decisions (requester, seq) WHERE requester IS NOT NULL;

CREATE TABLE tokens (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    scopes TEXT NOT NULL, -- JSON array
    workflows TEXT NOT NULL, -- JSON array
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE sessions (
    seq INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    person TEXT NOT NULL REFERENCES people (id),
    made_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    last INTEGER NOT NULL,
    local INTEGER NOT NULL -- 1: begun by a link of this machine
) STRICT;
CREATE INDEX sessions_person ON sessions (person, seq);
CREATE INDEX sessions_until ON sessions (until);

CREATE TABLE passwords (
    person TEXT PRIMARY KEY REFERENCES people (id),
    hash TEXT NOT NULL, -- argon2id
    changed_at INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    locked_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
    seq INTEGER PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES people (id),
    linked_at INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX identities_person ON identities (person, seq);

CREATE TABLE invitations (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    handle TEXT,
    folded TEXT NOT NULL, -- the handle without case; '' where there is none
    holds TEXT, -- JSON array
    limits TEXT, -- JSON object
    made_by TEXT NOT NULL,
    until INTEGER NOT NULL,
    used_at INTEGER,
    local INTEGER NOT NULL -- 1: signs in by itself, on this machine
) STRICT;
CREATE INDEX invitations_unused ON invitations (folded) WHERE used_at IS NULL;
