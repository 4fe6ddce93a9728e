"""The sensor that tells: real run records, real ticks, a real receiver."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest
from pydantic import SecretStr

from metrics_pipeline.alerts.delivery import NotDelivered
from metrics_pipeline.definitions import define
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline_tests.receiver import receiving


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def tick(settings, receiver, instance):
    """One tick of the sensor; returns why it asked for no run."""
    told = settings.model_copy(update={"alert_webhook_url": SecretStr(receiver.url)})
    sensor = define(told).get_repository_def().get_sensor_def("alerts")

    def tick() -> str:
        with Pipeline(told) as pipeline:
            context = dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline})
            data = sensor.evaluate_tick(context)
        assert data.run_requests == []
        return str(data.skip_message)

    return tick


def test_there_is_no_such_sensor_without_a_receiver(settings):
    def told(**urls: str) -> bool:
        changed = settings.model_copy(update={name: SecretStr(url) for name, url in urls.items()})
        return "alerts" in {sensor.name for sensor in define(changed).get_repository_def().sensor_defs}

    assert not told()
    assert told(alert_webhook_url="http://x")
    assert told(heartbeat_url="http://x")


def test_a_run_that_failed_for_good_is_told_and_once(tick, receiver, instance, settings, monkeypatch):
    assert tick() == "Nothing is new."
    job = define(settings).resolve_job_def("daily_metrics_job")
    run = instance.create_run_for_job(job, tags={"dagster/partition": "2026-03-01"})
    instance.report_run_failed(run)
    monkeypatch.setattr("metrics_pipeline.alerts.decisions._SETTLED", timedelta(0))
    assert tick() == "Delivered: failures."
    assert tick() == "Delivered: health."
    assert tick() == "Nothing is new."
    failures, health = receiver.bodies
    assert (health["health"], failures["count"], failures["runs"][0]["run_id"]) == ("critical", 1, run.run_id)


def test_a_tick_fails_while_the_webhook_is_away_and_tells_it_later(tick, receiver, database):
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE expenses DISABLE TRIGGER USER")
    receiver.code = 503
    assert tick() == "Nothing is new."
    with pytest.raises(NotDelivered, match="answered 503"):
        tick()
    receiver.code = 200
    assert tick() == "Delivered: health."
    assert receiver.bodies[-1]["health"] == "warning"
