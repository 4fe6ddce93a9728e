from __future__ import annotations

from collections.abc import Iterator

import pytest

from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline_tests.chaos.edits import set_up
from metrics_pipeline_tests.chaos.record import Faults
from metrics_pipeline_tests.world import World


@pytest.fixture(scope="package")
def faults() -> Iterator[Faults]:
    """What became of each fault; printed at the end (seen with -s)."""
    faults = Faults()
    yield faults
    faults.show()


@pytest.fixture
def world(settings, database, tmp_path) -> Iterator[World]:
    """Two accounts and a Redis of their own, which is to be filled or suspended."""
    server = EmbeddedRedis(tmp_path)
    try:
        with Pipeline(settings.model_copy(update={"redis_url": server.ensure()})) as pipeline:
            with pipeline.engine.begin() as connection:
                set_up(connection, 2)
            yield World(pipeline, pipeline.redis, database.connect)
    finally:
        server.stop()
