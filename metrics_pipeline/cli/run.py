from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING

from metrics_pipeline.cli.options import Today
from metrics_pipeline.cli.steps import step
from metrics_pipeline.periods import Grain, Period

if TYPE_CHECKING:
    from metrics_pipeline.defs.run import Run
    from metrics_pipeline.pipeline import Pipeline

_SAMPLE_ACCOUNTS, _SAMPLE_MONTHS = 200, 24


def run(today: Today = None) -> None:
    """Do the whole job once, on sample data if there is none.

    Starts the servers, brings the schema up to date, fills an empty database
    with a sample, then computes what the hourly schedules keep warm: the
    latest 8 days, 5 weeks, 4 months and 2 years of every active account, as
    runs that Dagster's UI shows afterwards.

    Shows one account's metrics and how long things took. A second run is quick
    and shows the same numbers.
    """
    from metrics_pipeline.cli.run_summary import show_summary

    pipeline = _connect()
    with pipeline:
        day = today or pipeline.settings.today()
        # Dagster's tables take seconds to get ready, in a process of their own: meanwhile the sample is written.
        with ThreadPoolExecutor(1) as pool:
            preparing = pool.submit(_prepare_dagster, pipeline)
            _fill_if_empty(pipeline, day)
            with step("Getting Dagster ready") as ready:
                import_module("metrics_pipeline.defs.run")
                os.environ.update(preparing.result())
                ready.done = "Dagster is ready"
        runs = _materialize(pipeline, day)
        show_summary(pipeline, runs, day)


def _connect() -> Pipeline:
    with step("Starting PostgreSQL and Redis") as connecting:
        from metrics_pipeline.api import open_pipeline
        from metrics_pipeline.cache.errors import cache_errors

        pipeline = open_pipeline()
        with cache_errors("Connecting to Redis"):
            pipeline.redis.ping()
        connecting.done = f"PostgreSQL and Redis are up, the schema is at revision {pipeline.migrate()}"
    return pipeline


def _prepare_dagster(pipeline: Pipeline) -> dict[str, str]:
    """Dagster's folder and tables. Returns the environment that its instance is found by."""
    from metrics_pipeline.services import dagster_home, ensure_services, migrate_dagster

    environment = dagster_home(pipeline.settings, ensure_services(pipeline.settings))
    migrate_dagster(environment)
    return environment


def _fill_if_empty(pipeline: Pipeline, today: date) -> None:
    from metrics_pipeline.database import domain_errors
    from metrics_pipeline.source.sample import write_sample
    from metrics_pipeline.sql import query

    with domain_errors("Looking for expenses"), pipeline.engine.connect() as connection:
        if connection.execute(query("tables_with_data")).first():
            return
    settings = pipeline.settings
    with step("The database is empty: writing a sample") as writing:
        sample = write_sample(
            pipeline.engine,
            accounts=_SAMPLE_ACCOUNTS,
            months=_SAMPLE_MONTHS,
            today=today,
            zone=settings.zone,
            default_currency=settings.default_currency,
            progress=writing.bar,
        )
        writing.done = (
            f"The database was empty: wrote a sample of {sample.accounts:,} accounts, "
            f"{sample.expenses:,} expenses since {sample.first_day}"
        )


def _materialize(pipeline: Pipeline, today: date) -> dict[Grain, Run]:
    from metrics_pipeline.defs.run import materialize_window

    def say(periods: list[Period]) -> None:
        computing.bar(0, 1)
        computing.bar.say(f"Computing {len(periods)} {periods[0].grain.value}s")

    with step("Computing") as computing:
        pipeline.tend_cache()
        pipeline.absorb_changes()  # what is computed now no longer waits for a refresh
        runs = materialize_window(pipeline.settings, today, on_start=say, follow=computing.bar.follow)
        payloads = sum(run.outcome.payloads for run in runs.values())
        computing.done = f"Computed, stored and published {payloads:,} payloads in {len(runs)} Dagster runs"
    return runs
