"""The webhook learns what it does not know, once, and what it missed when it is back."""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from metrics_pipeline.alerts.alerter import Told
from metrics_pipeline.monitor.facts import CacheFacts, LockFact, Machinery, RunFact
from metrics_pipeline.monitor.reading import read_waiting
from metrics_pipeline.settings import Settings
from metrics_pipeline_tests.integration.alerts.conftest import NOON, SECRET

NO_REDIS = CacheFacts(error="Redis is away & <gone>")
NO_WORKER = Machinery(NOON, worker_answers=False)
STALE_LOCK = CacheFacts(locks=[LockFact("metrics:lock:day:2026-03-18", "gone", 90.0, True)])


def failed(number: int, ended: datetime = NOON - timedelta(minutes=5), **facts: object) -> RunFact:
    at = {"created_at": ended, "started_at": ended, "ended_at": ended}
    values = {"job": "daily", "kind": "refresh", "state": "failed", "partitions": "2026-03-18", **at, **facts}
    return RunFact(run_id=f"run{number}", **values)


def owed(database) -> list[tuple[str, str]]:
    with database.engine.connect() as connection:
        return [(each.kind, each.error) for each in read_waiting(connection, Settings(), NOON).undelivered]


def test_what_is_well_is_no_news(look, receiver):
    assert look() == look(1) == Told()
    assert receiver.requests == []


def test_a_change_for_the_worse_and_recovery_are_told_once_each(look, receiver):
    assert look(0, cache=NO_REDIS).delivered == ("health",)
    assert look(1, cache=NO_REDIS) == Told()
    assert look(2).delivered == ("health",)
    assert look(3) == Told()
    worse, better = receiver.bodies
    assert (worse["kind"], worse["was"], worse["health"]) == ("health", "healthy", "critical")
    assert (worse["schema"], worse["at"]) == (1, "2026-03-18T12:00:30+00:00")
    assert worse["checks"] == [
        {"name": "redis", "level": "critical", "said": "Redis is away, so nothing is refreshed or published"}
    ]
    assert worse["recommendations"][0]["command"] == "metrics-pipeline check"
    assert worse["text"] == (
        "metrics_pipeline is CRITICAL (was healthy): Redis is away, so nothing is refreshed or published. "
        "To do: metrics-pipeline check"
    )
    assert (better["was"], better["health"], better["checks"]) == ("critical", "healthy", [])
    assert worse["id"] != better["id"]


def test_what_is_over_at_the_next_look_is_not_told(look, receiver):
    """A worker that is just starting, for example."""
    assert look(0, once=True, machinery=NO_WORKER) == Told()
    assert look(1, once=True) == Told()
    assert look(2, once=True, machinery=NO_WORKER) == Told()
    assert look(3, once=True, machinery=NO_WORKER).delivered == ("health",)
    assert look(4, once=True).delivered == ("health",)
    assert receiver.bodies[-1]["text"] == "metrics_pipeline is HEALTHY (was critical): what was wrong is over."


def test_the_same_outage_on_another_day_is_another_alert(look, receiver):
    for minute, cache in enumerate([NO_REDIS, None, NO_REDIS]):
        look(minute, cache=cache)
    assert len({body["id"] for body in receiver.bodies}) == 3


def test_a_second_check_that_fails_is_told_and_one_of_two_that_recovers_is_not(look, receiver):
    look(0, cache=NO_REDIS)
    look(1, cache=NO_REDIS, machinery=NO_WORKER)
    look(2, cache=NO_REDIS)
    assert [len(body["checks"]) for body in receiver.bodies] == [1, 2]
    look(3, cache=NO_REDIS, machinery=NO_WORKER)  # it had recovered: this is news again
    assert len(receiver.bodies) == 3


def test_a_warning_is_told_and_getting_better_too(look, receiver):
    look(0, cache=STALE_LOCK, machinery=NO_WORKER)
    look(1, cache=STALE_LOCK)
    assert [(body["was"], body["health"]) for body in receiver.bodies] == [
        ("healthy", "critical"), ("critical", "warning"),
    ]  # fmt: skip


def test_the_signature_is_of_the_time_and_the_body(look, receiver):
    look(cache=NO_REDIS)
    ((_, headers, body),) = receiver.requests
    timestamp = headers["X-Metrics-Timestamp"]
    assert datetime.fromtimestamp(int(timestamp), timezone.utc) == NOON + timedelta(seconds=30)
    expected = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Metrics-Signature"] == f"v1={expected}"
    assert headers["Content-Type"] == "application/json"


