-- name: exported_snapshot
-- The name under which other transactions can share this one's snapshot, as long as it goes on.
SELECT pg_export_snapshot();

-- name: expense_rows
-- The expenses of a window as fixed-width, non-null columns, for binary COPY. Currency and status
-- travel as one hash (decoded by `expense_kinds`), merchants as a hash that is only counted.
-- Amounts that numeric(12, 2) can't hold (NULL, NaN, infinite, ten billion) are left out, and reported by `check`:
-- one expense's must not end everybody's run. Those of named accounts are looked up by account; of a portion of all
-- they are picked from the window, as so many lookups would take four times as long.
SELECT
    expense.email_account_id::bigint,
    coalesce(expense.category_id::bigint, '-9223372036854775808'::bigint),
    hashtextextended(
        coalesce(expense.status::text, ''), hashtextextended(coalesce(expense.currency::text, ''), 0)
    ),
    (expense.amount * 100)::bigint,
    coalesce(hashtextextended(expense.merchant_name::text, 0), 0),
    expense.transaction_date::timestamptz
FROM expenses AS expense
WHERE expense.transaction_date >= :rows_from
  AND expense.transaction_date < :rows_until
  AND expense.deleted_at IS NULL
  AND expense.email_account_id IS NOT NULL
  AND CASE
    WHEN CAST(:account_ids AS bigint[]) IS NULL THEN true
    WHEN :by_account THEN expense.email_account_id = ANY(CAST(:account_ids AS bigint[]))
    ELSE expense.email_account_id + 0 = ANY(CAST(:account_ids AS bigint[]))
  END
  AND expense.amount < 10000000000
  AND expense.amount > -10000000000;

-- name: expense_history
-- What lies before the window of `expense_rows`, summed per segment between bounds; for binary COPY. Grouped by
-- the columns as they are, and each expense's segment found once: both are most of the work. Only budgets look back
-- at categories: for the other accounts, sums without them are a seventh as many and take half the time. What COPY is
-- given are literals, so that the planner takes out what is the same for every expense.
SELECT
    expense.email_account_id::bigint,
    CASE
        WHEN :tell_categories AND expense.email_account_id = ANY(CAST(:with_categories AS bigint[]))
            THEN coalesce(expense.category_id::bigint, '-9223372036854775808'::bigint)
        ELSE '-9223372036854775808'::bigint
    END AS told_category,
    hashtextextended(
        coalesce(expense.status::text, ''), hashtextextended(coalesce(expense.currency::text, ''), 0)
    ),
    (sum(expense.amount) * 100)::bigint,
    count(*),
    CASE
        WHEN :segments = 1 THEN 1
        ELSE width_bucket(expense.transaction_date, CAST(:bounds AS timestamptz[]))
    END::bigint AS segment
FROM expenses AS expense
WHERE expense.transaction_date >= :history_from
  AND expense.transaction_date < :history_until
  AND expense.deleted_at IS NULL
  AND expense.email_account_id IS NOT NULL
  AND CASE
    WHEN CAST(:account_ids AS bigint[]) IS NULL THEN true
    WHEN :by_account THEN expense.email_account_id = ANY(CAST(:account_ids AS bigint[]))
    ELSE expense.email_account_id + 0 = ANY(CAST(:account_ids AS bigint[]))
  END
  AND expense.amount < 10000000000
  AND expense.amount > -10000000000
GROUP BY expense.email_account_id, told_category, expense.currency, expense.status, segment;

-- name: expense_kinds
-- The currency and status behind each hash, looked up at one expense that has it: an account's, between two instants
-- in microseconds since 2000.
SELECT wanted.kind, example.currency, example.status
FROM unnest(
    CAST(:kinds AS bigint[]), CAST(:account_ids AS bigint[]), CAST(:begins AS bigint[]), CAST(:ends AS bigint[])
) AS wanted (kind, account_id, begins, ends)
CROSS JOIN LATERAL (
    SELECT coalesce(expense.currency::text, '') AS currency, coalesce(expense.status::text, '') AS status
    FROM expenses AS expense
    WHERE expense.email_account_id = wanted.account_id
      AND expense.transaction_date >= timestamptz '2000-01-01 00:00:00+00' + wanted.begins * interval '1 microsecond'
      AND expense.transaction_date < timestamptz '2000-01-01 00:00:00+00' + wanted.ends * interval '1 microsecond'
      AND hashtextextended(
        coalesce(expense.status::text, ''), hashtextextended(coalesce(expense.currency::text, ''), 0)
      ) = wanted.kind
    LIMIT 1
) AS example;

-- name: accounts
-- The accounts to compute: every active one, or those named that exist; and, of either, those that
-- left a trace (a stored row, a mark) though they are inactive or gone.
SELECT wanted.id, account.currency, coalesce(account.active, false) AS active
FROM (
    SELECT id FROM email_accounts WHERE active AND CAST(:account_ids AS bigint[]) IS NULL
    UNION
    SELECT id FROM email_accounts WHERE id = ANY(CAST(:account_ids AS bigint[]))
    UNION
    SELECT unnest(CAST(:traced AS bigint[]))
) AS wanted (id)
LEFT JOIN email_accounts AS account USING (id)
ORDER BY wanted.id;

-- name: categories
-- Every category's name.
SELECT id, coalesce(name, '') FROM categories;

-- name: budgets
-- The budgets of these accounts that can touch the periods, with amounts in cents and thresholds in
-- hundredths of a percent. Casts and bounds are for tables of looser types, of which one row must not end a run for
-- everybody: dates as far as Python's go, no end where none is told, thresholds that fit an integer.
SELECT
    budget.id,
    budget.email_account_id AS account_id,
    coalesce(budget.name, '') AS name,
    budget.period::text AS period,
    (budget.amount * 100)::bigint AS cents,
    budget.currency,
    greatest(least(budget.start_date::date, '9999-12-31'), '0001-01-01') AS start_date,
    greatest(least(budget.end_date::date, '9999-12-31'), '0001-01-01') AS end_date,
    (least(greatest(coalesce(nullif(budget.warning_threshold::numeric, 'NaN'), 70), 0), 1e9) * 100)::bigint AS warning,
    (least(greatest(coalesce(nullif(budget.critical_threshold::numeric, 'NaN'), 90), 0), 1e9) * 100)::bigint AS critical,
    coalesce(
        (SELECT array_agg(link.category_id) FROM budget_categories AS link WHERE link.budget_id = budget.id), '{}'
    ) AS category_ids
FROM budgets AS budget
WHERE budget.active
  AND (CAST(:account_ids AS bigint[]) IS NULL OR budget.email_account_id = ANY(CAST(:account_ids AS bigint[])))
  AND budget.period::text = ANY(CAST(:grains AS text[]))
  AND budget.amount < 10000000000
  AND budget.amount > -10000000000
ORDER BY budget.name::text COLLATE "C", budget.id;
