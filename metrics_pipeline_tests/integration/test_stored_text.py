"""Payloads are stored as the text that was computed: what the cache gets from either is the same, to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline_tests.world import NOW, TODAY, World

MONTH = Period.holding(Grain.MONTH, TODAY)
AWKWARD = 'C:\\new\\.\ta "quoted" name,\nof two lines: Café ☕ \\N %d \x7f'


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[World]:
    with Pipeline(settings) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email, currency) VALUES (1, 'a', 'USD')")
        made.sql("INSERT INTO categories (id, name) VALUES (1, :name), (2, 'Plain')", name=AWKWARD)
        made.absorb()
        yield made


def test_a_payload_from_the_store_is_the_one_that_was_published(world: World) -> None:
    world.spend(1, 10, category_id=1, currency="CRC")
    world.spend(1, 20, category_id=1)
    world.pipeline.refresh(RefreshRequest([MONTH], TODAY))
    published = world.redis.get(cache_key(1, MONTH))
    world.redis.delete(cache_key(1, MONTH))
    assert world.pipeline.warm(NOW) == 1
    assert world.redis.get(cache_key(1, MONTH)) == published
    currencies = json.loads(published[35:])["currencies"]
    assert list(currencies) == ["USD", "CRC"]  # the account's own one first: jsonb would have sorted them
    assert currencies["USD"]["categories"][0]["name"] == AWKWARD


def test_sums_of_earlier_periods_are_told_by_category_only_where_a_budget_asks(world: World) -> None:
    for category in (1, 2):
        world.spend(1, 10, "2026-02-10", category_id=category)
    world.spend(1, 30, "2026-03-17", category_id=1)
    without = world.pipeline.refresh(RefreshRequest([MONTH], TODAY))
    trend = world.pipeline.reader.get(1, Grain.MONTH, on=TODAY).payload.currencies["USD"].trend
    assert (trend.previous_total, trend.previous_count) == (20, 2)
    world.sql(
        "INSERT INTO budgets (id, email_account_id, name, period, amount, currency, start_date) "
        "VALUES (1, 1, 'b', 'monthly', 100, 'USD', '2026-02-01')"
    )
    world.sql("INSERT INTO budget_categories (budget_id, category_id) VALUES (1, 2)")
    with_budget = world.pipeline.refresh(RefreshRequest([MONTH], TODAY))
    assert (without.rows_read, with_budget.rows_read) == (1 + 1, 1 + 2)
    dollars = world.pipeline.reader.get(1, Grain.MONTH, on=TODAY).payload.currencies["USD"]
    assert dollars.trend == trend
    assert dollars.budgets is not None
    assert dollars.budgets.adherence.average_usage_pct == 10.0  # of February's twenty, the ten of its category
