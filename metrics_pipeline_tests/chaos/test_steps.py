"""A process that dies, or stands still for longer than its lease, at each step of its work."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from random import Random

import psutil
import pytest
from sqlalchemy import text

from metrics_pipeline.cache.held_locks import clear_lock, list_locks, stale_locks
from metrics_pipeline.periods import warm_periods
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline_tests.chaos.edits import edit, set_up
from metrics_pipeline_tests.chaos.record import LONG, SEED, Faults
from metrics_pipeline_tests.chaos.steps import (
    LEASE_SECONDS,
    STANDSTILLS,
    STEPS,
    Step,
    hourly,
    process_at,
    refresh_stale,
)
from metrics_pipeline_tests.chaos.truth import Seen, look, waiting
from metrics_pipeline_tests.world import NOW, TODAY

pytestmark = pytest.mark.timeout(60)

ACCOUNTS, DAYS = 3, 60
TOMORROW = NOW + timedelta(days=1)
EVERYTHING = """
INSERT INTO metrics.expense_changes (account_id, first_at, last_at, operation)
VALUES (0, '2026-03-10', '2026-03-18', 'test')
"""


@pytest.fixture
def pipeline(settings, redis_client) -> Iterator[Pipeline]:
    """Three accounts' expenses of two months, computed and published."""
    settings = settings.model_copy(update={"start_date": date(2026, 1, 1)})
    with Pipeline(settings) as pipeline:
        with pipeline.engine.begin() as connection:
            set_up(connection, ACCOUNTS)
        make_edits(pipeline, Random(SEED), 60)
        come_to_rest(pipeline)
        hourly(pipeline, "setting up")
        yield pipeline


def make_edits(pipeline: Pipeline, random: Random, count: int) -> None:
    for _ in range(count):
        with pipeline.engine.begin() as connection:
            edit(connection, random, accounts=ACCOUNTS, days=DAYS, today=TODAY)


def prepare(pipeline: Pipeline, step: Step, random: Random) -> None:
    """Let there be something to do for the step's work."""
    make_edits(pipeline, random, 4)
    if step.work == "refresh":
        if "wildcards" in step.name or random.random() < 0.3:
            with pipeline.engine.begin() as connection:
                connection.execute(text(EVERYTHING))
        pipeline.absorb_changes(NOW)
    if step.work == "warm":
        pipeline.redis.flushdb()


def come_to_rest(pipeline: Pipeline, now: datetime = NOW) -> None:
    """What a running system does by itself."""
    pipeline.tend_cache(now)
    pipeline.absorb_changes(now)
    while refresh_stale(pipeline, "the next run", now):
        pipeline.absorb_changes(now)


def clear_locks_of_the_dead(pipeline: Pipeline) -> None:
    """As soon as they are over age, which is before their lease ends."""
    time.sleep(LEASE_SECONDS / 2)
    for lock in stale_locks(list_locks(pipeline.redis), lambda _: False, datetime.now(timezone.utc)):
        clear_lock(pipeline.redis, lock)
    assert list_locks(pipeline.redis) == []


def see(pipeline: Pipeline, today: date = TODAY) -> Seen:
    return look(pipeline, pipeline.redis, today)


def assert_right(pipeline: Pipeline, before: Seen, today: date = TODAY) -> None:
    after = see(pipeline, today)
    assert after.wrong == []
    assert after.backwards(before.versions) == []
    assert waiting(pipeline) == {}


def die_at(pipeline: Pipeline, step: Step, random: Random, faults: Faults) -> None:
    prepare(pipeline, step, random)
    before = see(pipeline)
    with process_at(step, signal.SIGKILL, pipeline.settings) as process:
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, f"it did not come to its step: exit code {process.exitcode}"
    if random.random() < 0.5:
        make_edits(pipeline, random, 2)
    with faults.recovering(f"killed {step}"):
        if random.random() < 0.5:
            clear_locks_of_the_dead(pipeline)
        assert_nothing_stale_is_served_after_a_tick(pipeline)
        come_to_rest(pipeline)
        clear_locks_of_the_dead(pipeline)
        assert_right(pipeline, before)
        if step.work == "warm":
            assert_warm(pipeline)


