"""The queue of runs in Redis, and what is known of runs without any worker."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from kombu.exceptions import OperationalError

from metrics_pipeline.defs import workers
from metrics_pipeline.defs.celery_app import celery_app, kombu_url
from metrics_pipeline.defs.in_process import process_tag
from metrics_pipeline.defs.launcher import MetricsRunLauncher
from metrics_pipeline.defs.workers import Workers, WorkerWatch, ask_workers, broker_of
from metrics_pipeline.errors import CacheUnavailable


@pytest.mark.parametrize(
    ("given", "kombu"),
    [
        ("unix://:secret@/tmp/h/redis.sock?db=3", "redis+socket://:secret@/tmp/h/redis.sock?virtual_host=3"),
        ("unix:///tmp/h/redis.sock", "redis+socket:///tmp/h/redis.sock?virtual_host=0"),
        ("redis://:p%40ss@host:6379/2", "redis://:p%40ss@host:6379/2"),
        ("redis://host?db=4&protocol=3", "redis://host/4"),
        ("redis://host", "redis://host/0"),
        ("rediss://user:pw@host:6380/0", "rediss://user:pw@host:6380/0?ssl_cert_reqs=required"),
        ("rediss://host/1?ssl_cert_reqs=none&socket_timeout=3", "rediss://host/1?ssl_cert_reqs=none"),
    ],
)
def test_a_redis_url_becomes_one_of_kombu(given: str, kombu: str):
    assert kombu_url(given) == kombu


def test_a_queued_run_is_not_among_the_metrics_keys(redis_url, redis_client):
    task = celery_app(redis_url).tasks["execute_job"]
    task.apply_async(kwargs={"execute_job_args_packed": {}}, task_id="a-run", queue="dagster")
    keys = {key.decode() for key in redis_client.scan_iter("*")}
    assert all(key.startswith("celery:") for key in keys)
    queues = [key for key in keys if key.startswith("celery:dagster")]
    assert [redis_client.llen(queue) for queue in queues] == [1]


def test_a_run_is_lost_once_two_questions_in_a_row_did_not_find_it(redis_url, monkeypatch):
    answers = iter([Workers({"a-run": "w@h"}, ("w@h",), 1), *(Workers({}, ("w@h",), at) for at in (2, 3, 4))])
    monkeypatch.setattr(workers, "ask_workers", lambda _: next(answers))
    watch = WorkerWatch(celery_app(redis_url))
    assert [watch.is_lost("a-run") for _ in range(3)] == [False, False, True]
    assert watch.last_holder("a-run") == "w@h"
    assert watch.is_lost("another") is False


def test_after_an_outage_no_run_is_lost_before_workers_have_noticed_its_end(redis_url, monkeypatch):
    """Kombu looks for a lost broker every half minute at last: until then a worker at work does not answer."""
    now = time.monotonic()
    answers = iter([CacheUnavailable("away"), *(Workers({}, (), now + seconds) for seconds in (3, 20, 39, 41, 42))])

    def ask(_: object) -> Workers:
        answer = next(answers)
        if isinstance(answer, CacheUnavailable):
            raise answer
        return answer

    monkeypatch.setattr(workers, "ask_workers", ask)
    monkeypatch.setattr(workers, "_FRESH_SECONDS", -100)
    watch = WorkerWatch(celery_app(redis_url))
    with pytest.raises(CacheUnavailable):
        watch.is_lost("a-run")
    assert [watch.is_lost("a-run") for _ in range(5)] == [False, False, False, False, True]


def test_one_question_serves_all_runs_and_counts_once(redis_url, monkeypatch):
    asked = []
    monkeypatch.setattr(workers, "ask_workers", lambda _: asked.append(1) or Workers({}, (), time.monotonic()))
    watch = WorkerWatch(celery_app(redis_url))
    assert [watch.is_lost("a-run") for _ in range(5)] == [False] * 5
    assert len(asked) == 1


def test_a_run_found_again_is_not_lost_at_the_next_miss(redis_url, monkeypatch):
    found, missed = {"a-run": "w@h"}, dict[str, str]()
    answers = iter(Workers(holds, ("w@h",), at) for at, holds in enumerate([missed, found, missed, missed], 1))
    monkeypatch.setattr(workers, "ask_workers", lambda _: next(answers))
    watch = WorkerWatch(celery_app(redis_url))
    assert [watch.is_lost("a-run") for _ in range(4)] == [False, False, False, True]


def test_without_any_worker_nobody_answers(redis_url):
    found = ask_workers(celery_app(redis_url))
    assert (found.names, dict(found.holders)) == ((), {})


def test_a_broker_that_is_away_is_no_sign_of_a_lost_run(tmp_path: Path):
    app = celery_app(f"unix://:secret@{tmp_path}/none.sock")
    started = time.monotonic()
    with pytest.raises(CacheUnavailable, match="METRICS_BROKER_URL") as raised:
        WorkerWatch(app).is_lost("a-run")
    assert time.monotonic() - started < 15
    assert "secret" not in str(raised.value)
    assert "none.sock" in broker_of(app)


def test_a_worker_that_went_away_is_named_with_what_to_do(redis_url, monkeypatch):
    answers = iter([Workers({"a-run": "w@h"}, ("w@h",), 1), Workers({}, (), 2), *[Workers({}, (), 3)] * 9])
    monkeypatch.setattr(workers, "ask_workers", lambda _: next(answers))
    launcher, run = MetricsRunLauncher(redis_url), dg.DagsterRun("a-job", run_id="a-run")
    found = [launcher.check_run_worker_health(run) for _ in range(3)]
    assert [one.status for one in found] == [WorkerStatus.RUNNING, WorkerStatus.RUNNING, WorkerStatus.FAILED]
    assert "No worker holds it any more: w@h, which ran it, was stopped or killed" in str(found[-1].msg)
    assert "metrics-pipeline worker" in str(found[-1].msg)


def test_a_run_that_a_command_executes_is_lost_only_when_that_is_gone(redis_url, monkeypatch):
    monkeypatch.setattr(workers, "ask_workers", lambda _: Workers({}, ("w@h",), time.monotonic()))
    monkeypatch.setattr(workers, "_FRESH_SECONDS", -1)
    launcher, command = MetricsRunLauncher(redis_url), subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    host, now = socket.gethostname(), int(time.time())
    names = [f"{host}:{command.pid}:{now}", f"another:1:{now}", f"another:1:{now - 3700}"]
    tags = [process_tag(), *({"metrics/process": name} for name in names)]
    runs = [dg.DagsterRun("a-job", run_id=f"run{n}", tags=tag) for n, tag in enumerate(tags)]

    def states() -> list[bool]:
        return [launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING for run in runs]

    assert [states() for _ in range(2)] == [[True, True, True, True], [True, True, True, False]]
    command.kill()
    command.wait()
    assert [states() for _ in range(2)] == [[True, True, True, False], [True, False, True, False]]


def test_a_run_is_left_alone_while_the_broker_is_away(tmp_path: Path, monkeypatch):
    launcher, run = MetricsRunLauncher(f"unix://:secret@{tmp_path}/none.sock"), dg.DagsterRun("a-job", run_id="a-run")
    monkeypatch.setattr(launcher.celery.control, "inspect", _away)
    assert {launcher.check_run_worker_health(run).status for _ in range(3)} == {WorkerStatus.RUNNING}
    assert "METRICS_BROKER_URL" in str(launcher.get_run_worker_debug_info(run))


def test_full_workers_say_which_setting_is_too_high(redis_url, monkeypatch):
    monkeypatch.setattr(workers, "ask_workers", lambda _: Workers({"r1": "w@h", "r2": "w@h"}, ("w@h",), 1))
    said = MetricsRunLauncher(redis_url).get_run_worker_debug_info(dg.DagsterRun("a-job", run_id="a-run"))
    assert "METRICS_MAX_CONCURRENT_RUNS" in str(said)


def _away(**_: object) -> None:
    raise OperationalError("Connection refused")
