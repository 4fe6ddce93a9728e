"""One round of forgetting: runs and events in bounded batches, then counters and logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.retention.counters import let_counters_expire
from metrics_pipeline.retention.logs import cap_logs
from metrics_pipeline.retention.records import (
    forget_check_results,
    forget_events,
    forgettable_runless_events,
    forgettable_runs,
    weigh_runs,
)

T = TypeVar("T")
RUNS_A_BATCH, EVENTS_A_BATCH = 100, 5_000
MOST_LOG_BYTES = 50 * 1024**2

DeleteRuns = Callable[[Sequence[str]], None]
"""Deletes runs with their events and the logs of their steps."""


@dataclass(frozen=True)
class Pruned:
    """What went, or in a dry run would go. `left`: runs that the time limit left for the next round."""

    before: datetime
    runs: int = 0
    events: int = 0
    characters: int = 0
    runless_events: int = 0
    counters: int = 0
    logs: int = 0
    log_bytes: int = 0
    left: int = 0
    dry_run: bool = False


def prune(
    pipeline: Pipeline,
    delete_runs: DeleteRuns,
    older_than: timedelta,
    now: datetime,
    *,
    seconds: float | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Pruned:
    """Forget what is older; each batch is whole, so stopping anywhere leaves nothing half done but time.

    Args:
        seconds: begin no batch after so long; the oldest go first. None: no limit.
        progress: told the runs done and all of them, after each batch.

    Raises DatabaseUnavailable, CacheUnavailable, or SchemaError without Dagster's tables.
    """
    engine, before, began = pipeline.engine, now - older_than, time.monotonic()

    def in_time() -> bool:
        return seconds is None or time.monotonic() - began < seconds

    run_ids, done, events, characters = forgettable_runs(engine, before), 0, 0, 0
    for batch in _batches(run_ids, RUNS_A_BATCH, in_time):
        weight = weigh_runs(engine, batch)
        if not dry_run:
            forget_check_results(engine, batch)
            delete_runs(batch)
        done, events, characters = done + len(batch), events + weight[0], characters + weight[1]
        progress(done, len(run_ids))
    runless = 0
    for event_ids in _batches(forgettable_runless_events(engine, before), EVENTS_A_BATCH, in_time):
        if not dry_run:
            forget_events(engine, event_ids)
        runless += len(event_ids)
    logs = cap_logs(pipeline.settings.home, MOST_LOG_BYTES, dry_run)
    return Pruned(
        before=before,
        runs=done,
        events=events,
        characters=characters,
        runless_events=runless,
        counters=let_counters_expire(pipeline.redis, dry_run),
        logs=len(logs),
        log_bytes=sum(logs.values()),
        left=len(run_ids) - done,
        dry_run=dry_run,
    )


def _batches(ids: Sequence[T], size: int, in_time: Callable[[], bool]) -> Iterator[Sequence[T]]:
    for first in range(0, len(ids), size):
        if not in_time():
            return
        yield ids[first : first + size]
