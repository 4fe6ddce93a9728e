"""Noticing a Redis or PostgreSQL that went back in time: versions in the cache then mean nothing.

Both servers keep one counter that moves only together. When they differ (Redis lost or restored, or
failed over to an older replica; PostgreSQL restored or promoted), all entries go. Until the latest ones
are published again the counter in Redis says so: whoever dies meanwhile leaves that to the next look.
"""

from __future__ import annotations

from redis import Redis
from redis.exceptions import ResponseError
from sqlalchemy import Connection

from metrics_pipeline.cache.errors import cache_errors, is_full
from metrics_pipeline.sql import query

CANARY_KEY = "metrics:canary"
_COLD = "/cold"
_SCAN = 1_000


def check_canary(connection: Connection, redis: Redis) -> bool:
    """Compare and advance the counter, in the caller's transaction. Returns whether the entries had to go.

    They have then gone; `confirm_canary` is to be called once the latest ones are published again. Raises
    CacheUnavailable. Dying in between leaves the counters different: the entries go once more.
    """
    state = connection.execute(query("lock_tick_state")).one()
    identity = connection.execute(query("server_identity")).scalar_one()
    with cache_errors("Comparing the cache's canary"):
        lost = redis.get(CANARY_KEY) != f"{identity}/{state.beats}".encode()
        if lost:
            purge(redis)
        try:
            redis.set(CANARY_KEY, f"{identity}/{state.beats + 1}{_COLD if lost else ''}")
        except ResponseError as error:
            if lost or not is_full(error):
                raise
            return False  # both counters stay: what has to be dropped still can be
    connection.execute(query("remember_beat"), {"beats": state.beats + 1})
    return lost


def confirm_canary(redis: Redis) -> None:
    """The latest entries are there again. Raises CacheUnavailable."""
    with cache_errors("Setting the cache's canary"):
        canary = redis.get(CANARY_KEY)
        if isinstance(canary, bytes):
            redis.set(CANARY_KEY, canary.removesuffix(_COLD.encode()))


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
