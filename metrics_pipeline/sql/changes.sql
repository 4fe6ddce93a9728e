-- name: take_changes
-- Take logged changes that this transaction can see, whoever committed first: by `id > last seen`, one that
-- commits late with a smaller id would be skipped. Newest first, because somebody is waiting for those, with
-- some of the oldest, so that these never starve. What another absorber holds is left to it.
WITH newest AS (
    SELECT id FROM metrics.expense_changes ORDER BY id DESC LIMIT :newest FOR UPDATE SKIP LOCKED
),
oldest AS (
    SELECT id FROM metrics.expense_changes ORDER BY id LIMIT :oldest FOR UPDATE SKIP LOCKED
)
DELETE FROM metrics.expense_changes AS logged
USING (SELECT id FROM newest UNION SELECT id FROM oldest) AS taken
WHERE logged.id = taken.id
RETURNING logged.account_id, logged.grain, logged.first_at, logged.last_at, logged.changed_at;

-- name: beginning
-- The earliest day with an expense or a stored payload: where "every account, always" begins. Dates that the driver
-- can't read are passed over: no partition holds them.
SELECT least(
    (
        SELECT min(transaction_date)
        FROM expenses
        WHERE transaction_date >= '0001-01-02 00:00+00' AND transaction_date < '9999-12-30 00:00+00'
    ),
    (
        SELECT min(first_of_grain.period_start)::timestamptz
        FROM unnest(CAST(:grains AS text[])) AS grain
        CROSS JOIN LATERAL (
            SELECT min(period_start) AS period_start FROM metrics.period_metrics AS stored WHERE stored.grain = grain.grain
        ) AS first_of_grain
    )
);

-- name: mark_stale
-- Mark periods, each with a fresh token. In one order of keys, or two absorbers deadlock.
INSERT INTO metrics.stale_periods AS stale (
    account_id, grain, period_start, mark, first_changed_at, last_changed_at
)
SELECT account_id, grain, period_start, nextval('metrics.marks'), changed_from, changed_to
FROM unnest(
    CAST(:account_ids AS bigint[]), CAST(:grains AS text[]), CAST(:starts AS date[]),
    CAST(:changed_from AS timestamptz[]), CAST(:changed_to AS timestamptz[])
) AS marked (account_id, grain, period_start, changed_from, changed_to)
ORDER BY account_id, grain, period_start
ON CONFLICT (account_id, grain, period_start) DO UPDATE SET
    mark = excluded.mark,
    first_changed_at = least(stale.first_changed_at, excluded.first_changed_at),
    last_changed_at = greatest(stale.last_changed_at, excluded.last_changed_at);

-- name: order_drops
-- Remember which cache entries must go, in the transaction that marks them.
INSERT INTO metrics.cache_drops (account_id, grain, period_start)
SELECT * FROM unnest(CAST(:account_ids AS bigint[]), CAST(:grains AS text[]), CAST(:starts AS date[]));

-- name: ordered_drops
-- A batch of cache entries that must go.
SELECT id, account_id, grain, period_start FROM metrics.cache_drops ORDER BY id LIMIT :batch;

-- name: forget_drops
-- They are gone from the cache.
DELETE FROM metrics.cache_drops WHERE id = ANY(CAST(:ids AS bigint[]));

-- name: marks_of
-- The marks of these periods, wildcards (account 0) included.
SELECT stale.account_id, stale.grain, stale.period_start, stale.mark
FROM unnest(CAST(:grains AS text[]), CAST(:starts AS date[])) AS wanted (grain, period_start)
JOIN metrics.stale_periods AS stale USING (grain, period_start)
WHERE CAST(:account_ids AS bigint[]) IS NULL
   OR stale.account_id = 0
   OR stale.account_id = ANY(CAST(:account_ids AS bigint[]));

