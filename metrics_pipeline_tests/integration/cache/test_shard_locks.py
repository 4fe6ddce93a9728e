"""Shards of a period, on Redis and on PostgreSQL: at once with each other, never with the whole."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from metrics_pipeline.cache.held_locks import list_locks
from metrics_pipeline.cache.leased import LockLost
from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.shards import Shard

MONTH = Period(Grain.MONTH, date(2026, 3, 1))
FIRST, SECOND = Shard(1, 2), Shard(2, 2)


@pytest.fixture(params=["redis", "postgresql"])
def hold(request, redis_client, database):
    """Holds a month, or a shard of it, and tells who else does instead."""
    away = Redis.from_url("redis://127.0.0.1:1/0", retry=Retry(NoBackoff(), 0))
    redis = redis_client if request.param == "redis" else away

    @contextmanager
    def holding(holder: str, shard: Shard | None = None):
        with period_locks(redis, database.engine, [MONTH], holder=holder, policy="skip", shard=shard) as locks:
            yield locks.skipped.get(MONTH)

    yield holding
    away.close()


def test_shards_of_one_period_are_held_at_once(hold):
    with hold("first", FIRST) as first, hold("second", SECOND) as second:
        assert (first, second) == (None, None)


def test_one_shard_is_held_once(hold):
    with hold("first", FIRST), hold("again", FIRST) as held_by:
        assert held_by == "first"


def test_a_whole_period_excludes_its_shards(hold):
    with hold("whole"), hold("first", FIRST) as held_by:
        assert held_by == "whole"
    with hold("first", FIRST) as held_by:
        assert held_by is None


def test_a_shard_excludes_the_whole_period(hold):
    with hold("second", SECOND), hold("whole") as held_by:
        assert held_by == "second"
    with hold("whole") as held_by:
        assert held_by is None


def test_a_shard_that_was_refused_keeps_nothing_of_the_period(hold):
    first = hold("first", FIRST)
    assert first.__enter__() is None
    with hold("again", FIRST) as refused:
        assert refused == "first"
        first.__exit__(None, None, None)
        with hold("whole") as whole:
            assert whole is None


def test_shards_of_another_count_share_accounts_and_wait(redis_client, database):
    with (
        period_locks(redis_client, database.engine, [MONTH], holder="half", policy="skip", shard=FIRST),
        period_locks(redis_client, database.engine, [MONTH], holder="third", policy="skip", shard=Shard(2, 3)) as third,
    ):
        assert third.skipped == {MONTH: "half"}


def test_a_shard_that_expired_is_in_nobodys_way(redis_client, database):
    with period_locks(redis_client, database.engine, [MONTH], holder="first", policy="skip", shard=FIRST) as first:
        redis_client.delete(lock_key(MONTH, FIRST))  # its lease ran out
        with period_locks(redis_client, database.engine, [MONTH], holder="whole", policy="skip") as whole:
            assert whole.held == [MONTH]
            with pytest.raises(LockLost, match="taken over by run whole"):
                first.check()
    assert redis_client.keys("metrics:lock*") == []


def test_a_listed_shard_says_which(redis_client, database):
    with period_locks(redis_client, database.engine, [MONTH], holder="second", policy="skip", shard=SECOND):
        (lock,) = list_locks(redis_client)
    assert (lock.key, lock.period, lock.shard) == ("metrics:lock:month:2026-03-01:2-of-2", MONTH, SECOND)
