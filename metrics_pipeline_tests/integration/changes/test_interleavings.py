"""Interleavings of writers, absorbers and refreshes that break a simpler design, on real connections.

`test_guards.py` takes the rules out one by one and expects the test of each to fail.
"""

from __future__ import annotations

import threading

import pytest

from metrics_pipeline import chunk, refresh
from metrics_pipeline.planning.affected import EVERYBODY
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline_tests.world import (
    CURRENT,
    NOW,
    TODAY,
    before,
    between_snapshot_and_store,
    execute,
    spend,
)

DAY = CURRENT[0]


def test_a_change_that_commits_late_with_a_smaller_id_is_not_skipped(world):
    slow, fast = world.connect(), world.connect()
    spend(slow, 1, 10)  # logged first, still open
    spend(fast, 2, 20)
    fast.commit()
    assert world.pipeline.absorb_changes(NOW).changes == 1
    slow.commit()
    assert world.pipeline.absorb_changes(NOW).changes == 1
    world.settle()
    assert (world.total(1), world.total(2)) == (10, 20)


def test_a_rolled_back_change_leaves_nothing_to_do(world):
    connection = world.connect()
    spend(connection, 1, 10)
    connection.rollback()
    assert world.pipeline.absorb_changes(NOW).changes == 0


def test_a_deleted_expense_is_not_resurrected_by_an_older_snapshot(world, monkeypatch):
    expense = world.spend(1, 10)

    def delete_and_refresh() -> None:
        world.sql("DELETE FROM expenses WHERE id = :id", id=expense)
        world.settle()

    with between_snapshot_and_store(monkeypatch, delete_and_refresh):
        outcome = world.hourly()
    assert outcome.chunks_retried == 1
    assert world.wrong() == []
    assert world.total(1) == 0


def test_an_undone_edit_is_not_restored_by_an_older_snapshot(world, monkeypatch):
    expense = world.spend(1, 10)
    world.settle()
    world.sql("UPDATE expenses SET amount = 99 WHERE id = :id", id=expense)
    world.absorb()

    def undo_and_refresh() -> None:
        world.sql("UPDATE expenses SET amount = 10 WHERE id = :id", id=expense)
        world.settle()  # finds the stored payload as it should be

    with between_snapshot_and_store(monkeypatch, undo_and_refresh):
        world.hourly()
    assert world.wrong() == []
    assert world.total(1) == world.total(1, source="store") == 10


def test_a_period_that_never_had_a_row_is_not_invented_by_an_older_snapshot(world, monkeypatch):
    world.sql("UPDATE email_accounts SET active = false WHERE id = 1")
    expense = world.spend(1, 10)

    def delete_and_refresh() -> None:
        world.sql("DELETE FROM expenses WHERE id = :id", id=expense)
        world.settle()

    with between_snapshot_and_store(monkeypatch, delete_and_refresh):
        world.pipeline.refresh(RefreshRequest(CURRENT, TODAY, [1]))
    assert world.wrong() == []
    assert world.total(1, source="store") == 0


def test_a_change_that_commits_between_reading_and_storing_stays_to_be_refreshed(world, monkeypatch):
    world.spend(1, 10)
    world.absorb()

    def spend_more() -> None:
        world.spend(1, 5)
        world.absorb()

    with between_snapshot_and_store(monkeypatch, spend_more):
        world.refresh_stale()
    assert world.total(1) is None  # what was published is dropped: it lacks the second expense
    assert world.refresh_stale() is not None
    assert world.total(1) == 15
    assert world.wrong() == []


def test_a_wildcard_renewed_during_the_run_survives_it(world, monkeypatch):
    for account in (1, 2, 3):
        world.spend(account, 10)
    world.settle()
    world.sql("INSERT INTO metrics.expense_changes (account_id, first_at, last_at, operation) "
              "VALUES (0, '2026-03-18', '2026-03-18', 'test')")  # fmt: skip
    world.absorb()

    def change_everything_again() -> None:
        world.sql("UPDATE expenses SET amount = 20")
        world.sql("DELETE FROM metrics.expense_changes")
        world.sql("INSERT INTO metrics.expense_changes (account_id, first_at, last_at, operation) "
                  "VALUES (0, '2026-03-18', '2026-03-18', 'test')")  # fmt: skip
        world.absorb()

    with between_snapshot_and_store(monkeypatch, change_everything_again):
        world.refresh_stale()
    assert any(stale.everybody for stale in world.pipeline.backlog())
    world.settle()
    assert world.wrong() == []
    assert world.total(3) == 20


