"""Two accounts, two categories and an expense each, and reading back what writes to them logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, text

from metrics_pipeline.source.capture import missed_changes

HOUSEHOLDS = """
INSERT INTO email_accounts (id, email, currency) VALUES (1, 'ana@example.com', 'USD'), (2, 'ben@example.com', 'USD');
INSERT INTO categories (id, name) VALUES (1, 'Food'), (2, 'Travel');
INSERT INTO expenses (id, email_account_id, category_id, amount, currency, merchant_name, transaction_date)
VALUES (11, 1, 1, 10, 'USD', 'Bean', '2026-01-05 10:00+00'), (22, 2, 2, 20, 'USD', 'Rail', '2026-02-07 20:30+00');
INSERT INTO budgets (id, email_account_id, name, period, amount, currency, start_date, end_date) VALUES
    (5, 1, 'All', 'monthly', 100, 'USD', '2026-01-01', '2026-03-31'),
    (6, 1, 'Old', 'weekly', 100, 'USD', '2025-01-01', NULL);
UPDATE budgets SET active = false WHERE id = 6;
SELECT setval(pg_get_serial_sequence(name, 'id'), 1000)
FROM unnest(ARRAY['email_accounts', 'categories', 'expenses', 'budgets']) AS name;
"""

Logged = tuple[int, str, str]
"""Account, operation, and the instants as `first .. last`, or one if they are the same."""


@dataclass
class Ledger:
    """The expense tables of one test's database, and the log of what happens to them."""

    engine: Engine
    url: str

    def run(self, statement: str, **parameters: Any) -> None:
        """One statement (or several), committed."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)

    def rows(self, statement: str) -> Sequence[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def one(self, statement: str) -> Any:
        ((value,),) = self.rows(statement)
        return value

    def missed(self) -> int:
        with self.engine.connect() as connection:
            return missed_changes(connection)

    def logged(self) -> list[Logged]:
        """What was logged since the last call."""
        with self.engine.begin() as connection:
            rows = connection.execute(
                text("DELETE FROM metrics.expense_changes RETURNING account_id, operation, grain, first_at, last_at")
            ).all()
        return sorted((row.account_id, _operation(row), _instants(row.first_at, row.last_at)) for row in rows)


def _operation(row: Any) -> str:
    return f"{row.operation} {row.grain}" if row.grain else str(row.operation)


def _instants(first: datetime, last: datetime) -> str:
    shown = [moment.isoformat(" ").removesuffix("+00:00").removesuffix(":00") for moment in (first, last)]
    return shown[0] if first == last else " .. ".join(shown)


ALWAYS = "0001-01-02 00:00 .. 9999-12-30 00:00"
