-- name: insert
INSERT INTO decisions (id, workflow, subject, submitter, key, lane, mode, review_id, settled,
    expires_at, submitted_at, body, ruling, requester)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14);

-- name: get
SELECT body, ruling, review_id, settled FROM decisions WHERE id = ?1;

-- name: by_key
SELECT body, ruling, review_id, settled FROM decisions
WHERE key = ?3 AND workflow = ?1 AND submitter = ?2;

-- name: unsettled_of
SELECT body, ruling, review_id, settled FROM decisions
WHERE workflow = ?1 AND subject = ?2 AND settled = 0
ORDER BY seq;

-- name: of_review
SELECT body, ruling, review_id, settled FROM decisions
WHERE review_id = ?1
ORDER BY seq LIMIT ?2;

-- name: attach
UPDATE decisions SET review_id = ?2 WHERE id = ?1;

-- name: settle
UPDATE decisions SET settled = 1 WHERE id = ?1;

-- name: expiring
SELECT body, ruling, review_id, settled FROM decisions
WHERE settled = 0 AND expires_at IS NOT NULL AND expires_at <= ?1
ORDER BY expires_at, seq LIMIT ?2;

-- name: seq_of
SELECT seq FROM decisions WHERE id = ?1;

-- name: find_by_key
SELECT body, ruling, review_id, settled FROM decisions
WHERE key = :key AND seq < :before
    AND (:workflow IS NULL OR workflow = :workflow) AND (:lane IS NULL OR lane = :lane)
    AND (:subject IS NULL OR subject = :subject) AND (:settled IS NULL OR settled = :settled)
    AND (:submitter IS NULL OR submitter = :submitter)
    AND (:requester IS NULL OR +requester = :requester)
ORDER BY seq DESC LIMIT :limit;

-- name: find_by_subject
SELECT body, ruling, review_id, settled FROM decisions
WHERE subject = :subject AND seq < :before
    AND (:workflow IS NULL OR +workflow = :workflow) AND (:lane IS NULL OR lane = :lane)
    AND (:settled IS NULL OR settled = :settled)
    AND (:submitter IS NULL OR submitter = :submitter)
    AND (:requester IS NULL OR +requester = :requester)
ORDER BY seq DESC LIMIT :limit;

-- name: find_open
SELECT body, ruling, review_id, settled FROM decisions
WHERE settled = 0 AND seq < :before
    AND (:workflow IS NULL OR +workflow = :workflow) AND (:lane IS NULL OR lane = :lane)
    AND (:submitter IS NULL OR submitter = :submitter)
    AND (:requester IS NULL OR +requester = :requester)
ORDER BY seq DESC LIMIT :limit;

-- name: find_ended
SELECT body, ruling, review_id, settled FROM decisions
WHERE workflow = :workflow AND settled = 1 AND lane = 'hold' AND seq < :before
    AND (:submitter IS NULL OR submitter = :submitter)
ORDER BY seq DESC LIMIT :limit;

-- name: find_by_workflow
SELECT body, ruling, review_id, settled FROM decisions
WHERE workflow = :workflow AND seq < :before
    AND (:lane IS NULL OR lane = :lane) AND (:settled IS NULL OR settled = :settled)
    AND (:submitter IS NULL OR submitter = :submitter)
    AND (:requester IS NULL OR +requester = :requester)
ORDER BY seq DESC LIMIT :limit;

-- name: find_any
SELECT body, ruling, review_id, settled FROM decisions
WHERE seq < :before
    AND (:lane IS NULL OR lane = :lane) AND (:settled IS NULL OR settled = :settled)
    AND (:submitter IS NULL OR submitter = :submitter)
    AND (:requester IS NULL OR +requester = :requester)
ORDER BY seq DESC LIMIT :limit;

-- name: find_in_doubt
SELECT body, ruling, review_id, settled FROM decisions
WHERE id IN (SELECT decision FROM grants WHERE state = 'in_doubt') AND seq < :before
    AND (:workflow IS NULL OR +workflow = :workflow) AND (:lane IS NULL OR lane = :lane)
    AND (:subject IS NULL OR +subject = :subject) AND (:key IS NULL OR +key = :key)
    AND (:submitter IS NULL OR submitter = :submitter)
    AND (:requester IS NULL OR +requester = :requester)
ORDER BY seq DESC LIMIT :limit;

-- name: find_by_requester
SELECT body, ruling, review_id, settled FROM decisions
WHERE requester = :requester AND seq < :before
    AND (:workflow IS NULL OR +workflow = :workflow) AND (:lane IS NULL OR lane = :lane)
    AND (:subject IS NULL OR +subject = :subject) AND (:key IS NULL OR +key = :key)
    AND (:settled IS NULL OR +settled = :settled)
    AND (:submitter IS NULL OR submitter = :submitter)
ORDER BY seq DESC LIMIT :limit;

-- name: state
SELECT id, workflow, lane, mode, body, ruling FROM decisions ORDER BY seq;

-- name: past
SELECT d.body, d.ruling, d.review_id,
    (SELECT r.verdict FROM reviews r WHERE r.id = d.review_id AND r.decided_by IS NOT NULL),
    (SELECT l.body FROM labels l WHERE l.decision = d.id ORDER BY l.seq DESC LIMIT 1)
FROM decisions d
WHERE d.workflow = ?1 ORDER BY d.seq;

-- name: submitted
SELECT seq, submitted_at, body FROM decisions
WHERE workflow = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3;

-- name: released
SELECT g.seq, g.minted_at, d.workflow, d.body, o.body
FROM grants AS g
CROSS JOIN outcomes AS o ON o.decision = g.decision AND o.grant_id = g.id
CROSS JOIN decisions AS d ON d.id = g.decision
WHERE g.seq < ?1 ORDER BY g.seq DESC LIMIT ?2;
