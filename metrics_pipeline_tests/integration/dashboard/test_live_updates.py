"""What is published reaches the pages of its account, and no others."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest

from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.cache.publisher import CHANNEL
from metrics_pipeline.dashboard.live import LiveUpdates
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import RefreshRequest


async def next_event(events):
    event = await asyncio.wait_for(anext(events), 10)
    return event.event, event.data


async def until_connected(live: LiveUpdates) -> None:
    async with asyncio.timeout(10):
        while not live.connected:
            await asyncio.sleep(0.01)


def test_a_refresh_is_told_to_its_own_account_only(pipeline):
    today = pipeline.settings.today()
    periods = [Period.holding(Grain.DAY, today)]

    async def story() -> None:
        live = LiveUpdates(pipeline.settings.redis_url)
        async with live.running():
            await until_connected(live)
            one, two = live.events(1, None), live.events(2, None)
            assert await next_event(one) == await next_event(two) == ("connection", "live")
            await asyncio.to_thread(pipeline.refresh, RefreshRequest(periods, today, [2]))
            await asyncio.to_thread(pipeline.refresh, RefreshRequest(periods, today, [1]))
            assert await next_event(one) == ("published", f'["{cache_key(1, periods[0])}"]')
            assert await next_event(two) == ("published", f'["{cache_key(2, periods[0])}"]')
            await one.aclose()
            await two.aclose()
            assert live.listeners == 0

    asyncio.run(story())


def test_pages_are_told_when_redis_goes_and_comes_back(redis_url, redis_client):
    async def story() -> None:
        live = LiveUpdates(redis_url)
        async with live.running():
            await until_connected(live)
            events = live.events(1, None)
            assert await next_event(events) == ("connection", "live")
            redis_client.client_kill_filter(_type="pubsub")
            assert await next_event(events) == ("connection", "away")
            assert await next_event(events) == ("connection", "live")
            redis_client.publish(CHANNEL, "metrics:{1}:day:2026-01-01")
            assert await next_event(events) == ("published", '["metrics:{1}:day:2026-01-01"]')
            await events.aclose()

    asyncio.run(story())


@pytest.mark.parametrize("keys", [b"metrics:{}:this metrics:{x}:", b"metrics:{2}:this", b"metrics:{1}x:this", b"\xff"])
def test_what_is_not_for_the_account_is_not_told(redis_url, redis_client, keys):
    async def story() -> None:
        live = LiveUpdates(redis_url)
        async with live.running():
            await until_connected(live)
            events = live.events(1, None)
            await next_event(events)
            redis_client.publish(CHANNEL, keys)
            redis_client.publish(CHANNEL, "metrics:{2}:this metrics:{1}:that")
            assert await next_event(events) == ("published", '["metrics:{1}:that"]')
            await events.aclose()

    asyncio.run(story())


def test_a_stream_ends_with_its_token(redis_url):
    async def story() -> None:
        live = LiveUpdates(redis_url)
        events = live.events(1, datetime.now(timezone.utc) + timedelta(seconds=0.3))
        assert await next_event(events) == ("connection", "away")
        with suppress(StopAsyncIteration):
            await next_event(events)
            pytest.fail("the stream went on")

    asyncio.run(story())
