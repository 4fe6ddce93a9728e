"""A ledger on this test's database, and a second session."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from metrics_pipeline.migrations.apply import migrate
from metrics_pipeline_tests.ledger import HOUSEHOLDS, Ledger


@pytest.fixture
def ledger(database: Any) -> Ledger:
    found = Ledger(database.engine, database.url)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(HOUSEHOLDS)
    found.logged()
    return found


@pytest.fixture
def other(database: Any) -> Connection:
    """Another session."""
    connection: Connection = database.connect()
    return connection


@pytest.fixture
def elsewhere(ledger: Ledger) -> Ledger:
    """The same, with the expense tables in a schema of their own that the search_path names."""
    ledger.run(
        """
        CREATE SCHEMA "App data";
        ALTER TABLE email_accounts SET SCHEMA "App data";
        ALTER TABLE categories SET SCHEMA "App data";
        ALTER TABLE expenses SET SCHEMA "App data";
        ALTER TABLE budgets SET SCHEMA "App data";
        ALTER TABLE budget_categories SET SCHEMA "App data";
        DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET search_path = "App data", public', current_database());
        END $$"""
    )
    ledger.engine.dispose()
    migrate(ledger.engine)
    return ledger
