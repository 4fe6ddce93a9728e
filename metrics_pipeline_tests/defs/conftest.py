"""Expenses to compute, and a Dagster instance with real run records that lives for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import dagster as dg
import pytest
from sqlalchemy import text

from metrics_pipeline.definitions import define
from metrics_pipeline.defs import sensors
from metrics_pipeline.periods import days_between, start_of_day
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.settings import Settings

FIRST_DAY = date(2026, 1, 1)
DAYS = 60


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick of `expense_changes` looks once and does not wait for more."""
    monkeypatch.setattr(sensors, "_WATCH_SECONDS", 0)


@pytest.fixture
def spend(settings: Settings, database) -> None:
    """Accounts 1 to 3 spend 10.00, 20.00 and 30.00 on each of the 60 days from 2026-01-01, and today."""
    days = [*days_between(FIRST_DAY, date.fromordinal(FIRST_DAY.toordinal() + DAYS)), settings.today()]
    with database.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO email_accounts (email) SELECT 'account' || n FROM generate_series(1, 3) n")
        )
        connection.execute(
            text(
                "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                "SELECT n, 10 * n, 'USD', at FROM generate_series(1, 3) n, unnest(CAST(:instants AS timestamptz[])) at"
            ),
            {"instants": [start_of_day(day, settings.zone) for day in days]},
        )


@pytest.fixture
def settled(settings: Settings) -> Iterator[Pipeline]:
    """A pipeline to which everything is known, and nothing stale."""
    with Pipeline(settings) as pipeline:
        pipeline.tend_cache()
        pipeline.absorb_changes()
        with pipeline.engine.begin() as connection:
            connection.execute(text("DELETE FROM metrics.stale_periods"))
        yield pipeline


@pytest.fixture
def tick(settled: Pipeline, instance: dg.DagsterInstance) -> Callable[..., dg.SensorResult]:
    """Evaluate the sensor as the daemon does."""

    def evaluate(settings: Settings = settled.settings) -> dg.SensorResult:
        definitions = define(settings)
        context = dg.build_sensor_context(
            instance=instance, repository_def=definitions.get_repository_def(), resources={"pipeline": settled}
        )
        result = definitions.resolve_sensor_def("expense_changes")(context)
        assert isinstance(result, dg.SensorResult)
        return result

    return evaluate
