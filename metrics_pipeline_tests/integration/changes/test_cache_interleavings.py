"""Interleavings of the cache with publishers, readers and losses that break a simpler design, on real servers.

`test_guards.py` takes the rules out one by one and expects the test of each to fail.
"""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from metrics_pipeline import chunk
from metrics_pipeline.cache import checked
from metrics_pipeline.cache.canary import CANARY_KEY
from metrics_pipeline.cache.drops import carry_out_drops
from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline.periods import Grain
from metrics_pipeline_tests.world import (
    CURRENT,
    NOW,
    TODAY,
    before,
    between_snapshot_and_store,
)

DAY = CURRENT[0]


def test_an_entry_set_after_its_drop_is_dropped_again(world, monkeypatch):
    world.spend(1, 10)
    world.absorb()

    def change_absorb_and_drop() -> None:
        world.spend(1, 5)
        world.absorb()

    with before(monkeypatch, chunk.CheckedPublisher, "publish", change_absorb_and_drop):
        world.refresh_stale()
    assert world.total(1) is None
    world.settle()
    assert world.total(1) == 15


def test_an_older_publisher_does_not_win_after_the_cache_was_flushed(world, monkeypatch):
    world.spend(1, 10)
    world.settle()

    def newer_version_then_flush() -> None:
        world.sql("UPDATE expenses SET amount = 20")
        world.settle()
        world.redis.flushdb()

    with before(monkeypatch, chunk.CheckedPublisher, "publish", newer_version_then_flush):
        world.hourly()
    assert world.total(1) in (None, 20)
    assert world.wrong() == []


def test_an_older_version_does_not_replace_a_newer_one_in_the_cache(world, monkeypatch):
    world.spend(1, 10)
    world.settle()

    def newer_version() -> None:
        world.sql("UPDATE expenses SET amount = 20")
        world.settle()

    with before(monkeypatch, checked.Publisher, "publish", newer_version):
        world.hourly()
    assert world.wrong() == []


def test_dying_between_absorbing_and_dropping_loses_no_drop(world, monkeypatch):
    world.spend(1, 10)
    world.settle()
    world.spend(1, 5)

    def die() -> None:
        raise KeyboardInterrupt

    from metrics_pipeline import pipeline

    with before(monkeypatch, pipeline, "carry_out_drops", die), pytest.raises(KeyboardInterrupt):
        world.absorb()
    assert world.total(1) == 10  # still there, and wrong
    assert world.pipeline.absorb_changes(NOW).changes == 0
    assert world.total(1) is None


def test_a_redis_restored_from_an_older_dump_is_emptied_and_warmed(world):
    world.spend(1, 10)
    world.spend(1, 10, on="2026-02-01")  # too long ago to be warmed
    world.settle()
    world.pipeline.tend_cache(NOW)
    dump = {key: world.redis.dump(key) for key in world.redis.scan_iter("metrics:*")}
    world.sql("UPDATE expenses SET amount = 20")
    world.settle()
    assert world.pipeline.tend_cache(NOW) is False
    for key, value in dump.items():
        world.redis.restore(key, 3_600_000, value, replace=True)
    assert world.total(1) == 10  # the dump's
    assert world.pipeline.tend_cache(NOW) is True
    assert world.total(1) == 20
    assert world.wrong() == []
    assert world.pipeline.tend_cache(NOW) is False


def test_a_flushed_redis_is_warmed_from_the_store(world):
    world.spend(1, 10)
    world.settle()
    world.redis.flushdb()
    assert world.pipeline.tend_cache(NOW) is True
    assert world.total(1) == 10


def test_a_postgresql_that_went_back_in_time_empties_the_cache(world):
    world.spend(1, 10)
    world.settle()
    world.sql("UPDATE metrics.tick_state SET beats = beats - 1")
    assert world.pipeline.tend_cache(NOW) is True
    world.redis.set(CANARY_KEY, "7:1:0/5")  # another server's
    assert world.pipeline.tend_cache(NOW) is True


def test_warming_publishes_nothing_that_is_marked(world):
    world.spend(1, 10)
    world.settle()
    world.spend(1, 5)
    world.absorb()
    world.pipeline.warm(NOW)
    assert world.total(1) is None


def test_a_reader_that_computes_while_a_refresh_is_under_way(world, monkeypatch):
    world.spend(1, 10)
    world.absorb()

    def read() -> None:
        world.sql("UPDATE expenses SET amount = 20")
        reading = world.pipeline.reader.get(1, Grain.DAY, today=TODAY)
        assert reading.payload.currencies["USD"].total == Decimal(20)

    with between_snapshot_and_store(monkeypatch, read):
        world.refresh_stale()
    world.settle()
    assert world.wrong() == []
    assert world.total(1) == 20


def test_a_refresh_that_fits_between_two_looks_of_a_reader(world, monkeypatch):
    """By two statements the reader would see the row as it was before the refresh, and no mark as after it."""
    expense = world.spend(1, 10)
    world.settle()
    world.sql("UPDATE expenses SET amount = 20 WHERE id = :id", id=expense)
    pending, execute = [world.settle], psycopg.Cursor.execute

    def refreshed_after_the_first_look(cursor, statement, *args, **kwargs):
        found = execute(cursor, statement, *args, **kwargs)
        if pending and "FROM metrics.period_metrics AS stored" in str(statement):
            pending.pop()()
        return found

    monkeypatch.setattr(psycopg.Cursor, "execute", refreshed_after_the_first_look)
    reading = world.pipeline.reader.get(1, Grain.DAY, today=TODAY, fresh=True)
    assert pending == []
    assert reading.payload.currencies["USD"].total == 20


def test_redis_away_leaves_everything_stored_and_marked(world, monkeypatch):
    world.spend(1, 10)
    world.absorb()

    def away(*_: object) -> None:
        raise CacheUnavailable("Redis is away")

    with monkeypatch.context() as patched:
        patched.setattr(checked.Publisher, "publish", away)
        with pytest.raises(CacheUnavailable):
            world.refresh_stale()
    assert world.total(1, source="store") == 10
    assert world.pipeline.backlog()
    world.settle()
    assert world.total(1) == 10


def test_drops_that_redis_could_not_take_are_carried_out_later(world, monkeypatch):
    world.spend(1, 10)
    world.settle()
    world.spend(1, 5)
    from metrics_pipeline.cache import drops

    def away(*_: object) -> None:
        raise CacheUnavailable("Redis is away")

    with monkeypatch.context() as patched:
        patched.setattr(drops, "drop", away)
        with pytest.raises(CacheUnavailable):
            world.absorb()
    carry_out_drops(world.pipeline.engine, world.redis)
    assert world.total(1) is None
