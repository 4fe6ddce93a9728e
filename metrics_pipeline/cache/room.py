"""Whether Redis has room for payloads that are hardly ever read: locks and queued runs may need its memory too."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import ResponseError

from metrics_pipeline.cache.errors import cache_errors

_SHARE_OF_LIMIT = 0.5
_SHARE_OF_MACHINE = 0.25


def has_room(redis: Redis) -> bool:
    """Whether it holds less than half of its `maxmemory`; without one, than a quarter of its machine's memory.

    One that tells neither, or does not let this user ask, is believed to have room. Raises CacheUnavailable when
    Redis is away.
    """
    with cache_errors("Asking Redis for its memory"):
        try:
            memory = redis.info("memory")
        except ResponseError:
            return True
    limit, machine = memory.get("maxmemory", 0), memory.get("total_system_memory", 0)
    room = limit * _SHARE_OF_LIMIT or machine * _SHARE_OF_MACHINE
    return not room or bool(memory["used_memory"] < room)
