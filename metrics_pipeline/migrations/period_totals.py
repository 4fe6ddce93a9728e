"""The flat view of the store, for analysts: the same over payloads of any of the types that revisions gave them."""

from sqlalchemy import Connection, text

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

_RIGHTS = """
SELECT
    'GRANT ' || privilege_type || ' ON metrics.period_totals TO '
    || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE CAST(CAST(grantee AS regrole) AS text) END
    || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM pg_class
CROSS JOIN aclexplode(relacl)
WHERE oid = CAST('metrics.period_totals' AS regclass) AND grantee <> relowner
"""


def retype_payloads(connection: Connection, payload_type: str) -> None:
    """Give payloads another type. The view, which stands in the way of that, is made anew with the rights on it."""
    rights = connection.execute(text(_RIGHTS)).scalars().all()
    connection.exec_driver_sql("DROP VIEW metrics.period_totals")
    connection.exec_driver_sql(
        f"ALTER TABLE metrics.period_metrics ALTER COLUMN payload TYPE {payload_type} USING payload::{payload_type}"
    )
    for statement in (PERIOD_TOTALS, *rights):
        connection.exec_driver_sql(statement)
