"""Redis that lost everything, and Redis that has no room."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline_tests.world import CURRENT, NOW


@contextmanager
def no_room(redis):
    redis.config_set("maxmemory", "1")
    try:
        yield
    finally:
        redis.config_set("maxmemory", "0")


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


def test_redis_without_room_for_locks_leaves_them_to_postgresql(world):
    engine = world.pipeline.engine
    with (
        no_room(world.redis),
        period_locks(world.redis, engine, CURRENT, holder="first", policy="wait") as first,
        period_locks(world.redis, engine, CURRENT, holder="second", policy="skip") as second,
    ):
        assert first.held == sorted(CURRENT)
        assert set(second.skipped.values()) == {"first"}
