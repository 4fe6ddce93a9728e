"""The short way to the cache gives what the reader would, or nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from metrics_pipeline.cache.counters import reads_of_hours
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.dashboard.hits import CacheHits
from metrics_pipeline.periods import Grain, Period


def read(settings, today=None, account_id=1):
    today = today or settings.today()
    periods = tuple(Period.holding(grain, settings.today()) for grain in Grain)

    async def story():
        hits = CacheHits(settings)
        async with hits.counting():
            return await hits.read(account_id, periods, today)

    return asyncio.run(story())


@pytest.fixture
def calculated(pipeline):
    pipeline.calculate(account_ids=[1])
    return pipeline


def test_a_whole_hit_is_what_the_reader_has_and_is_counted(calculated, redis_client):
    assert read(calculated.settings) == list(calculated.reader.get_many(1).values())
    (counted,) = reads_of_hours(redis_client, datetime.now(timezone.utc)).values()
    assert counted.reads == 8  # four here, four by the reader
    assert not counted.misses


def test_visitors_at_once_share_round_trips_and_get_their_own(calculated, redis_client):
    calculated.calculate(account_ids=[2])
    settings = calculated.settings
    periods = tuple(Period.holding(grain, settings.today()) for grain in Grain)

    async def story():
        hits = CacheHits(settings)
        async with hits.counting():
            asking = [asyncio.create_task(hits.read(n % 2 + 1, periods, settings.today())) for n in range(40)]
            await asyncio.sleep(0)
            asking[7].cancel()  # one that goes away takes nobody along
            answers = await asyncio.gather(*asking, return_exceptions=True)
            return answers, await hits.read(1, periods, settings.today())

    redis_client.config_resetstat()
    answers, later = asyncio.run(story())
    assert redis_client.info("commandstats")["cmdstat_mget"]["calls"] <= 3
    expected = [list(calculated.reader.get_many(account_id).values()) for account_id in (1, 2)]
    assert isinstance(answers.pop(7), asyncio.CancelledError)
    assert answers == [expected[n % 2] for n in range(40) if n != 7]
    assert later == expected[0]


def test_a_missing_entry_is_the_readers_to_find(calculated, redis_client):
    redis_client.delete(cache_key(1, Period.holding(Grain.MONTH, calculated.settings.today())))
    assert read(calculated.settings) is None
    assert read(calculated.settings, account_id=2) is None


def test_yesterdays_entry_is_not_served(calculated):
    assert read(calculated.settings, today=calculated.settings.today() + timedelta(days=1)) is None


def test_an_entry_of_other_settings_is_not_served(calculated, redis_client):
    key = cache_key(1, Period.holding(Grain.DAY, calculated.settings.today()))
    entry = Entry.decode(redis_client.get(key))
    other = entry._replace(fingerprint=entry.fingerprint[::-1])
    assert other != entry
    redis_client.set(key, other.encode())
    assert read(calculated.settings) is None
    redis_client.set(key, entry.encode())
    assert read(calculated.settings) is not None


def test_redis_away_is_not_an_error(settings, tmp_path):
    assert read(settings.model_copy(update={"redis_url": f"unix://{tmp_path}/nothing.sock"})) is None
