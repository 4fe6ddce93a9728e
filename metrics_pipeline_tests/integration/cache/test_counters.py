"""The hit rate is what was read, by hour and reason."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from metrics_pipeline.cache.counters import Reads, reads_key, reads_of_hours
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline_tests.world import TODAY, World


def read(world: World, today=TODAY) -> str:
    return world.pipeline.reader.get(1, Grain.MONTH, on=TODAY, today=today).source


def counted(world: World) -> Reads:
    (reads,) = reads_of_hours(world.redis, datetime.now(timezone.utc)).values()
    return reads


def test_reads_and_misses_by_reason(world):
    assert [read(world) for _ in range(3)] == ["cache"] * 3
    assert counted(world) == Reads(3, {})
    assert counted(world).hit_rate == 1
    world.redis.delete(cache_key(1, Period.holding(Grain.MONTH, TODAY)))
    assert [read(world), read(world), read(world, today=TODAY + timedelta(days=1))] == ["store", "cache", "computed"]
    assert counted(world) == Reads(6, {"cold": 1, "outdated": 1})
    assert counted(world).hit_rate == pytest.approx(4 / 6)
    world.pipeline.reader.get_many(2, today=TODAY)
    assert counted(world) == Reads(10, {"cold": 5, "outdated": 1})


def test_an_entry_of_other_settings_is_an_outdated_one(world):
    key = cache_key(1, Period.holding(Grain.MONTH, TODAY))
    world.redis.set(key, Entry.decode(world.redis.get(key))._replace(fingerprint="f" * 16).encode())
    read(world)
    assert counted(world) == Reads(1, {"outdated": 1})


def test_reads_that_must_be_fresh_are_not_counted(world):
    world.pipeline.reader.get(1, Grain.MONTH, today=TODAY, fresh=True)
    assert reads_of_hours(world.redis, datetime.now(timezone.utc)) == {}


def test_a_read_that_cannot_be_counted_is_a_hit_all_the_same(world):
    world.redis.set(reads_key(), "not a hash")
    assert [read(world) for _ in range(3)] == ["cache"] * 3  # and the connection is in step


def test_hours_are_told_apart_and_old_ones_left_out(world):
    now = datetime.now(timezone.utc)
    hour = now.replace(minute=0, second=0, microsecond=0)
    for hours, reads in ((0, 5), (3, 7), (30, 9)):
        world.redis.hset(f"metrics:reads:{hour - timedelta(hours=hours):%Y-%m-%dT%H}", "reads", reads)
    assert reads_of_hours(world.redis, now) == {hour - timedelta(hours=3): Reads(7, {}), hour: Reads(5, {})}
    assert Reads(0, {}).hit_rate is None


def test_counts_of_an_hour_go_after_some_days(world):
    world.redis.flushdb()
    read(world)
    assert timedelta(days=7) < timedelta(seconds=world.redis.ttl(reads_key())) <= timedelta(days=8)
