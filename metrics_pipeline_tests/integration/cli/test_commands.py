"""What each command prints, writes and ends with."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from sqlalchemy import text

from metrics_pipeline.cli import flat_file
from metrics_pipeline_tests.reference import Account, Budget, Data, Expense, insert

TODAY = "2026-03-17"
AWAY_DATABASE, AWAY_REDIS = "postgresql://me:secret@127.0.0.1:1/none", "redis://:secret@127.0.0.1:1/0"


@pytest.fixture
def spend(database) -> None:
    """Account 1: 10.10 on each of March's first 17 days, 5.00 euros on the 3rd. Account 2: 7.00 in January."""
    days = [Expense(1, Decimal("10.10"), datetime(2026, 3, day, 12, tzinfo=timezone.utc)) for day in range(1, 18)]
    euros = Expense(1, Decimal(5), datetime(2026, 3, 3, tzinfo=timezone.utc), currency="EUR")
    january = Expense(2, Decimal(7), datetime(2026, 1, 31, tzinfo=timezone.utc))
    budget = Budget(1, 1, "All", "month", Decimal(200), "USD", datetime(2026, 1, 1, tzinfo=timezone.utc).date())
    with database.engine.begin() as connection:
        insert(connection, Data([Account(1), Account(2)], [], [*days, euros, january], [budget]))


def test_loading_with_rejected_rows_ends_with_code_1_and_says_where_they_are(cli, tmp_path: Path) -> None:
    (tmp_path / "email_accounts.csv").write_text("id,email\n1,a@example.com\n")
    (tmp_path / "expenses.csv").write_text(
        "id,email_account_id,amount,currency,transaction_date\n1,1,5.00,usd,2026-03-01\n2,1,[red],usd,2026-03-01\n"
    )
    said = cli("load", tmp_path, expect=1).stdout
    assert "expenses.csv line 3: amount '[red]'" in said
    assert str(tmp_path / "rejected" / "expenses.csv") in said
    counted = json.loads(cli("load", tmp_path, "--json", expect=1).stdout)
    assert counted["tables"]["expenses"]["unchanged"] == counted["tables"]["expenses"]["rejected"] == 1


def test_a_directory_without_files_is_an_error_of_the_caller(cli, tmp_path: Path) -> None:
    assert cli("load", tmp_path / "nowhere", expect=2).stderr.startswith(f"Error: Loading {tmp_path}/nowhere: ")


def test_a_sample_fills_an_empty_database_only(cli) -> None:
    sample = ("sample", "--accounts", 3, "--months", 1, "--today", TODAY)
    made = json.loads(cli(*sample, "--json").stdout)
    assert made["accounts"] == 3
    assert (made["first_day"], made["last_day"]) == ("2026-02-01", TODAY)
    assert "already hold data" in cli(*sample, expect=2).stderr


def test_calculating_counts_what_was_done(cli, spend) -> None:
    first = json.loads(cli("calculate", "--today", TODAY, "--json").stdout)
    assert (first["accounts"], first["payloads"], first["rewritten"], first["published"]) == (2, 8, 8, 8)
    assert [(of["grain"], of["period_start"]) for of in first["periods"]] == [
        ("day", "2026-03-17"),
        ("month", "2026-03-01"),
        ("week", "2026-03-16"),
        ("year", "2026-01-01"),
    ]
    again = json.loads(cli("calculate", "--today", TODAY, "--json").stdout)
    assert (again["payloads"], again["rewritten"]) == (8, 0)
    forced = json.loads(cli("calculate", "--today", TODAY, "--json", "--force", "-g", "day", "-a", 1).stdout)
    assert (forced["payloads"], forced["rewritten"]) == (1, 1)


def test_calculating_chosen_days_and_accounts(cli, spend) -> None:
    words = ("calculate", "--today", TODAY, "-g", "month", "-d", "2026-01-31", "-d", "2026-03-02", "-a", 2, "-a", 99)
    result = cli(*words, "--json")
    assert [of["period_start"] for of in json.loads(result.stdout)["periods"]] == ["2026-01-01", "2026-03-01"]
    assert "Of the 2 accounts asked for 1 exist." in result.stderr
    said = cli(*words).stdout
    assert "month        2         2" in said
    assert "2 payloads of 1 accounts from" in said


def test_calculating_in_shares(cli, spend) -> None:
    words = ("calculate", "--today", TODAY, "-g", "day", "--json", "--shard")
    assert [json.loads(cli(*words, share).stdout)["payloads"] for share in ("1/2", "2/2")] == [1, 1]
    assert "shards are numbered from 1 to 2" in cli(*words, "3/2", expect=2).stderr


def test_a_day_to_come_is_an_error_of_the_caller(cli) -> None:
    assert "has not begun" in cli("calculate", "--date", "2026-03-18", "--today", TODAY, expect=2).stderr


def test_showing_an_account(cli, spend) -> None:
    said = cli("show", 1, "--today", TODAY).stdout
    assert "USD 171.70  17 expenses" in said
    assert "85.9% of 200" in said
    assert "month: computed now, calculated just now, version " in said
    assert "month: from the cache" in cli("show", 1, "--today", TODAY).stdout


