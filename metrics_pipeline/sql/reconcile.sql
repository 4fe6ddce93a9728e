-- name: source_accounts
-- How many undeleted expenses each account has (null: those that belong to nobody), and how many of these lie
-- outside of all partitions.
SELECT
    expense.email_account_id AS account_id,
    count(*) AS expenses,
    count(*) FILTER (WHERE expense.transaction_date < :first OR expense.transaction_date >= :until) AS outside
FROM expenses AS expense
WHERE expense.deleted_at IS NULL
  AND (CAST(:account_ids AS bigint[]) IS NULL OR expense.email_account_id = ANY(CAST(:account_ids AS bigint[])))
GROUP BY expense.email_account_id;

-- name: stored_accounts
-- How many stored payloads each account has.
SELECT account_id, count(*) AS payloads
FROM metrics.period_metrics
WHERE CAST(:account_ids AS bigint[]) IS NULL OR account_id = ANY(CAST(:account_ids AS bigint[]))
GROUP BY account_id;

-- name: active_accounts
-- The accounts whose payloads the schedules keep.
SELECT id FROM email_accounts WHERE active;

-- name: stored_checksums
-- What the store says about each payload of these accounts, as numbers for binary COPY; days as ordinals.
-- Hashing the payload again is most of the work.
SELECT
    stored.account_id,
    array_position(CAST(:grains AS text[]), stored.grain)::bigint - 1,
    (stored.period_start - date '0001-01-01' + 1)::bigint,
    coalesce(stored.source_checksum, 0),
    stored.expense_count::bigint,
    (stored.source_checksum IS NOT NULL)::integer::bigint,
    (
        stored.seal IS NOT NULL
        AND stored.seal <> hash_record_extended(
            ROW (
                stored.payload, stored.content_hash, stored.expense_count, stored.transaction_count,
                stored.source_checksum
            ),
            0
        )
    )::integer::bigint,
    CASE
        WHEN stored.fingerprint = :fingerprint THEN (stored.as_of - date '0001-01-01' + 1)::bigint
        ELSE 0
    END
FROM metrics.period_metrics AS stored
WHERE stored.account_id = ANY(CAST(:account_ids AS bigint[]));

-- name: stale_keys
-- The marks of these accounts, wildcards (account 0) included.
SELECT account_id, grain, period_start
FROM metrics.stale_periods
WHERE account_id = 0 OR account_id = ANY(CAST(:account_ids AS bigint[]));

-- name: logged_accounts
-- The accounts with a change that was not absorbed; 0: all of them.
SELECT DISTINCT account_id FROM metrics.expense_changes;

-- name: stored_digests
-- What to compare computed payloads with: not what the row says of its payload, which may have been edited since.
SELECT sha256(convert_to(stored.payload, 'UTF8'))
FROM unnest(CAST(:account_ids AS bigint[]), CAST(:grains AS text[]), CAST(:starts AS date[]))
    WITH ORDINALITY AS wanted (account_id, grain, period_start, place)
JOIN metrics.period_metrics AS stored USING (account_id, grain, period_start)
ORDER BY wanted.place;

-- name: picked_keys
-- Stored payloads of these periods, of the accounts that follow where a share of the ids lie: a sample that costs
-- an index probe a period.
SELECT picked.account_id, wanted.grain, wanted.period_start, picked.as_of, picked.is_current
FROM unnest(CAST(:grains AS text[]), CAST(:starts AS date[])) AS wanted (grain, period_start)
CROSS JOIN LATERAL (
    SELECT stored.account_id, stored.as_of, stored.is_current
    FROM metrics.period_metrics AS stored
    WHERE stored.grain = wanted.grain
      AND stored.period_start = wanted.period_start
      AND stored.account_id >= (
          SELECT least(max(id) - :most + 1, min(id) + floor(:share * (max(id) - min(id)))::bigint) FROM email_accounts
      )
      AND stored.fingerprint = :fingerprint
    ORDER BY stored.account_id
    LIMIT :most
) AS picked;
