"""The dead man's switch hears of an hour that went well, once, and of no other."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from metrics_pipeline.alerts.alerter import Told
from metrics_pipeline.monitor.facts import CacheFacts, RunFact
from metrics_pipeline.periods import Grain
from metrics_pipeline_tests.integration.alerts.conftest import NOON


def hour(at: datetime, spoiled: Grain | None = None, **facts: object) -> list[RunFact]:
    """The hourly runs of all grains, one of them spoiled. Others keep the share of failures small."""
    return [a_run(grain, at, **(facts if grain is spoiled else {})) for grain in Grain]


def a_run(grain: Grain, at: datetime | None, **facts: object) -> RunFact:
    values = {
        "run_id": f"{grain.value} {at} {facts.get('state', '')}",
        "job": grain.adverb,
        "kind": "calculation",
        "state": "succeeded",
        "created_at": NOON - timedelta(hours=1),
        "scheduled_for": at.isoformat() if at else None,
        **facts,
    }
    return RunFact(**values)


@pytest.fixture
def pings(look, receiver):
    """One look; returns how often the switch was told in all."""

    def pings(minute: float, runs: list[RunFact], **facts: object) -> int:
        told = look(minute, runs=runs, alert_webhook_url=None, heartbeat_url=receiver.url, **facts)
        assert told in (Told(), Told(("heartbeat",)))
        assert {method for method, _, _ in receiver.requests} <= {"GET"}
        return len(receiver.requests)

    return pings


ELEVEN, TWELVE = NOON - timedelta(minutes=55), NOON + timedelta(minutes=5)


def test_each_hour_that_went_well_is_told_once(pings):
    assert pings(0, hour(ELEVEN)) == 1
    assert pings(1, hour(ELEVEN)) == 1
    assert pings(10, [*hour(TWELVE), *hour(ELEVEN)]) == 2


@pytest.mark.parametrize("grain", list(Grain))
@pytest.mark.parametrize("state", ["failed", "canceled", "running", "queued"])
def test_one_grain_that_did_not_succeed_keeps_it_silent(pings, grain, state):
    others = [a_run(Grain.DAY, None, run_id=f"manual{n}") for n in range(20)]
    assert pings(10, [*others, *hour(TWELVE, grain, state=state), *hour(ELEVEN)]) == 0


def test_a_grain_that_the_hour_has_not_reached_yet_is_waited_for(pings):
    assert pings(0, hour(ELEVEN)) == 1
    assert pings(5, [a_run(Grain.DAY, TWELVE), *hour(ELEVEN)]) == 1
    assert pings(6, [*hour(TWELVE), *hour(ELEVEN)]) == 2


def test_a_retry_that_succeeds_makes_the_hour_good(pings):
    lost = a_run(Grain.DAY, TWELVE, state="failed", will_retry=True)
    others = [a_run(Grain.DAY, None, run_id=f"manual{n}") for n in range(20)]
    rest = [run for run in hour(TWELVE) if run.job != "daily"]
    assert pings(6, [*others, *rest, lost]) == 0
    lost = a_run(Grain.DAY, TWELVE, state="failed", will_retry=True, replaced=True)
    assert pings(7, [*others, *rest, lost, a_run(Grain.DAY, TWELVE)]) == 1


def test_runs_that_people_ask_for_are_not_the_hourly_ones(pings):
    assert pings(0, [a_run(grain, None) for grain in Grain]) == 0


def test_nothing_is_said_while_health_is_critical(pings):
    assert pings(0, hour(ELEVEN), cache=CacheFacts(error="Redis is away")) == 0
    assert pings(1, hour(ELEVEN)) == 1


def test_a_switch_that_is_away_is_told_when_it_is_back(look, receiver):
    receiver.code = 500
    urls = {"alert_webhook_url": None, "heartbeat_url": receiver.url}
    assert "answered 500" in look(0, runs=hour(ELEVEN), **urls).errors[0]
    receiver.code = 200
    assert look(1, runs=hour(ELEVEN), **urls).delivered == ("heartbeat",)
