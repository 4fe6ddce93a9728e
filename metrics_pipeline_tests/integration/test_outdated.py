"""The hourly mode: of closed periods only what is missing, stale or outdated; the rest is renewed as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.metrics import assemble, compute, fingerprint, layout
from metrics_pipeline.periods import Grain, Period, warm_periods
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome, RefreshRequest
from metrics_pipeline.renewal import Renewer
from metrics_pipeline_tests.world import TODAY, World

HOURLY = warm_periods(TODAY)
CURRENT = [period for period in HOURLY if period.is_current(TODAY)]
CLOSED = [period for period in HOURLY if not period.is_current(TODAY)]
FEBRUARY = Period(Grain.MONTH, date(2026, 2, 1))


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[World]:
    """Accounts 1 to 3; the first two spent in February and March, and all that is computed."""
    with Pipeline(settings) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 3) n")
        for account in (1, 2):
            made.spend(account, 10, "2026-02-10")
            made.spend(account, 20, "2026-03-17")
        made.absorb()
        made.hourly(HOURLY)
        made.settle()
        yield made


def computed(outcome: Outcome) -> set[Period]:
    return set(outcome.payloads_by_period)


def cached(world: World) -> dict[bytes, tuple[int, Any]]:
    """Version and payload of every entry."""
    entries = {key: Entry.decode(world.redis.get(key)) for key in world.redis.scan_iter("metrics:{*}:*:*")}
    return {key: (entry.version, json.loads(entry.payload)) for key, entry in entries.items()}


def test_closed_periods_that_are_as_they_should_be_are_not_computed(world):
    outcome = world.hourly(HOURLY)
    assert computed(outcome) == set(CURRENT)
    assert outcome.payloads == 3 * len(CURRENT)
    stored = [p for p in world.pipeline.export(include_empty=True) if not p.is_current]
    assert outcome.renewed == len([p for p in stored if Period(p.grain, p.period_start) in CLOSED]) > 0


def test_entries_of_closed_periods_live_on(world):
    keys = [key for key in world.redis.scan_iter("metrics:{*}:*:*") if b"2026-02-01" in key]
    assert len(keys) == 2
    before = {key: world.redis.get(key) for key in keys}
    for key in keys:
        world.redis.expire(key, 60)
    world.hourly(HOURLY)
    assert {key: world.redis.get(key) for key in keys} == before
    assert all(3.7 * 3600 < world.redis.ttl(key) <= 4.3 * 3600 for key in keys)


def test_a_lifetime_is_never_shortened(world):
    key = cache_key(1, FEBRUARY)
    world.redis.expire(key, 10 * 3600)
    world.hourly(HOURLY)
    assert world.redis.ttl(key) > 9 * 3600


def test_lost_entries_are_published_from_the_store(world):
    before = cached(world)
    world.redis.flushdb()
    outcome = world.hourly(HOURLY)
    assert computed(outcome) == set(CURRENT)
    hourly = {cache_key(account, period).encode() for account in (1, 2, 3) for period in HOURLY}
    assert cached(world) == {key: entry for key, entry in before.items() if key in hourly}
    assert outcome.published == len(cached(world))
    assert outcome.renewed == 0


def test_a_newer_entry_is_left_alone_and_an_older_one_replaced(world):
    first, second = (cache_key(account, FEBRUARY) for account in (1, 2))
    stored = cached(world)[second.encode()]
    world.redis.set(first, b"9" * 19 + b"newer")
    world.redis.set(second, b"0" * 19 + b"older")
    world.hourly(HOURLY)
    assert world.redis.get(first) == b"9" * 19 + b"newer"
    world.redis.delete(first)
    assert cached(world)[second.encode()] == stored


def test_what_is_no_entry_is_replaced(world):
    key, before = cache_key(1, FEBRUARY), cached(world)
    world.redis.delete(key)
    world.redis.lpush(key, "not an entry")
    world.hourly(HOURLY)
    assert cached(world)[key.encode()] == before[key.encode()]


def test_an_entry_of_something_stale_is_not_renewed(world):
    first, second = (cache_key(account, FEBRUARY) for account in (1, 2))
    entry = world.redis.get(first)
    world.spend(1, 5, "2026-02-11")
    world.absorb()
    world.redis.set(first, entry, ex=60)  # as a publisher would leave it that died before its check
    world.redis.expire(second, 60)
    done = Outcome()
    renewer = Renewer(world.pipeline.settings, world.pipeline.engine, world.redis)
    renewer.renew(RefreshRequest([FEBRUARY], TODAY), done)
    assert (done.renewed, done.published) == (1, 0)
    assert world.redis.ttl(first) <= 60 < world.redis.ttl(second)


def test_a_stale_account_of_a_closed_period_is_computed_alone(world):
    world.spend(1, 5, "2026-02-11")
    world.absorb()
    outcome = world.hourly(HOURLY)
    assert outcome.payloads_by_period[FEBRUARY] == 1
    world.settle()
    assert world.wrong() == []
    assert world.hourly(HOURLY).payloads == 3 * len(CURRENT)


def test_a_missing_row_is_computed(world):
    world.sql("DELETE FROM metrics.period_metrics WHERE account_id = 2 AND grain = 'month'")
    outcome = world.hourly(HOURLY)
    assert outcome.payloads_by_period[FEBRUARY] == 1
    assert world.sql("SELECT count(*) FROM metrics.period_metrics WHERE account_id = 2 AND grain = 'month'") == 2


def test_a_period_that_closed_since_is_computed(world):
    world.pipeline.refresh(RefreshRequest([FEBRUARY], date(2026, 2, 20), [2]))
    assert world.hourly(HOURLY).payloads_by_period[FEBRUARY] == 1
    assert world.hourly(HOURLY).payloads == 3 * len(CURRENT)


def test_an_accounts_first_activation_brings_its_past(world):
    world.sql("INSERT INTO email_accounts (id, email, active) VALUES (9, 'nine', false)")
    world.spend(9, 7, "2026-02-10")
    assert FEBRUARY not in computed(world.hourly(HOURLY))
    world.sql("UPDATE email_accounts SET active = true WHERE id = 9")
    assert world.hourly(HOURLY).payloads_by_period[FEBRUARY] == 1


def test_an_upgrade_makes_older_rows_be_computed_again_current_periods_first(world, monkeypatch):
    """Another code version is another fingerprint. The next hourly run brings the window up to it, once."""
    order: list[Period] = []
    blocks = compute.Computation.blocks

    def watched(self, period, **options):
        order.append(period)
        return blocks(self, period, **options)

    stored = [p for p in world.pipeline.export(include_empty=True) if Period(p.grain, p.period_start) in HOURLY]
    monkeypatch.setattr(fingerprint, "CODE_VERSION", "next")
    monkeypatch.setattr(layout, "CODE_VERSION", "next")
    monkeypatch.setattr(assemble, "account_layout", layout.account_layout.__wrapped__)  # not one that was kept
    monkeypatch.setattr(compute.Computation, "blocks", watched)
    with Pipeline(world.pipeline.settings) as upgraded:
        world.pipeline = upgraded
        outcome = world.hourly(HOURLY)
        assert outcome.rewritten == outcome.payloads == len(stored)
        assert set(order[: len(CURRENT)]) == set(CURRENT)
        closed = order[len(CURRENT) :]
        assert set(closed) == computed(outcome) - set(CURRENT)
        assert closed == sorted(closed, key=lambda period: period.start, reverse=True)
        assert {p.code_version for p in upgraded.export() if Period(p.grain, p.period_start) in HOURLY} == {"next"}
        assert world.hourly(HOURLY).payloads == 3 * len(CURRENT)