def test_showing_as_json_prints_one_payload_a_line(cli, spend) -> None:
    lines = cli("show", 1, "--today", TODAY, "--json", "-g", "month", "-g", "week").stdout.splitlines()
    assert [json.loads(line)["grain"] for line in lines] == ["month", "week"]
    assert json.loads(lines[0])["currencies"]["USD"]["total"] == "171.70"


def test_an_unknown_account_is_an_error_of_the_caller(cli) -> None:
    assert cli("show", 99, expect=2).stderr == "Error: There is no account 99.\n"


def test_exporting_what_was_chosen(cli, spend) -> None:
    cli("calculate", "--all-history", "--today", TODAY, METRICS_START_DATE="2026-01-01")
    chosen = ("export", "-g", "day", "--from", "2026-01-31", "--to", "2026-03-02")
    lines = [json.loads(line) for line in cli(*chosen).stdout.splitlines()]
    assert [(line["account_id"], line["period_start"]) for line in lines] == [
        (2, "2026-01-31"),
        (1, "2026-03-01"),
        (1, "2026-03-02"),
    ]
    only = [json.loads(line) for line in cli(*chosen, "-a", 2).stdout.splitlines()]
    assert [line["account_id"] for line in only] == [2]


def test_exporting_nothing_says_what_to_do(cli, spend) -> None:
    result = cli("export")
    assert result.stdout == ""
    assert "`metrics-pipeline calculate`" in result.stderr


def test_days_in_the_wrong_order_are_an_error_of_the_caller(cli) -> None:
    assert "no period lies between" in cli("export", "--from", "2026-02-01", "--to", "2026-01-01", expect=2).stderr


def test_csv_has_amounts_to_the_cent(cli, spend) -> None:
    cli("calculate", "--today", TODAY)
    header, *rows = cli("export", "-f", "csv", "-g", "month", "-a", 1).stdout.splitlines()
    assert header.startswith("account_id,grain,period_start,period_end,currency,total,count,")
    assert [row.split(",")[4:7] for row in rows] == [["EUR", "5.00", "1"], ["USD", "171.70", "17"]]


def test_parquet_has_the_same_types_whatever_the_rows(cli, spend, tmp_path: Path) -> None:
    empty, full = tmp_path / "empty.parquet", tmp_path / "full.parquet"
    cli("export", "-f", "parquet", "-o", empty)
    cli("calculate", "--today", TODAY)
    cli("export", "-f", "parquet", "-o", full)
    assert pl.read_parquet_schema(empty) == pl.read_parquet_schema(full)
    table = pl.read_parquet(full)
    assert table["total"].dtype == pl.Decimal(38, 2)
    assert table["period_start"].dtype == pl.Date
    month = table.filter(grain="month", account_id=1).sort("currency")
    assert month["total"].to_list() == [Decimal("5.00"), Decimal("171.70")]
    assert month["budget_usage_pct"].to_list() == [None, Decimal("85.90")]


def test_every_column_of_the_flat_view_has_a_type(database) -> None:
    with database.engine.connect() as connection:
        columns = connection.execute(text("SELECT * FROM metrics.period_totals")).keys()
    assert list(columns) == list(flat_file._TYPES)


def test_an_export_that_fails_leaves_the_file_as_it_was(cli, spend, tmp_path: Path, monkeypatch) -> None:
    cli("calculate", "--today", TODAY)
    output = tmp_path / "out" / "metrics.csv"
    output.parent.mkdir()
    output.write_text("before")

    def half(frame: pd.DataFrame, file) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(flat_file, "write_csv", half)
    cli("export", "-f", "csv", "-o", output, expect=130)
    assert output.read_text() == "before"
    assert list(output.parent.iterdir()) == [output]


def test_a_database_that_is_away_is_code_3_and_no_password_is_shown(cli) -> None:
    result = cli("show", 1, expect=3, METRICS_DATABASE_URL=AWAY_DATABASE)
    assert result.stderr.startswith("Error: ")
    assert "Check that it runs and that METRICS_DATABASE_URL points to it." in result.stderr
    assert "secret" not in result.output


def test_without_redis_metrics_are_stored_and_shown_all_the_same(cli, spend) -> None:
    result = cli("calculate", "--today", TODAY, expect=3, METRICS_REDIS_URL=AWAY_REDIS)
    assert "METRICS_REDIS_URL" in result.stderr
    assert "USD 171.70  17 expenses" in cli("show", 1, "--today", TODAY, METRICS_REDIS_URL=AWAY_REDIS).stdout


def test_wrong_settings_are_told_all_at_once(cli) -> None:
    result = cli("show", 1, expect=2, METRICS_TIMEZONE="Mars", METRICS_REDIS_URL="somewhere")
    assert "METRICS_TIMEZONE: 'Mars' is not a known zone" in result.stderr
    assert "METRICS_REDIS_URL: is not a Redis URL" in result.stderr
