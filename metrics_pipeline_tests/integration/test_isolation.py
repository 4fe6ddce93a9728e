"""One account's payloads are made of that account's rows, and only accounts have payloads."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from metrics_pipeline.api import read_metrics
from metrics_pipeline.cache.keys import Entry
from metrics_pipeline.cli import app
from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest

TODAY = date(2026, 3, 18)
PERIODS = [Period.holding(grain, TODAY) for grain in Grain]
NO_ACCOUNTS = [True, False, 0, -1, "1", 1.0, 2**63, None, [1]]

spent = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 200), st.booleans()), max_size=25)
"""Account, days ago, with a budget in the currency."""


@pytest.fixture
def pipeline(settings, database):
    with Pipeline(settings.model_copy(update={"start_date": date(2025, 1, 1)})) as opened:
        yield opened


@given(rows=spent)
@settings(max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_payload_holds_anything_of_another_account(pipeline, rows):
    """Each account has categories, budgets, a currency, a status and amounts that no other has."""
    pipeline.redis.flushdb()
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE email_accounts, categories, expenses, budgets, budget_categories CASCADE")
        connection.exec_driver_sql(
            "INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 4) n; "
            "INSERT INTO categories (id, name) SELECT n, 'mark' || n FROM generate_series(1, 4) n"
        )
        for account, ago, budgeted in rows:
            connection.exec_driver_sql(
                f"INSERT INTO expenses (email_account_id, category_id, amount, currency, status, merchant_name, "
                f"transaction_date) VALUES ({account}, {account}, {10**account}, 'CU{account}', 'state{account}', "
                f"'shop{account}', timestamptz '{TODAY} 12:00+00' - interval '{ago} days')"
            )
            if budgeted:
                connection.exec_driver_sql(
                    f"INSERT INTO budgets (email_account_id, name, period, amount, currency, start_date) "
                    f"VALUES ({account}, 'mark{account}', 'yearly', 1, 'CU{account}', '2025-01-01')"
                )
    pipeline.refresh(RefreshRequest(PERIODS, TODAY))
    stored = [(p.account_id, p.model_dump(mode="json", by_alias=True)) for p in pipeline.export(include_empty=True)]
    cached = [
        (int(key.split(b"}")[0].split(b"{")[1]), json.loads(Entry.decode(pipeline.redis.get(key)).payload))
        for key in pipeline.redis.scan_iter("metrics:{*}:*")
    ]
    assert len(stored) == len(cached) == 4 * len(PERIODS)
    for account, payload in [*stored, *cached]:
        assert payload["account_id"] == account
        year = [ago for of, ago, _ in rows if of == account and payload["grain"] == "year" and ago < 77]
        assert payload["unique_merchants"] <= 1
        assert set(payload["by_status"]) <= {f"state{account}"}
        said = json.dumps(payload)
        for other in {1, 2, 3, 4} - {account}:
            assert f"mark{other}" not in said
            assert f"CU{other}" not in said
        if payload["grain"] == "year":
            assert payload["transaction_count"] == len(year)


@pytest.mark.parametrize("account_id", NO_ACCOUNTS)
class TestNoAccount:
    """Everything that takes an account refuses what none can be, before it looks anywhere."""

    def test_of_the_reader(self, pipeline, account_id):
        for fresh in (False, True):
            with pytest.raises(BadRequest, match="is not a positive integer"):
                pipeline.reader.get(account_id, Grain.DAY, TODAY, TODAY, fresh=fresh)
            with pytest.raises(BadRequest, match="is not a positive integer"):
                pipeline.reader.get_many(account_id, TODAY, TODAY, fresh=fresh)

    def test_of_a_request(self, account_id):
        with pytest.raises(BadRequest, match="is not a positive integer"):
            RefreshRequest(PERIODS, TODAY, [1, account_id])

    def test_of_the_pipeline(self, pipeline, account_id):
        for use in (
            lambda: pipeline.calculate(account_ids=[1, account_id], today=TODAY),
            lambda: pipeline.read_metrics(account_ids=[1, account_id]),
            lambda: list(pipeline.export(account_ids=[1, account_id])),
        ):
            with pytest.raises(BadRequest, match="is not a positive integer"):
                use()

    def test_of_the_api(self, settings, account_id):
        with pytest.raises(BadRequest, match="is not a positive integer"):
            read_metrics(account_ids=[1, account_id], settings=settings)


@pytest.mark.parametrize("said", ["0", "-1", "1.5", "true", "one", str(2**63)])
@pytest.mark.parametrize("command", [["show"], ["calculate", "-a"], ["export", "-a"]])
def test_of_the_command_line(settings, monkeypatch, command, said):
    monkeypatch.setenv("METRICS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("METRICS_REDIS_URL", settings.redis_url)
    result = CliRunner().invoke(app, [command[0], "--", said] if command == ["show"] else [*command, said])
    assert result.exit_code == 2, result.output
