"""A Redis whose memory is full, which stores nothing more and still deletes, or filling up."""

from __future__ import annotations

from datetime import date

import pytest
from redis import Redis

from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.cache.room import has_room
from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline_tests.command import run_command
from metrics_pipeline_tests.world import CURRENT, TODAY


def test_stale_entries_go_and_the_store_is_kept_up_while_nothing_can_be_published(world):
    world.spend(1, 10)
    world.spend(2, 10)
    world.pipeline.tend_cache()
    world.settle()
    world.spend(1, 5)
    world.redis.config_set("maxmemory", 1)
    assert world.pipeline.tend_cache() is False
    world.absorb()
    assert (world.total(1), world.total(2)) == (None, 10)
    with pytest.raises(CacheUnavailable, match="Redis' memory is full"):
        world.refresh_stale()
    assert world.total(1, source="store") == 15
    assert world.pipeline.backlog()
    world.redis.config_set("maxmemory", 0)
    assert world.pipeline.tend_cache() is False  # nothing was lost
    world.settle()
    assert (world.total(1), world.total(2)) == (15, 10)
    assert world.wrong() == []


def test_payloads_of_old_periods_are_left_to_the_store_when_half_of_the_memory_is_used(world):
    old = Period(Grain.MONTH, date(2025, 5, 1))
    world.spend(1, 10, on="2025-05-05")
    world.spend(1, 10)
    world.settle()

    def published(**options: bool) -> tuple[int, int, bool]:
        outcome = world.hourly([old, *CURRENT], **options)
        return outcome.published, outcome.left_out, bool(world.redis.exists(cache_key(1, old)))

    limit_to = world.redis.config_set
    limit_to("maxmemory", 3 * world.redis.info("memory")["used_memory"])
    assert published(only_outdated=False) == (10, 0, True)
    world.spend(1, 7, on="2025-05-06")
    limit_to("maxmemory", int(1.9 * world.redis.info("memory")["used_memory"]))
    assert published(only_outdated=False) == (8, 2, False)
    assert published() == (8, 2, False)  # not computed again, nor published from the store
    settings = world.pipeline.settings
    environment = {
        f"METRICS_{name}".upper(): str(getattr(settings, name)) for name in ("database_url", "redis_url", "home")
    }
    told = run_command(environment, "calculate", "--grain", "month", "--date", old.key, "--today", TODAY).stdout
    assert "0 published, 2 left out, as Redis has little room for old periods." in told
    world.settle()
    assert world.wrong() == []
    reading = world.pipeline.reader.get(1, Grain.MONTH, on=old.start, today=TODAY)
    assert (reading.source, reading.payload.currencies["USD"].total) == ("store", 17)
    assert world.redis.exists(cache_key(1, old))
    limit_to("maxmemory", 0)  # and a quarter of the machine is free
    assert published(only_outdated=False) == (10, 0, True)


def test_a_user_who_may_not_ask_how_much_memory_is_used_publishes_old_periods(world):
    """The rights that many give to applications: INFO is among the dangerous commands."""
    rights = {"categories": ["+@all", "-@dangerous"], "keys": ["*"], "channels": ["*"]}
    world.redis.acl_setuser("app", enabled=True, passwords=["+secret"], **rights)
    world.redis.config_set("maxmemory", 1)
    path = world.redis.connection_pool.connection_kwargs["path"]
    with Redis(unix_socket_path=path, username="app", password="secret") as allowed_less:
        assert (has_room(world.redis), has_room(allowed_less)) == (False, True)
