"""The flat view of the store, for analysts: the same over payloads of any of the types that revisions gave them."""

PERIOD_TOTALS = """
CREATE VIEW metrics.period_totals AS
SELECT
    stored.account_id,
    stored.grain,
    stored.period_start,
    (payload.content ->> 'period_end')::date AS period_end,
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
CROSS JOIN LATERAL (SELECT stored.payload::jsonb) AS payload (content)
CROSS JOIN LATERAL jsonb_each(payload.content -> 'currencies') AS per_currency (key, value);

COMMENT ON VIEW metrics.period_totals IS
    'One row per account, period and currency: what analysts and BI tools read.';
"""


def retyped(payload_type: str) -> str:
    """The statements that give payloads this type, which the view stands in the way of."""
    return (
        "DROP VIEW metrics.period_totals;"
        f"ALTER TABLE metrics.period_metrics ALTER COLUMN payload TYPE {payload_type} USING payload::{payload_type};"
        f"{PERIOD_TOTALS}"
    )
