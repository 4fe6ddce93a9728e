"""Materializing from a program: real runs on the real instance, without a daemon, in this process."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

import dagster as dg

from metrics_pipeline.definitions import define
from metrics_pipeline.defs.assets import MaterializeConfig
from metrics_pipeline.defs.in_process import process_tag
from metrics_pipeline.defs.jobs import job_name
from metrics_pipeline.defs.metadata import outcome_of
from metrics_pipeline.defs.partitions import periods_of, range_tags, warm_partitions
from metrics_pipeline.defs.triggers import TRIGGER_TAG
from metrics_pipeline.errors import MetricsPipelineError
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import Outcome, Progress
from metrics_pipeline.planning.stretches import stretches
from metrics_pipeline.settings import Settings

# A run that is interrupted here is not for the daemon to start again: its caller was told.
_NOT_TAKEN_OVER = {"dagster/max_retries": "0"}


class RunFailed(MetricsPipelineError):
    """A Dagster run ended in failure; its own error is in the message."""


@dataclass(frozen=True)
class Run:
    """A finished run: where to find it in the UI, what it was asked, what came of it."""

    run_id: str
    periods: list[Period]
    outcome: Outcome


def materialize_window(
    settings: Settings,
    today: date,
    *,
    instance: dg.DagsterInstance | None = None,
    on_start: Callable[[list[Period]], None] | None = None,
    follow: Progress | None = None,
) -> dict[Grain, Run]:
    """Do now what the hourly schedules do: the latest periods of each grain, all active accounts.

    Arguments, the order of runs and errors are those of `materialize`.
    """
    periods = [period for grain in Grain for period in warm_partitions(grain, settings, today)]
    runs = materialize(settings, periods, today, instance=instance, on_start=on_start, follow=follow)
    return {run.periods[0].grain: run for run in runs}


def materialize(
    settings: Settings,
    periods: Iterable[Period],
    today: date,
    *,
    account_ids: Sequence[int] | None = None,
    force: bool = False,
    instance: dg.DagsterInstance | None = None,
    on_start: Callable[[list[Period]], None] | None = None,
    follow: Progress | None = None,
) -> list[Run]:
    """Materialize partitions, one run for each contiguous stretch, one after the other.

    Args:
        settings: with both URLs set.
        account_ids: None for every active account.
        instance: default: the one in DAGSTER_HOME, whose runs the UI shows.
        on_start: told the periods of each run before it starts.
        follow: told how far the run is.

    Raises:
        RunFailed: a run failed; those before it stand, those after it were not started.
    """
    definitions = define(settings, follow)
    config = MaterializeConfig(
        account_ids=None if account_ids is None else list(account_ids), force_refresh=force, today=today.isoformat()
    )
    opened: AbstractContextManager[dg.DagsterInstance] = nullcontext(instance) if instance else dg.DagsterInstance.get()
    with opened as target:
        runs = []
        for stretch in stretches(periods):
            if on_start:
                on_start(stretch)
            runs.append(_run(definitions, stretch, config, target))
        return runs


def _run(
    definitions: dg.Definitions, periods: list[Period], config: MaterializeConfig, instance: dg.DagsterInstance
) -> Run:
    grain = periods[0].grain
    asset, run_id = f"{grain.adverb}_metrics", str(uuid4())
    try:
        result = definitions.resolve_job_def(job_name(grain)).execute_in_process(
            run_id=run_id,
            run_config=dg.RunConfig(
                ops={asset: config},
                # The run's log is in the UI; the console belongs to the program that called.
                loggers={"console": {"config": {"log_level": "CRITICAL"}}},
            ),
            tags={**range_tags(periods), TRIGGER_TAG: "manual", **process_tag(), **_NOT_TAKEN_OVER},
            instance=instance,
        )
    except (dg.Failure, dg.DagsterError) as error:
        raise RunFailed(
            f"Computing {asset} from {periods[0].key} to {periods[-1].key} failed: {_reason(error)} "
            f"The run is {run_id}; `metrics-pipeline up` shows it under Runs."
        ) from error
    except dg.DagsterExecutionInterruptedError as interrupt:
        raise KeyboardInterrupt from interrupt
    # The run also reports on `metrics_cache`, which has no partitions.
    metadata = {
        periods_of(grain, [event.partition])[0]: event.metadata
        for event in result.asset_materializations_for_node(asset)
        if event.partition
    }
    return Run(run_id, periods, outcome_of(metadata))


def _reason(error: BaseException) -> str:
    """The message that a person can act on, below Dagster's wrapping."""
    if isinstance(error, dg.Failure) and error.description:
        return error.description
    while error.__cause__:
        error = error.__cause__
    return str(error)
