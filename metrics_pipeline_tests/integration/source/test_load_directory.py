from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from metrics_pipeline.database import connect_engine
from metrics_pipeline.errors import BadRequest, DatabaseUnavailable, SchemaError


def versions(files: Any, table: str) -> list[tuple[Any, ...]]:
    """Which transaction wrote or locked each row, and where it is."""
    return files.rows(f"SELECT ctid::text, xmin::text, xmax::text FROM {table} ORDER BY 1")


def test_good_files_are_loaded_as_they_say(household: Any) -> None:
    household.write(
        "budgets",
        "id,email_account_id,name,period,amount,currency,start_date,end_date,active,warning_threshold,critical_threshold\n"
        "5,1,Food,Monthly,150.00,usd,2026-01-01,,yes,,\n"
        "6,1,All,yearly,0,USD,2026-01-01,2026-01-01,0,60.5,100\n",
    )
    household.write("budget_categories", "budget_id,category_id\n5,2\n5,1\n")
    summary = household.load()
    assert (summary.read, summary.loaded, summary.rejected, summary.rejected_files) == (10, 10, 0, ())
    assert household.rows("SELECT * FROM email_accounts") == [(1, "ana@example.com", "First Harbor Bank", "CRC", True)]
    assert household.rows("SELECT * FROM categories ORDER BY id") == [(1, "Food", None), (2, "Groceries", 1)]
    expenses = household.rows(
        "SELECT id, category_id, amount, currency, status, merchant_name, transaction_date FROM expenses ORDER BY id"
    )
    utc = timezone.utc
    assert expenses == [
        (1, 2, Decimal("12.50"), "USD", "processed", "Café Aurora", datetime(2026, 3, 1, 10, tzinfo=utc)),
        (2, None, Decimal("7.00"), "CRC", "pending", None, datetime(2026, 3, 2, 6, tzinfo=utc)),
        (
            3,
            1,
            Decimal("0.01"),
            "EUR",
            "processed",
            'Bean, "Barrel" & Co',
            datetime(2026, 3, 4, 5, 59, 59, 999999, utc),
        ),
    ]
    budgets = household.rows(
        "SELECT id, period, amount, currency, start_date, end_date, active, warning_threshold, critical_threshold "
        "FROM budgets ORDER BY id"
    )
    first = date(2026, 1, 1)
    assert budgets == [
        (5, "monthly", Decimal("150.00"), "USD", first, None, True, Decimal("70.00"), Decimal("90.00")),
        (6, "yearly", Decimal("0.00"), "USD", first, first, False, Decimal("60.50"), Decimal("100.00")),
    ]
    assert household.rows("SELECT * FROM budget_categories ORDER BY 2") == [(5, 1), (5, 2)]


def test_loading_twice_rewrites_and_locks_nothing(household: Any) -> None:
    household.write(
        "budgets", "id,email_account_id,name,period,amount,currency,start_date\n5,1,B,daily,1,USD,2026-01-01\n"
    )
    household.write("budget_categories", "budget_id,category_id\n5,2\n")
    household.load()
    tables = ("email_accounts", "categories", "expenses", "budgets", "budget_categories")
    before = {table: versions(household, table) for table in tables}
    summary = household.load()
    assert [(table.inserted, table.updated, table.unchanged) for table in summary.tables] == [
        (0, 0, 1),
        (0, 0, 2),
        (0, 0, 3),
        (0, 0, 1),
        (0, 0, 1),
    ]
    assert {table: versions(household, table) for table in tables} == before


def test_only_rows_that_differ_are_updated(household: Any) -> None:
    household.load()
    before = dict(household.rows("SELECT id, xmin::text FROM expenses"))
    changed = (household.directory / "expenses.csv").read_text().replace("12.50", "13.50")
    household.write("expenses", changed + "4,1,,9,USD,,,2026-03-05\n")
    assert household.counts("expenses", household.load()) == (1, 1, 2, 0)
    after = dict(household.rows("SELECT id, xmin::text FROM expenses"))
    assert [id_ for id_ in before if before[id_] != after[id_]] == [1]
    assert household.one("SELECT amount FROM expenses WHERE id = 1") == Decimal("13.50")


