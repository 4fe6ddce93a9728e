-- name: forgettable_runs
-- Runs that ended before a moment, oldest first, but those that hold the newest event of its kind of any asset's
-- partition, or the newest result of a check: the Partitions and Checks pages are made of these.
WITH newest_events AS (
    SELECT max(id) AS id
    FROM dagster.event_logs
    WHERE asset_key IS NOT NULL
    GROUP BY asset_key, dagster_event_type, partition
),
newest_results AS (
    SELECT max(id) AS id
    FROM dagster.asset_check_executions
    GROUP BY asset_key, check_name, partition, execution_status
),
kept AS (
    SELECT run_id FROM dagster.event_logs JOIN newest_events USING (id)
    UNION
    SELECT run_id FROM dagster.asset_check_executions JOIN newest_results USING (id)
)
SELECT runs.run_id
FROM dagster.runs AS runs
LEFT JOIN kept ON kept.run_id = runs.run_id
WHERE runs.status IN ('SUCCESS', 'FAILURE', 'CANCELED')
    AND runs.update_timestamp < :before
    AND kept.run_id IS NULL
ORDER BY runs.id;

-- name: events_of_runs
-- How many events, and characters of them, these runs have.
SELECT count(*) AS events, coalesce(sum(length(event)), 0)::bigint AS characters
FROM dagster.event_logs
WHERE run_id = ANY(:run_ids);

-- name: forget_check_results
-- Results of checks outlive their run in Dagster: nothing else deletes them.
DELETE FROM dagster.asset_check_executions
WHERE run_id = ANY(:run_ids);

-- name: forgettable_runless_events
-- Events that belong to no run (observations of the sensor, freshness) before a moment, but the newest of each kind.
SELECT id
FROM dagster.event_logs
WHERE run_id = ''
    AND timestamp < :before
    AND id NOT IN (
        SELECT max(id)
        FROM dagster.event_logs
        WHERE asset_key IS NOT NULL
        GROUP BY asset_key, dagster_event_type, partition
    )
ORDER BY id;

-- name: forget_event_tags
-- Tags of these events.
DELETE FROM dagster.asset_event_tags
WHERE event_id = ANY(:ids);

-- name: forget_events
-- These events.
DELETE FROM dagster.event_logs
WHERE id = ANY(:ids);
