"""A dashboard on this test's servers, with two accounts, a budget and some weeks of expenses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from metrics_pipeline.dashboard.access import issue_token
from metrics_pipeline.dashboard.app import create_app
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.settings import Settings, load_settings

SECRET = "a secret of this test, long enough to sign"


@pytest.fixture
def spending(database) -> None:
    """Account 1 spends 10.50 USD a day for forty days up to today, account 2 777.77 EUR."""
    with database.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO email_accounts (email, bank_name, currency) VALUES ('ann@x.org', 'Bank', 'USD')")
        )
        connection.execute(text("INSERT INTO email_accounts (email, currency) VALUES ('bob@secret.org', 'EUR')"))
        connection.execute(text("INSERT INTO categories (name) VALUES ('Food & <drink>')"))
        connection.execute(
            text(
                "INSERT INTO expenses"
                " (email_account_id, category_id, amount, currency, merchant_name, transaction_date)"
                " SELECT account, CASE WHEN day % 4 = 0 THEN NULL ELSE 1 END,"
                " CASE account WHEN 1 THEN 10.50 ELSE 777.77 END, CASE account WHEN 1 THEN 'USD' ELSE 'EUR' END,"
                " 'Shop', date_trunc('day', now()) - day * interval '1 day'"
                " FROM generate_series(1, 2) account, generate_series(0, 39) day"
            )
        )
        connection.execute(
            text(
                "INSERT INTO budgets (email_account_id, name, period, amount, currency, start_date)"
                " VALUES (1, 'Household', 'monthly', 400, 'USD', '2020-01-01')"
            )
        )


@pytest.fixture
def pipeline(settings, spending) -> Iterator[Pipeline]:
    with Pipeline(settings) as pipeline:
        yield pipeline


@pytest.fixture
def serving(settings) -> Iterator[Callable[..., TestClient]]:
    """Make a client of a dashboard with settings of its own; errors of handlers become answers."""
    with ExitStack() as stack:

        def make(**changes: object) -> TestClient:
            given = {"database_url": settings.database_url, "redis_url": settings.redis_url, "home": settings.home}
            changed = load_settings(**{**given, **changes})
            pipeline = stack.enter_context(Pipeline(changed))
            host = "http://testserver" if changed.dashboard_secret else "http://127.0.0.1:8000"
            client = TestClient(create_app(pipeline), base_url=host, raise_server_exceptions=False)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def client(serving, spending) -> TestClient:
    """An open dashboard, as on loopback."""
    return serving()


@pytest.fixture
def guarded(serving, spending) -> TestClient:
    """A dashboard that asks for tokens."""
    from pydantic import SecretStr

    return serving(dashboard_secret=SecretStr(SECRET))


@pytest.fixture
def token_for(settings) -> Callable[..., str]:
    from pydantic import SecretStr

    signing: Settings = settings.model_copy(update={"dashboard_secret": SecretStr(SECRET)})

    def make(*account_ids: int, days: float = 1, ago: timedelta = timedelta()) -> str:
        return issue_token(signing, account_ids, days, datetime.now(timezone.utc) - ago)

    return make
