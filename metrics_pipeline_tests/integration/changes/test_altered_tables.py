"""ALTER TABLE waits for whoever has looked at the table, and whoever looks later waits for it: no run may be both."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import text

from metrics_pipeline import database as sessions
from metrics_pipeline.errors import ConcurrentUpdate
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline_tests.end_to_end.running import wait_until
from metrics_pipeline_tests.world import CURRENT, TODAY

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock')"


@pytest.mark.parametrize("table", ["metrics.period_metrics", "expenses"])
def test_a_table_can_be_altered_while_payloads_are_written(world, table):
    altering: list[Future[None]] = []
    once = threading.Lock()

    def alter() -> None:
        with world.connect() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(text(f"LOCK TABLE {table}"))
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN remark text"))
            connection.commit()

    def begin_to_alter() -> None:
        """In the transaction of a chunk, which has written into the store."""
        with once:
            if altering:
                return
            altering.append(pool.submit(alter))
            if table == "expenses":  # which nobody is reading any more
                altering[0].result(10)
            else:
                wait_until(lambda: bool(world.sql(WAITING)), "the other transaction to wait", 5)

    for account in (1, 2, 3):
        world.spend(account, 10)
    settings = world.pipeline.settings.model_copy(update={"chunk_payloads": 1})
    with ThreadPoolExecutor(1) as pool, Pipeline(settings) as pipeline:
        outcome = pipeline.refresh(RefreshRequest(CURRENT, TODAY), before_commit=begin_to_alter)
        altering[0].result(10)
    assert outcome.rewritten == outcome.payloads == 3 * len(CURRENT)
    world.settle()
    assert world.wrong() == []


def test_a_table_that_stays_locked_ends_the_run_with_a_word(world, monkeypatch):
    monkeypatch.setattr(sessions, "_SESSION", sessions._SESSION.replace("lock_timeout=1min", "lock_timeout=100ms"))
    world.spend(1, 10)
    with world.connect() as other, Pipeline(world.pipeline.settings) as pipeline:
        other.execute(text("LOCK TABLE expenses"))
        with pytest.raises(ConcurrentUpdate, match=r"^Refreshing .* kept a table or row locked for a minute"):
            pipeline.refresh(RefreshRequest(CURRENT, TODAY))
        other.rollback()
        assert pipeline.refresh(RefreshRequest(CURRENT, TODAY)).payloads == 3 * len(CURRENT)
