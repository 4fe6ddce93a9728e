"""Publishing to Redis: a key is set only when its version is not older than what is there."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from metrics_pipeline.cache.keys import VERSION_WIDTH
from metrics_pipeline.errors import CacheUnavailable, MetricsPipelineError

TTL_JITTER = 0.05
"""Lifetimes differ by up to this share either way, so that entries do not expire together."""

_PIPELINE_COMMANDS = 500

# 1: set; 0: a newer version is there; 2: the same version is there, its lifetime renewed.
_SET_IF_NOT_OLDER = f"""
local there = redis.call('GETRANGE', KEYS[1], 0, {VERSION_WIDTH - 1})
local version = string.sub(ARGV[1], 1, {VERSION_WIDTH})
if there > version then return 0 end
if there == version then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return 2
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


@dataclass(frozen=True)
class Published:
    """What publishing did, in entries and bytes. `superseded`: a newer version was there already."""

    published: int = 0
    superseded: int = 0
    bytes: int = 0


class Publisher:
    """Sets cache entries with a lifetime in seconds, give or take five percent."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = redis.register_script(_SET_IF_NOT_OLDER)

    def publish(self, entries: Iterable[tuple[str, bytes]], ttl_seconds: float) -> Published:
        """Set each entry unless a newer version is there; the same version only lives longer.

        Raises CacheUnavailable when Redis is away. What was set by then stays: publishing again is safe.
        """
        entries = list(entries)
        results: list[int] = []
        try:
            for start in range(0, len(entries), _PIPELINE_COMMANDS):
                results += self._send(entries[start : start + _PIPELINE_COMMANDS], ttl_seconds)
        except (RedisConnectionError, RedisTimeoutError) as error:
            raise CacheUnavailable(
                f"Publishing {len(entries)} payloads: Redis did not answer ({error}). They are in the store; "
                "check that Redis runs and that METRICS_REDIS_URL points to it, then run again."
            ) from error
        except RedisError as error:
            raise MetricsPipelineError(f"Publishing {len(entries)} payloads: Redis refused ({error}).") from error
        return Published(
            published=sum(result > 0 for result in results),
            superseded=results.count(0),
            bytes=sum(len(value) for _, value in entries),
        )

    def _send(self, entries: list[tuple[str, bytes]], ttl_seconds: float) -> list[int]:
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in entries:
            ttl_ms = int(ttl_seconds * 1000 * random.uniform(1 - TTL_JITTER, 1 + TTL_JITTER))
            pipeline.evalsha(self._script.sha, 1, key, value, ttl_ms)
        try:
            return pipeline.execute()
        except NoScriptError:
            self._redis.script_load(_SET_IF_NOT_OLDER)
            return self._send(entries, ttl_seconds)
