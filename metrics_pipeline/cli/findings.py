"""What `check` looks at. Nothing is started and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from sqlalchemy import Engine

from metrics_pipeline.database import connect_engine, domain_errors
from metrics_pipeline.errors import MetricsPipelineError
from metrics_pipeline.migrations.apply import current_revision, newest_revision
from metrics_pipeline.monitor.limits import STALE_ADVICE_SECONDS
from metrics_pipeline.monitor.reading import read_waiting
from metrics_pipeline.monitor.wording import age
from metrics_pipeline.periods import start_of_day
from metrics_pipeline.services.postgres import EmbeddedPostgres
from metrics_pipeline.services.states import ServiceState, service_states
from metrics_pipeline.settings import Settings
from metrics_pipeline.sql import query


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `to_do` says how to mend what is wrong."""

    about: str
    state: Literal["ok", "note", "wrong"]
    said: str
    to_do: str | None = None


def findings(settings: Settings) -> Iterator[Finding]:
    """Servers first; what needs PostgreSQL only where it answers."""
    postgres, redis = service_states(settings)
    yield _of_server(postgres, "METRICS_DATABASE_URL")
    yield _of_server(redis, "METRICS_REDIS_URL")
    if not postgres.running:
        return
    engine = connect_engine(settings.database_url or EmbeddedPostgres(settings.home).url, pool_size=1)
    try:
        schema = _of_schema(engine)
        yield schema
        if schema.state == "ok":
            yield from _of_expenses(engine, settings)
            yield from _of_changes(engine)
    except MetricsPipelineError as error:
        yield Finding("database", "wrong", str(error))
    finally:
        engine.dispose()


def _of_server(server: ServiceState, variable: str) -> Finding:
    if server.running:
        return Finding(server.name, "ok", f"{server.version}, {server.source}, {server.where}")
    if server.source == "embedded":
        return Finding(server.name, "note", f"embedded, {server.error}")
    return Finding(
        server.name,
        "wrong",
        f"{server.where} does not answer: {server.error}",
        f"Start it, or correct {variable}; without that variable an embedded server is used.",
    )


def _of_schema(engine: Engine) -> Finding:
    with domain_errors("Reading the schema's revision"), engine.connect() as connection:
        current, newest = current_revision(connection), newest_revision()
    if current == newest:
        return Finding("schema", "ok", f"revision {current}, the newest")
    if current is None:
        return Finding("schema", "wrong", "this database has none yet", "Run `metrics-pipeline migrate`.")
    return Finding(
        "schema",
        "wrong",
        f"revision {current}; this version of the package needs {newest}",
        "Run `metrics-pipeline migrate`; if the database is the newer one, update the package.",
    )


def _of_expenses(engine: Engine, settings: Settings) -> Iterator[Finding]:
    with domain_errors("Looking at the expenses"), engine.connect() as connection:
        found = connection.execute(
            query("unusual_expenses"), {"earliest": start_of_day(settings.start_date, settings.zone)}
        ).one()
    if found.without_cents:
        yield Finding(
            "amounts",
            "wrong",
            f"{found.without_cents:,} expenses are left out: their amount is NaN or infinite",
            "Find them with: SELECT id FROM expenses WHERE amount IN ('NaN', 'Infinity', '-Infinity')",
        )
    if found.without_account:
        yield Finding("expenses", "note", f"{found.without_account:,} belong to no account; no metric counts them")
    if found.before_start:
        yield Finding(
            "expenses",
            "note",
            f"{found.before_start:,} are older than {settings.start_date}, where the metrics begin",
            "To cover them set METRICS_START_DATE to an earlier day.",
        )
    if not (found.without_cents or found.without_account or found.before_start):
        yield Finding("expenses", "ok", "every expense is counted where it belongs")


def _of_changes(engine: Engine) -> Iterator[Finding]:
    """Whether changes are noticed, and published. Silent when they are."""
    now = datetime.now(timezone.utc)
    with domain_errors("Looking at what changed"), engine.connect() as connection:
        waiting = read_waiting(connection, now)
    for problem in waiting.capture_problems:
        yield Finding("changes", "wrong", problem.message, problem.to_do)
    oldest = waiting.oldest_at
    if oldest and (seconds := (now - oldest).total_seconds()) > STALE_ADVICE_SECONDS:
        yield Finding(
            "backlog",
            "note",
            f"the oldest unpublished change is {age(seconds)} old",
            "`metrics-pipeline status` says what it waits for.",
        )
