"""A real receiver on a port of its own, and looks at chosen evidence at chosen moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import pytest
from pydantic import SecretStr

from metrics_pipeline.alerts.alerter import Told, tell
from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.facts import CacheFacts, Machinery, RunFact, RunHistory, Waiting
from metrics_pipeline.monitor.limits import Limits
from metrics_pipeline_tests.receiver import Receiver, receiving

SECRET = "0123456789abcdef0123456789abcdef"
NOON = datetime(2026, 3, 18, 12, tzinfo=timezone.utc)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def look(database, settings, receiver) -> Callable[..., Told]:
    """Two looks, so many minutes after noon, at a healthy pipeline but for what is given. `once`: one look."""

    def look(minute: float = 0, *, once: bool = False, **facts: object) -> Told:
        first = Told() if once else at(minute, **facts)
        return first + at(minute + 0.5, **facts)

    def at(
        minute: float,
        *,
        runs: list[RunFact] = (),
        cache: CacheFacts | None = None,
        machinery: Machinery | None = None,
        **receivers: str | None,
    ) -> Told:
        now = NOON + timedelta(minutes=minute)
        urls = {"alert_webhook_url": receiver.url, "alert_secret": SECRET, "heartbeat_url": None, **receivers}
        evidence = Evidence(
            RunHistory(runs, now - timedelta(hours=24), now - timedelta(minutes=1)),
            Waiting(),
            cache or CacheFacts(),
            machinery or Machinery(now, worker_answers=True),
            Limits(),
            now,
        )
        secrets = {name: SecretStr(value) if value else None for name, value in urls.items()}
        return tell(database.engine, settings.model_copy(update=secrets), evidence)

    return look
