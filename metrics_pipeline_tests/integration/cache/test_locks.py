"""Period locks on a real Redis."""

from __future__ import annotations

import json
import threading
import time
from datetime import date, datetime, timedelta, timezone

import pytest
from redis import Redis

from metrics_pipeline.cache.canary import purge
from metrics_pipeline.cache.held_locks import clear_lock, list_locks, stale_locks
from metrics_pipeline.cache.leased import LockLost
from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.cache.locks import PeriodBusy, period_locks
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import RefreshRequest

MONTH = Period(Grain.MONTH, date(2026, 3, 1))
APRIL = MONTH.shift(1)


def test_skip_leaves_out_what_is_held_and_says_by_whom(redis_client, database):
    with (
        period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip"),
        period_locks(redis_client, database.engine, [APRIL, MONTH], holder="second", policy="skip") as second,
    ):
        assert (second.held, second.skipped) == ([APRIL], {MONTH: "first"})


def test_wait_gets_the_period_when_it_is_given_back(redis_client, database):
    first = period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip")
    first.__enter__()
    giving_back = threading.Timer(0.3, first.__exit__, (None, None, None))
    giving_back.start()
    with period_locks(
        redis_client, database.engine, [MONTH], holder="second", policy="wait", patience_seconds=10
    ) as second:
        giving_back.join()
        assert (second.held, second.skipped) == ([MONTH], {})
        assert [lock.holder for lock in list_locks(redis_client)] == ["second"]


def test_waiting_ends_with_the_holders_name_and_nothing_locked(redis_client, database):
    with period_locks(redis_client, database.engine, [APRIL], holder="first", policy="skip"):
        with (
            pytest.raises(PeriodBusy, match=r"month 2026-04-01 is being computed by run first, still after 0\.2 s"),
            period_locks(
                redis_client, database.engine, [MONTH, APRIL], holder="second", policy="wait", patience_seconds=0.2
            ),
        ):
            pass
        assert [lock.period for lock in list_locks(redis_client)] == [APRIL]


