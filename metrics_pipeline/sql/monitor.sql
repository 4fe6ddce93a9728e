-- name: oldest_snapshot
-- The session of this database whose transaction holds uncommitted changes, or idle a snapshot, for longest. Not one
-- that is reading (a dump), nor a run of ours, whose own duration is judged.
SELECT pid, application_name, coalesce(state, 'unknown') AS state, xact_start
FROM pg_stat_activity
WHERE datname = current_database()
    AND backend_type = 'client backend'
    AND pid <> pg_backend_pid()
    AND application_name <> 'metrics_pipeline'
    AND application_name NOT LIKE 'metrics lock: %'
    AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL AND state <> 'active')
    AND xact_start < :begun_before
ORDER BY xact_start
LIMIT 1;

-- name: undelivered_alerts
-- What could not be told to its receiver when last tried, and since when.
SELECT kind, failing_since, error FROM metrics.alerts WHERE failing_since IS NOT NULL ORDER BY kind;
