"""The sensor's tick while PostgreSQL is away."""

from __future__ import annotations

import dagster as dg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from metrics_pipeline.database import connect_engine
from metrics_pipeline.definitions import define
from metrics_pipeline.defs import sensors
from metrics_pipeline.errors import DatabaseUnavailable
from metrics_pipeline.pipeline import Pipeline


def test_a_tick_without_postgresql_fails_visibly_and_loses_nothing(
    settings, instance, database, servers, spend, monkeypatch
):
    monkeypatch.setattr(sensors, "_WATCH_SECONDS", 0)
    settings = settings.model_copy(update={"debounce_quiet_seconds": 0.0})
    administration = connect_engine(servers.database_url).execution_options(isolation_level="AUTOCOMMIT")

    def allow_connections(allowed: bool) -> None:
        name = make_url(database.url).database
        with administration.connect() as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}'))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
            )

    with Pipeline(settings) as pipeline:
        definitions = define(settings)

        def tick() -> dg.SensorResult:
            context = dg.build_sensor_context(
                instance=instance, repository_def=definitions.get_repository_def(), resources={"pipeline": pipeline}
            )
            return definitions.resolve_sensor_def("expense_changes")(context)

        pipeline.tend_cache()
        allow_connections(False)
        try:
            with pytest.raises(DatabaseUnavailable, match="PostgreSQL did not answer"):
                tick()
        finally:
            allow_connections(True)
        administration.dispose()
        assert tick().run_requests or instance.get_backfills()
