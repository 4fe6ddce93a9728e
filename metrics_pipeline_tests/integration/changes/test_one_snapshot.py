"""A run reads on two connections, and yet of one moment."""

from __future__ import annotations

import threading

import pytest

from metrics_pipeline.metrics import pull
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline_tests.world import TODAY, before

MARCH = Period.holding(Grain.MONTH, TODAY)


@pytest.mark.parametrize("account_ids", [None, (1, 2)], ids=["everybody", "named accounts"])
def test_neither_connection_sees_what_is_committed_after_the_snapshot(world, monkeypatch, account_ids):
    """An expense in either half of the month, and of either account: the two connections read them at the same time."""
    both, read = threading.Barrier(2), pull._read_rows

    def read_when_both_are_there(*arguments):
        both.wait(20)
        return read(*arguments)

    def spend() -> None:
        for account in (1, 2):
            for day in ("2026-03-02", "2026-03-30"):
                world.spend(account, 1, on=day)

    world.spend(1, 10)
    world.spend(2, 10)
    with before(monkeypatch, pull, "read_at_once", spend), monkeypatch.context() as patched:
        patched.setattr(pull, "_read_rows", read_when_both_are_there)
        world.pipeline.refresh(RefreshRequest([MARCH], TODAY, account_ids))
    assert [world.total(account, Grain.MONTH, "store") for account in (1, 2)] == [10, 10]
    world.settle()
    assert [world.total(account, Grain.MONTH, "store") for account in (1, 2)] == [12, 12]
