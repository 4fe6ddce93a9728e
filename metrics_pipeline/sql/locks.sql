-- name: begin_advisory
-- Names the session in pg_stat_activity, keeps it from being ended for idleness, and has PostgreSQL notice within
-- a minute that its host vanished; all until the transaction's end.
SELECT
    set_config('application_name', :application_name, true),
    set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('tcp_keepalives_idle', '20', true),
    set_config('tcp_keepalives_interval', '10', true),
    set_config('tcp_keepalives_count', '3', true);

-- name: try_lock
-- Takes a lock until the transaction's end, unless somebody has it.
SELECT pg_try_advisory_xact_lock(:key);

-- name: try_shared_lock
-- The same, beside others that share it.
SELECT pg_try_advisory_xact_lock_shared(:key);

-- name: advisory_holders
-- What the other sessions that hold one of these locks call themselves. A 64-bit key stands in two halves.
SELECT activity.application_name
FROM unnest(CAST(:keys AS bigint[])) AS wanted (key)
JOIN pg_locks AS held
    ON held.classid = ((wanted.key >> 32) & 4294967295)::oid
    AND held.objid = (wanted.key & 4294967295)::oid
JOIN pg_stat_activity AS activity ON activity.pid = held.pid
WHERE held.locktype = 'advisory'
  AND held.objsubid = 1
  AND held.granted
  AND held.pid <> pg_backend_pid()
  AND activity.datname = current_database()
  AND activity.application_name <> ''
ORDER BY activity.backend_start;
