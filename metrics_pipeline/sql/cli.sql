-- name: unusual_expenses
-- Expenses that no metric counts, by reason, and how far back they go. One pass over the table.
SELECT
    count(*) FILTER (
        WHERE NOT (amount < 'Infinity'::numeric AND amount > '-Infinity'::numeric)
    ) AS without_cents,
    count(*) FILTER (WHERE email_account_id IS NULL) AS without_account,
    count(*) FILTER (WHERE transaction_date < CAST(:earliest AS timestamptz)) AS before_start
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
