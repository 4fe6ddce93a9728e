"""A Redis that takes connections and answers nothing: frozen, swapping, or behind a network that drops packets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from metrics_pipeline.cache import reader
from metrics_pipeline.periods import Grain
from metrics_pipeline_tests.world import TODAY, World


@contextmanager
def hanging(world: World) -> Iterator[None]:
    server = psutil.Process(world.redis.info("server")["process_id"])
    server.suspend()
    try:
        yield
    finally:
        server.resume()


def test_reads_wait_for_it_once_and_come_back_to_it(world, monkeypatch):
    monkeypatch.setattr(reader, "_HANGS_SECONDS", 3.0)
    world.spend(1, 10)
    world.settle()

    def read() -> tuple[str, float]:
        started = time.monotonic()
        reading = world.pipeline.reader.get(1, Grain.MONTH, today=TODAY)
        assert reading.payload.currencies["USD"].total == 10
        return reading.source, time.monotonic() - started

    assert read()[0] == "cache"
    with hanging(world):
        source, seconds = read()
        assert (source, seconds < 5) == ("store", True)
        again = [read() for _ in range(20)]
        assert {source for source, _ in again} == {"store"}
        assert sum(seconds for _, seconds in again) < 1
    deadline = time.monotonic() + 10
    while read()[0] != "cache":
        assert time.monotonic() < deadline
