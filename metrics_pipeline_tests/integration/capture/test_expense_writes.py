"""What each way of writing expenses logs: the accounts and instants concerned, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from metrics_pipeline.database import driver
from metrics_pipeline_tests.ledger import ALWAYS, Ledger

ANA = (1, "update", "2026-01-05 10:00")
BEN = (2, "update", "2026-02-07 20:30")
INSERT = "INSERT INTO expenses (email_account_id, amount, currency, transaction_date, deleted_at) VALUES "


def test_an_insert_logs_one_row_for_each_account_and_utc_day_with_its_first_and_last_instant(ledger: Ledger) -> None:
    ledger.run(
        INSERT
        + """
        (1, 1, 'USD', '2026-01-01 00:00+00', NULL),
        (1, 1, 'USD', '2026-01-01 23:59:59.999999+00', NULL),
        (1, 1, 'USD', '2026-01-01 12:00+00', NULL),
        (1, 1, 'USD', '2026-01-01 20:00-06', NULL),
        (2, 1, 'USD', '2026-01-01 09:00+00', NULL)"""
    )
    assert ledger.logged() == [
        (1, "insert", "2026-01-01 00:00 .. 2026-01-01 23:59:59.999999"),
        (1, "insert", "2026-01-02 02:00"),
        (2, "insert", "2026-01-01 09:00"),
    ]


def test_expenses_that_are_deleted_already_or_belong_to_nobody_are_not_logged(ledger: Ledger) -> None:
    ledger.run(INSERT + "(1, 1, 'USD', '2026-01-01', now()), (NULL, 1, 'USD', '2026-01-01', NULL)")
    ledger.run("UPDATE expenses SET amount = 2 WHERE id > 1000")
    ledger.run("DELETE FROM expenses WHERE id > 1000")
    assert ledger.logged() == []
    assert ledger.missed() == 0


@pytest.mark.parametrize(
    "assignment",
    [
        "amount = 11",
        "currency = 'EUR'",
        "category_id = 2",
        "category_id = NULL",
        "status = 'failed'",
        "merchant_name = 'bean'",
        "merchant_name = NULL",
        "deleted_at = now()",
        "deleted_at = now(), amount = 11, transaction_date = '2026-03-01'",
        "id = 12",
    ],
)
def test_a_significant_update_logs_the_expense_where_it_is(ledger: Ledger, assignment: str) -> None:
    ledger.run(f"UPDATE expenses SET {assignment} WHERE id = 11")
    assert set(ledger.logged()) == {ANA}


@pytest.mark.parametrize(
    "assignment", ["amount = amount", "description = 'note'", "updated_at = now(), created_at = now()", "id = id"]
)
def test_an_update_that_changes_no_payload_logs_nothing(ledger: Ledger, assignment: str) -> None:
    ledger.run(f"UPDATE expenses SET {assignment}")
    assert ledger.logged() == []


def test_only_the_rows_that_really_change_are_logged(ledger: Ledger) -> None:
    ledger.run("UPDATE expenses SET amount = 10")
    assert ledger.logged() == [BEN]


def test_a_move_logs_both_sides(ledger: Ledger) -> None:
    ledger.run("UPDATE expenses SET transaction_date = '2026-03-01 08:00+00' WHERE id = 11")
    assert ledger.logged() == [ANA, (1, "update", "2026-03-01 08:00")]
    ledger.run("UPDATE expenses SET email_account_id = 2 WHERE id = 11")
    assert ledger.logged() == [(1, "update", "2026-03-01 08:00"), (2, "update", "2026-03-01 08:00")]
    ledger.run("UPDATE expenses SET email_account_id = NULL WHERE id = 11")
    assert ledger.logged() == [(2, "update", "2026-03-01 08:00")]
    ledger.run("UPDATE expenses SET email_account_id = 1 WHERE id = 11")
    assert ledger.logged() == [(1, "update", "2026-03-01 08:00")]
    assert ledger.missed() == 0


def test_a_move_within_a_day_logs_both_instants_because_in_another_zone_they_are_two_days(ledger: Ledger) -> None:
    ledger.run("UPDATE expenses SET transaction_date = '2026-01-05 03:00+00' WHERE id = 11")
    assert ledger.logged() == [(1, "update", "2026-01-05 03:00 .. 2026-01-05 10:00")]


def test_swapped_ids_log_both_expenses(ledger: Ledger) -> None:
    ledger.run("UPDATE expenses SET id = -id")
    ledger.logged()
    ledger.run("UPDATE expenses SET id = CASE id WHEN -11 THEN 11 ELSE 22 END")
    assert ledger.logged() == [ANA, BEN]


def test_soft_deletion_and_its_undoing_log_but_nothing_in_between_does(ledger: Ledger) -> None:
    ledger.run("UPDATE expenses SET deleted_at = now() WHERE id = 11")
    assert ledger.logged() == [ANA]
    ledger.run("UPDATE expenses SET deleted_at = now() - interval '1 day' WHERE id = 11")
    ledger.run("UPDATE expenses SET amount = 99, transaction_date = '2026-01-06 10:00+00' WHERE id = 11")
    assert ledger.logged() == []
    ledger.run("UPDATE expenses SET deleted_at = NULL WHERE id = 11")
    assert ledger.logged() == [(1, "update", "2026-01-06 10:00")]


def test_deletes_log_what_counted(ledger: Ledger) -> None:
    ledger.run("UPDATE expenses SET deleted_at = now() WHERE id = 11")
    ledger.logged()
    ledger.run("DELETE FROM expenses")
    assert ledger.logged() == [(2, "delete", "2026-02-07 20:30")]


def test_statements_that_touch_no_row_log_nothing(ledger: Ledger) -> None:
    ledger.run("DELETE FROM expenses WHERE id = 0")
    ledger.run("UPDATE expenses SET amount = 1 WHERE id = 0")
    ledger.run("INSERT INTO expenses SELECT * FROM expenses WHERE id = 0")
    assert ledger.logged() == []


def test_truncate_logs_everybody_always(ledger: Ledger) -> None:
    ledger.run("TRUNCATE expenses")
    assert ledger.logged() == [(0, "truncate", ALWAYS)]


def test_a_rolled_back_write_and_savepoint_log_nothing(ledger: Ledger, other: Any) -> None:
    other.execute(text("UPDATE expenses SET amount = 1"))
    other.rollback()
    savepoint = other.begin_nested()
    other.execute(text("UPDATE expenses SET amount = 1 WHERE id = 11"))
    savepoint.rollback()
    other.execute(text("UPDATE expenses SET amount = 1 WHERE id = 22"))
    other.commit()
    assert ledger.logged() == [BEN]


def test_on_conflict_do_update_logs_what_it_inserts_and_what_it_updates(ledger: Ledger) -> None:
    ledger.run(
        """
        INSERT INTO expenses (id, email_account_id, amount, currency, transaction_date)
        VALUES (11, 1, 5, 'USD', '2026-01-09'), (33, 2, 5, 'USD', '2026-01-09 01:00+00')
        ON CONFLICT (id) DO UPDATE SET amount = excluded.amount"""
    )
    assert ledger.logged() == [ANA, (2, "insert", "2026-01-09 01:00")]


def test_merge_logs_all_three_of_its_actions(ledger: Ledger) -> None:
    ledger.run(
        """
        MERGE INTO expenses USING (VALUES (11, 1), (22, 2), (33, 3)) AS given (id, step) ON expenses.id = given.id
        WHEN MATCHED AND step = 1 THEN UPDATE SET amount = 7
        WHEN MATCHED THEN DELETE
        WHEN NOT MATCHED THEN
            INSERT (id, email_account_id, amount, currency, transaction_date)
            VALUES (33, 1, 3, 'USD', '2026-04-01 06:00+00')"""
    )
    assert ledger.logged() == [
        (1, "insert", "2026-04-01 06:00"),
        ANA,
        (2, "delete", "2026-02-07 20:30"),
    ]


def test_copy_logs_like_an_insert(ledger: Ledger) -> None:
    copy_in = "COPY expenses (email_account_id, amount, currency, transaction_date) FROM STDIN"
    with (
        ledger.engine.begin() as connection,
        driver(connection).cursor() as cursor,
        cursor.copy(copy_in) as copy,
    ):
        for hour in range(24):
            copy.write_row((1 + hour % 2, 5, "USD", f"2026-05-01 {hour:02}:00+00"))
    assert ledger.logged() == [
        (1, "insert", "2026-05-01 00:00 .. 2026-05-01 22:00"),
        (2, "insert", "2026-05-01 01:00 .. 2026-05-01 23:00"),
    ]


def test_rows_removed_by_a_cascade_are_logged(ledger: Ledger) -> None:
    ledger.run(
        """
        ALTER TABLE expenses DROP CONSTRAINT expenses_email_account_id_fkey,
            ADD FOREIGN KEY (email_account_id) REFERENCES email_accounts ON DELETE CASCADE ON UPDATE CASCADE"""
    )
    ledger.run("UPDATE email_accounts SET id = 3 WHERE id = 2")
    assert set(ledger.logged()) == {
        (2, "update", "2026-02-07 20:30"),
        (3, "update", "2026-02-07 20:30"),
        (2, "account", ALWAYS),
        (3, "account", ALWAYS),
    }
    ledger.run("DELETE FROM email_accounts WHERE id = 3")
    assert ledger.logged() == [(3, "delete", "2026-02-07 20:30")]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_zone_of_the_writing_session_does_not_matter(ledger: Ledger, other: Any, zone: str) -> None:
    other.execute(text(f"SET timezone = '{zone}'"))
    other.execute(text("UPDATE expenses SET amount = 1"))
    other.execute(
        text(INSERT + "(1, 1, 'USD', '2026-01-01 23:00+00', NULL), (1, 1, 'USD', '2026-01-02 01:00+00', NULL)")
    )
    other.commit()
    assert ledger.logged() == [
        (1, "insert", "2026-01-01 23:00"),
        (1, "insert", "2026-01-02 01:00"),
        ANA,
        BEN,
    ]


def test_dates_that_clients_cannot_represent_are_logged_at_the_first_and_last_that_they_can(ledger: Ledger) -> None:
    for moment, logged in {
        "-infinity": "0001-01-02 00:00",
        "infinity": "9999-12-30 00:00",
        "20000-01-01": "9999-12-30 00:00",
        "294276-12-31": "9999-12-30 00:00",
        "4713-01-01 BC": "0001-01-02 00:00",
        "0001-01-01": "0001-01-02 00:00",
    }.items():
        ledger.run(INSERT + f"(1, 1, 'USD', '{moment}', NULL)")
        assert ledger.logged() == [(1, "insert", logged)], moment
    assert ledger.missed() == 0


def test_a_large_update_after_a_small_one_in_the_same_session_does_not_keep_its_plan(
    ledger: Ledger, other: Any
) -> None:
    """The plan made for one row, if it were a nested loop, would take minutes for these."""
    other.execute(text("UPDATE expenses SET amount = 3 WHERE id = 11"))
    other.execute(
        text(
            "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
            "SELECT 1, 1, 'USD', '2026-06-01' FROM generate_series(1, 30000)"
        )
    )
    other.execute(text("SET LOCAL statement_timeout = '10s'"))
    other.execute(text("UPDATE expenses SET amount = 2"))
    other.commit()
    assert (1, "update", "2026-06-01 00:00") in ledger.logged()