def test_columns_that_a_file_lacks_are_left_alone(household: Any) -> None:
    household.load()
    household.write(
        "expenses",
        "TRANSACTION_DATE, currency ,amount,note,email_account_id,id\n2026-03-01T10:00:00Z,USD,99,ignored,1,1\n",
    )
    summary = household.load()
    assert household.counts("expenses", summary) == (0, 1, 0, 0)
    assert summary.of("expenses").ignored_columns == ("note",)
    row = household.rows("SELECT amount, category_id, merchant_name, status FROM expenses WHERE id = 1")
    assert row == [(Decimal("99.00"), 2, "Café Aurora", "processed")]


def test_empty_cells_are_null_but_keep_recording_times(household: Any) -> None:
    header = "id,email_account_id,category_id,amount,currency,merchant_name,transaction_date,created_at,updated_at\n"
    household.write("expenses", header + "1,1,2,5,USD,Shop,2026-03-01,2026-03-02,\n")
    household.load()
    times = household.rows("SELECT created_at, updated_at FROM expenses")
    household.write("expenses", header + "1,1,,5,USD,,2026-03-01,,\n")
    assert household.counts("expenses", household.load()) == (0, 1, 0, 0)
    assert household.rows("SELECT category_id, merchant_name FROM expenses") == [(None, None)]
    assert household.rows("SELECT created_at, updated_at FROM expenses") == times
    assert household.counts("expenses", household.load()) == (0, 0, 1, 0)


def test_any_subset_of_files_will_do_with_references_into_the_database(household: Any) -> None:
    household.load()
    for name in ("email_accounts", "categories"):
        (household.directory / f"{name}.csv").unlink()
    household.write(
        "expenses", "id,email_account_id,category_id,amount,currency,transaction_date\n9,1,2,1,USD,2026-03-01\n"
    )
    (household.directory / "notes.txt").write_text("x")
    household.write("transactions", "id\n")
    summary = household.load()
    assert [table.table for table in summary.tables] == ["expenses"]
    assert summary.unknown_files == ("notes.txt", "transactions.csv")
    assert household.one("SELECT count(*) FROM expenses") == 4


def test_ids_handed_out_later_go_on_after_the_loaded_ones(household: Any) -> None:
    household.load()
    inserted = "INSERT INTO expenses (amount, currency, transaction_date) VALUES (1, 'USD', now()) RETURNING id"
    with household.engine.begin() as connection:
        assert connection.execute(text(inserted)).scalar_one() == 4
    household.write("expenses", "id,email_account_id,amount,currency,transaction_date\n2,1,7,CRC,2026-03-02\n")
    household.load()
    with household.engine.begin() as connection:
        assert connection.execute(text(inserted)).scalar_one() == 5


def test_a_header_alone_loads_nothing(files: Any) -> None:
    files.write("categories", "id,name\n")
    assert files.counts("categories", files.load()) == (0, 0, 0, 0)


def test_progress_ends_with_all_bytes(household: Any) -> None:
    row = "{0},1,2,5,USD,,Shop,2026-03-01\n"
    header = (household.directory / "expenses.csv").read_text().splitlines()[0] + "\n"
    household.write("expenses", header + "".join(row.format(id_) for id_ in range(1, 12_346)))
    told: list[tuple[int, int]] = []
    household.load(lambda done, total: told.append((done, total)))
    total = sum(path.stat().st_size for path in household.directory.glob("*.csv"))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (total, total)


def test_directories_that_are_refused(files: Any) -> None:
    with pytest.raises(BadRequest, match=r"none of email_accounts\.csv, .* is in it"):
        files.load()
    files.write("expenses", "id,amount\n")
    with pytest.raises(
        BadRequest, match=r"expenses\.csv lacks the column email_account_id, currency, transaction_date"
    ):
        files.load()
    files.directory = files.directory / "missing"
    with pytest.raises(BadRequest, match="No such file or directory"):
        files.load()


def test_what_the_database_itself_refuses_stops_the_load(household: Any) -> None:
    with household.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses ADD CONSTRAINT small CHECK (amount < 10)"))
    with pytest.raises(BadRequest, match=r'refused a row \(.*"small".*Nothing was loaded'):
        household.load()
    assert household.one("SELECT count(*) FROM email_accounts") == 0


def test_a_missing_table_says_to_migrate(household: Any) -> None:
    with household.engine.begin() as connection:
        connection.execute(text("DROP TABLE expenses"))
    with pytest.raises(SchemaError, match="metrics-pipeline migrate"):
        household.load()


def test_a_server_that_is_away_is_said_so(household: Any) -> None:
    household.engine = connect_engine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(DatabaseUnavailable, match="PostgreSQL did not answer"):
        household.load()
