"""Commands run in this process, on this test's own database and Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from dagster._daemon.types import DaemonHeartbeat
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from typer.testing import Result

from metrics_pipeline.services.dagster_home import dagster_home
from metrics_pipeline.services.embedded import ServiceUrls
from metrics_pipeline.settings import Settings
from metrics_pipeline_tests.command import run_command


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """The variables that bring a command to this test's servers."""
    assert settings.database_url
    assert settings.redis_url
    return {
        "METRICS_DATABASE_URL": settings.database_url,
        "METRICS_REDIS_URL": settings.redis_url,
        "METRICS_HOME": str(settings.home),
        "COLUMNS": "80",
    }


@pytest.fixture
def cli(environment: dict[str, str]) -> Callable[..., Result]:
    """Run a command; its exit code must be the expected one. More variables go by keyword."""

    def run(*words: object, expect: int = 0, **variables: str) -> Result:
        result = run_command(environment | variables, *words)
        assert result.exit_code == expect, f"{result.output}\n{result.exception!r}"
        return result

    return run


@pytest.fixture
def daemon_was_here(settings: Settings) -> Iterator[Callable[[float], None]]:
    """Dagster's daemon was last heard of so many seconds ago, in its real table."""
    urls = ServiceUrls(settings.database_url or "", settings.redis_url or "")
    dagster_home(settings, urls)
    runs = PostgresRunStorage(urls.dagster_url, should_autocreate_tables=True)
    PostgresScheduleStorage(urls.dagster_url, should_autocreate_tables=True).dispose()

    def beat(seconds_ago: float) -> None:
        runs.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, "SENSOR", None, None))

    yield beat
    runs.dispose()
