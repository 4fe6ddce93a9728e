"""What changes of budgets, their categories, categories and accounts log."""

from __future__ import annotations

import pytest

from metrics_pipeline_tests.ledger import ALWAYS, Ledger, Logged

ANAS_BUDGET = (1, "budget month", "2025-12-31 00:00 .. 2026-04-01 00:00")


@pytest.mark.parametrize(
    "assignment",
    [
        "amount = 5",
        "name = 'Other'",
        "currency = 'EUR'",
        "active = false",
        "warning_threshold = 50",
        "critical_threshold = 95",
        "id = 50",
    ],
)
def test_a_budget_logs_its_grain_and_validity_with_a_day_on_either_side(ledger: Ledger, assignment: str) -> None:
    ledger.run(f"UPDATE budgets SET {assignment} WHERE id = 5")
    assert ledger.logged() == [ANAS_BUDGET]


@pytest.mark.parametrize(
    ("period", "grain"), [("daily", "day"), ("weekly", "week"), ("monthly", "month"), ("yearly", "year")]
)
def test_a_new_budget_is_of_its_periods_grain(ledger: Ledger, period: str, grain: str) -> None:
    ledger.run(
        "INSERT INTO budgets (email_account_id, name, period, amount, currency, start_date, end_date) "
        "VALUES (2, 'New', :period, 1, 'USD', '2026-02-01', '2026-02-01')",
        period=period,
    )
    assert ledger.logged() == [(2, f"budget {grain}", "2026-01-31 00:00 .. 2026-02-02 00:00")]


@pytest.mark.parametrize(
    ("assignment", "logged"),
    [
        ("start_date = '2026-03-01'", [ANAS_BUDGET, (1, "budget month", "2026-02-28 00:00 .. 2026-04-01 00:00")]),
        ("end_date = NULL", [(1, "budget month", "2025-12-31 00:00 .. 9999-12-30 00:00")]),  # of both, one start
        ("period = 'daily'", [(1, "budget day", "2025-12-31 00:00 .. 2026-04-01 00:00"), ANAS_BUDGET]),
        ("email_account_id = 2", [ANAS_BUDGET, (2, "budget month", "2025-12-31 00:00 .. 2026-04-01 00:00")]),
    ],
)
def test_a_budget_that_is_moved_logs_both_sides(ledger: Ledger, assignment: str, logged: list[Logged]) -> None:
    ledger.run(f"UPDATE budgets SET {assignment} WHERE id = 5")
    assert ledger.logged() == logged


def test_an_inactive_budget_matters_when_it_becomes_active(ledger: Ledger) -> None:
    ledger.run("UPDATE budgets SET amount = 5, start_date = '2024-01-02' WHERE id = 6")
    assert ledger.logged() == []
    ledger.run("UPDATE budgets SET active = true WHERE id = 6")
    assert ledger.logged() == [(1, "budget week", "2024-01-01 00:00 .. 9999-12-30 00:00")]
    ledger.run("UPDATE budgets SET active = false WHERE id = 6")
    ledger.logged()
    ledger.run("INSERT INTO budget_categories VALUES (6, 1)")
    ledger.run("DELETE FROM budgets WHERE id = 6")
    assert ledger.logged() == []


def test_a_budget_of_unimaginable_dates_is_logged_within_those_that_clients_can_represent(ledger: Ledger) -> None:
    ledger.run("UPDATE budgets SET start_date = '4713-01-01 BC', end_date = '5874897-12-31' WHERE id = 5")
    assert (1, "budget month", ALWAYS) in ledger.logged()
    ledger.run("UPDATE budgets SET start_date = '-infinity', end_date = 'infinity' WHERE id = 5")
    assert ledger.logged() == [(1, "budget month", ALWAYS)]
    assert ledger.missed() == 0


def test_an_update_of_a_budget_that_changes_nothing_logs_nothing(ledger: Ledger) -> None:
    ledger.run("UPDATE budgets SET amount = 100, name = name, id = id")
    assert ledger.logged() == []


