from __future__ import annotations

from datetime import date, datetime, time, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from metrics_pipeline.errors import BadRequest, DatabaseUnavailable
from metrics_pipeline.source.sample import SampleSummary, write_sample

TODAY, ZONE = date(2026, 3, 18), ZoneInfo("America/Costa_Rica")
TABLES = ("email_accounts", "categories", "expenses", "budgets", "budget_categories")


def write(engine: Engine, **other: Any) -> SampleSummary:
    return write_sample(engine, **{"accounts": 30, "months": 6, "seed": 3, "today": TODAY, "zone": ZONE, **other})


def content(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    with engine.connect() as connection:
        return {
            table: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))]
            for table in TABLES
        }


def one(engine: Engine, statement: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def test_the_tables_hold_what_the_summary_says_and_the_same_again_for_the_same_seed(database: Any) -> None:
    summary = write(database.engine)
    first = content(database.engine)
    counts = {table: len(rows) for table, rows in first.items()}
    assert counts == {
        "email_accounts": summary.accounts,
        "categories": summary.categories,
        "expenses": summary.expenses,
        "budgets": summary.budgets,
        "budget_categories": counts["budget_categories"],
    }
    assert (summary.accounts, summary.first_day, summary.last_day) == (30, date(2025, 9, 1), TODAY)
    with database.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(TABLES)}"))
    assert write(database.engine) == summary
    assert content(database.engine) == first


def test_expenses_end_on_today_in_the_zone(database: Any) -> None:
    write(database.engine)
    latest = one(
        database.engine, "SELECT max(greatest(transaction_date, created_at, updated_at, deleted_at)) FROM expenses"
    )
    assert latest <= datetime.combine(TODAY, time(12), tzinfo=ZONE)
    assert one(database.engine, "SELECT max(transaction_date) FROM expenses").astimezone(ZONE).date() == TODAY
    earliest = one(database.engine, "SELECT min(transaction_date) FROM expenses")
    assert earliest >= datetime(2025, 9, 1, 6, tzinfo=timezone.utc)


def test_ids_begin_at_one_without_gaps_and_go_on_afterwards(database: Any) -> None:
    summary = write(database.engine)
    assert one(database.engine, "SELECT min(id) FROM expenses") == 1
    assert one(database.engine, "SELECT max(id) FROM expenses") == summary.expenses
    with database.engine.begin() as connection:
        inserted = connection.execute(
            text("INSERT INTO expenses (amount, currency, transaction_date) VALUES (1, 'USD', now()) RETURNING id")
        )
        assert inserted.scalar_one() == summary.expenses + 1
        inserted = connection.execute(text("INSERT INTO email_accounts (email) VALUES ('x') RETURNING id"))
        assert inserted.scalar_one() == summary.accounts + 1


def test_emails_are_unique_and_some_accounts_name_no_currency(database: Any) -> None:
    write(database.engine, accounts=60, months=1)
    assert one(database.engine, "SELECT count(DISTINCT email) FROM email_accounts") == 60
    assert 0 < one(database.engine, "SELECT count(*) FROM email_accounts WHERE currency IS NULL") < 30
    assert one(database.engine, "SELECT count(*) FROM categories WHERE parent_id IS NULL") > 3


def test_tables_that_hold_data_are_refused(database: Any) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO categories (name) VALUES ('mine')"))
    with pytest.raises(BadRequest, match="categories already hold data"):
        write(database.engine)
    assert one(database.engine, "SELECT count(*) FROM email_accounts") == 0


@pytest.mark.parametrize(
    "wrong",
    [{"accounts": 0}, {"accounts": 100_001}, {"months": 0}, {"months": 241}, {"seed": -1}, {"default_currency": "$"}],
)
def test_arguments_out_of_range_are_refused(database: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        write(database.engine, **wrong)


def test_progress_counts_expenses_and_a_lost_connection_leaves_nothing(database: Any) -> None:
    told: list[tuple[int, int]] = []

    def cut(done: int, total: int) -> None:
        told.append((done, total))
        with database.engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
                )
            )

    with pytest.raises(DatabaseUnavailable, match="Writing the sample"):
        write(database.engine, progress=cut)
    assert all(0 < done <= total for done, total in told)
    assert one(database.engine, "SELECT count(*) FROM email_accounts") == 0
    summary = write(database.engine, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (summary.expenses, summary.expenses)