def test_two_runs_over_the_same_periods_in_other_orders_both_get_through(redis_url, database):
    done = []

    def lock_all(holder: str, periods: list[Period]) -> None:
        with Redis.from_url(redis_url) as redis:
            for _ in range(15):
                with period_locks(redis, database.engine, periods, holder=holder, policy="wait", patience_seconds=20):
                    done.append(holder)

    periods = [MONTH.shift(n) for n in range(5)]
    threads = [
        threading.Thread(target=lock_all, args=("upwards", periods)),
        threading.Thread(target=lock_all, args=("downwards", periods[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == ["downwards"] * 15 + ["upwards"] * 15


def test_locks_are_renewed_beyond_their_lease(redis_client, database):
    with period_locks(
        redis_client, database.engine, [MONTH, APRIL], holder="first", policy="skip", lease_seconds=0.4
    ) as locks:
        before = list_locks(redis_client)
        time.sleep(1.2)
        after = list_locks(redis_client)
        locks.check()
    assert [lock.period for lock in after] == [MONTH, APRIL]
    assert [lock.since for lock in after] == [lock.since for lock in before]
    assert all(late.renewed_at > early.renewed_at for early, late in zip(before, after, strict=True))


def test_a_lock_that_was_taken_over_is_lost_and_not_released(redis_client, database):
    with period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip") as locks:
        locks.check()
        redis_client.delete(lock_key(MONTH))  # its lease ran out
        second = period_locks(redis_client, database.engine, [MONTH], holder="second", policy="skip")
        assert second.__enter__().held == [MONTH]
        with pytest.raises(LockLost, match="month 2026-03-01 was taken over by run second"):
            locks.check()
    assert [lock.holder for lock in list_locks(redis_client)] == ["second"]
    second.__exit__(None, None, None)
    assert list_locks(redis_client) == []


def test_a_loss_is_remembered_after_the_other_run_has_ended(redis_client, database):
    with period_locks(
        redis_client, database.engine, [MONTH], holder="first", policy="skip", lease_seconds=0.3
    ) as locks:
        redis_client.set(lock_key(MONTH), json.dumps({"holder": "second"}))
        time.sleep(0.3)  # more than a renewal
        redis_client.delete(lock_key(MONTH))
        with pytest.raises(LockLost, match="by run second"):
            locks.check()


def test_a_lock_that_vanished_is_taken_again(redis_client, database):
    with period_locks(
        redis_client, database.engine, [MONTH], holder="first", policy="skip", lease_seconds=0.3
    ) as locks:
        redis_client.flushdb()
        locks.check()
        time.sleep(0.3)
        assert [lock.holder for lock in list_locks(redis_client)] == ["first"]


def test_a_lost_lock_stops_a_refresh_before_it_commits(world, redis_client, database):
    world.spend(1, 25)
    request = RefreshRequest([MONTH], date(2026, 3, 18))
    stored = "SELECT transaction_count FROM metrics.period_metrics WHERE account_id = 1 AND grain = 'month'"
    with period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip") as locks:
        redis_client.set(lock_key(MONTH), json.dumps({"holder": "second"}))
        with pytest.raises(LockLost):
            world.pipeline.refresh(request, before_commit=locks.check)
    assert world.sql(stored) == 1
    redis_client.delete(lock_key(MONTH))
    with period_locks(redis_client, database.engine, [MONTH], holder="third", policy="skip") as locks:
        world.pipeline.refresh(request, before_commit=locks.check)
    assert world.sql(stored) == 2


def test_emptying_the_cache_keeps_locks(redis_client, database):
    with period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip"):
        purge(redis_client)
        assert len(list_locks(redis_client)) == 1


def test_a_listed_lock_tells_everything(redis_client, database):
    began = datetime.now(timezone.utc)
    with period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip"):
        (lock,) = list_locks(redis_client)
    assert (lock.key, lock.period, lock.holder) == ("metrics:lock:month:2026-03-01", MONTH, "first")
    assert lock.host
    assert 59 < lock.remaining_seconds <= 60
    assert began <= lock.since <= datetime.now(timezone.utc)
    assert abs(lock.renewed_at - lock.since) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("unrenewed_seconds", "alive", "stale"), [(45, False, True), (45, True, False), (5, False, False)]
)
def test_a_lock_is_stale_only_over_age_and_with_its_run_dead(redis_client, unrenewed_seconds, alive, stale, database):
    with period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip"):
        redis_client.expire(lock_key(MONTH), 60 - unrenewed_seconds)
        locks, asked = list_locks(redis_client), []
        found = stale_locks(locks, lambda run_id: asked.append(run_id) or alive, datetime.now(timezone.utc))
    assert (found == locks) is stale
    assert asked == (["first"] if unrenewed_seconds > 30 else [])


def test_a_lock_set_by_hand_is_listed_and_over_age(redis_client, database):
    redis_client.set("metrics:lock:month:2026-03-01", "maintenance")
    (lock,) = list_locks(redis_client)
    assert (lock.holder, lock.period, lock.host, lock.since) == ("maintenance", MONTH, None, None)
    assert stale_locks([lock], lambda _: False, datetime.now(timezone.utc)) == [lock]
    with period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip") as locks:
        assert locks.skipped == {MONTH: "maintenance"}


def test_clearing_spares_the_lock_of_a_new_owner(redis_client, database):
    redis_client.set(lock_key(MONTH), json.dumps({"holder": "dead"}))
    (seen,) = list_locks(redis_client)
    redis_client.delete(lock_key(MONTH))
    with period_locks(redis_client, database.engine, [MONTH], holder="new", policy="skip"):
        assert clear_lock(redis_client, seen) is False
        (new,) = list_locks(redis_client)
        assert clear_lock(redis_client, new) is True
        assert list_locks(redis_client) == []
