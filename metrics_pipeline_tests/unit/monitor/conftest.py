"""A status of a healthy day, spoiled in one point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from metrics_pipeline.monitor.facts import CacheFacts, RunFact, RunHistory, Waiting
from metrics_pipeline.monitor.limits import WINDOW
from metrics_pipeline.monitor.monitor import assess
from metrics_pipeline.monitor.status import Status
from metrics_pipeline_tests.unit.monitor.healthy_day import NOW, a_run, ago

A_MINUTE_AGO = ago(60)


@pytest.fixture
def assessed() -> Callable[..., Status]:
    def assessed(
        runs: Sequence[RunFact] | None = None,
        waiting: Waiting | None = None,
        cache: CacheFacts | None = None,
        last_ended_at: datetime | None = A_MINUTE_AGO,
    ) -> Status:
        history = RunHistory([a_run()] if runs is None else runs, NOW - WINDOW, last_ended_at)
        return assess(history, waiting or Waiting(), cache or CacheFacts(), NOW)

    return assessed
