from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date

import pytest

from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline_tests.world import World


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[World]:
    """Accounts 1 and 2; the first spent ten dollars today. Partitions from the beginning of 2026."""
    settings = settings.model_copy(update={"start_date": date(2026, 1, 1)})
    with Pipeline(settings) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 2) n")
        pipeline.tend_cache()
        made.spend(1, 10)
        made.settle()
        yield made


@pytest.fixture
def without(world: World) -> Iterator[Callable[[str], Pipeline]]:
    """The same pipeline, with the server of one setting (`database_url`, `redis_url`) away."""
    nowhere = {"database_url": "postgresql+psycopg://127.0.0.1:1/none", "redis_url": "redis://127.0.0.1:1/0"}
    with ExitStack() as stack:

        def make(server: str) -> Pipeline:
            settings = world.pipeline.settings.model_copy(update={server: nowhere[server]})
            return stack.enter_context(Pipeline(settings))

        yield make
