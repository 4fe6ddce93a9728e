"""Dagster's records of runs tell the time in UTC, whatever zone the server is in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import dagster as dg
from dagster_postgres.run_storage import PostgresRunStorage
from sqlalchemy import text
from sqlalchemy.engine import make_url

from metrics_pipeline.services.dagster_home import dagster_home
from metrics_pipeline.services.embedded import ServiceUrls


def test_a_run_was_created_now_on_a_server_in_another_zone(settings, database):
    with database.engine.begin() as connection:
        name = make_url(database.url).database
        connection.execute(text(f"ALTER DATABASE {name} SET timezone = 'America/Costa_Rica'"))
    urls = ServiceUrls(database.url, settings.redis_url)
    dagster_home(settings, urls)
    runs = PostgresRunStorage(urls.dagster_url, should_autocreate_tables=True)
    runs.add_run(dg.DagsterRun("a-job", run_id="a-run"))
    since = datetime.now(timezone.utc) - timedelta(minutes=5)
    (found,) = runs.get_run_records(dg.RunsFilter(created_after=since))
    runs.dispose()
    assert abs(found.create_timestamp.replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)) < timedelta(minutes=5)
