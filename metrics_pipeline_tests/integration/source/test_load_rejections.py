from __future__ import annotations

from typing import Any

import pytest

from metrics_pipeline.errors import BadRequest

EXPENSES = "id,email_account_id,category_id,amount,currency,status,merchant_name,transaction_date"
GOOD = {
    **{"id": "10", "email_account_id": "1", "category_id": "2", "amount": "5.00", "currency": "USD"},
    **{"status": "processed", "merchant_name": "Shop", "transaction_date": "2026-03-01T10:00:00Z"},
}
BUDGETS = (
    "id,email_account_id,name,period,amount,currency,start_date,end_date,active,warning_threshold,critical_threshold"
)
GOOD_BUDGET = {
    **{"id": "5", "email_account_id": "1", "name": "B", "period": "monthly", "amount": "100", "currency": "USD"},
    **{"start_date": "2026-01-01", "end_date": "", "active": "t", "warning_threshold": "", "critical_threshold": ""},
}


def line(header: str, good: dict[str, str], **other: str) -> str:
    return ",".join({**good, **other}[name] for name in header.split(",")) + "\n"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"id": ""}, "id is missing"),
        ({"id": "x"}, "id 'x' is not a whole number"),
        ({"id": "-3"}, "id '-3' is not a whole number"),
        ({"email_account_id": ""}, "email_account_id is missing"),
        ({"email_account_id": "77"}, "email_account_id 77 is neither loaded nor in the table email_accounts"),
        ({"category_id": "77"}, "category_id 77 is neither loaded nor in the table categories"),
        ({"amount": ""}, "amount is missing"),
        ({"amount": "abc"}, "amount 'abc' is not a number"),
        ({"amount": "0.00"}, "amount '0.00' is not above zero"),
        ({"amount": "-5"}, "amount '-5' is negative"),
        ({"amount": "NaN"}, "amount 'NaN' is not a finite number"),
        ({"amount": "1.005"}, "amount '1.005' has more than 2 decimals"),
        ({"amount": "99999999999"}, "is above 9999999999.99"),
        ({"currency": ""}, "currency is missing"),
        ({"currency": "€"}, "currency '€' is not a currency code"),
        ({"status": "paid"}, "status 'paid' is none of pending, processed, failed, duplicate"),
        ({"transaction_date": ""}, "transaction_date is missing"),
        (
            {"transaction_date": "2026-02-30"},
            "transaction_date '2026-02-30' is a day, time or offset that does not exist",
        ),
        ({"transaction_date": "yesterday"}, "is not a time such as"),
        ({"merchant_name": "a\0b"}, "NUL"),
        ({"amount": "x", "status": "y"}, "amount 'x' is not a number such as 1234.50; status 'y' is none of"),
    ],
)
def test_a_bad_expense_goes_to_its_file_and_the_rest_is_loaded(
    household: Any, other: dict[str, str], reason: str
) -> None:
    household.write("expenses", f"{EXPENSES}\n{line(EXPENSES, GOOD, **other)}{line(EXPENSES, GOOD, id='11')}")
    summary = household.load()
    assert household.counts("expenses", summary) == (1, 0, 0, 1)
    assert summary.rejected_files == (household.directory / "rejected" / "expenses.csv",)
    (rejected,) = household.rejected("expenses")
    assert rejected["line"] == "2"
    assert reason in rejected["reason"]
    assert {name: rejected[name] for name in GOOD} == {**GOOD, **other}
    (example,) = summary.of("expenses").examples
    assert (example.line, example.reason) == (2, rejected["reason"])
    assert household.rows("SELECT id FROM expenses") == [(11,)]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"email_account_id": "9"}, "email_account_id 9 is neither loaded"),
        ({"name": ""}, "name is missing"),
        ({"period": "hourly"}, "period 'hourly' is none of daily, weekly, monthly, yearly"),
        ({"amount": "-1"}, "amount '-1' is negative"),
        ({"end_date": "2025-12-31"}, "end_date 2025-12-31 is before start_date 2026-01-01"),
        ({"start_date": "2026-01-01T00:00:00Z"}, "is not a day such as"),
        ({"active": "maybe"}, "active 'maybe' is neither true nor false"),
        ({"warning_threshold": "0"}, "warning_threshold '0' is not above zero"),
        ({"warning_threshold": "95"}, "warning_threshold 95 is above critical_threshold 90"),
        ({"critical_threshold": "60"}, "warning_threshold 70 is above critical_threshold 60"),
        ({"critical_threshold": "1000"}, "critical_threshold '1000' is above 999.99"),
    ],
)
def test_a_bad_budget_goes_to_its_file(household: Any, other: dict[str, str], reason: str) -> None:
    bad = line(BUDGETS, GOOD_BUDGET, **other)
    household.write("budgets", f"{BUDGETS}\n{bad}{line(BUDGETS, GOOD_BUDGET, id='6')}")
    assert household.counts("budgets", household.load()) == (1, 0, 0, 1)
    (rejected,) = household.rejected("budgets")
    assert reason in rejected["reason"]


