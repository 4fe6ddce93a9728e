"""Dagster's records of old runs: which may go, and those that its own API leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from sqlalchemy import Engine

from metrics_pipeline.database import domain_errors
from metrics_pipeline.sql import query


def forgettable_runs(engine: Engine, before: datetime) -> list[str]:
    """Ids of finished runs, unchanged since `before` (aware), that no page needs; oldest first.

    Kept are those with the newest event of its kind of any asset's partition (materialized, planned,
    observed, failed) or the newest result of a check. Once forgettable, a run stays so: what makes a
    run the newest never comes later. Raises DatabaseUnavailable, or SchemaError without Dagster's tables.
    """
    with domain_errors("Looking for old runs"), engine.connect() as connection:
        return list(connection.execute(query("forgettable_runs"), {"before": _naive(before)}).scalars())


def weigh_runs(engine: Engine, run_ids: Sequence[str]) -> tuple[int, int]:
    """How many events these runs have, and their characters."""
    with domain_errors("Weighing old runs"), engine.connect() as connection:
        row = connection.execute(query("events_of_runs"), {"run_ids": list(run_ids)}).one()
    return row.events, row.characters


def forget_check_results(engine: Engine, run_ids: Sequence[str]) -> int:
    """Delete what deleting a run through Dagster leaves: the results of its checks. Returns how many."""
    with domain_errors("Deleting old check results"), engine.begin() as connection:
        return connection.execute(query("forget_check_results"), {"run_ids": list(run_ids)}).rowcount


def forgettable_runless_events(engine: Engine, before: datetime) -> list[int]:
    """Ids of events outside runs from before a moment, but the newest of each kind of each asset."""
    with domain_errors("Looking for old events"), engine.connect() as connection:
        return list(connection.execute(query("forgettable_runless_events"), {"before": _naive(before)}).scalars())


def forget_events(engine: Engine, ids: Sequence[int]) -> None:
    """Delete events, and their tags."""
    with domain_errors("Deleting old events"), engine.begin() as connection:
        for name in ("forget_event_tags", "forget_events"):
            connection.execute(query(name), {"ids": list(ids)})


def _naive(moment: datetime) -> datetime:
    """Dagster's columns are UTC without saying so."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None)
