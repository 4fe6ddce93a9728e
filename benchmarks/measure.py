"""Seconds, memory and processor time of a piece of work."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psutil
import psycopg
from redis import Redis

Result = TypeVar("Result")

_MEMORY_SAMPLE_SECONDS = 0.05


@dataclass
class Measured:
    """Medians over some runs of one piece of work. Seconds; bytes; None where it could not be seen.

    Attributes:
        peak: the most memory that this process held in any of the runs.
        phases: seconds of parts of the work, which may overlap.
    """

    seconds: float
    python_cpu: float
    postgres_cpu: float | None
    redis_cpu: float | None
    peak: int
    phases: dict[str, float] = field(default_factory=dict)


def median_of(found: Sequence[Measured]) -> Measured:
    """The medians of some measurements of the same work."""
    return Measured(
        seconds=statistics.median(run.seconds for run in found),
        python_cpu=statistics.median(run.python_cpu for run in found),
        postgres_cpu=_median([run.postgres_cpu for run in found]),
        redis_cpu=_median([run.redis_cpu for run in found]),
        peak=max(run.peak for run in found),
        phases={name: statistics.median(run.phases[name] for run in found) for name in found[0].phases},
    )


class Meter:
    """Measures work of this process on one PostgreSQL and one Redis."""

    def __init__(self, postgres: psycopg.Connection[Any], redis: Redis) -> None:
        self._redis, self._process = redis, psutil.Process()
        self._postmaster = _postmaster(postgres)

    def measure(
        self,
        runs: int,
        work: Callable[[], Result],
        *,
        before: Callable[[], object] = lambda: None,
        phases: Callable[[Result], dict[str, float]] = lambda _: {},
    ) -> Measured:
        """Run `before` and `work` that many times; only `work` is measured."""
        found = []
        for _ in range(runs):
            before()
            found.append(self._once(work, phases))
        return median_of(found)

    def _once(self, work: Callable[[], Result], phases: Callable[[Result], dict[str, float]]) -> Measured:
        postgres, redis, python = self._postgres_cpu(), self._redis_cpu(), time.process_time()
        with _MemoryWatch(self._process) as memory:
            started = time.perf_counter()
            result = work()
            seconds = time.perf_counter() - started
        return Measured(
            seconds,
            time.process_time() - python,
            None if postgres is None else (self._postgres_cpu() or 0.0) - postgres,
            self._redis_cpu() - redis,
            memory.peak,
            phases(result),
        )

    def _redis_cpu(self) -> float:
        info: Any = self._redis.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def _postgres_cpu(self) -> float | None:
        """Of the server and all its processes, those that have ended included."""
        if self._postmaster is None:
            return None
        own = self._postmaster.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in self._postmaster.children():
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:  # it has just ended: the postmaster's own times have it now
                continue
            total += times.user + times.system
        return float(total)


class _MemoryWatch:
    """The most memory a process held while this was open, seen every few milliseconds."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._stop = process, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def __enter__(self) -> _MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, self._process.memory_info().rss)
            if self._stop.wait(_MEMORY_SAMPLE_SECONDS):
                return


def _postmaster(postgres: psycopg.Connection[Any]) -> psutil.Process | None:
    """The server's first process, when it runs on this machine."""
    try:
        parent = psutil.Process(postgres.info.backend_pid).parent()
        return parent if parent is not None and parent.name().startswith("postgres") else None
    except psutil.Error:
        return None


def _median(values: list[float | None]) -> float | None:
    seen = [value for value in values if value is not None]
    return statistics.median(seen) if seen else None
