-- name: claim_alert
-- What the receiver of this kind of message knows; no row while another process is telling it.
SELECT known, told_at, failing_since FROM metrics.alerts WHERE kind = :kind FOR UPDATE SKIP LOCKED;

-- name: keep_told
-- What the receiver knows now, and that nothing is owed to it.
UPDATE metrics.alerts
SET known = CAST(:known AS jsonb),
    told_at = CASE WHEN :told THEN CAST(:now AS timestamptz) ELSE told_at END,
    failing_since = NULL,
    error = NULL
WHERE kind = :kind;

-- name: keep_undelivered
-- That the receiver could not be told, and why.
UPDATE metrics.alerts SET failing_since = coalesce(failing_since, :now), error = :error WHERE kind = :kind;
