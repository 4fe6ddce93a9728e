"""Reads and misses counted in Redis by the hour, so that the hit rate is measured and not estimated."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Literal

from redis import Redis
from redis.asyncio.client import Pipeline as AsyncPipeline
from redis.client import Pipeline
from redis.exceptions import RedisError

from metrics_pipeline.cache.errors import cache_errors

Reason = Literal["cold", "outdated"]
"""Why a read missed: there was no entry (never published, expired or dropped), or one that may not be served."""

COUNTS_KEPT_SECONDS = 8 * 24 * 3600


def count_reads(pipeline: Pipeline | AsyncPipeline, reads: int) -> None:
    """Add to the hour's reads, by commands that the caller sends."""
    pipeline.hincrby(reads_key(), "reads", reads)


def count_misses(redis: Redis, reasons: Sequence[Reason]) -> None:
    """Add to the hour's misses. A read that Redis could not count is still a read."""
    key = reads_key()
    with suppress(RedisError), redis.pipeline(transaction=False) as pipeline:
        for reason, count in Counter(reasons).items():
            pipeline.hincrby(key, reason, count)
        pipeline.expire(key, COUNTS_KEPT_SECONDS)
        pipeline.execute()


@dataclass(frozen=True)
class Reads:
    """Reads of some hours, and the misses among them by reason."""

    reads: int
    misses: dict[str, int]

    @property
    def hit_rate(self) -> float | None:
        """Share of reads answered from the cache, 0 to 1; None without reads."""
        return 1 - sum(self.misses.values()) / self.reads if self.reads else None


def reads_of_hours(redis: Redis, now: datetime, hours: int = 24) -> dict[datetime, Reads]:
    """Counted reads by hour (UTC), oldest first, of the last `hours` that had any. Raises CacheUnavailable."""
    begins = [
        now.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(hours=n)
        for n in range(hours)
    ]
    with cache_errors("Reading the cache's counters"), redis.pipeline(transaction=False) as pipeline:
        for begin in begins:
            pipeline.hgetall(_key(begin))
        counted = pipeline.execute()
    found = {}
    for begin, fields in reversed(list(zip(begins, counted, strict=True))):
        by_name = {name.decode(): int(value) for name, value in fields.items()}
        if reads := by_name.pop("reads", 0):
            found[begin] = Reads(reads, by_name)
    return found


def reads_key() -> str:
    """Where the reads of this hour are counted."""
    return _key_of_hour(int(time.time()) // 3600)


@lru_cache(maxsize=2)
def _key_of_hour(hours: int) -> str:
    return _key(datetime.fromtimestamp(hours * 3600, timezone.utc))


def _key(at: datetime) -> str:
    return f"metrics:reads:{at:%Y-%m-%dT%H}"
