-- name: stored_heads
-- What the store knows of these keys, in their order; nulls where it has no row.
SELECT stored.content_hash, stored.fingerprint, stored.version, stored.computed_at, stored.computed_by
FROM unnest(CAST(:account_ids AS bigint[]), CAST(:grains AS text[]), CAST(:starts AS date[]))
    WITH ORDINALITY AS wanted (account_id, grain, period_start, place)
LEFT JOIN metrics.period_metrics AS stored USING (account_id, grain, period_start)
ORDER BY wanted.place;

-- name: upsert_payloads
-- Store them in the order of the arrays, which all writers have in common so that two never deadlock, and say in that
-- order which version each has now. Arrays, not COPY into a table that this would be read from: each payload is
-- compressed once and goes through TOAST once, which is a fifth of the work.
-- A touched row is really updated even when nothing in it changes: that is what makes the write of an older
-- snapshot fail. The version is the clock in microseconds but always above the old one: it never goes back.
INSERT INTO metrics.period_metrics AS stored (
    account_id, grain, period_start, payload, version, as_of, is_current, fingerprint,
    content_hash, expense_count, transaction_count, source_checksum, seal, computed_at, computed_by
)
SELECT
    account_id, grain, period_start, payload,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    as_of, is_current, :fingerprint,
    content_hash, expense_count, transaction_count, source_checksum,
    hash_record_extended(ROW (payload, content_hash, expense_count, transaction_count, source_checksum), 0),
    statement_timestamp(), :computed_by
FROM unnest(
    CAST(:account_ids AS bigint[]), CAST(:grains AS text[]), CAST(:starts AS date[]), CAST(:payloads AS text[]),
    CAST(:as_of AS date[]), CAST(:is_current AS boolean[]), CAST(:hashes AS text[]),
    CAST(:expense_counts AS integer[]), CAST(:transaction_counts AS integer[]), CAST(:checksums AS bigint[])
) AS computed (
    account_id, grain, period_start, payload, as_of, is_current,
    content_hash, expense_count, transaction_count, source_checksum
)
ON CONFLICT (account_id, grain, period_start) DO UPDATE SET
    payload = excluded.payload,
    version = greatest(stored.version + 1, excluded.version),
    as_of = excluded.as_of,
    is_current = excluded.is_current,
    fingerprint = excluded.fingerprint,
    content_hash = excluded.content_hash,
    expense_count = excluded.expense_count,
    transaction_count = excluded.transaction_count,
    source_checksum = excluded.source_checksum,
    seal = excluded.seal,
    computed_at = excluded.computed_at,
    computed_by = excluded.computed_by
RETURNING account_id, version, computed_at;

-- name: accounts_with_rows
-- Who has a stored row, of everybody or of these accounts, and the place of its period among these: their payloads are
-- kept exact even where the expenses are gone. For binary COPY.
SELECT wanted.place, stored.account_id
FROM unnest(CAST(:grains AS text[]), CAST(:starts AS date[]))
    WITH ORDINALITY AS wanted (grain, period_start, place)
JOIN metrics.period_metrics AS stored USING (grain, period_start)
WHERE CAST(:account_ids AS bigint[]) IS NULL OR stored.account_id = ANY(CAST(:account_ids AS bigint[]));

-- name: payloads_of_period
-- The stored payloads of a period, what their headers say, and whether anything says that one is stale: a mark, a logged
-- change that was not absorbed, or changes that could not be logged. In one statement: between two, a whole refresh
-- fits.
SELECT
    stored.account_id, stored.payload, stored.version, stored.as_of, stored.is_current, stored.fingerprint,
    stored.computed_at, stored.computed_by,
    EXISTS (
        SELECT FROM metrics.stale_periods AS stale
        WHERE stale.account_id IN (0, stored.account_id)
          AND stale.grain = stored.grain
          AND stale.period_start = stored.period_start
    )
    OR EXISTS (SELECT FROM metrics.expense_changes AS change WHERE change.account_id IN (0, stored.account_id))
    OR EXISTS (
        SELECT FROM metrics.tick_state
        WHERE NOT misses_settled OR missed_seen < coalesce(pg_sequence_last_value('metrics.missed_changes'), 0)
    ) AS stale
