"""The data that is measured on: accounts with expenses over two years, in a database of its own that is kept.

Twelve categories, forty merchants an account of five thousand, one expense in ten uncategorised, one in
a hundred deleted; in the order of their dates, as an application would have written them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any, Literal

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from metrics_pipeline.database import connect_engine, driver
from metrics_pipeline.migrations.apply import migrate

FIRST, TODAY = date(2024, 1, 1), date(2025, 12, 31)
Shape = Literal["even", "skewed"]
Progress = Callable[[int, int], None]
"""Told (rows written, rows in all)."""

_EXPENSES_AN_ACCOUNT = 1000
_CATEGORIES, _MERCHANTS, _MERCHANTS_AN_ACCOUNT = 12, 5000, 40
_UNCATEGORISED, _DELETED, _SECONDS = 0.10, 0.01, 731 * 86_400
_CURRENCIES = ("USD", "USD", "USD", "CRC", "EUR")
_STATUSES = ("processed",) * 96 + ("pending",) * 2 + ("failed", "duplicate")
_BLOCK = 50_000

# Without them while the rows come in: ten times as fast, and the log of changes stays empty.
_BARE = """
ALTER TABLE expenses DROP CONSTRAINT expenses_email_account_id_fkey, DROP CONSTRAINT expenses_category_id_fkey;
ALTER TABLE expenses DISABLE TRIGGER USER;
DROP INDEX expenses_account_date;
DROP INDEX expenses_date;
"""
_DRESSED = """
ALTER TABLE expenses ADD CONSTRAINT expenses_email_account_id_fkey
    FOREIGN KEY (email_account_id) REFERENCES email_accounts (id);
ALTER TABLE expenses ADD CONSTRAINT expenses_category_id_fkey FOREIGN KEY (category_id) REFERENCES categories (id);
CREATE INDEX expenses_account_date ON expenses (email_account_id, transaction_date);
CREATE INDEX expenses_date ON expenses (transaction_date);
"""


@dataclass(frozen=True)
class Dataset:
    """How many expenses, and whether all accounts have as many or, by Zipf's law, the largest a tenth of all."""

    rows: int
    shape: Shape = "even"

    @property
    def accounts(self) -> int:
        return max(self.rows // _EXPENSES_AN_ACCOUNT, 1)

    @property
    def database(self) -> str:
        return f"metrics_benchmark_{self.shape}_{self.rows}"

    def ensure(self, server_url: str, progress: Progress) -> str:
        """The URL of the database, filled if it was not. A fill that was cut short is done again."""
        url = make_url(server_url).set(database=self.database).render_as_string(hide_password=False)
        server = connect_engine(server_url).execution_options(isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            if not connection.execute(
                text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": self.database}
            ).first():
                connection.exec_driver_sql(f'CREATE DATABASE "{self.database}"')
        server.dispose()
        engine = connect_engine(url)
        migrate(engine)
        with engine.begin() as connection:
            if not connection.execute(text("SELECT EXISTS (SELECT FROM expenses)")).scalar_one():
                self._fill(connection, progress)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # All-visible pages, as autovacuum leaves them: else whoever reads first pays for setting hint bits.
            connection.exec_driver_sql("VACUUM (ANALYZE) expenses")
        engine.dispose()
        return url

    def _fill(self, connection: Connection, progress: Progress) -> None:
        connection.exec_driver_sql(_BARE)
        for name in ("email_accounts", "categories"):
            connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE TRIGGER USER")
        connection.execute(
            text(
                "INSERT INTO email_accounts (id, email, currency, active) "
                "SELECT id, id || '@example.com', (CAST(:currencies AS text[]))[1 + id % :kinds], true "
                "FROM generate_series(1, :accounts) AS id"
            ),
            {"currencies": list(_CURRENCIES), "kinds": len(_CURRENCIES), "accounts": self.accounts},
        )
        connection.execute(
            text("INSERT INTO categories (id, name) SELECT id, 'Category ' || id FROM generate_series(1, :n) AS id"),
            {"n": _CATEGORIES},
        )
        columns = "email_account_id, category_id, amount, currency, status, merchant_name, transaction_date, deleted_at"
        with driver(connection).cursor() as cursor, cursor.copy(f"COPY expenses ({columns}) FROM STDIN") as copy:
            for first, block in self._blocks():
                copy.write(block)
                progress(min(first + _BLOCK, self.rows), self.rows)
        connection.exec_driver_sql(_DRESSED)
        for name in ("email_accounts", "categories", "expenses"):
            connection.exec_driver_sql(f"ALTER TABLE {name} ENABLE TRIGGER USER")

    def _blocks(self) -> Iterator[tuple[int, str]]:
        """The rows in COPY's text format, oldest first; the same ones for the same size and shape."""
        random = np.random.default_rng(self.rows)
        start = int(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=timezone.utc).timestamp())
        accounts = self._accounts(random)
        seconds = np.sort(random.integers(start, start + _SECONDS, self.rows))
        for first in range(0, self.rows, _BLOCK):
            account = accounts[first : first + _BLOCK]
            size = account.size
            # Each account visits its own forty: where they begin is spread over all five thousand.
            merchant = (account * 997 + random.integers(0, _MERCHANTS_AN_ACCOUNT, size) * 31) % _MERCHANTS
            category = random.integers(1, _CATEGORIES + 1, size) * (random.random(size) >= _UNCATEGORISED)
            cents = np.round(np.exp(random.normal(7.5, 1.1, size))).astype(np.int64) + 1
            columns = (
                account,
                category,
                cents,
                random.integers(0, len(_STATUSES), size),
                merchant,
                np.datetime_as_string(seconds[first : first + size].astype("datetime64[s]")),
                random.random(size) < _DELETED,
            )
            yield first, "".join(map(_line, *(column.tolist() for column in columns)))

    def _accounts(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Whose each expense is, mixed."""
        if self.shape == "even":
            return random.permutation(np.arange(self.rows, dtype=np.int64) % self.accounts) + 1
        weights = 1 / np.arange(1, self.accounts + 1)
        return random.choice(self.accounts, self.rows, p=weights / weights.sum()).astype(np.int64) + 1


def _line(account: int, category: int, cents: int, status: int, merchant: int, at: str, deleted: bool) -> str:
    currency = _CURRENCIES[account % len(_CURRENCIES)]
    return (
        f"{account}\t{category or _NULL}\t{cents // 100}.{cents % 100:02d}\t{currency}\t{_STATUSES[status]}\t"
        f"Merchant {merchant}\t{at}Z\t{at + 'Z' if deleted else _NULL}\n"
    )


_NULL = r"\N"


def plain_connection(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection without any library between the measurement and the server."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, autocommit=True, options="-c timezone=UTC")
