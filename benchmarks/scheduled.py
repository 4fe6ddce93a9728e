"""The hourly set as the schedules run it: one run a grain, at once, each in a worker's process."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context

import psutil

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome, RefreshRequest
from metrics_pipeline.settings import Settings


@dataclass(frozen=True)
class Run:
    """A run in a process of its own: what it did, its processor seconds, and the memory it had at its end, in bytes."""

    outcome: Outcome
    cpu: float
    memory: int


class Workers:
    """As many processes as a worker has; they stay, as its children do, so that importing is not measured."""

    def __init__(self, settings: Settings) -> None:
        self._slots = settings.worker_concurrency
        self._pool = ProcessPoolExecutor(
            self._slots, mp_context=get_context("spawn"), initializer=_open, initargs=(settings,)
        )

    def __enter__(self) -> Workers:
        for done in [self._pool.submit(time.sleep, 1) for _ in range(self._slots)]:
            done.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run(self, requests: Sequence[RefreshRequest]) -> list[Run]:
        """All of them; each starts as soon as a process is free."""
        return list(self._pool.map(_run, requests))


def as_scheduled(periods: Sequence[Period], today: date) -> list[RefreshRequest]:
    """What the hourly schedules ask for: a request a grain."""
    by_grain = [[period for period in periods if period.grain is grain] for grain in Grain]
    return [RefreshRequest(some, today, None, "schedule", only_outdated=True) for some in by_grain if some]


_pipeline: Pipeline


def _open(settings: Settings) -> None:
    global _pipeline
    _pipeline = Pipeline(settings)
    gc.freeze()  # as `definitions` does in a run's process


def _run(request: RefreshRequest) -> Run:
    started = time.process_time()
    outcome = _pipeline.refresh(request)
    return Run(outcome, time.process_time() - started, psutil.Process().memory_info().rss)
