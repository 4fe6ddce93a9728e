"""One `up` for all tests of this folder."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest
import redis
from sqlalchemy import text

from metrics_pipeline.database import connect_engine
from metrics_pipeline.periods import Grain, days_between
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.chosen import chosen_periods
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.services.embedded import ServiceUrls
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.settings import load_settings
from metrics_pipeline_tests.conftest import database_named, redis_database
from metrics_pipeline_tests.end_to_end.running import RunningUp, wait_until
from metrics_pipeline_tests.scratch import scratch

UP = """
from metrics_pipeline.services.supervisor import up
from metrics_pipeline.settings import load_settings
raise SystemExit(up(load_settings()))
"""

FIRST_DAY = date(2026, 1, 1)


@pytest.fixture(scope="package")
def ui(servers: ServiceUrls, template: str) -> Iterator[RunningUp]:
    with up_on(servers, template, redis_database(servers)) as running:
        yield running


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis that a test may stop."""
    redis = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    redis.ensure()
    yield redis
    redis.stop()


@pytest.fixture
def redis_url(own_redis: EmbeddedRedis) -> str:
    """The one that other tests empty is that of `ui` here, which would empty its cache itself a few seconds later."""
    return own_redis.url


@contextmanager
def up_on(servers: ServiceUrls, template: str, redis_url: str, **variables: str) -> Iterator[RunningUp]:
    """The processes of `up` on a free port; three accounts spend 10, 20 and 30 a day for sixty days.

    All of it is computed before `up` starts: its first tick finds nothing to do.
    """
    with (
        database_named(servers, f"metrics_test_{uuid.uuid4().hex[:12]}", template) as database_url,
        tempfile.TemporaryDirectory(prefix="metrics-up-", dir=scratch()) as home,
        redis.Redis.from_url(redis_url) as client,
    ):
        client.flushdb()
        engine = connect_engine(database_url)
        days = days_between(FIRST_DAY, FIRST_DAY + timedelta(days=60))
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO email_accounts (email) SELECT 'a' || n FROM generate_series(1, 3) n"))
            connection.execute(
                text(
                    "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                    "SELECT n, 10 * n, 'USD', at "
                    "FROM generate_series(1, 3) n, unnest(CAST(:days AS timestamptz[])) at"
                ),
                {"days": [f"{day}T12:00Z" for day in days]},
            )
        with Pipeline(load_settings(database_url=database_url, redis_url=redis_url)) as pipeline:
            today = pipeline.settings.today()
            pipeline.absorb_changes()
            pipeline.tend_cache()
            periods = chosen_periods(tuple(Grain), [], today, pipeline.settings.start_date, all_history=True)
            pipeline.refresh(RefreshRequest(periods, today, computed_by="refresh"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = Path(home, "up.log")
        inherited = {name: os.environ[name] for name in os.environ if not name.startswith(("METRICS_", "DAGSTER_"))}
        with log.open("wb") as output:
            process = psutil.Popen(
                [sys.executable, "-c", UP],
                env=inherited
                | {
                    "METRICS_DATABASE_URL": database_url,
                    "METRICS_REDIS_URL": redis_url,
                    "METRICS_HOME": home,
                    "METRICS_DAGSTER_PORT": str(port),
                }
                | variables,
                stdout=output,
                stderr=output,
            )
        running = RunningUp(port, process, engine, client)
        try:
            wait_until(lambda: process.poll() is not None or running.healthy(), "Dagster's processes", 180)
            assert process.poll() is None, log.read_text()
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            print(log.read_text())  # pytest shows it when the test fails
            engine.dispose()
        assert code == 0
