"""Refreshes that fail again and again: each time it is longer until they are requested anew."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG

from metrics_pipeline.defs.jobs import job_name
from metrics_pipeline.defs.partitions import covered
from metrics_pipeline.periods import Grain, Period

COUNTED_FOR = timedelta(hours=1)
_FIRST_PAUSE_SECONDS = 10.0
_LATEST_RUNS = 100


def pauses(ended: Sequence[float], now: datetime, longest_seconds: float) -> bool:
    """Whether to wait, after failures of the last hour that ended then (seconds since 1970).

    Ten seconds after the first failure, and twice as long after each further one.
    """
    pause = min(_FIRST_PAUSE_SECONDS * 2 ** (len(ended) - 1), longest_seconds)
    return bool(ended) and now.timestamp() - max(ended) < pause


def pausing(
    instance: dg.DagsterInstance, tags: Mapping[str, str], now: datetime, longest_seconds: float
) -> set[Period]:
    """Periods whose refresh, by a run with these tags, failed so lately that the same would happen again.

    A run that Dagster tried again has not failed: its last try tells.
    """
    failed = dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.FAILURE], created_after=now - COUNTED_FOR)
    ended: dict[Period, list[float]] = {}
    for record in instance.get_run_records(failed, limit=_LATEST_RUNS):
        run = record.dagster_run
        for grain in Grain:
            if run.job_name == job_name(grain) and AUTO_RETRY_RUN_ID_TAG not in run.tags:
                for period in covered(grain, run.tags):
                    ended.setdefault(period, []).append(record.end_time or record.create_timestamp.timestamp())
    return {period for period, times in ended.items() if pauses(times, now, longest_seconds)}
