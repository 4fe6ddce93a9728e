"""Runs that divide the accounts of a period: together they do what one does, and none clears what is everybody's."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import pytest

from metrics_pipeline.database import read_transaction
from metrics_pipeline.metrics.compute import Computation, Timer
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.planning.shards import Shard
from metrics_pipeline_tests.world import CURRENT, TODAY, World


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[World]:
    with Pipeline(settings) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 7) n")
        for account in range(1, 8):
            made.spend(account, account)
        yield made


def everybody_changed(world: World) -> int:
    """A change of all accounts, absorbed: wildcards. Returns how many."""
    world.sql("INSERT INTO categories (id, name) VALUES (1, 'Food')")
    world.sql("UPDATE expenses SET category_id = 1")
    world.sql("UPDATE categories SET name = 'Meals'")
    world.absorb()
    return wildcards(world)


def wildcards(world: World) -> int:
    return int(world.sql("SELECT count(*) FROM metrics.stale_periods WHERE account_id = 0"))


def marked(world: World) -> set[int]:
    ids = world.sql("SELECT array_agg(DISTINCT account_id) FROM metrics.stale_periods WHERE account_id > 0")
    return set(ids or ())


def test_a_shard_computes_its_own_accounts(world):
    outcome = world.hourly(shard=Shard(2, 3))
    assert {payload.account_id for payload in world.pipeline.export()} == {1, 4, 7}
    assert (outcome.accounts, outcome.accounts_to_do, outcome.share_done) == (3, 3, 1.0)
    for index in (1, 3):
        world.hourly(shard=Shard(index, 3))
    assert {payload.account_id for payload in world.pipeline.export()} == set(range(1, 8))
    assert world.wrong() == []


def test_a_shard_of_accounts_asked_for(world):
    world.pipeline.refresh(RefreshRequest(CURRENT, TODAY, [1, 2, 5, 6], shard=Shard(1, 2)))
    assert {payload.account_id for payload in world.pipeline.export()} == {2, 6}
    none = world.pipeline.refresh(RefreshRequest(CURRENT, TODAY, [1, 5], shard=Shard(1, 2)))
    assert none.payloads == 0


def test_a_program_calculates_a_shard(world):
    outcome = world.pipeline.calculate(today=TODAY, shard=Shard(1, 7))
    assert {payload.account_id for payload in world.pipeline.export()} == {7}
    assert outcome.payloads == len(CURRENT)


@pytest.mark.parametrize("mode", ["only_stale", "only_outdated"])
def test_a_shard_clears_the_marks_of_its_own_accounts(world, mode):
    world.settle()
    world.sql("UPDATE expenses SET amount = amount + 1")
    world.absorb()
    assert marked(world) == set(range(1, 8))
    options = {"only_outdated": False, mode: True}
    world.hourly(shard=Shard(1, 2), **options)
    assert marked(world) == {1, 3, 5, 7}
    world.hourly(shard=Shard(2, 2), **options)
    assert marked(world) == set()
    assert world.wrong() == []


def test_wildcards_survive_shards_and_are_cleared_by_a_run_over_everybody(world):
    """The second of two shards may see a wildcard that the first one did not: none of them knows to be the last."""
    world.hourly(shard=Shard(1, 2))
    assert (there := everybody_changed(world)) > 0
    world.hourly(shard=Shard(2, 2))
    assert wildcards(world) == there
    world.settle()
    assert wildcards(world) == 0
    assert world.wrong() == []
    names = {c.name for p in world.pipeline.export() for currency in p.currencies.values() for c in currency.categories}
    assert names == {"Meals"}


def test_portions_keep_to_their_accounts_whatever_is_marked(world):
    """An account that is marked is computed in the portion that has read its expenses, and in no other."""
    world.settle()
    world.sql("UPDATE expenses SET amount = amount + 1")
    world.absorb()
    with Pipeline(world.pipeline.settings.model_copy(update={"memory_budget_mb": 0.0001})) as small:
        outcome = small.refresh(RefreshRequest(CURRENT, TODAY))
    assert (outcome.accounts, outcome.payloads) == (7, 7 * len(CURRENT))
    world.settle()
    assert world.wrong() == []


def test_payloads_that_wait_to_be_written_do_not_keep_the_expenses(world):
    """A run's memory would grow by those of the portion before."""
    world.spend(1, 10)
    with read_transaction(world.pipeline.engine) as connection:
        computation = Computation(connection, world.pipeline.settings, CURRENT, TODAY, None, Timer({}))
    blocks, kept = computation.blocks(CURRENT[0]), weakref.ref(computation)
    del computation
    assert kept() is None
    assert sum(len(block.contents()) for block in blocks) > 0
