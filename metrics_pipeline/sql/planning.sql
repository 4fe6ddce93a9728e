-- name: expenses_estimate
-- How many expenses there are by the table's size and by what its pages held when they were last looked at; costs no
-- reading. NULL where VACUUM and ANALYZE never looked, or where `expenses` is something else than a plain table.
SELECT CASE
    WHEN relkind = 'r' AND relpages > 0
        THEN (reltuples / relpages * pg_relation_size(oid) / current_setting('block_size')::float8)::bigint
END
FROM pg_class
WHERE oid = 'expenses'::regclass;

-- name: has_more_expenses
-- Whether these accounts, or all, have more than so many expenses in a window. By indexes alone, where pages are
-- all-visible, so deleted ones count; it stops at the first one too many.
SELECT count(*) > :most
FROM (
    SELECT FROM expenses AS expense
    WHERE expense.transaction_date >= :rows_from
      AND expense.transaction_date < :rows_until
      AND (CAST(:account_ids AS bigint[]) IS NULL OR expense.email_account_id = ANY(CAST(:account_ids AS bigint[])))
    LIMIT :most + 1
) AS counted;

-- name: accounts_by_expenses
-- The accounts that a run computes, by id, each with how many expenses it has in the window, if that is asked: every active
-- account and those with a stored row in these periods, or those named; and, of either, the marked ones. For binary
-- COPY.
SELECT account.id::bigint, coalesce(counted.expenses, 0)::bigint
FROM (
    SELECT id FROM email_accounts WHERE active AND CAST(:account_ids AS bigint[]) IS NULL
    UNION
    SELECT stored.account_id
    FROM unnest(CAST(:grains AS text[]), CAST(:starts AS date[])) AS wanted (grain, period_start)
    JOIN metrics.period_metrics AS stored USING (grain, period_start)
    WHERE CAST(:account_ids AS bigint[]) IS NULL
    UNION
    SELECT unnest(CAST(:account_ids AS bigint[]))
    UNION
    SELECT unnest(CAST(:marked AS bigint[]))
) AS account (id)
LEFT JOIN (
    SELECT expense.email_account_id AS id, count(*) AS expenses
    FROM expenses AS expense
    WHERE :counted
      AND expense.transaction_date >= :rows_from
      AND expense.transaction_date < :rows_until
    GROUP BY expense.email_account_id
) AS counted USING (id)
ORDER BY account.id;

-- name: outdated_keys
-- What of closed periods is not in the store as it should be: rows computed by older rules or before the period had
-- closed, and accounts without a row: those asked for, or the active ones that have an expense which a payload tells
-- of. An index lookup for each account and period that has no row; without the OFFSET, PostgreSQL joins all expenses.
WITH closed AS (
    SELECT *
    FROM unnest(
        CAST(:grains AS text[]), CAST(:starts AS date[]), CAST(:last_days AS date[]),
        CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[])
    ) AS closed (grain, period_start, last_day, begins, ends)
),
absent AS MATERIALIZED (
    SELECT account.id, closed.*
    FROM email_accounts AS account
    CROSS JOIN closed
    WHERE CASE WHEN CAST(:account_ids AS bigint[]) IS NULL
               THEN account.active
               ELSE account.id = ANY(CAST(:account_ids AS bigint[])) END
      AND NOT EXISTS (
        SELECT FROM metrics.period_metrics AS stored
        WHERE stored.account_id = account.id
          AND stored.grain = closed.grain
          AND stored.period_start = closed.period_start
      )
)
SELECT stored.account_id, stored.grain, stored.period_start
FROM closed
JOIN metrics.period_metrics AS stored USING (grain, period_start)
WHERE (CAST(:account_ids AS bigint[]) IS NULL OR stored.account_id = ANY(CAST(:account_ids AS bigint[])))
  AND (stored.fingerprint <> :fingerprint OR stored.is_current OR stored.as_of <> closed.last_day)
UNION ALL
SELECT absent.id, absent.grain, absent.period_start
FROM absent
WHERE CAST(:account_ids AS bigint[]) IS NOT NULL
   OR EXISTS (
    SELECT FROM expenses AS expense
    WHERE expense.email_account_id = absent.id
      AND expense.transaction_date >= absent.begins
      AND expense.transaction_date < absent.ends
      AND expense.deleted_at IS NULL
      AND expense.amount < 10000000000
      AND expense.amount > -10000000000
    OFFSET 0
  );