def test_rows_that_refer_to_a_rejected_row_are_rejected_too(household: Any) -> None:
    household.write("email_accounts", "id,email\n1,ana@example.com\n2,\n")
    household.write("categories", "id,name,parent_id\n1,Food,\n2,Groceries,3\n")
    household.write(
        "expenses", f"{EXPENSES}\n{line(EXPENSES, GOOD)}{line(EXPENSES, GOOD, id='11', email_account_id='2')}"
    )
    household.write("budgets", f"{BUDGETS}\n{line(BUDGETS, GOOD_BUDGET, email_account_id='2')}")
    household.write("budget_categories", "budget_id,category_id\n5,1\n")
    summary = household.load()
    assert [(table.loaded, table.rejected) for table in summary.tables] == [(1, 1), (1, 1), (0, 2), (0, 1), (0, 1)]
    assert [row["reason"] for row in household.rejected("expenses")] == [
        "category_id 2 is neither loaded nor in the table categories",
        "email_account_id 2 is neither loaded nor in the table email_accounts; "
        "category_id 2 is neither loaded nor in the table categories",
    ]
    assert (
        household.rejected("budget_categories")[0]["reason"] == "budget_id 5 is neither loaded nor in the table budgets"
    )


def test_of_two_rows_with_one_id_the_first_good_one_counts(household: Any) -> None:
    household.write(
        "expenses",
        f"{EXPENSES}\n"
        + line(EXPENSES, GOOD, amount="bad")
        + line(EXPENSES, GOOD, amount="1")
        + line(EXPENSES, GOOD, amount="2"),
    )
    household.write("budgets", f"{BUDGETS}\n{line(BUDGETS, GOOD_BUDGET)}")
    household.write("budget_categories", "budget_id,category_id\n5,1\n5,2\n5,1\n")
    household.load()
    assert household.rows("SELECT amount::text FROM expenses") == [("1.00",)]
    assert [(row["line"], row["reason"]) for row in household.rejected("expenses")] == [
        ("2", "amount 'bad' is not a number such as 1234.50"),
        ("4", "id 10 is already on line 3"),
    ]
    assert [(row["line"], row["reason"]) for row in household.rejected("budget_categories")] == [
        ("4", "budget_id 5, category_id 1 is already on line 2")
    ]


def test_lines_of_the_wrong_form(household: Any) -> None:
    household.write(
        "expenses",
        f"{EXPENSES}\n"
        "10,1,2,5\n"
        + line(EXPENSES, GOOD, merchant_name="Shop,extra")
        + line(EXPENSES, GOOD, merchant_name='"Joe')
        + line(EXPENSES, GOOD),
    )
    assert household.counts("expenses", household.load()) == (1, 0, 0, 3)
    short, long, quote = household.rejected("expenses")
    assert (short["line"], short["reason"], short["amount"]) == ("2", "has 4 fields, the header 8", "5")
    assert (long["line"], long["reason"]) == ("3", "has 9 fields, the header 8")
    assert quote["line"] == "4"
    assert quote["id"] == '10,1,2,5.00,USD,processed,"Joe,2026-03-01T10:00:00Z'


def test_bytes_that_are_no_utf8_cost_their_row_and_come_back_as_they_were(household: Any) -> None:
    latin = line(EXPENSES, GOOD, merchant_name="Café").encode("latin-1")
    household.write(
        "expenses", EXPENSES.encode() + b"\n" + latin + line(EXPENSES, GOOD, id="11", merchant_name="Café").encode()
    )
    household.load()
    assert household.rows("SELECT id, merchant_name FROM expenses") == [(11, "Café")]
    (rejected,) = household.rejected("expenses")
    assert "merchant_name 'Caf\\udce9' is not valid UTF-8" in rejected["reason"]
    assert b",Caf\xe9," in (household.directory / "rejected" / "expenses.csv").read_bytes()


def test_a_mended_file_of_rejected_rows_can_be_loaded(household: Any) -> None:
    household.write(
        "expenses", f"{EXPENSES}\n{line(EXPENSES, GOOD, amount='5,00')}{line(EXPENSES, GOOD, status='paid')}"
    )
    household.load()
    rejected = household.directory / "rejected" / "expenses.csv"
    household.write("expenses", rejected.read_text().replace("paid", "processed"))
    summary = household.load()
    assert household.counts("expenses", summary) == (1, 0, 0, 1)
    assert list(household.rejected("expenses")[0])[-2:] == ["line", "reason"]
    assert list(household.rejected("expenses")[0]).count("line") == 1


def test_what_an_earlier_load_rejected_is_removed(household: Any) -> None:
    household.write("expenses", f"{EXPENSES}\n{line(EXPENSES, GOOD, amount='bad')}")
    household.load()
    folder = household.directory / "rejected"
    assert (folder / "expenses.csv").exists()
    household.write("expenses", f"{EXPENSES}\n{line(EXPENSES, GOOD)}")
    assert household.load().rejected == 0
    assert not folder.exists()


def test_files_in_the_rejected_folder_that_are_not_ours_are_kept(household: Any) -> None:
    folder = household.directory / "rejected"
    folder.mkdir()
    (folder / "mine.txt").write_text("x")
    household.load()
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_written_stops_the_load(household: Any) -> None:
    (household.directory / "rejected").write_text("a file is in the way")
    household.write("expenses", f"{EXPENSES}\n{line(EXPENSES, GOOD, amount='bad')}")
    with pytest.raises(BadRequest, match="Nothing was loaded"):
        household.load()
    assert household.one("SELECT count(*) FROM email_accounts") == 0