FROM metrics.period_metrics AS stored
WHERE stored.account_id = ANY(CAST(:account_ids AS bigint[]))
  AND stored.grain = :grain
  AND stored.period_start = :period_start;

-- name: servable_heads
-- Account by account, the stored payloads of these periods that nothing says are stale, without the payload itself.
-- `settled`: whoever wrote it has had the time to publish it. Marks and wildcards are looked for apart: both in one
-- condition can't be a hash join, and what PostgreSQL does instead took a minute where it took marks for few.
SELECT
    stored.account_id, stored.grain, stored.period_start, stored.version, stored.content_hash,
    stored.as_of, stored.is_current,
    stored.computed_at < clock_timestamp() - interval '1 minute' AS settled
FROM unnest(CAST(:grains AS text[]), CAST(:starts AS date[])) AS wanted (grain, period_start)
JOIN metrics.period_metrics AS stored USING (grain, period_start)
WHERE stored.fingerprint = :fingerprint
  AND (CAST(:account_ids AS bigint[]) IS NULL OR stored.account_id = ANY(CAST(:account_ids AS bigint[])))
  AND NOT EXISTS (
    SELECT FROM metrics.stale_periods AS wildcard
    WHERE wildcard.account_id = 0
      AND wildcard.grain = wanted.grain
      AND wildcard.period_start = wanted.period_start
  )
  AND NOT EXISTS (
    SELECT FROM metrics.stale_periods AS stale
    WHERE stale.account_id = stored.account_id
      AND stale.grain = stored.grain
      AND stale.period_start = stored.period_start
  )
ORDER BY stored.account_id;

-- name: servable_payloads_of
-- Those of these keys' stored payloads that nothing says are stale.
SELECT
    stored.account_id, stored.grain, stored.period_start, stored.payload, stored.version, stored.as_of,
    stored.is_current, stored.fingerprint, stored.computed_at, stored.computed_by
FROM unnest(CAST(:account_ids AS bigint[]), CAST(:grains AS text[]), CAST(:starts AS date[]))
    AS wanted (account_id, grain, period_start)
JOIN metrics.period_metrics AS stored USING (account_id, grain, period_start)
WHERE stored.fingerprint = :fingerprint
  AND NOT EXISTS (
    SELECT FROM metrics.stale_periods AS stale
    WHERE stale.account_id IN (0, stored.account_id)
      AND stale.grain = stored.grain
      AND stale.period_start = stored.period_start
  );

-- name: stored_payloads
-- Stored payloads for export, by period and account.
SELECT payload, version, computed_at, computed_by
FROM metrics.period_metrics
WHERE grain = ANY(CAST(:grains AS text[]))
  AND (CAST(:first AS date) IS NULL OR period_start >= CAST(:first AS date))
  AND (CAST(:last AS date) IS NULL OR period_start <= CAST(:last AS date))
  AND (CAST(:account_ids AS bigint[]) IS NULL OR account_id = ANY(CAST(:account_ids AS bigint[])))
  AND (:include_empty OR expense_count > 0)
ORDER BY array_position(CAST(:grains AS text[]), grain), period_start, account_id;

-- name: period_totals
-- The analysts' view, filtered.
SELECT *
FROM metrics.period_totals
WHERE grain = ANY(CAST(:grains AS text[]))
  AND (CAST(:first AS date) IS NULL OR period_start >= CAST(:first AS date))
  AND (CAST(:last AS date) IS NULL OR period_start <= CAST(:last AS date))
  AND (CAST(:account_ids AS bigint[]) IS NULL OR account_id = ANY(CAST(:account_ids AS bigint[])))
ORDER BY array_position(CAST(:grains AS text[]), grain), period_start, account_id, currency;
