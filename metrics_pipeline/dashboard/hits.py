"""The usual case, short: all that is asked for is in the cache, and is answered on the event loop.

Anything else (an entry missing or outdated, Redis away) is the reader's, in a thread. What is asked for while
an answer of Redis is awaited goes into one MGET after it: the more visitors, the fewer round trips.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import date
from functools import lru_cache
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from metrics_pipeline.cache.counters import count_reads
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.cache.reader import Reading
from metrics_pipeline.cache.wanted import Wanted, as_required
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.periods import Period
from metrics_pipeline.settings import Settings

_TIMEOUT_SECONDS = 1.0  # then the reader is asked, which knows what to do without Redis
_COUNT_SECONDS = 1.0


class CacheHits:
    """Whole hits by one MGET. Reads are counted for the hit rate, once a second."""

    def __init__(self, settings: Settings) -> None:
        assert settings.redis_url is not None  # or there would be no Pipeline
        self._fingerprint = fingerprint(settings)
        self._redis = Redis.from_url(
            settings.redis_url,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            socket_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._uncounted = 0
        self._waiting: list[tuple[list[str], asyncio.Future[list[bytes | None]]]] = []
        self._fetching: asyncio.Task[None] | None = None

    async def read(self, account_id: int, periods: tuple[Period, ...], today: date) -> list[Reading] | None:
        """All of them, or None when any is not there or may not be served."""
        try:
            values = await self._fetch([cache_key(account_id, period) for period in periods])
        except (RedisError, OSError):
            return None
        readings = []
        for value, wanted in zip(values, _wanted(periods, today), strict=True):
            entry = Entry.decode(value) if value else None
            if entry is None or wanted.unfit(entry, self._fingerprint):
                return None
            readings.append(Reading(entry.payload, entry.version, "cache"))
        self._uncounted += len(readings)
        return readings

    async def _fetch(self, keys: list[str]) -> list[bytes | None]:
        answer: asyncio.Future[list[bytes | None]] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, answer))
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_waiting())
        return await answer

    async def _fetch_waiting(self) -> None:
        """Until nobody waits. Who has gone away meanwhile has a cancelled future."""
        try:
            while batch := self._waiting:
                self._waiting = []
                try:
                    values: list[Any] = await self._redis.mget([key for keys, _ in batch for key in keys])
                except Exception as error:  # whatever it is, nobody is left waiting
                    for _, answer in batch:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                start = 0
                for keys, answer in batch:
                    if not answer.done():
                        answer.set_result(values[start : start + len(keys)])
                    start += len(keys)
        finally:
            self._fetching = None

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[None]:
        """Counts for as long as the application runs, and closes the connections at the end."""
        task = asyncio.create_task(self._count_for_good())
        try:
            yield
        finally:
            while not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=0.5)
            await self._count()
            await self._redis.aclose()

    async def _count_for_good(self) -> None:
        while True:
            await asyncio.sleep(_COUNT_SECONDS)
            await self._count()

    async def _count(self) -> None:
        reads, self._uncounted = self._uncounted, 0
        if reads:
            with suppress(RedisError, OSError):
                pipeline = self._redis.pipeline(transaction=False)
                count_reads(pipeline, reads)
                await pipeline.execute()


@lru_cache(maxsize=1024)
def _wanted(periods: tuple[Period, ...], today: date) -> tuple[Wanted, ...]:
    return as_required(periods, today)
