"""Redis that lost everything, and Redis that has no room."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline_tests.world import CURRENT, NOW, TODAY


@contextmanager
def no_room(redis):
    redis.config_set("maxmemory", "1")
    try:
        yield
    finally:
        redis.config_set("maxmemory", "0")


@pytest.fixture
def redis_refusing(world):
    """A Redis that refuses writes for the length of a block; what it had is gone first."""

    @contextmanager
    def refusing(setting, value):
        world.redis.flushdb()
        words = value.split()
        if setting == "replicaof":
            world.redis.replicaof(*words)
        else:
            world.redis.config_set(setting, value)
        try:
            yield
        finally:
            world.redis.replicaof("NO", "ONE")
            world.redis.config_set("min-replicas-to-write", "0")

    return refusing


def test_a_flush_is_followed_by_a_warming_that_computes_nothing(world):
    stored = "SELECT array_agg((version, computed_at) ORDER BY account_id, grain)::text FROM metrics.period_metrics"
    before = world.sql(stored)
    world.redis.flushdb()
    assert world.pipeline.tend_cache(NOW) is True
    assert world.total(1) == 10
    assert world.sql(stored) == before
    assert world.pipeline.tend_cache(NOW) is False
    assert world.wrong() == []


def test_redis_without_room_leaves_periods_stored_and_marked_until_there_is_some(world):
    world.spend(1, 5)
    with no_room(world.redis):
        world.absorb()  # drops need no room
        assert world.total(1) is None
        with pytest.raises(CacheUnavailable, match="memory is full"):
            world.refresh_stale()
        assert world.pipeline.tend_cache(NOW) is False
        assert world.total(1, source="store") == 15
        assert world.pipeline.backlog()
    world.settle()
    assert world.total(1) == 15
    assert world.pipeline.backlog() == []


@pytest.mark.parametrize(("setting", "value"), [("min-replicas-to-write", "1"), ("replicaof", "127.0.0.1 1")])
def test_a_redis_that_takes_no_writes_is_one_that_is_away(world, redis_refusing, setting, value):
    """A primary without its replicas, and a replica that a failover made of the primary."""
    with redis_refusing(setting, value):
        world.spend(1, 5)
        assert world.pipeline.reader.get(1, CURRENT[0].grain, today=TODAY).payload.currencies["USD"].total == 15
        with pytest.raises(CacheUnavailable, match="takes no writes now"):
            world.pipeline.refresh(RefreshRequest(CURRENT, TODAY, force=True))
        assert world.total(1, source="store") == 15
    world.settle()
    assert world.total(1) == 15


def test_redis_without_room_for_locks_leaves_them_to_postgresql(world):
    engine = world.pipeline.engine
    with (
        no_room(world.redis),
        period_locks(world.redis, engine, CURRENT, holder="first", policy="wait") as first,
        period_locks(world.redis, engine, CURRENT, holder="second", policy="skip") as second,
    ):
        assert first.held == sorted(CURRENT)
        assert set(second.skipped.values()) == {"first"}