def test_versions_do_not_start_again_after_a_row_was_lost(world):
    world.spend(1, 10)
    world.settle()
    highest = "SELECT max(version) FROM metrics.period_metrics"
    version = world.sql(highest)
    world.sql("DELETE FROM metrics.period_metrics")
    world.hourly()
    assert world.sql(highest) > version


def test_dying_before_the_marks_are_cleared_leaves_the_work(world, monkeypatch):
    world.spend(1, 10)
    world.absorb()

    def die() -> None:
        raise KeyboardInterrupt

    with before(monkeypatch, chunk, "clear_marks", die), pytest.raises(KeyboardInterrupt):
        world.refresh_stale()
    assert world.pipeline.backlog()
    world.settle()
    assert world.wrong() == []


def test_an_older_snapshot_that_saw_a_table_emptied_and_reloaded(world, monkeypatch):
    world.spend(1, 10)
    world.settle()

    def reload() -> None:
        connection = world.connect()
        execute(connection, "TRUNCATE expenses")
        spend(connection, 1, 30)
        connection.commit()
        world.settle()

    # A truncated table is empty for older snapshots too, which have not read it yet.
    with before(monkeypatch, refresh, "read_work", reload):
        world.hourly()
    assert world.wrong() == []
    assert world.total(1) == 30


def test_a_truncated_table_leaves_nothing_of_it(world):
    world.spend(1, 10)
    world.spend(2, 10, on="2026-02-01")
    world.settle()
    world.sql("TRUNCATE expenses")
    world.settle()
    assert world.wrong() == []
    assert world.total(1) == 0


def test_absorbers_and_refreshes_at_once_never_deadlock(world):
    errors: list[Exception] = []

    def repeat(action) -> None:
        try:
            for _ in range(15):
                action()
        except Exception as error:
            errors.append(error)

    def change_everything() -> None:
        world.sql("UPDATE expenses SET amount = amount + 1")

    for account in (1, 2, 3):
        for day in range(1, 19):
            world.spend(account, 10, on=f"2026-03-{day:02d}")
    work = [change_everything, world.absorb, world.absorb, world.refresh_stale, world.hourly]
    threads = [threading.Thread(target=repeat, args=(action,)) for action in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    world.settle()
    assert world.wrong() == []


def test_a_snapshot_that_is_gone_is_made_up_for(world, monkeypatch):
    world.spend(1, 10)
    original = chunk.snapshot_transaction

    def gone(engine, exported=None):
        return original(engine, "00000000-00000000-1" if exported else None)

    monkeypatch.setattr(chunk, "snapshot_transaction", gone)
    assert world.hourly().chunks_retried == 1
    assert world.wrong() == []


def test_two_refreshes_of_one_account_at_once(world, monkeypatch):
    world.spend(1, 10)
    world.absorb()
    with between_snapshot_and_store(monkeypatch, world.refresh_stale):
        world.refresh_stale()
    world.settle()
    assert world.wrong() == []
    assert world.total(1) == 10


def test_more_marks_than_are_worth_it_become_wildcards(world, monkeypatch):
    from metrics_pipeline.changes import absorb

    monkeypatch.setattr(absorb, "MOST_MARKS", 10)
    for account in (1, 2, 3):
        world.spend(account, 10)
    world.absorb()
    assert world.sql("SELECT array_agg(DISTINCT account_id) FROM metrics.stale_periods") == [EVERYBODY]
    world.settle()
    assert [world.total(account) for account in (1, 2, 3)] == [10, 10, 10]
    assert world.wrong() == []
