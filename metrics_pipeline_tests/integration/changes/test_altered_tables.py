"""ALTER TABLE waits for whoever has looked at the table, and whoever looks later waits for it: no run may be both."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import text

from metrics_pipeline import database as sessions
from metrics_pipeline import refresh, renewal
from metrics_pipeline.errors import ConcurrentUpdate
from metrics_pipeline.metrics.compute import Computation
from metrics_pipeline.periods import Grain
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline_tests.end_to_end.running import wait_until
from metrics_pipeline_tests.world import CURRENT, NOW, TODAY, World

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock')"


class Altering:
    """In the middle of a run, another transaction begins to alter a table."""

    def __init__(self, world: World, pool: ThreadPoolExecutor, change: str) -> None:
        self._world, self._pool, self._change = world, pool, change
        self._once = threading.Lock()
        self.done: Future[None] | None = None

    def begin(self) -> None:
        with self._once:
            if self.done is None:
                self.done = self._pool.submit(self._alter)
                wait_until(
                    lambda: self.done.done() or bool(self._world.sql(WAITING)), "it to be altered, or to wait", 5
                )

    def _alter(self) -> None:
        with self._world.connect() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(text(f"ALTER TABLE {self._change}"))
            connection.commit()


@pytest.mark.parametrize("table", ["metrics.period_metrics", "expenses"])
def test_a_table_can_be_altered_while_payloads_are_written(world, table):
    for account in (1, 2, 3):
        world.spend(account, 10)
    settings = world.pipeline.settings.model_copy(update={"chunk_payloads": 1})
    with ThreadPoolExecutor(1) as pool, Pipeline(settings) as pipeline:
        altering = Altering(world, pool, f"{table} ADD COLUMN remark text")
        outcome = pipeline.refresh(RefreshRequest(CURRENT, TODAY), before_commit=altering.begin)
        altering.done.result(10)
    assert outcome.rewritten == outcome.payloads == 3 * len(CURRENT)
    world.settle()
    assert world.wrong() == []


def test_a_table_that_is_rewritten_between_two_portions_is_not_taken_for_an_empty_one(world, monkeypatch):
    """By an older snapshot it is one. The run waits for the ALTER TABLE and that one for the run, until it gives up."""
    monkeypatch.setattr(sessions, "_SESSION", sessions._SESSION.replace("lock_timeout=1min", "lock_timeout=500ms"))
    for account in (1, 2, 3):
        world.spend(account, 10)
    settings = world.pipeline.settings.model_copy(update={"memory_budget_mb": 0.0001})
    with ThreadPoolExecutor(1) as pool, Pipeline(settings) as pipeline:
        altering = Altering(world, pool, "expenses ALTER COLUMN amount TYPE numeric(14, 4)")
        portions = itertools.count()

        def compute(*arguments, **named):
            if next(portions) == 1:
                altering.begin()
            return Computation(*arguments, **named)

        monkeypatch.setattr(refresh, "Computation", compute)
        with pytest.raises(ConcurrentUpdate):
            pipeline.refresh(RefreshRequest(CURRENT, TODAY))
        altering.done.result(10)
        assert world.wrong() == []
        pipeline.refresh(RefreshRequest(CURRENT, TODAY))
    assert world.wrong() == []
    assert world.total(3, Grain.MONTH, "store") == 10


def test_a_table_that_stays_locked_ends_the_run_with_a_word(world, monkeypatch):
    monkeypatch.setattr(sessions, "_SESSION", sessions._SESSION.replace("lock_timeout=1min", "lock_timeout=100ms"))
    world.spend(1, 10)
    with world.connect() as other, Pipeline(world.pipeline.settings) as pipeline:
        other.execute(text("LOCK TABLE expenses"))
        with pytest.raises(ConcurrentUpdate, match=r"^Refreshing .* kept a table or row locked for a minute"):
            pipeline.refresh(RefreshRequest(CURRENT, TODAY))
        other.rollback()
        assert pipeline.refresh(RefreshRequest(CURRENT, TODAY)).payloads == 3 * len(CURRENT)


def test_the_store_can_be_altered_while_the_cache_is_warmed_from_it(world, monkeypatch):
    world.spend(1, 10)
    world.settle()
    world.redis.flushdb()
    found = renewal.renew
    with ThreadPoolExecutor(1) as pool, Pipeline(world.pipeline.settings) as pipeline:
        altering = Altering(world, pool, "metrics.period_metrics ADD COLUMN remark text")

        def renew(*arguments):
            altering.begin()
            return found(*arguments)

        monkeypatch.setattr(renewal, "renew", renew)
        assert pipeline.warm(NOW) > 0
        altering.done.result(10)
    assert world.wrong() == []
