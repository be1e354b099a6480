-- The first schema. What never changes is stored as the JSON bytes of its noun, beside the columns
-- it is looked up by; what changes is stored in columns only, so that no second copy can differ.
-- Times are µs since 1970 UTC.

CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    subject TEXT,
    submitter TEXT NOT NULL,
    key TEXT,
    lane TEXT NOT NULL,
    mode TEXT NOT NULL,
    review_id TEXT,
    settled INTEGER NOT NULL CHECK (settled IN (0, 1)),
    expires_at INTEGER,
    submitted_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    ruling BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX decisions_key ON decisions (key, workflow, submitter) WHERE key IS NOT NULL;
CREATE INDEX decisions_workflow ON decisions (workflow, seq);
CREATE INDEX decisions_subject ON decisions (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX decisions_review ON decisions (review_id, seq) WHERE review_id IS NOT NULL;
CREATE INDEX decisions_open ON decisions (seq) WHERE settled = 0;
CREATE INDEX decisions_ended ON decisions (workflow, seq) WHERE settled = 1 AND lane = 'hold';
CREATE INDEX decisions_open_subject ON decisions (workflow, subject, seq) WHERE settled = 0;
CREATE INDEX decisions_expiring ON decisions (expires_at, seq)
    WHERE settled = 0 AND expires_at IS NOT NULL;

CREATE TABLE reviews (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    workflow TEXT NOT NULL,
    subject TEXT,
    lead TEXT NOT NULL REFERENCES decisions (id),
    attached INTEGER NOT NULL,
    status TEXT NOT NULL,
    round INTEGER NOT NULL,
    severity TEXT,
    asked TEXT NOT NULL, -- JSON array
    stage INTEGER NOT NULL,
    next_at INTEGER,
    due INTEGER,
    case_key TEXT,
    behind TEXT,
    snoozed_until INTEGER,
    opened_at INTEGER NOT NULL,
    verdict TEXT,
    decided_by TEXT,
    decided_at INTEGER,
    closed_why TEXT,
    undo_until INTEGER,
    urgency INTEGER NOT NULL GENERATED ALWAYS AS (
        CASE severity WHEN 'high' THEN 0 WHEN 'medium' THEN 1 WHEN 'low' THEN 2 ELSE 3 END
    ) VIRTUAL,
    due_or_never INTEGER NOT NULL GENERATED ALWAYS AS (
        coalesce(due, 9223372036854775807)
    ) VIRTUAL
) STRICT;
CREATE INDEX reviews_urgency
    ON reviews (workflow, status, urgency, due_or_never, opened_at, seq);
CREATE INDEX reviews_due ON reviews (next_at, seq) WHERE status = 'open' AND next_at IS NOT NULL;
CREATE INDEX reviews_case ON reviews (case_key, seq)
    WHERE status = 'open' AND case_key IS NOT NULL;
CREATE INDEX reviews_behind ON reviews (behind, seq) WHERE status = 'open' AND behind IS NOT NULL;

-- One row for each one asked by an open review, and one for everybody (who = ''). Claiming is one
-- seek a (who, workflow); what is taken, snoozed or behind another stands outside the free index,
-- so that claimers do not wade through it.
CREATE TABLE review_asks (
    who TEXT NOT NULL,
    workflow TEXT NOT NULL,
    urgency INTEGER NOT NULL,
    due INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    review INTEGER NOT NULL REFERENCES reviews (seq),
    busy_until INTEGER NOT NULL, -- 0: free
    PRIMARY KEY (who, workflow, urgency, due, opened_at, review)
) STRICT, WITHOUT ROWID;
CREATE INDEX review_asks_free ON review_asks (who, workflow, urgency, due, opened_at, review)
    WHERE busy_until = 0;
CREATE INDEX review_asks_busy ON review_asks (who, busy_until) WHERE busy_until > 0;
CREATE INDEX review_asks_review ON review_asks (review);

CREATE TABLE rounds (
    review TEXT NOT NULL REFERENCES reviews (id),
    number INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (review, number)
) STRICT;

CREATE TABLE seats (
    review TEXT NOT NULL REFERENCES reviews (id),
    round INTEGER NOT NULL,
    holder TEXT NOT NULL,
    token TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    blind INTEGER NOT NULL CHECK (blind IN (0, 1)),
    PRIMARY KEY (review, round, holder)
) STRICT, WITHOUT ROWID;

CREATE TABLE votes (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    review TEXT NOT NULL REFERENCES reviews (id),
    round INTEGER NOT NULL,
    person TEXT NOT NULL,
    said TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (review, round, person)
) STRICT;

CREATE TABLE acts (
    seq INTEGER PRIMARY KEY,
    review TEXT NOT NULL REFERENCES reviews (id),
    body BLOB NOT NULL
) STRICT;
CREATE INDEX acts_review ON acts (review, seq);

CREATE TABLE outcomes (
    seq INTEGER PRIMARY KEY,
    decision TEXT NOT NULL UNIQUE REFERENCES decisions (id),
    verdict TEXT NOT NULL,
    release_at INTEGER NOT NULL,
    released INTEGER NOT NULL CHECK (released IN (0, 1)),
    grant_id TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX outcomes_due ON outcomes (release_at, seq) WHERE released = 0;

CREATE TABLE grants (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    decision TEXT NOT NULL REFERENCES decisions (id),
    state TEXT NOT NULL,
    digest TEXT NOT NULL,
    minted_at INTEGER NOT NULL,
    valid_until INTEGER,
    redeemed_at INTEGER,
    lease_until INTEGER,
    run TEXT,
    by TEXT,
    finished_at INTEGER,
    error TEXT,
    resolved_by TEXT,
    note TEXT,
    replaced_by TEXT,
    overdue_at INTEGER GENERATED ALWAYS AS (
        CASE state WHEN 'redeemed' THEN lease_until WHEN 'granted' THEN valid_until END
    ) VIRTUAL
) STRICT;
CREATE INDEX grants_decision ON grants (decision, seq);
CREATE INDEX grants_state ON grants (state, seq);
CREATE INDEX grants_overdue ON grants (overdue_at, seq) WHERE overdue_at IS NOT NULL;

CREATE TABLE labels (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    decision TEXT NOT NULL REFERENCES decisions (id),
    body BLOB NOT NULL
) STRICT;
CREATE INDEX labels_decision ON labels (decision, seq);

CREATE TABLE people (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    handle TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE, -- the handle without case
    holds TEXT NOT NULL, -- JSON array
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    added_at INTEGER NOT NULL
) STRICT;

CREATE INDEX people_registered ON people (seq) WHERE holds <> '[]';

CREATE TABLE policy_versions (
    seq INTEGER PRIMARY KEY,
    workflow TEXT NOT NULL,
    version TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (workflow, version)
) STRICT;

CREATE TABLE active_policies (
    workflow TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    FOREIGN KEY (workflow, version) REFERENCES policy_versions (workflow, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE activations (
    seq INTEGER PRIMARY KEY,
    workflow TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX activations_workflow ON activations (workflow, seq);

CREATE TABLE list_versions (
    workflow TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL, -- counts the changes of the list
    PRIMARY KEY (workflow, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE list_entries (
    seq INTEGER PRIMARY KEY,
    workflow TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    since INTEGER NOT NULL, -- first version of the list that holds it
    until INTEGER, -- first that does not any more
    body BLOB NOT NULL,
    UNIQUE (workflow, name, since, value)
) STRICT;

CREATE TABLE subject_keys (
    workflow TEXT NOT NULL,
    subject TEXT NOT NULL,
    key BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (workflow, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE stops (
    workflow TEXT PRIMARY KEY, -- * is every workflow
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    addressed TEXT NOT NULL, -- JSON array
    review TEXT,
    decision TEXT,
    text TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER,
    delivered_at INTEGER,
    error TEXT
) STRICT;
CREATE INDEX notices_due ON notices (next_at, seq) WHERE next_at IS NOT NULL;
CREATE INDEX notices_undelivered ON notices (seq) WHERE delivered_at IS NULL;

CREATE TABLE counters (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    total INTEGER NOT NULL, -- minor units
    PRIMARY KEY (scope, key, bucket)
) STRICT, WITHOUT ROWID;

-- What the policies' aggregates are read from. A total is high * 2^32 + low, so that sums of what
-- may be added stay exact far beyond 64 bits.
CREATE TABLE series (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    since INTEGER NOT NULL,
    late INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE buckets (
    series TEXT NOT NULL,
    key TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    high INTEGER NOT NULL,
    low INTEGER NOT NULL,
    body BLOB,
    PRIMARY KEY (series, key, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
    name TEXT PRIMARY KEY,
    kept_from INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE observations (
    seq INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    submitter TEXT NOT NULL,
    key TEXT NOT NULL,
    batch TEXT NOT NULL,
    at INTEGER NOT NULL,
    day INTEGER NOT NULL CHECK (day IN (0, 1)),
    recorded_at INTEGER NOT NULL,
    facts BLOB NOT NULL,
    UNIQUE (stream, submitter, key)
) STRICT;
CREATE INDEX observations_at ON observations (stream, at, seq);
CREATE INDEX observations_batch ON observations (batch, seq);

-- The log: one row an entry. Beside the leaf hash stand the tree nodes that the entry completed,
-- 32 bytes each, lowest level first: node (level, index) is in row (index + 1) * 2^level - 1. So a
-- commit touches the end of one table and no other page.
CREATE TABLE audit_entries (
    idx INTEGER PRIMARY KEY,
    leaf BLOB NOT NULL,
    nodes BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Size and root as of the last commit; opening holds entries and nodes against them.
CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    root BLOB NOT NULL
) STRICT;

CREATE TABLE checkpoints (
    seq INTEGER PRIMARY KEY,
    size INTEGER NOT NULL UNIQUE,
    text TEXT NOT NULL,
    at INTEGER NOT NULL,
    anchored INTEGER NOT NULL CHECK (anchored IN (0, 1))
) STRICT;
