"""Looks at the pipeline for /metrics: one look at a time, kept for some seconds, however many ask."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.monitor import MetricsJobMonitor, assess
from metrics_pipeline.monitor.status import Status
from metrics_pipeline.pipeline import Pipeline

LOGGER = logging.getLogger(__name__)
KEPT_SECONDS = 5.0
PATIENCE_SECONDS = 8.0
"""A scraper gives up after ten: by then it has the latest look, old as it may be."""

OpenMonitor = Callable[[Pipeline], AbstractContextManager[MetricsJobMonitor]]
"""Opens the records of whoever runs the jobs. Takes seconds and memory, so it is called at the first look."""


@dataclass(frozen=True)
class Observation:
    """One look. `seen` is None when there was nothing to look with, or it failed."""

    at: float
    seconds: float
    up: dict[str, bool]
    seen: tuple[Evidence, Status] | None

    def age(self) -> float:
        return time.monotonic() - self.at


class Observer:
    """Observes in a thread of its own, so that a slow server holds up no page and no second scrape."""

    def __init__(self, pipeline: Pipeline, open_monitor: OpenMonitor | None, tell: Callable[[Evidence], None]) -> None:
        self._pipeline, self._open_monitor, self._tell = pipeline, open_monitor, tell
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="observer")
        self._looking: asyncio.Future[None] | None = None
        self._opened = ExitStack()
        self._monitor: MetricsJobMonitor | None = None
        self.latest: Observation | None = None

    async def look(self) -> None:
        """See to it that `latest` is of the last seconds; wait for that, but not longer than a scraper would."""
        if self.latest is None or self.latest.age() > KEPT_SECONDS:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.get_running_loop().run_in_executor(self._thread, self._look)
            await asyncio.wait([self._looking], timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        """Close what the first look opened, unless a look is stuck: the process is about to end anyway."""
        self._thread.submit(self._opened.close)
        self._thread.shutdown(wait=False)

    def _look(self) -> None:
        began = time.monotonic()
        up = {"postgresql": self._postgresql_answers(), "redis": self._redis_answers()}
        seen = self._observe() if self._open_monitor and up["postgresql"] else None
        self.latest = Observation(time.monotonic(), time.monotonic() - began, up, seen)

    def _observe(self) -> tuple[Evidence, Status] | None:
        try:
            if self._monitor is None:
                assert self._open_monitor
                self._monitor = self._opened.enter_context(self._open_monitor(self._pipeline))
            evidence = self._monitor.gather(datetime.now(timezone.utc))
        except Exception as error:  # whatever it is, a scrape tells what is known, and the next one looks again
            LOGGER.warning("Looking at the pipeline for /metrics failed: %s", error)
            return None
        self._tell(evidence)
        return evidence, assess(evidence)

    def _postgresql_answers(self) -> bool:
        try:
            with self._pipeline.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            return False
        return True

    def _redis_answers(self) -> bool:
        try:
            return bool(self._pipeline.redis.ping())
        except (RedisError, OSError):
            return False
