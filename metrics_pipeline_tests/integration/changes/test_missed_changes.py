"""Changes that could not be logged are counted, and looked for until their transactions are over."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from metrics_pipeline.changes import missed
from metrics_pipeline.periods import Grain
from metrics_pipeline_tests.world import CURRENT, NOW, TODAY, World, before, execute


def unlogged_change(world: World) -> Connection:
    """Set all amounts to 20 where that can't be logged. Returns the transaction, which is open."""
    locker, slow = world.connect(), world.connect()
    execute(locker, "LOCK TABLE metrics.expense_changes")
    execute(slow, "UPDATE expenses SET amount = 20")
    locker.rollback()
    return slow


def test_a_change_that_could_not_be_logged_makes_everything_stale_at_once(world):
    world.spend(1, 10)
    world.settle()
    world.sql("ALTER TABLE metrics.expense_changes RENAME TO renamed")
    world.sql("UPDATE expenses SET amount = 20")
    world.sql("ALTER TABLE metrics.renamed RENAME TO expense_changes")
    assert world.pipeline.reader.get(1, Grain.DAY, today=TODAY, fresh=True).payload.currencies["USD"].total == 20
    assert world.pipeline.absorb_changes(NOW).missed
    assert {stale.period for stale in world.pipeline.backlog() if stale.everybody} >= set(CURRENT)
    world.settle()
    assert world.wrong() == []
    assert not world.pipeline.absorb_changes(NOW).missed


def test_a_change_that_could_not_be_logged_and_commits_late_is_looked_for_again(world):
    world.spend(1, 10)
    world.settle()
    slow = unlogged_change(world)
    assert world.pipeline.absorb_changes(NOW).missed
    world.settle()  # cannot see the change
    slow.commit()
    assert world.pipeline.absorb_changes(NOW).missed
    world.settle()
    assert world.total(1) == 20
    assert world.wrong() == []


@pytest.mark.parametrize("look", ["missed_changes", "misses_in_flight"])
def test_so_is_one_that_was_missed_between_two_looks(world, monkeypatch, look):
    world.spend(1, 10)
    world.settle()
    slow = []
    with before(monkeypatch, missed, look, lambda: slow.append(unlogged_change(world))):
        world.absorb()
    world.settle()
    slow[0].commit()
    world.settle()
    assert world.total(1) == 20
    assert world.wrong() == []
