"""Dagster's daemon, workers, sensors and schedules, as the monitor's facts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus
from dagster._daemon.types import DaemonHeartbeat
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from metrics_pipeline.defs.celery_app import celery_app
from metrics_pipeline.monitor.facts import Machinery
from metrics_pipeline.settings import Settings

_ANSWER_SECONDS = (1.0, 2.0)  # a worker on a busy machine may miss the first question


def read_machinery(instance: dg.DagsterInstance, settings: Settings) -> Machinery:
    """Quick where a worker answers."""
    switches = instance.schedule_storage  # an instance in memory has none
    off = switches.all_instigator_state(instigator_statuses={InstigatorStatus.STOPPED}) if switches else []
    return _machinery(instance.get_daemon_heartbeats(), off, settings.broker_url or settings.redis_url or "")


def read_machinery_in(dagster_url: str, broker_url: str) -> Machinery:
    """From Dagster's tables, without an instance and its folder. Writes nothing; the tables must be there."""
    runs = PostgresRunStorage(dagster_url, should_autocreate_tables=False)
    switches = PostgresScheduleStorage(dagster_url, should_autocreate_tables=False)
    try:
        off = switches.all_instigator_state(instigator_statuses={InstigatorStatus.STOPPED})
        return _machinery(runs.get_daemon_heartbeats(), off, broker_url)
    finally:
        runs.dispose()
        switches.dispose()


def _machinery(beats: Mapping[str, DaemonHeartbeat], off: Sequence[InstigatorState], broker_url: str) -> Machinery:
    """Workers are not asked for where no daemon ever ran: nobody sends them runs."""
    if not beats:
        return Machinery()
    return Machinery(
        datetime.fromtimestamp(max(beat.timestamp for beat in beats.values()), timezone.utc),
        _worker_answers(broker_url),
        sorted(f"{state.instigator_type.value.lower()} {state.instigator_name}" for state in off),
    )


def _worker_answers(broker_url: str) -> bool:
    """Whether any worker does; without its broker none is reachable."""
    if not broker_url:
        return False
    with celery_app(broker_url) as app:
        try:
            return any(app.control.inspect(timeout=seconds, limit=1).ping() for seconds in _ANSWER_SECONDS)
        except (OperationalError, RedisError, OSError):
            return False
