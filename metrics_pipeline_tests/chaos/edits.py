"""What users of the expense application do all the time, drawn at random."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from random import Random

from sqlalchemy import Connection, text

_INSERT = """
INSERT INTO expenses (email_account_id, category_id, amount, currency, status, merchant_name, transaction_date)
VALUES (:account, :category, :amount, :currency, :status, :merchant, :at)
"""
_ONE = "id = (SELECT id FROM expenses WHERE id >= :somewhere ORDER BY id LIMIT 1)"

# Inserts come as often as all others together, or the table would run empty.
_EDITS = [
    *[_INSERT] * 8,
    f"UPDATE expenses SET amount = :amount WHERE {_ONE}",
    f"UPDATE expenses SET transaction_date = :at WHERE {_ONE}",
    f"UPDATE expenses SET email_account_id = :account WHERE {_ONE}",
    f"UPDATE expenses SET status = :status, category_id = :category WHERE {_ONE}",
    f"UPDATE expenses SET deleted_at = now() WHERE {_ONE}",
    f"UPDATE expenses SET deleted_at = NULL WHERE {_ONE}",
    f"DELETE FROM expenses WHERE {_ONE}",
    "UPDATE expenses SET amount = amount + 0.01 WHERE email_account_id = :account",
    "UPDATE budgets SET amount = :amount WHERE email_account_id = :account",
    "UPDATE categories SET name = coalesce(CAST(:merchant AS text), '') || id WHERE id = :category",
]


def set_up(connection: Connection, accounts: int) -> None:
    """Accounts, four categories, and a monthly budget for each account."""
    connection.execute(
        text("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, :n) n"),
        {"n": accounts},
    )
    connection.execute(text("INSERT INTO categories (id, name) SELECT n, 'c' || n FROM generate_series(1, 4) n"))
    connection.execute(
        text(
            "INSERT INTO budgets (email_account_id, name, period, amount, currency, start_date) "
            "SELECT id, 'All', 'monthly', 500, 'USD', '2020-01-01' FROM email_accounts"
        )
    )


def edit(connection: Connection, random: Random, *, accounts: int, days: int, today: date) -> None:
    """One statement of a user, in the caller's transaction, about one of the last `days` days."""
    statement = text(random.choice(_EDITS))
    at = datetime.combine(today - timedelta(days=random.randrange(days)), time(12), timezone.utc)
    drawn = {
        "account": random.randint(1, accounts),
        "category": random.choice([None, 1, 2, 3, 4]),
        "amount": Decimal(random.randint(1, 20_000)) / 100,
        "currency": random.choice(["USD", "USD", "CRC"]),
        "status": random.choice(["processed", "processed", "failed"]),
        "merchant": random.choice(["Bean", "Rail", "Shop", None]),
        "at": at,
        "somewhere": _somewhere(connection, random),
    }
    connection.execute(statement, {name: drawn[name] for name in drawn if name in statement.compile().params})


def _somewhere(connection: Connection, random: Random) -> int:
    lowest, highest = connection.execute(text("SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM expenses")).one()
    return random.randint(lowest, highest)
