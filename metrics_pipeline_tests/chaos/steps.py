"""The steps at which a process dies or stands still, and the work in which they come."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from metrics_pipeline import database
from metrics_pipeline.cache import publisher
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.periods import warm_periods
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.settings import Settings, load_settings
from metrics_pipeline_tests.world import NOW, TODAY

LEASE_SECONDS = 1.0


@dataclass(frozen=True)
class Step:
    """A moment in a piece of work: before or after the n-th call of a function, named by module and name."""

    name: str
    work: Literal["refresh", "hourly", "absorb", "tick", "warm"]
    function: str
    when: Literal["before", "after"] = "before"
    call: int = 1

    def __str__(self) -> str:
        return self.name


STEPS = [
    Step("after the pull", "refresh", "refresh:Computation", "after"),
    Step("after the hourly pull", "hourly", "refresh:Computation", "after"),
    Step("between chunks", "refresh", "refresh:ChunkWriter.write", call=3),
    Step("between hourly chunks", "hourly", "refresh:ChunkWriter.write", call=3),
    Step("in a chunk, before its commit", "refresh", "chunk:write", "after", call=2),
    Step("after a commit, before publishing", "refresh", "chunk:CheckedPublisher.publish", call=2),
    Step("after an hourly commit, before publishing", "hourly", "chunk:CheckedPublisher.publish", call=2),
    Step("in the middle of publishing", "refresh", "cache.publisher:Publisher._set", call=3),
    Step("after publishing, before looking again", "refresh", "cache.checked:overtaken"),
    Step("after looking again, before clearing marks", "refresh", "chunk:clear_marks"),
    Step("after clearing marks of some", "refresh", "chunk:clear_marks", "after", call=2),
    Step("before clearing wildcards", "refresh", "refresh:clear_marks"),
    Step("in absorbing, before its commit", "absorb", "changes.absorb:mark", "after"),
    Step("after absorbing, before the drops", "absorb", "pipeline:carry_out_drops"),
    Step("after the drops, before forgetting them", "absorb", "cache.drops:drop", "after"),
    Step("after absorbing, before the request", "tick", "defs.sensors:_plan"),
    Step("after the request was planned", "tick", "defs.sensors:_plan", "after"),
    Step("in emptying the cache", "warm", "cache.canary:purge"),
    Step("after emptying the cache, before warming", "warm", "pipeline:Pipeline.warm"),
    Step("in the middle of warming", "warm", "cache.checked:Publisher.publish", call=2),
]

STANDSTILLS = [
    step
    for step in STEPS
    if step.name
    in (
        "between hourly chunks",
        "in a chunk, before its commit",
        "after a commit, before publishing",
        "in the middle of publishing",
        "after clearing marks of some",
        "in absorbing, before its commit",
    )
]
"""Those at which others are most easily held up or deceived, for the short form."""

# Forked from a process that has imported everything, so that a fault takes no second to get ready.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["metrics_pipeline_tests.chaos.steps", "metrics_pipeline.definitions"])


@contextmanager
def process_at(step: Step, number: signal.Signals, settings: Settings, then_day: int = 0) -> Iterator[BaseProcess]:
    """A process that does the step's work and sends itself a signal there: SIGKILL, or SIGSTOP until somebody
    lets it go on, `then_day` days later."""
    same = {name: getattr(settings, name) for name in ("database_url", "redis_url", "home", "start_date")}
    process = _PROCESSES.Process(target=_work, args=(step, number, same, then_day))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _work(step: Step, number: signal.Signals, same: dict[str, Any], then_day: int) -> None:
    publisher._AT_ONCE = 3  # so that a chunk is published in several goes
    database._SESSION = database._SESSION.replace("60s", f"{LEASE_SECONDS:.0f}s")
    day = TODAY
    Settings.today = lambda self, now=None: day  # type: ignore[method-assign]

    def strike() -> None:
        nonlocal day
        os.kill(os.getpid(), number)
        day += timedelta(days=then_day)

    _instrument(step, strike)
    settings = load_settings(**same, chunk_payloads=8, debounce_quiet_seconds=0.0)
    with Pipeline(settings) as pipeline:
        {
            "refresh": lambda: refresh_stale(pipeline, "the fault's process"),
            "hourly": lambda: hourly(pipeline, "the fault's process"),
            "absorb": lambda: pipeline.absorb_changes(NOW),
            "tick": lambda: tick(pipeline),
            "warm": lambda: pipeline.tend_cache(NOW),
        }[step.work]()


def _instrument(step: Step, strike: Callable[[], None]) -> None:
    module, _, path = step.function.partition(":")
    *owners, name = path.split(".")
    owner = reduce(getattr, owners, importlib.import_module(f"metrics_pipeline.{module}"))
    original, calls = getattr(owner, name), itertools.count(1)

    def called(*arguments: Any, **options: Any) -> Any:
        here = next(calls) == step.call
        if here and step.when == "before":
            strike()
        result = original(*arguments, **options)
        if here and step.when == "after":
            strike()
        return result

    setattr(owner, name, called)


def refresh_stale(pipeline: Pipeline, holder: str, now: datetime = NOW) -> bool:
    """What the sensor's runs do. Returns whether anything was stale."""
    periods = [stale.period for stale in pipeline.backlog()]
    if periods:
        _run(pipeline, holder, RefreshRequest(periods, pipeline.settings.today(now), None, "refresh", only_stale=True))
    return bool(periods)


def hourly(pipeline: Pipeline, holder: str, now: datetime = NOW) -> None:
    """What the schedules' runs do."""
    today = pipeline.settings.today(now)
    periods = warm_periods(today)
    covered = [period for period in periods if period.end > pipeline.settings.start_date]
    _run(pipeline, holder, RefreshRequest(covered, today, None, "schedule"))


def _run(pipeline: Pipeline, holder: str, request: RefreshRequest) -> None:
    with period_locks(
        pipeline.redis, pipeline.engine, request.periods, holder=holder, policy="wait", lease_seconds=LEASE_SECONDS
    ) as locks:
        pipeline.refresh(request, before_commit=locks.check)


def tick(pipeline: Pipeline) -> None:
    """The sensor's function, as the daemon calls it."""
    import dagster as dg

    from metrics_pipeline.definitions import define
    from metrics_pipeline.defs import sensors

    sensors._WATCH_SECONDS = 0
    definitions = define(pipeline.settings)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, repository_def=definitions.get_repository_def(), resources={"pipeline": pipeline}
        )
        definitions.resolve_sensor_def("expense_changes")(context)
