"""The usual case, short: all that is asked for is in the cache, and is answered on the event loop.

Anything else (an entry missing or outdated, Redis away) is the reader's, in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import date
from functools import lru_cache

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from metrics_pipeline.cache.counters import count_reads
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.cache.reader import Reading
from metrics_pipeline.cache.wanted import Wanted, as_required
from metrics_pipeline.metrics.compute import fingerprint
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

    async def read(self, account_id: int, periods: tuple[Period, ...], today: date) -> list[Reading] | None:
        """All of them, or None when any is not there or may not be served."""
        try:
            values = await self._redis.mget([cache_key(account_id, period) for period in periods])
        except (RedisError, OSError):
            return None
        readings = []
        for value, wanted in zip(values, _wanted(periods, today), strict=True):
            entry = Entry.decode(value) if isinstance(value, bytes) else None
            if entry is None or wanted.unfit(entry, self._fingerprint):
                return None
            readings.append(Reading(entry.payload, entry.version, "cache"))
        self._uncounted += len(readings)
        return readings

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
