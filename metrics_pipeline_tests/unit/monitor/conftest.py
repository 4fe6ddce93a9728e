"""A status of a healthy day, spoiled in one point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.facts import CacheFacts, Machinery, RunFact, RunHistory, Waiting
from metrics_pipeline.monitor.limits import Limits
from metrics_pipeline.monitor.monitor import assess
from metrics_pipeline.monitor.status import Status
from metrics_pipeline_tests.unit.monitor.healthy_day import AT_WORK, NOW, a_run, ago

A_MINUTE_AGO = ago(60)


@pytest.fixture
def assessed() -> Callable[..., Status]:
    def assessed(
        runs: Sequence[RunFact] | None = None,
        waiting: Waiting | None = None,
        cache: CacheFacts | None = None,
        last_ended_at: datetime | None = A_MINUTE_AGO,
        machinery: Machinery = AT_WORK,
        **limits: float,
    ) -> Status:
        judged_by = Limits(**limits)
        history = RunHistory([a_run()] if runs is None else runs, NOW - judged_by.window, last_ended_at)
        return assess(Evidence(history, waiting or Waiting(), cache or CacheFacts(), machinery, judged_by, NOW))

    return assessed
