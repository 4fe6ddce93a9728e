"""What people do instead, on the same data: the same figures or fewer of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg

from metrics_pipeline.periods import Period

SEVEN_QUERIES = (
    "SELECT count(*), sum(amount), avg(amount), min(amount), max(amount) FROM expenses WHERE {these}",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM expenses WHERE {these}",
    "SELECT count(DISTINCT merchant_name), count(DISTINCT category_id) FROM expenses WHERE {these}",
    "SELECT category_id, sum(amount), count(*), min(amount), max(amount) FROM expenses WHERE {these} GROUP BY 1",
    "SELECT transaction_date::date, sum(amount) FROM expenses WHERE {these} GROUP BY 1",
    "SELECT status, count(*) FROM expenses WHERE {these} GROUP BY 1",
    "SELECT count(*), sum(amount) FROM expenses WHERE {those_before}",
)

_WINDOW = (
    "email_account_id = %(account)s AND deleted_at IS NULL AND status NOT IN ('failed', 'duplicate') "
    "AND transaction_date >= %({first})s AND transaction_date < %({end})s"
)


def seven_queries(connection: psycopg.Connection[Any], account_ids: range, periods: list[Period]) -> int:
    """A dashboard's queries, one by one, per account and period. Returns how many pairs that were."""
    statements = [
        sql.format(
            these=_WINDOW.format(first="first", end="end"), those_before=_WINDOW.format(first="before", end="first")
        )
        for sql in SEVEN_QUERIES
    ]
    for account in account_ids:
        for period in periods:
            values = {"account": account, "first": period.start, "end": period.end, "before": period.shift(-1).start}
            for statement in statements:
                connection.execute(statement, values).fetchall()
    return len(account_ids) * len(periods)


MATERIALIZED_VIEW = """
DROP MATERIALIZED VIEW IF EXISTS monthly_by_category;
CREATE MATERIALIZED VIEW monthly_by_category AS
SELECT
    email_account_id, coalesce(category_id, 0) AS category_id, date_trunc('month', transaction_date) AS month,
    count(*) AS count, sum(amount) AS total, min(amount) AS smallest, max(amount) AS largest
FROM expenses
WHERE deleted_at IS NULL AND status NOT IN ('failed', 'duplicate')
GROUP BY 1, 2, 3
WITH NO DATA;
CREATE UNIQUE INDEX ON monthly_by_category (email_account_id, category_id, month);
REFRESH MATERIALIZED VIEW monthly_by_category;
"""
REFRESH = "REFRESH MATERIALIZED VIEW monthly_by_category"
REFRESH_CONCURRENTLY = "REFRESH MATERIALIZED VIEW CONCURRENTLY monthly_by_category"

INCREMENTAL_MODEL = """
DROP TABLE IF EXISTS monthly_model;
CREATE TABLE monthly_model (
    email_account_id bigint, category_id bigint, month date,
    count bigint, total numeric, smallest numeric, largest numeric, median double precision, merchants bigint
);
CREATE INDEX ON monthly_model (month, email_account_id);
"""


def delete_and_insert(connection: psycopg.Connection[Any], month: date, end: date) -> None:
    """One month of a model per account and category, as incremental SQL models replace it."""
    with connection.transaction():
        connection.execute("DELETE FROM monthly_model WHERE month = %s", (month,))
        connection.execute(
            """
            INSERT INTO monthly_model
            SELECT
                email_account_id, category_id, %(month)s, count(*), sum(amount), min(amount), max(amount),
                percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), count(DISTINCT merchant_name)
            FROM expenses
            WHERE deleted_at IS NULL AND status NOT IN ('failed', 'duplicate')
              AND transaction_date >= %(month)s AND transaction_date < %(end)s
            GROUP BY 1, 2
            """,
            {"month": month, "end": end},
        )
