from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline_tests.world import TODAY, World


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[World]:
    """Accounts 1 to 3 that spent nothing yet; partitions from the beginning of 2026."""
    settings = settings.model_copy(update={"start_date": date(2026, 1, 1)})
    with Pipeline(settings) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 3) n")
        pipeline.tend_cache()
        yield made


@pytest.fixture
def two_years(settings, database, redis_client) -> Iterator[World]:
    """Accounts 1 to 3; the first spent 10 dollars eighty times last year, and 20 this year. All of it is computed."""
    with Pipeline(settings.model_copy(update={"start_date": date(2025, 1, 1)})) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 3) n")
        made.sql("INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                 "SELECT 1, 10, 'USD', timestamptz '2025-01-02 12:00+00' + n * interval '4 days' "
                 "FROM generate_series(1, 80) n")  # fmt: skip
        made.spend(1, 20)
        made.settle()
        made.hourly([Period.holding(Grain.YEAR, TODAY).shift(-back) for back in (0, 1)])
        assert made.wrong() == []
        yield made
