"""Payloads kept as the text they were written as.

`jsonb` parses and builds each one anew: that was half of the time that storing took, and lost the order of keys.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

VIEW = """
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
CROSS JOIN LATERAL jsonb_each(stored.payload::jsonb -> 'currencies') AS per_currency (key, value);

COMMENT ON VIEW metrics.period_totals IS
    'One row per account, period and currency: what analysts and BI tools read.';
"""

# Payloads from before have lost their order, and seals are of another type: all are computed again.
RETYPE = """
DROP VIEW metrics.period_totals;
ALTER TABLE metrics.period_metrics ALTER COLUMN payload TYPE {type};
UPDATE metrics.period_metrics SET fingerprint = 'of another type', seal = NULL;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(RETYPE.format(type="json") + VIEW)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(RETYPE.format(type="jsonb USING payload::jsonb") + VIEW)
