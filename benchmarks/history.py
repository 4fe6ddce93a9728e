"""What the monitor's look costs on a long history: runs of thirty days in a real Dagster storage.

`python -m benchmarks.history` starts servers of its own, does a few real runs, copies their records
with new ids and times by SQL until there are enough, times the reading of the last day's, and deletes the
oldest two thousand as `metrics-pipeline prune` does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import dagster as dg  # noqa: TID251 - its storage is what is measured
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from metrics_pipeline.defs.retention import opened_deleting
from metrics_pipeline.defs.run import materialize
from metrics_pipeline.defs.run_history import MOST_RUNS, job_monitor, read_history
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.retention.pruning import prune
from metrics_pipeline.services import dagster_home, ensure_services
from metrics_pipeline.services.dagster_home import migrate_dagster
from metrics_pipeline.services.embedded import stop_services
from metrics_pipeline.settings import Settings, load_settings
from metrics_pipeline.source.sample import write_sample

RUNS, DAYS, ROUNDS, DELETED = 100_000, 30, 10, 2_000
TARGET_MILLISECONDS = 200.0
WINDOW = timedelta(hours=24)

# Run i of `runs` is a copy of one of the real ones, i-th oldest of the time. Dagster keeps a run's id and an
# event's moment in its JSON too: those are replaced with the columns.
_RUNS = """
WITH real AS (SELECT *, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS many FROM dagster.runs)
INSERT INTO dagster.runs (run_id, snapshot_id, pipeline_name, mode, status, run_body, partition, partition_set,
    create_timestamp, update_timestamp, start_time, end_time, backfill_id)
SELECT copy.run_id, snapshot_id, pipeline_name, mode, status, replace(run_body, real.run_id, copy.run_id),
    partition, partition_set, copy.at, copy.at + interval '3 seconds',
    extract(epoch FROM copy.at) + 1, extract(epoch FROM copy.at) + 1 + end_time - start_time, backfill_id
FROM copies AS copy
JOIN real ON real.n = copy.i % real.many + 1
ORDER BY copy.i
"""
_COPIES = """
CREATE TEMPORARY TABLE copies AS
SELECT i, real_id, gen_random_uuid()::text AS run_id,
    CAST(:until AS timestamp) - (:runs - i) * (CAST(:span AS interval) / :runs) AS at
FROM generate_series(1, :runs) AS i
JOIN (SELECT run_id AS real_id, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS many FROM dagster.runs) AS r
    ON r.n = i % r.many + 1
"""
_TAGS = """
INSERT INTO dagster.run_tags (run_id, key, value)
SELECT copy.run_id, key, value FROM copies AS copy JOIN dagster.run_tags AS real ON real.run_id = copy.real_id
"""
# Only what belongs to assets: the monitor looks for nothing else, and ten times the rest would fill the disk.
_EVENTS = """
INSERT INTO dagster.event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
SELECT copy.run_id,
    regexp_replace(
        replace(event, real.run_id, copy.run_id), '("timestamp": )[0-9.]+', '\\1' || (extract(epoch FROM copy.at) + 2)
    ),
    dagster_event_type, copy.at + interval '2 seconds', step_key, asset_key, partition
FROM copies AS copy
JOIN dagster.event_logs AS real ON real.run_id = copy.real_id
WHERE asset_key IS NOT NULL
ORDER BY copy.i, real.id
"""


def multiply(connection: Connection, runs: int, until: datetime) -> None:
    """Copies of the runs that are there, evenly over the days before `until`."""
    span = {"until": until.replace(tzinfo=None), "runs": runs, "span": f"{DAYS} days"}
    connection.execute(text(_COPIES), span)
    for statement in (_RUNS, _TAGS, _EVENTS):
        connection.execute(text(statement))
    connection.execute(text("DROP TABLE copies"))


def real_runs(settings: Settings, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    """One hand-made run and some refreshes: about what a day is made of."""
    today = settings.today()
    write_sample(pipeline.engine, accounts=20, months=3, today=today, zone=settings.zone)
    pipeline.absorb_changes()
    for grain in Grain:
        materialize(settings, [Period.holding(grain, today)], today, instance=instance)


@contextmanager
def storage() -> Iterator[tuple[Settings, Pipeline, dg.DagsterInstance]]:
    """Servers of its own, migrated, with Dagster's tables."""
    with tempfile.TemporaryDirectory(prefix="mhist", dir="/tmp") as home:
        embedded = load_settings(home=Path(home), database_url=None, redis_url=None)
        try:
            urls = ensure_services(embedded)
            settings = embedded.model_copy(update=vars(urls))
            environment = dagster_home(settings, urls)
            os.environ.update(environment)
            migrate_dagster(environment)
            with Pipeline(settings) as pipeline, dg.DagsterInstance.get() as instance:
                pipeline.migrate()
                yield settings, pipeline, instance
        finally:
            stop_services(embedded)


def milliseconds(call: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Medians of some calls, after one that warms up: of the clock, and of this process's processor time."""
    call()
    clock, processor = [], []
    for _ in range(rounds):
        began, spent = time.perf_counter(), time.process_time()
        call()
        clock.append((time.perf_counter() - began) * 1000)
        processor.append((time.process_time() - spent) * 1000)
    return statistics.median(clock), statistics.median(processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    arguments = parser.parse_args()
    figures: dict[str, tuple[float, float]] = {}
    with storage() as (settings, pipeline, instance):
        real_runs(settings, pipeline, instance)
        for runs in (0, arguments.runs):
            now = datetime.now(timezone.utc)
            if runs:
                with pipeline.engine.begin() as connection:
                    multiply(connection, runs, now)
                with pipeline.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text("VACUUM ANALYZE"))
            monitor = job_monitor(pipeline, instance)
            figures[f"read_history, {runs:,} runs"] = milliseconds(partial(read_history, instance, now - WINDOW))
            figures[f"status, {runs:,} runs"] = milliseconds(partial(monitor.status, now))
        read = len(read_history(instance, now - WINDOW).runs)
        began = time.perf_counter()
        with opened_deleting() as delete_runs:
            pruned = prune(pipeline, delete_runs, timedelta(days=DAYS) * (1 - min(DELETED / arguments.runs, 0.5)), now)
        pruning = time.perf_counter() - began
    if arguments.json:
        print(json.dumps({**figures, "pruned": (pruned.runs, pruning)}))
        return
    table = Table(title=f"Milliseconds, medians; the last day's runs (at most {MOST_RUNS:,}; {read:,} read)")
    table.add_column("")
    table.add_column(f"by the clock (≤ {TARGET_MILLISECONDS:.0f})", justify="right")
    table.add_column("of it in Python", justify="right")
    for name, (clock, processor) in figures.items():
        table.add_row(name, f"{clock:.0f}", f"{processor:.0f}")
    Console(width=100).print(table)
    print(f"Deleting {pruned.runs:,} of the runs: {pruning:.1f} s, {pruned.runs / pruning:.0f} a second.")


if __name__ == "__main__":
    main()
