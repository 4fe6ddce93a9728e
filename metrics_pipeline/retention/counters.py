"""Counters of reads that nobody set an end for."""

from __future__ import annotations

from redis import Redis

from metrics_pipeline.cache.counters import COUNTS_KEPT_SECONDS
from metrics_pipeline.cache.errors import cache_errors

_NO_END = -1  # what Redis says of a key that never expires


def let_counters_expire(redis: Redis, dry_run: bool = False) -> int:
    """Give an end to the counters of hours without any. Returns how many. Raises CacheUnavailable.

    Only a miss sets an end, as a read should cost no more than one command: an hour of hits alone has none.
    """
    with cache_errors("Looking for old counters"):
        keys = list(redis.scan_iter("metrics:reads:*", count=1_000))
        with redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.ttl(key)
            endless = [key for key, ttl in zip(keys, pipeline.execute(), strict=True) if ttl == _NO_END]
        if not dry_run:
            with redis.pipeline(transaction=False) as pipeline:
                for key in endless:
                    pipeline.expire(key, COUNTS_KEPT_SECONDS)
                pipeline.execute()
    return len(endless)
