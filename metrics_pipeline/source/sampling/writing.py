"""Writing a sample into the expense tables by COPY, with its ids, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from psycopg import sql
from sqlalchemy import Connection

from metrics_pipeline.database import driver
from metrics_pipeline.source.sampling.draw import Sample
from metrics_pipeline.source.sampling.rows import EXPENSE_COLUMNS, category_rows, expense_block
from metrics_pipeline.source.stored import advance_identity

Progress = Callable[[int, int], None]
"""Told (expenses written, expenses in all) from time to time."""

_BLOCK_ROWS = 20_000


def write(connection: Connection, sample: Sample, progress: Progress | None) -> None:
    """Write all tables, let later ids go on after the sample's, and tell the planner what is there."""
    _write_accounts(connection, sample)
    _write_expenses(connection, sample, progress)
    _write_budgets(connection, sample)
    newest = {
        "email_accounts": sample.households.count,
        "categories": len(category_rows()),
        "expenses": sample.ledger.count,
        "budgets": len(sample.budgets),
    }
    for table, id_ in newest.items():
        if id_:
            advance_identity(connection, table, id_)
    connection.exec_driver_sql("ANALYZE email_accounts, categories, expenses, budgets, budget_categories")


def _write_accounts(connection: Connection, sample: Sample) -> None:
    homes, money = sample.households, sample.currencies
    accounts = (
        (
            place + 1,
            homes.emails[place],
            homes.banks[place],
            money[homes.currency[place]].code if homes.names_currency[place] else None,
            bool(homes.active[place]),
        )
        for place in range(homes.count)
    )
    _copy(connection, "email_accounts", ("id", "email", "bank_name", "currency", "active"), accounts)
    _copy(connection, "categories", ("id", "name", "parent_id"), category_rows())


def _write_expenses(connection: Connection, sample: Sample, progress: Progress | None) -> None:
    count = sample.ledger.count
    with driver(connection).cursor() as cursor, cursor.copy(_copy_into("expenses", EXPENSE_COLUMNS)) as copy:
        for first in range(0, count, _BLOCK_ROWS):
            end = min(first + _BLOCK_ROWS, count)
            copy.write(expense_block(sample.ledger, first, end, sample.households, sample.currencies))
            if progress:
                progress(end, count)


def _write_budgets(connection: Connection, sample: Sample) -> None:
    found = list(enumerate(sample.budgets, 1))
    _copy(
        connection,
        "budgets",
        (
            *("id", "email_account_id", "name", "period", "amount", "currency", "start_date", "end_date", "active"),
            *("warning_threshold", "critical_threshold"),
        ),
        (
            (
                *(id_, budget.account_id, budget.name, budget.period, budget.amount, budget.currency),
                *(budget.start_date, budget.end_date, budget.active, budget.warning, budget.critical),
            )
            for id_, budget in found
        ),
    )
    pairs = ((id_, category_id) for id_, budget in found for category_id in budget.category_ids)
    _copy(connection, "budget_categories", ("budget_id", "category_id"), pairs)


def _copy(connection: Connection, table: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with driver(connection).cursor() as cursor, cursor.copy(_copy_into(table, columns)) as copy:
        for row in rows:
            copy.write_row(row)


def _copy_into(table: str, columns: tuple[str, ...]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
