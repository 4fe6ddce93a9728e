from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline_tests.world import World


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[World]:
    """Accounts 1 to 3 that spent nothing yet; partitions from the beginning of 2026."""
    settings = settings.model_copy(update={"start_date": date(2026, 1, 1)})
    with Pipeline(settings) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 3) n")
        pipeline.tend_cache()
        yield made
