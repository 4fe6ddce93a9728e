"""Submitting runs to the instance that `metrics-pipeline up` serves: its workers do them, its UI shows them.

Dagster has no public call for this: what is private stays in this module.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import dagster as dg
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.workspace.context import BaseWorkspaceRequestContext, WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

from metrics_pipeline.defs.assets import MaterializeConfig
from metrics_pipeline.defs.jobs import job_name
from metrics_pipeline.defs.metadata import outcome_of
from metrics_pipeline.defs.partitions import periods_of, range_tags
from metrics_pipeline.defs.run import Run, RunFailed
from metrics_pipeline.defs.triggers import TRIGGER_TAG
from metrics_pipeline.errors import TransientError
from metrics_pipeline.periods import Grain, Period

_LOCATION, _REPOSITORY = "metrics_pipeline", "__repository__"
_LOOK_EVERY_SECONDS = 0.3
_FEW = 12  # somebody waits for a few; many must not keep the hourly runs and refreshes waiting

Submitted = dict[str, list[Period]]
"""Run id → the periods asked of it."""


@contextmanager
def opened_instance(workspace: str) -> Iterator[tuple[dg.DagsterInstance, BaseWorkspaceRequestContext]]:
    """The instance in DAGSTER_HOME and what its code server offers, by a workspace file."""
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget(paths=[workspace])) as context,
    ):
        yield instance, context.create_request_context()


def submit(
    instance: dg.DagsterInstance,
    workspace: BaseWorkspaceRequestContext,
    runs: Sequence[list[Period]],
    config: MaterializeConfig,
    trigger: Literal["manual", "refresh"],
) -> Submitted:
    """Put one run into the queue for each of these stretches of periods.

    Raises TransientError when the code server does not answer; the runs before stay in the queue.
    """
    priority = "1" if len(runs) <= _FEW else "-5"
    submitted: Submitted = {}
    for periods in runs:
        tags = {**range_tags(periods), TRIGGER_TAG: trigger, "dagster/priority": priority}
        try:
            run = _create(instance, workspace, periods[0].grain, config, tags)
            instance.submit_run(run.run_id, workspace)
        except dg.DagsterError as error:
            raise TransientError(
                f"Submitting a run for {periods[0]} to {periods[-1].key} failed: {_reason(error)}. Of {len(runs)} runs "
                f"{len(submitted)} are in the queue. Look at the output of `metrics-pipeline up`, or use --here."
            ) from error
        submitted[run.run_id] = periods
    return submitted


def _create(
    instance: dg.DagsterInstance,
    workspace: BaseWorkspaceRequestContext,
    grain: Grain,
    config: MaterializeConfig,
    tags: Mapping[str, str],
) -> dg.DagsterRun:
    location = workspace.get_code_location(_LOCATION)
    job = location.get_job(JobSubsetSelector(_LOCATION, _REPOSITORY, job_name(grain), op_selection=None))
    run_config = {"ops": {f"{grain.adverb}_metrics": {"config": config.model_dump(exclude_none=True)}}}
    plan = location.get_execution_plan(
        job, run_config, step_keys_to_execute=None, known_state=None, instance=instance
    ).execution_plan_snapshot
    return instance.create_run(
        job_name=job.name,
        run_id=None,
        run_config=run_config,
        status=dg.DagsterRunStatus.NOT_STARTED,
        tags={**job.run_tags, **tags},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=None,
        execution_plan_snapshot=plan,
        job_snapshot=job.job_snapshot,
        parent_job_snapshot=job.parent_job_snapshot,
        asset_selection=None,
        asset_check_selection=None,
        resolved_op_selection=job.resolved_op_selection,
        op_selection=None,
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(),
        asset_graph=location.get_repository(_REPOSITORY).asset_graph,
    )


def wait_for(instance: dg.DagsterInstance, submitted: Submitted, progress: Callable[[str], None]) -> list[Run]:
    """Wait until all are over. A run whose worker died is followed to the one that the daemon starts in its place.

    Args:
        progress: told in words how far they are.

    Raises RunFailed when any failed or was cancelled, after the others are over too.
    """
    latest = {run_id: run_id for run_id in submitted}
    while True:
        runs = {first: _now(instance, run_id) for first, run_id in latest.items()}
        latest = {first: run.run_id for first, run in runs.items()}
        if all(run.is_finished and not _is_retried(run) for run in runs.values()):
            break
        progress(_told(runs.values()))
        time.sleep(_LOOK_EVERY_SECONDS)
    if bad := [run for run in runs.values() if run.status is not dg.DagsterRunStatus.SUCCESS]:
        raise RunFailed("\n".join(_what_became_of(instance, run) for run in bad))
    return [_outcome(instance, run, submitted[first]) for first, run in runs.items()]


def _reason(error: dg.DagsterError) -> str:
    """The first line: what a code server reports goes on with its stack trace."""
    return str(error).strip().partition("\n")[0]


def _now(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise RunFailed(f"Run {run_id} was deleted while it was waited for.")
    following = run.tags.get("dagster/auto_retry_run_id")
    return _now(instance, following) if following else run


def _is_retried(run: dg.DagsterRun) -> bool:
    return run.status is dg.DagsterRunStatus.FAILURE and run.tags.get("dagster/will_retry") == "true"


def _told(runs: Iterable[dg.DagsterRun]) -> str:
    states = Counter(
        "done" if run.is_finished else "running" if run.status is dg.DagsterRunStatus.STARTED else "waiting"
        for run in runs
    )
    return "Runs: " + ", ".join(f"{states[state]} {state}" for state in ("done", "running", "waiting") if states[state])


def _what_became_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    if run.status is dg.DagsterRunStatus.CANCELED:
        return f"Run {run.run_id} ({run.job_name}) was cancelled; what it had stored by then stays."
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    logged = [entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=kinds) if entry.dagster_event]
    reasons = [
        event.step_failure_data.user_failure_data.description
        for event in logged
        if event.is_step_failure and event.step_failure_data.user_failure_data
    ]
    reason = next(filter(None, [*reasons, *(event.message for event in logged)]), "it does not say why.")
    return f"Run {run.run_id} ({run.job_name}) failed: {reason}"


def _outcome(instance: dg.DagsterInstance, run: dg.DagsterRun, periods: list[Period]) -> Run:
    grain = periods[0].grain
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    metadata: dict[Period, Mapping[str, dg.MetadataValue[Any]]] = {}
    for record in records:
        made = record.asset_materialization
        if made and made.partition and made.asset_key == dg.AssetKey(f"{grain.adverb}_metrics"):
            metadata[periods_of(grain, [made.partition])[0]] = made.metadata
    return Run(run.run_id, periods, outcome_of(metadata))
