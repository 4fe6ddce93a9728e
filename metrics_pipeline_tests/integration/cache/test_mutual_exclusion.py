"""Processes that want one period: one computes while locks are kept, and numbers stay right when they are not."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from metrics_pipeline.cache.held_locks import list_locks
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.periods import Grain
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline_tests.integration.cache.holding import MONTH, hold_often
from metrics_pipeline_tests.world import TODAY

PROCESSES = 8
LEASE_SECONDS = 0.6

STANDING_STILL = """
import sys
from metrics_pipeline import refresh
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.settings import load_settings
from metrics_pipeline_tests.integration.cache.test_mutual_exclusion import LEASE_SECONDS, MONTH, TODAY

write = refresh.ChunkWriter.write

def stop_here(*arguments):
    print("has read", flush=True)
    sys.stdin.readline()
    return write(*arguments)

refresh.ChunkWriter.write = stop_here
database_url, redis_url, checks = sys.argv[1:]
with Pipeline(load_settings(database_url=database_url, redis_url=redis_url)) as pipeline:
    with period_locks(
        pipeline.redis, pipeline.engine, [MONTH], holder="stopped", policy="skip", lease_seconds=LEASE_SECONDS
    ) as locks:
        check = locks.check if checks == "True" else None
        try:
            outcome = pipeline.refresh(RefreshRequest([MONTH], TODAY, [1], force=True), before_commit=check)
            print("computed again:", outcome.chunks_retried)
        except Exception as error:
            print(type(error).__name__)
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("kept_in", "attempts"), [("redis", 200), ("postgresql", 40)])
def test_eight_processes_never_hold_a_period_at_once(redis_url, redis_client, database, kept_in, attempts):
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE holdings (period text PRIMARY KEY); CREATE TABLE held (number int)"))
    url = redis_url if kept_in == "redis" else "redis://127.0.0.1:1/0"
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=hold_often, args=(url, database.url, number, attempts)) for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(110)
    assert [process.exitcode for process in processes] == [0] * PROCESSES  # a second holder dies of the primary key
    held = database.connect().execute(text("SELECT count(*), count(DISTINCT number) FROM held")).one()
    assert held[0] >= PROCESSES * attempts / 20
    assert held[1] == PROCESSES
    assert list_locks(redis_client) == []


@pytest.mark.parametrize("checks", [True, False])
def test_a_run_that_stood_still_beyond_its_lease_harms_nothing(world, redis_client, redis_url, checks):
    """Its lock check stops it before it commits; without that check the transactions still do."""
    database_url = world.pipeline.engine.url.render_as_string(hide_password=False)
    version = "SELECT max(version) FROM metrics.period_metrics"
    with subprocess.Popen(
        [sys.executable, "-c", STANDING_STILL, database_url, redis_url, str(checks)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "has read\n"
        process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(LEASE_SECONDS)
            world.spend(1, 32)
            with period_locks(redis_client, world.pipeline.engine, [MONTH], holder="next", policy="wait") as locks:
                world.absorb()
                world.refresh_stale()
                newest = world.sql(version)
                process.send_signal(signal.SIGCONT)
                said, _ = process.communicate("\n", timeout=60)
                locks.check()
        finally:
            process.kill()
    assert said == ("LockLost\n" if checks else "computed again: 1\n")
    assert world.total(1, Grain.MONTH) == world.total(1, Grain.MONTH, source="store") == 42
    assert world.wrong() == []
    assert world.sql(version) >= newest


def test_the_lock_of_a_dead_run_is_not_waited_for(world, redis_client, caplog):
    dead = period_locks(redis_client, world.pipeline.engine, [MONTH], holder="dead", policy="skip")
    dead.__enter__()
    (lock,) = list_locks(redis_client)
    redis_client.expire(lock.key, 30)  # as after 30 seconds without a renewal
    alive: list[str] = []
    with period_locks(
        redis_client,
        world.pipeline.engine,
        [MONTH],
        holder="next",
        policy="skip",
        is_alive=lambda run_id: run_id in alive,
    ) as locks:
        assert locks.held == [MONTH]
        world.pipeline.refresh(RefreshRequest([MONTH], TODAY), before_commit=locks.check)
    assert "cleared the lock metrics:lock:month:2026-03-01, which outlived run dead" in caplog.text
    dead.__exit__(None, None, None)


@pytest.mark.parametrize(("left", "is_alive"), [(30, True), (55, False)])
def test_the_lock_of_a_run_that_lives_or_renewed_lately_stays(world, redis_client, left, is_alive):
    engine = world.pipeline.engine
    with period_locks(redis_client, engine, [MONTH], holder="first", policy="skip"):
        redis_client.expire(list_locks(redis_client)[0].key, left)
        with period_locks(
            redis_client, engine, [MONTH], holder="next", policy="skip", is_alive=lambda _: is_alive
        ) as locks:
            assert locks.skipped == {MONTH: "first"}
