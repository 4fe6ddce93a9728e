"""How runs reach the workers: Dagster's Celery launcher, with its own judgement of what is alive."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, pack_value
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.launcher import CeleryRunLauncher
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from typing_extensions import Self

from metrics_pipeline.defs.celery_app import QUEUE, UNSTARTED_RUN_EXPIRES_SECONDS, celery_app
from metrics_pipeline.defs.in_process import is_executed_by_command
from metrics_pipeline.defs.workers import WorkerWatch, broker_of
from metrics_pipeline.errors import CacheUnavailable, ConfigurationError

_START_A_WORKER = (
    "Start one with `metrics-pipeline up`, or with `metrics-pipeline worker` on any machine that reaches "
    "this PostgreSQL and this Redis."
)


class MetricsRunLauncher(CeleryRunLauncher):
    """Sends each run to the queue as one task, whose id is the run's id.

    The stock launcher believes the result backend: a run whose whole worker was killed stays started for
    ever, one whose record was flushed is declared dead while it runs, and a cancelled one is retried.
    Here a run is alive when a worker says that it holds it.
    """

    def __init__(self, broker: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(default_queue=QUEUE, broker=broker, inst_data=inst_data)
        self.celery = celery_app(broker)
        self._watch = WorkerWatch(self.celery)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        if run.job_code_origin is None:
            raise ConfigurationError(f"Run {run.run_id} does not say which code it is of; launch it again from the UI.")
        arguments = ExecuteRunArgs(
            job_origin=run.job_code_origin,
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        try:
            self.celery.tasks[TASK_EXECUTE_JOB_NAME].apply_async(
                kwargs={"execute_job_args_packed": pack_value(arguments)},
                task_id=run.run_id,
                queue=self.default_queue,
                expires=UNSTARTED_RUN_EXPIRES_SECONDS,
            )
        except (OperationalError, RedisError) as error:
            raise CacheUnavailable(
                f"Run {run.run_id} was not sent to the workers, as the broker at {broker_of(self.celery)} is away: "
                f"{error}. Start it, or correct METRICS_BROKER_URL (default: METRICS_REDIS_URL)."
            ) from error

    def terminate(self, run_id: str) -> bool:
        """Say first that somebody wants it: a run that is only interrupted is a failure, and retried."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        self.celery.control.revoke(run_id, terminate=True, signal="SIGTERM")
        return True

    @property
    def supports_resume_run(self) -> bool:
        return False

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Asked by run monitoring for every started run. Without a broker nothing is known, so nothing is ended."""
        if is_executed_by_command(run.tags):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            lost = self._watch.is_lost(run.run_id)
        except CacheUnavailable as error:
            return CheckRunHealthResult(WorkerStatus.RUNNING, str(error))
        if lost:
            return CheckRunHealthResult(WorkerStatus.FAILED, self._what_became_of(run.run_id))
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """Why a run did not start, or did not stop, in its time. What became of a started one is said above."""
        if run.status == dg.DagsterRunStatus.STARTED:
            return None
        try:
            workers = self._watch.look()
        except CacheUnavailable as error:
            return str(error)
        if not workers.names:
            return f"No worker is reachable through the broker at {broker_of(self.celery)}. {_START_A_WORKER}"
        if holder := workers.holders.get(run.run_id):
            return f"Worker {holder} has it since, but is not done with it; look at that worker's output."
        return (
            f"{len(workers.names)} workers answer ({', '.join(workers.names)}) and run {len(workers.holders)} tasks, "
            "but none has this one. Where all their places were taken: set METRICS_MAX_CONCURRENT_RUNS to no more "
            "than the workers can do at once, or start another with `metrics-pipeline worker`."
        )

    def _what_became_of(self, run_id: str) -> str:
        holder, names = self._watch.last_holder(run_id), self._watch.look().names
        if holder is not None and holder not in names:
            others = f"These answer: {', '.join(names)}." if names else f"No worker answers. {_START_A_WORKER}"
            return (
                f"No worker holds it any more: {holder}, which ran it, was stopped or killed, or lost its network. "
                f"{others}"
            )
        return (
            f"No worker holds it any more: its process{f' on {holder}' if holder else ''} was killed, most often for "
            "lack of memory, or its whole worker was. If this happens again, look at the output of the workers "
            f"({', '.join(names) or 'none answers'}), and give the machine more memory or set "
            "METRICS_WORKER_CONCURRENCY=1."
        )

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"broker": dg.Field(dg.StringSource, description="Redis, as redis-py writes its URL.")}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, **config_value)
