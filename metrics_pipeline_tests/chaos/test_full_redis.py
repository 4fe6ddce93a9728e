"""A Redis whose memory is full, which stores nothing more and still deletes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline_tests.chaos.edits import set_up
from metrics_pipeline_tests.world import World


@pytest.fixture
def world(settings, database, tmp_path) -> Iterator[World]:
    """On a Redis of its own: this one is to be filled."""
    server = EmbeddedRedis(tmp_path)
    try:
        with Pipeline(settings.model_copy(update={"redis_url": server.ensure()})) as pipeline:
            with pipeline.engine.begin() as connection:
                set_up(connection, 2)
            yield World(pipeline, pipeline.redis, database.connect)
    finally:
        server.stop()


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
