-- name: now
-- Each open review has one ask for everybody (who = ''), so that closed ones are not walked.
SELECT
    (SELECT count(*) FROM review_asks WHERE who = ''),
    (SELECT count(*) FROM review_asks WHERE who = '' AND due <= ?1),
    (SELECT count(*) FROM grants WHERE state = 'in_doubt'),
    (SELECT count(*) FROM notices WHERE delivered_at IS NULL AND next_at IS NOT NULL),
    (SELECT count(*) FROM notices WHERE delivered_at IS NULL AND next_at IS NULL),
    (SELECT count(*) FROM stops);
