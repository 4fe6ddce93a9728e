"""The store of computed payloads, and the flat view of it for analysts."""

from alembic import op

revision = "0002"
down_revision = "0001"

STORE = """
CREATE TABLE metrics.period_metrics (
    account_id bigint NOT NULL,
    grain text NOT NULL CHECK (grain IN ('day', 'week', 'month', 'year')),
    period_start date NOT NULL,
    payload jsonb NOT NULL,
    version bigint NOT NULL,
    as_of date NOT NULL,
    is_current boolean NOT NULL,
    fingerprint text NOT NULL,
    content_hash text NOT NULL,
    expense_count integer NOT NULL,
    transaction_count integer NOT NULL,
    computed_at timestamptz NOT NULL,
    computed_by text NOT NULL,
    PRIMARY KEY (account_id, grain, period_start)
);
CREATE INDEX period_metrics_period ON metrics.period_metrics (grain, period_start);

COMMENT ON TABLE metrics.period_metrics IS
    'One computed payload per account and period. Written by metrics_pipeline only.';
COMMENT ON COLUMN metrics.period_metrics.expense_count IS 'Undeleted expenses of any status.';
COMMENT ON COLUMN metrics.period_metrics.transaction_count IS 'Expenses whose status counts.';
COMMENT ON COLUMN metrics.period_metrics.version IS
    'Microseconds of the clock at the last change, always above the version before it.';

CREATE VIEW metrics.period_totals AS
SELECT
    stored.account_id,
    stored.grain,
    stored.period_start,
    (stored.payload ->> 'period_end')::date AS period_end,
    per_currency.key AS currency,
    (per_currency.value ->> 'total')::numeric AS total,
    (per_currency.value ->> 'count')::integer AS count,
    (per_currency.value ->> 'average')::numeric AS average,
    (per_currency.value ->> 'median')::numeric AS median,
    (per_currency.value ->> 'min')::numeric AS min,
    (per_currency.value ->> 'max')::numeric AS max,
    (per_currency.value -> 'trend' ->> 'previous_total')::numeric AS previous_total,
    (per_currency.value -> 'trend' ->> 'amount_change_pct')::numeric AS amount_change_pct,
    (per_currency.value -> 'budgets' ->> 'total_budget')::numeric AS total_budget,
    (per_currency.value -> 'budgets' ->> 'overall_usage_pct')::numeric AS budget_usage_pct,
    stored.is_current,
    stored.as_of,
    stored.computed_at,
    stored.computed_by,
    stored.version
FROM metrics.period_metrics AS stored
CROSS JOIN LATERAL jsonb_each(stored.payload -> 'currencies') AS per_currency (key, value);

COMMENT ON VIEW metrics.period_totals IS
    'One row per account, period and currency: what analysts and BI tools read.';
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(STORE)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP VIEW metrics.period_totals; DROP TABLE metrics.period_metrics;")
