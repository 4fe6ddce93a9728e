-- name: unusual_expenses
-- Expenses that no metric counts, by reason, and how far back they go. One pass over the table.
SELECT
    count(*) FILTER (
        WHERE (amount < 10000000000 AND amount > -10000000000) IS NOT TRUE
    ) AS without_cents,
    count(*) FILTER (WHERE email_account_id IS NULL) AS without_account,
    count(*) FILTER (WHERE isfinite(transaction_date) IS NOT TRUE) AS without_date,
    count(*) FILTER (WHERE transaction_date > '-infinity' AND transaction_date < CAST(:earliest AS timestamptz)) AS before_start
FROM expenses
WHERE deleted_at IS NULL;

-- name: account_with_most_to_show
-- Of a month's payloads of active accounts: most grains with a budget, then most expenses.
SELECT stored.account_id
FROM metrics.period_metrics AS stored
JOIN email_accounts AS account ON account.id = stored.account_id AND account.active
LEFT JOIN LATERAL (
    SELECT count(DISTINCT budgets.period) AS grains
    FROM budgets
    WHERE budgets.email_account_id = stored.account_id AND budgets.active
) AS budgeted ON true
WHERE stored.grain = 'month' AND stored.period_start = :month
ORDER BY budgeted.grains DESC, stored.transaction_count DESC, stored.account_id
LIMIT 1;

-- name: has_table
-- Whether there is a table of this name.
SELECT to_regclass(:name) IS NOT NULL;

-- name: expense_indexes
-- How many expenses the planner believes there are, and whether an index by account and date has every column
-- that is read of an expense: of all expenses, or of the undeleted ones.
SELECT
    greatest(table_.reltuples, 0) AS expenses,
    EXISTS (
        SELECT
        FROM pg_index AS index_
        CROSS JOIN LATERAL (
            SELECT array_agg(attribute.attname::text ORDER BY key.place) AS names
            FROM unnest(index_.indkey) WITH ORDINALITY AS key (number, place)
            JOIN pg_attribute AS attribute
                ON attribute.attrelid = index_.indrelid AND attribute.attnum = key.number
        ) AS columns
        WHERE index_.indrelid = table_.oid
          AND index_.indisvalid
          AND columns.names[1:2] = ARRAY['email_account_id', 'transaction_date']
          AND columns.names @> ARRAY['amount', 'currency', 'status', 'category_id', 'merchant_name']
          AND CASE
            WHEN index_.indpred IS NULL THEN 'deleted_at' = ANY(columns.names)
            ELSE pg_get_expr(index_.indpred, index_.indrelid) = '(deleted_at IS NULL)'
          END
    ) AS covered
FROM pg_class AS table_
WHERE table_.oid = to_regclass('expenses');
