"""Rows into the real expense tables, and out of them again."""

from __future__ import annotations

from sqlalchemy import Connection, Row, text

from metrics_pipeline_tests.reference.rows import Account, Budget, Category, Data, Expense


def empty_tables(connection: Connection) -> None:
    """Leave no expense data and nothing computed from it; the schema and its version stay."""
    connection.execute(text("TRUNCATE email_accounts, categories, expenses, budgets, budget_categories"))
    computed = connection.execute(
        text(
            "SELECT quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname = 'metrics' AND tablename NOT IN ('schema_version', 'tick_state')"
        )
    ).scalars()
    # After the expense tables: emptying those may itself be logged there.
    connection.execute(text("TRUNCATE " + ", ".join(f"metrics.{name}" for name in computed)))


def insert(connection: Connection, data: Data) -> None:
    """Insert all rows of a data set; expenses get their ids from the table."""
    for table, rows in {
        "email_accounts": [
            {"id": a.id, "email": f"{a.id}@example.com", "currency": a.currency, "active": a.active}
            for a in data.accounts
        ],
        "categories": [{"id": c.id, "name": c.name} for c in data.categories],
        "expenses": [
            {
                "email_account_id": e.account_id,
                "category_id": e.category_id,
                "amount": e.amount,
                "currency": e.currency,
                "status": e.status,
                "merchant_name": e.merchant,
                "transaction_date": e.at,
                "deleted_at": e.at if e.deleted else None,
            }
            for e in data.expenses
        ],
        "budgets": [
            {
                "id": b.id,
                "email_account_id": b.account_id,
                "name": b.name,
                "period": {"day": "daily", "week": "weekly", "month": "monthly", "year": "yearly"}[b.grain],
                "amount": b.amount,
                "currency": b.currency,
                "start_date": b.start_date,
                "end_date": b.end_date,
                "active": b.active,
                "warning_threshold": b.warning,
                "critical_threshold": b.critical,
            }
            for b in data.budgets
        ],
        "budget_categories": [
            {"budget_id": b.id, "category_id": category_id} for b in data.budgets for category_id in b.category_ids
        ],
    }.items():
        if rows:
            columns = ", ".join(rows[0])
            values = ", ".join(f":{column}" for column in rows[0])
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), rows)


def read(connection: Connection) -> Data:
    """The rows that the expense tables hold now."""

    def rows(query: str) -> list[Row[tuple[object, ...]]]:
        return list(connection.execute(text(query)))

    linked: dict[int, list[int]] = {}
    for link in rows("SELECT budget_id, category_id FROM budget_categories"):
        linked.setdefault(link.budget_id, []).append(link.category_id)
    grains = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}
    return Data(
        [Account(a.id, a.currency, a.active) for a in rows("SELECT * FROM email_accounts")],
        [Category(c.id, c.name) for c in rows("SELECT * FROM categories")],
        [
            Expense(
                account_id=e.email_account_id,
                amount=e.amount,
                at=e.transaction_date,
                currency=e.currency,
                status=e.status,
                category_id=e.category_id,
                merchant=e.merchant_name,
                deleted=e.deleted_at is not None,
            )
            for e in rows("SELECT * FROM expenses")
        ],
        [
            Budget(
                id=b.id,
                account_id=b.email_account_id,
                name=b.name,
                grain=grains[b.period],
                amount=b.amount,
                currency=b.currency,
                start_date=b.start_date,
                end_date=b.end_date,
                active=b.active,
                warning=b.warning_threshold,
                critical=b.critical_threshold,
                category_ids=tuple(linked.get(b.id, ())),
            )
            for b in rows("SELECT * FROM budgets")
        ],
    )
