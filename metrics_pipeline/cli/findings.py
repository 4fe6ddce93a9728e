"""What `check` looks at. Nothing is started and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from sqlalchemy import Engine

from metrics_pipeline.database import connect_engine, domain_errors
from metrics_pipeline.errors import MetricsPipelineError
from metrics_pipeline.migrations.apply import current_revision, of_newer_release, revisions
from metrics_pipeline.monitor.facts import Machinery
from metrics_pipeline.monitor.limits import DAEMON_SILENT_SECONDS, STALE_ADVICE_SECONDS
from metrics_pipeline.monitor.reading import read_waiting
from metrics_pipeline.monitor.wording import age
from metrics_pipeline.periods import start_of_day
from metrics_pipeline.services.embedded import DAGSTER_SCHEMA, ServiceUrls
from metrics_pipeline.services.postgres import EmbeddedPostgres
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.services.states import ServiceState, service_states
from metrics_pipeline.settings import Settings
from metrics_pipeline.source.columns import missing_columns
from metrics_pipeline.sql import query

_MIGRATE = "Run `metrics-pipeline migrate`."

LARGE_TABLE = 1_000_000
"""Expenses; a smaller table is in memory anyway."""

COVERING_INDEX = (
    "CREATE INDEX CONCURRENTLY ON expenses (email_account_id, transaction_date) "
    "INCLUDE (amount, currency, status, category_id, merchant_name) WHERE deleted_at IS NULL"
)


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
    database_url = settings.database_url or EmbeddedPostgres(settings.home).url
    engine = connect_engine(database_url, pool_size=1)
    try:
        schema = _of_schema(engine)
        yield schema
        if schema.state == "ok":
            yield from _of_expenses(engine, settings)
            yield from _of_index(engine)
            yield from _of_changes(engine, settings)
            redis_url = settings.redis_url or (EmbeddedRedis(settings.home).url if redis.running else "")
            yield from _of_processes(engine, ServiceUrls(database_url, redis_url), settings.broker_url)
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
        current, known = current_revision(connection), revisions()
        additions = missing_columns(connection)
    if current == known[0] and additions:
        return Finding(
            "schema",
            "wrong",
            "expense tables lack columns that metrics are computed from",
            f"Run: {' '.join(additions)}",
        )
    if current == known[0]:
        return Finding("schema", "ok", f"revision {current}, the newest")
    if current is None:
        return Finding("schema", "wrong", "this database has none yet", _MIGRATE)
    return Finding(
        "schema",
        "wrong",
        f"revision {current}; this version of the package needs {known[0]}",
        _MIGRATE if current in known else of_newer_release(),
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
            f"{found.without_cents:,} expenses are left out: their amount is NULL, NaN, infinite or over ten billion",
            "Find them with: SELECT id FROM expenses WHERE (abs(amount) < 10000000000) IS NOT TRUE",
        )
    if found.without_account:
        yield Finding("expenses", "note", f"{found.without_account:,} belong to no account; no metric counts them")
    if found.without_date:
        yield Finding(
            "expenses", "note", f"{found.without_date:,} have an infinite date, or none; no metric counts them"
        )
    if found.before_start:
        yield Finding(
            "expenses",
            "note",
            f"{found.before_start:,} are older than {settings.start_date}, where the metrics begin",
            "To cover them set METRICS_START_DATE to an earlier day.",
        )
    if not any(found):
        yield Finding("expenses", "ok", "every expense is counted where it belongs")


def _of_index(engine: Engine) -> Iterator[Finding]:
    """Whether a large expense table can be read by account without a page for every expense. Silent when it can."""
    with domain_errors("Looking at the indexes of expenses"), engine.connect() as connection:
        found = connection.execute(query("expense_indexes")).one()
    if found.expenses < LARGE_TABLE or found.covered:
        return
    yield Finding(
        "index",
        "note",
        f"some {found.expenses:,.0f} expenses, and no index from which those of an account can be read alone: "
        "refreshing a few accounts reads a page for each of their expenses",
        "Worth its size where changes are refreshed all day and shared_buffers do not hold the table: "
        f"{COVERING_INDEX}",
    )


def _of_changes(engine: Engine, settings: Settings) -> Iterator[Finding]:
    """Whether changes are noticed, and published. Silent when they are."""
    now = datetime.now(timezone.utc)
    with domain_errors("Looking at what changed"), engine.connect() as connection:
        waiting = read_waiting(connection, settings, now)
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
    for each in waiting.undelivered:
        yield Finding("alerts", "wrong", f"not delivered for {age((now - each.since).total_seconds())}: {each.error}")


def _of_processes(engine: Engine, urls: ServiceUrls, broker_url: str | None) -> Iterator[Finding]:
    """Whether the daemon and a worker are there, and told to work."""
    from metrics_pipeline.defs.machinery import read_machinery_in

    with domain_errors("Looking for Dagster's tables"), engine.connect() as connection:
        there = connection.execute(query("has_table"), {"name": f"{DAGSTER_SCHEMA}.daemon_heartbeats"}).scalar_one()
    machinery = read_machinery_in(urls.dagster_url, broker_url or urls.redis_url) if there else Machinery()
    if machinery.heartbeat_at is None:
        yield Finding(
            "processes",
            "note",
            "nothing is running here: numbers are as fresh as the last command made them",
            "`metrics-pipeline up` starts Dagster, a worker and the dashboard.",
        )
        return
    silent = (datetime.now(timezone.utc) - machinery.heartbeat_at).total_seconds()
    if silent > DAEMON_SILENT_SECONDS:
        yield Finding(
            "daemon",
            "wrong",
            f"was last heard of {age(silent)} ago, so nothing is scheduled or refreshed",
            "Start it with `metrics-pipeline up`.",
        )
    else:
        yield Finding("daemon", "ok", "Dagster's daemon is running")
    if machinery.worker_answers:
        yield Finding("workers", "ok", "a worker answers")
    else:
        yield Finding(
            "workers",
            "wrong",
            "none is reachable through the broker, so runs are not done",
            "Start one with `metrics-pipeline up`, or with `metrics-pipeline worker` on any machine that reaches this "
            "PostgreSQL and this Redis.",
        )
    for switch in machinery.switched_off:
        yield Finding(switch, "note", "is switched off", "Dagster's UI, page Automation, switches it on.")
