"""Noticing a Redis or PostgreSQL that went back in time: versions in the cache then mean nothing.

Both servers keep one counter that moves only together. When they differ (Redis lost or restored, or
failed over to an older replica; PostgreSQL restored or promoted), all entries go.
"""

from __future__ import annotations

from redis import Redis
from sqlalchemy import Connection

from metrics_pipeline.cache.errors import cache_errors
from metrics_pipeline.sql import query

CANARY_KEY = "metrics:canary"
_SCAN = 1_000


def check_canary(connection: Connection, redis: Redis) -> bool:
    """Compare and advance the counter, in the caller's transaction. Returns whether the entries had to go.

    Raises CacheUnavailable. Dying in between leaves the counters different: the entries go once more.
    """
    state = connection.execute(query("lock_tick_state")).one()
    identity = connection.execute(query("server_identity")).scalar_one()
    with cache_errors("Comparing the cache's canary"):
        lost = redis.get(CANARY_KEY) != f"{identity}/{state.beats}".encode()
        if lost:
            purge(redis)
        redis.set(CANARY_KEY, f"{identity}/{state.beats + 1}")
    connection.execute(query("remember_beat"), {"beats": state.beats + 1})
    return lost


def purge(redis: Redis) -> int:
    """Delete every payload from the cache; counters, locks and queues stay. Returns how many there were."""
    deleted = 0
    with cache_errors("Emptying the cache"):
        batch: list[bytes] = []
        for key in redis.scan_iter("metrics:{*}:*", count=_SCAN):
            batch.append(key)
            if len(batch) == _SCAN:
                deleted += redis.delete(*batch)
                batch.clear()
        if batch:
            deleted += redis.delete(*batch)
    return deleted
