"""A run of everybody reads on two connections, and yet of one moment."""

from __future__ import annotations

import threading

from metrics_pipeline.metrics import pull
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline_tests.world import TODAY, before

MARCH = Period.holding(Grain.MONTH, TODAY)


def test_neither_connection_sees_what_is_committed_after_the_snapshot(world, monkeypatch):
    """An expense in either half of the month, which the two connections read at the same time."""
    both, read = threading.Barrier(2), pull._read_rows

    def read_when_both_are_there(*arguments):
        both.wait(20)
        return read(*arguments)

    def spend() -> None:
        for day in ("2026-03-02", "2026-03-30"):
            world.spend(1, 1, on=day)

    world.spend(1, 10)
    with before(monkeypatch, pull, "read_at_once", spend), monkeypatch.context() as patched:
        patched.setattr(pull, "_read_rows", read_when_both_are_there)
        world.hourly([MARCH], only_outdated=False)
    assert world.total(1, Grain.MONTH, "store") == 10
    world.settle()
    assert world.total(1, Grain.MONTH, "store") == 12