-- name: clear_marks
-- Remove marks by token, which one key alone has. One that is locked is being renewed right now: it must stay anyway.
-- By lists, not by a join: this table is often empty when PostgreSQL counts its rows, and a join that is planned for
-- none compares each mark with all others.
DELETE FROM metrics.stale_periods
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM metrics.stale_periods
    WHERE account_id = ANY(CAST(:account_ids AS bigint[]))
      AND grain = ANY(CAST(:grains AS text[]))
      AND period_start = ANY(CAST(:starts AS date[]))
      AND mark = ANY(CAST(:marks AS bigint[]))
    FOR UPDATE SKIP LOCKED
))
RETURNING first_changed_at;

-- name: marked_between
-- Marks, wildcards included, on ranges of accounts of some periods: what was marked since publishing began.
SELECT stale.account_id, stale.grain, stale.period_start, stale.mark
FROM unnest(
    CAST(:grains AS text[]), CAST(:starts AS date[]), CAST(:lowest AS bigint[]), CAST(:highest AS bigint[])
) AS published (grain, period_start, lowest, highest)
JOIN metrics.stale_periods AS stale
    ON stale.grain = published.grain
    AND stale.period_start = published.period_start
    AND (stale.account_id BETWEEN published.lowest AND published.highest OR stale.account_id = 0);

-- name: versions_between
-- The versions that the store has now of these accounts, in ranges of them of some periods. Few accounts may lie
-- far apart: without their list every row between them would travel.
SELECT stored.account_id, stored.grain, stored.period_start, stored.version
FROM unnest(
    CAST(:grains AS text[]), CAST(:starts AS date[]), CAST(:lowest AS bigint[]), CAST(:highest AS bigint[])
) AS published (grain, period_start, lowest, highest)
JOIN metrics.period_metrics AS stored
    ON stored.grain = published.grain
    AND stored.period_start = published.period_start
    AND stored.account_id BETWEEN published.lowest AND published.highest
WHERE stored.account_id = ANY(CAST(:account_ids AS bigint[]));

-- name: versions_summed
-- The same rows, counted, and their versions added up.
SELECT count(*) AS rows, coalesce(sum(stored.version), 0) AS versions
FROM unnest(
    CAST(:grains AS text[]), CAST(:starts AS date[]), CAST(:lowest AS bigint[]), CAST(:highest AS bigint[])
) AS published (grain, period_start, lowest, highest)
JOIN metrics.period_metrics AS stored
    ON stored.grain = published.grain
    AND stored.period_start = published.period_start
    AND stored.account_id BETWEEN published.lowest AND published.highest
WHERE stored.account_id = ANY(CAST(:account_ids AS bigint[]));

-- name: tick_state
-- What the last look found.
SELECT beats, missed_seen, misses_settled FROM metrics.tick_state;

-- name: lock_tick_state
-- What the last look found; one at a time acts upon it.
SELECT beats, missed_seen, misses_settled FROM metrics.tick_state FOR UPDATE;

-- name: remember_misses
-- Everything was marked stale for these misses.
UPDATE metrics.tick_state SET missed_seen = :missed, misses_settled = :settled;

-- name: remember_beat
-- The canary was set in Redis.
UPDATE metrics.tick_state SET beats = :beats;

-- name: server_identity
-- Which PostgreSQL this is: another cluster, a promoted standby and a restarted one differ.
SELECT concat_ws(
    ':', (SELECT system_identifier FROM pg_control_system()), (SELECT timeline_id FROM pg_control_checkpoint()),
    extract(epoch FROM pg_postmaster_start_time())
);

-- name: backlog
-- What waits for a refresh, by grain and period.
SELECT
    grain,
    period_start,
    count(*) AS accounts,
    bool_or(account_id = 0) AS everybody,
    min(first_changed_at) AS first_changed_at,
    max(last_changed_at) AS last_changed_at
FROM metrics.stale_periods
GROUP BY grain, period_start
ORDER BY grain, period_start;

-- name: waiting_changes
-- How many changes are logged and not yet absorbed, and since when.
SELECT count(*) AS changes, min(changed_at) AS oldest_at FROM metrics.expense_changes;