def test_a_budget_with_categories_logs_once_more_when_they_change(ledger: Ledger) -> None:
    ledger.run("INSERT INTO budget_categories VALUES (5, 1)")
    assert ledger.logged() == [ANAS_BUDGET]
    ledger.run("UPDATE budget_categories SET category_id = 2 WHERE budget_id = 5")
    assert ledger.logged() == [ANAS_BUDGET]
    ledger.run("UPDATE budget_categories SET category_id = category_id")
    assert ledger.logged() == []
    ledger.run("DELETE FROM budget_categories")
    assert ledger.logged() == [ANAS_BUDGET]


def test_a_link_that_moves_to_another_budget_logs_both(ledger: Ledger) -> None:
    ledger.run("UPDATE budgets SET active = true, email_account_id = 2 WHERE id = 6")
    ledger.run("INSERT INTO budget_categories VALUES (5, 1)")
    ledger.logged()
    ledger.run("UPDATE budget_categories SET budget_id = 6")
    assert ledger.logged() == [ANAS_BUDGET, (2, "budget week", "2024-12-31 00:00 .. 9999-12-30 00:00")]


def test_a_budget_that_takes_its_categories_with_it_logs_itself(ledger: Ledger) -> None:
    ledger.run("INSERT INTO budget_categories VALUES (5, 1), (5, 2)")
    ledger.logged()
    ledger.run("DELETE FROM budgets WHERE id = 5")
    assert ledger.logged() == [ANAS_BUDGET]


def test_renaming_or_renumbering_a_category_concerns_everybody(ledger: Ledger) -> None:
    ledger.run("UPDATE categories SET name = 'Meals' WHERE id = 1")
    assert ledger.logged() == [(0, "category", ALWAYS)]
    ledger.run("INSERT INTO categories (id, name) VALUES (3, 'Spare')")
    ledger.run("UPDATE categories SET name = name, parent_id = 3 WHERE id = 1")
    assert ledger.logged() == []
    ledger.run("UPDATE categories SET id = 4 WHERE id = 3 AND false")
    assert ledger.logged() == []
    ledger.run("INSERT INTO categories (id, name) VALUES (30, 'Lone')")
    ledger.run("UPDATE categories SET id = 4 WHERE id = 30")
    assert ledger.logged() == [(0, "category", ALWAYS)]


def test_deleting_a_category_concerns_everybody_and_whatever_referred_to_it(ledger: Ledger) -> None:
    ledger.run(
        "ALTER TABLE expenses DROP CONSTRAINT expenses_category_id_fkey, "
        "ADD FOREIGN KEY (category_id) REFERENCES categories ON DELETE SET NULL"
    )
    ledger.run("INSERT INTO budget_categories VALUES (5, 1)")
    ledger.logged()
    ledger.run("DELETE FROM categories WHERE id = 1")
    assert ledger.logged() == [(0, "category", ALWAYS), ANAS_BUDGET, (1, "update", "2026-01-05 10:00")]
    ledger.run("DELETE FROM categories WHERE id = 1")
    assert ledger.logged() == []


def test_an_accounts_currency_concerns_all_of_its_periods(ledger: Ledger) -> None:
    ledger.run("UPDATE email_accounts SET currency = 'EUR'")
    assert ledger.logged() == [(1, "account", ALWAYS), (2, "account", ALWAYS)]
    ledger.run("UPDATE email_accounts SET currency = NULL WHERE id = 1")
    assert ledger.logged() == [(1, "account", ALWAYS)]


def test_accounts_of_which_nothing_changes_that_is_shown_log_nothing(ledger: Ledger) -> None:
    ledger.run("INSERT INTO email_accounts (id, email) VALUES (3, 'cy@example.com')")
    ledger.run("UPDATE email_accounts SET active = false WHERE id = 3")
    ledger.run("UPDATE email_accounts SET email = email || '.invalid', bank_name = 'Harbor', currency = currency")
    ledger.run("DELETE FROM email_accounts WHERE id = 3")
    assert ledger.logged() == []


@pytest.mark.parametrize("table", ["budgets", "budget_categories", "categories", "email_accounts"])
def test_truncate_of_any_table_concerns_everybody(ledger: Ledger, table: str) -> None:
    ledger.run(f"TRUNCATE {table} CASCADE")
    assert set(ledger.logged()) == {(0, "truncate", ALWAYS)}