def test_without_a_secret_nothing_is_signed(look, receiver):
    look(cache=NO_REDIS, alert_secret=None)
    ((_, headers, _),) = receiver.requests
    assert "X-Metrics-Signature" not in headers


def test_a_hundred_failures_are_one_alert_and_more_are_another(look, receiver):
    healthy = [failed(1000 + n, state="succeeded") for n in range(5000)]  # the share that failed stays small
    burst = [failed(n) for n in range(100)]
    look(0, runs=[*healthy, *burst])
    look(1, runs=[*healthy, *burst])
    look(2, runs=[*healthy, *burst, failed(100, NOON)])
    assert [(body["kind"], body["count"], len(body["runs"])) for body in receiver.bodies] == [
        ("failures", 100, 5), ("failures", 1, 1),
    ]  # fmt: skip
    assert receiver.bodies[0]["text"].startswith("metrics_pipeline: 100 runs failed and will not be retried: ")
    assert receiver.bodies[0]["text"].endswith("95 more. To do: metrics-pipeline status")
    assert receiver.bodies[1]["runs"][0]["run_id"] == "run100"


def test_a_failure_that_is_retried_is_no_alert_until_the_last_retry_failed(look, receiver):
    healthy = [failed(1000 + n, state="succeeded") for n in range(100)]
    look(0, runs=[*healthy, failed(1, will_retry=True)])
    assert receiver.bodies == []
    look(1, runs=[*healthy, failed(1, will_retry=True, replaced=True), failed(2)])
    assert [body["runs"][0]["run_id"] for body in receiver.bodies] == ["run2"]


def test_whether_a_run_is_retried_is_waited_for(look, receiver):
    """Dagster says so a moment after it says that the run failed."""
    healthy = [failed(1000 + n, state="succeeded") for n in range(100)]
    look(0, once=True, runs=[*healthy, failed(1, NOON + timedelta(seconds=29))])
    assert receiver.bodies == []


def test_a_webhook_that_is_away_is_told_when_it_is_back(look, receiver, database):
    receiver.code = 503
    told = look(0, cache=NO_REDIS)
    assert told.delivered == ()
    (error,) = told.errors
    assert "answered 503 in 3 tries" in error
    assert "very-secret" not in error
    assert len(receiver.requests) == 3
    assert owed(database) == [("health", error)]
    receiver.code = 200
    assert look(1, cache=NO_REDIS).delivered == ("health",)
    assert owed(database) == []
    assert look(2, cache=NO_REDIS) == Told()
    assert {body["id"] for body in receiver.bodies} == {receiver.bodies[0]["id"]}


def test_a_webhook_that_is_not_there_holds_up_nothing_for_long(look, database):
    begun = time.monotonic()
    told = look(cache=NO_REDIS, alert_webhook_url="http://127.0.0.1:1/secret")
    assert "no answer" in told.errors[0]
    assert time.monotonic() - begun < 10
    assert owed(database) == [("health", told.errors[0])]


def test_what_passed_before_it_could_be_told_is_owed_no_more(look, receiver, database):
    receiver.code = 503
    look(0, cache=NO_REDIS)
    assert owed(database)
    assert look(1) == Told()
    assert owed(database) == []


def test_an_answer_that_cannot_get_better_is_not_asked_for_again_at_once(look, receiver, database):
    receiver.code = 404
    assert "answered 404; correct the URL" in look(cache=NO_REDIS).errors[0]
    assert len(receiver.requests) == 1
    assert owed(database)


def test_text_is_safe_in_slack(look, receiver):
    look(runs=[failed(1, partitions="<a> & b")])
    failures, _ = receiver.bodies
    assert "&lt;a&gt; &amp; b" in failures["text"]
    assert failures["runs"][0]["partitions"] == "<a> & b"


def test_two_processes_do_not_tell_the_same(look, receiver, database):
    other = database.connect()
    other.execute(text("SELECT 1 FROM metrics.alerts WHERE kind = 'health' FOR UPDATE"))  # it is telling just now
    assert look(0, cache=NO_REDIS) == Told()
    other.rollback()
    assert look(1, cache=NO_REDIS).delivered == ("health",)
    assert len(receiver.bodies) == 1


@pytest.mark.parametrize("code", [200, 204, 299])
def test_every_success_counts(look, receiver, code):
    receiver.code = code
    assert look(cache=NO_REDIS).delivered == ("health",)