def stand_still_at(pipeline: Pipeline, step: Step, random: Random, faults: Faults) -> None:
    """Others take over once the lease has run out; then the process goes on as if nothing had happened."""
    prepare(pipeline, step, random)
    before = see(pipeline)
    with process_at(step, signal.SIGSTOP, pipeline.settings) as process:
        stopped = wait_until_stopped(process.pid)
        with faults.recovering(f"stood still {step}"):
            make_edits(pipeline, random, 2)
            come_to_rest(pipeline)
            make_edits(pipeline, random, 2)
            if random.random() < 0.5:
                come_to_rest(pipeline)
            stopped.resume()
            process.join(60)
            assert process.exitcode in (0, 1)  # done, or ended by an error such as a lost lock
            come_to_rest(pipeline)
            clear_locks_of_the_dead(pipeline)
            assert_right(pipeline, before)


def turn_the_day_at(pipeline: Pipeline, step: Step, random: Random, faults: Faults) -> None:
    """Tomorrow's run comes while today's stands still, or after it: all speaks of tomorrow in the end."""
    prepare(pipeline, step, random)
    before = see(pipeline)
    with process_at(step, signal.SIGSTOP, pipeline.settings, then_day=1) as process:
        stopped = wait_until_stopped(process.pid)
        with faults.recovering(f"a new day {step}"):
            early = random.random() < 0.5
            if early:
                come_to_rest(pipeline, TOMORROW)
                hourly(pipeline, "the next hour", TOMORROW)
            stopped.resume()
            process.join(60)
            assert process.exitcode in (0, 1)
            come_to_rest(pipeline, TOMORROW)
            clear_locks_of_the_dead(pipeline)
            if not early:
                hourly(pipeline, "the next hour", TOMORROW)
            assert_right(pipeline, before, TOMORROW.date())


def assert_nothing_stale_is_served_after_a_tick(pipeline: Pipeline) -> None:
    """Before anything was refreshed: what changed is gone from the cache."""
    pipeline.tend_cache(NOW)
    pipeline.absorb_changes(NOW)
    assert [line for line in see(pipeline).wrong if line.startswith("cached")] == []


def assert_warm(pipeline: Pipeline) -> None:
    window = set(warm_periods(TODAY))
    seen = see(pipeline)
    stored = {(account, period) for where, account, period in seen.versions if where == "stored" and period in window}
    assert stored <= seen.cached(), "the cache was emptied and not warmed again"


def wait_until_stopped(pid: int | None) -> psutil.Process:
    process, deadline = psutil.Process(pid), time.monotonic() + 60
    while process.status() != psutil.STATUS_STOPPED:
        assert process.status() != psutil.STATUS_ZOMBIE, "it ended before its step"
        assert time.monotonic() < deadline, "it did not come to its step"
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_process_killed_at_any_step_leaves_nothing_wrong_and_nothing_undone(pipeline, step, faults):
    die_at(pipeline, step, Random(f"{SEED} {step}"), faults)


@pytest.mark.parametrize("step", STANDSTILLS, ids=str)
def test_a_process_that_stands_still_beyond_its_lease_spoils_nothing(pipeline, step, faults):
    stand_still_at(pipeline, step, Random(f"{SEED} {step}"), faults)


@pytest.mark.parametrize("step", [step for step in STEPS if step.work == "hourly"], ids=str)
def test_a_day_that_ends_during_a_run_is_not_shown_on_the_next(pipeline, step, faults):
    turn_the_day_at(pipeline, step, Random(f"{SEED} {step}"), faults)


@pytest.mark.skipif(not LONG, reason="part of the long form: METRICS_CHAOS_FAULTS")
@pytest.mark.timeout(3600)
def test_many_faults_one_after_the_other(pipeline, faults):
    random, failed = Random(SEED), []
    kinds = [*((die_at, step) for step in STEPS), *((stand_still_at, step) for step in STEPS)]
    for _ in range(LONG * 3 // 4):
        suffer, step = random.choice(kinds)
        try:
            suffer(pipeline, step, random, faults)
        except AssertionError as error:
            failed.append(f"{suffer.__name__} {step}: {error}")
    assert failed == []
