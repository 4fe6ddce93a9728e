"""Publishing to Redis: a key is set only when its version is not older than what is there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from metrics_pipeline.cache.errors import cache_errors
from metrics_pipeline.cache.keys import VERSION_WIDTH

TTL_JITTER = 0.05
"""Lifetimes differ by up to this share either way, so that entries do not expire together."""

_BATCH = 50
"""Entries of one call: with fewer, and with more than a hundred, the server has more to do for each of them."""

_AT_ONCE = 250
"""Entries that are sent before an answer is waited for. With a thousand, several senders come to wait for their answers
all at once, and the server for them a tenth of the time."""

CHANNEL = "metrics:published"
"""Where Redis tells the keys that have a new version, with spaces between them: those of one call in one message, as
one each would take a listener three seconds for the 170,000 of an hourly run, and the server a tenth of its time."""

# The arguments are a lifetime and each key's value. Answers how many keys have a newer version. A key that has no entry
# at all, but a list for example, is set like an absent one. Numbers are written as texts: Redis would do it each time.
_SET_IF_NOT_OLDER = f"""
local lifetime, superseded, new = ARGV[1], 0, {{}}
for n, key in ipairs(KEYS) do
  local value = ARGV[n + 1]
  local version = string.sub(value, 1, {VERSION_WIDTH})
  local there = redis.pcall('GETRANGE', key, '0', '{VERSION_WIDTH - 1}')
  if there == version then
    if redis.call('PTTL', key) < tonumber(lifetime) then redis.call('PEXPIRE', key, lifetime) end
  elseif type(there) == 'string' and there > version then
    superseded = superseded + 1
  else
    redis.call('SET', key, value, 'PX', lifetime)
    new[#new + 1] = key
  end
end
if #new > 0 then redis.call('PUBLISH', '{CHANNEL}', table.concat(new, ' ')) end
return superseded
"""


@dataclass(frozen=True)
class Published:
    """What publishing did, in entries and bytes.

    Attributes:
        superseded: a newer version was there already.
        left_out: Redis had no room for them.
    """

    published: int = 0
    superseded: int = 0
    left_out: int = 0
    bytes: int = 0


class Publisher:
    """Sets cache entries with a lifetime in seconds, give or take five percent."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def publish(self, entries: Sequence[tuple[str, bytes]], ttl_seconds: float) -> Published:
        """Set each entry unless a newer version is there; the same version only lives longer.

        Raises CacheUnavailable when Redis is away. What was set by then stays: publishing again is safe.
        """
        superseded = 0
        with cache_errors(f"Publishing {len(entries)} payloads"):
            for start in range(0, len(entries), _AT_ONCE):
                superseded += self._set(entries[start : start + _AT_ONCE], ttl_seconds)
        return Published(
            published=len(entries) - superseded, superseded=superseded, bytes=sum(len(value) for _, value in entries)
        )

    def _set(self, entries: Sequence[tuple[str, bytes]], ttl_seconds: float) -> int:
        """Set what is not older; return how many were, and stayed."""
        with self._redis.pipeline(transaction=False) as calls:
            for start in range(0, len(entries), _BATCH):
                keys, values = zip(*entries[start : start + _BATCH], strict=True)
                lifetime_ms = int(ttl_seconds * 1000 * random.uniform(1 - TTL_JITTER, 1 + TTL_JITTER))
                # The text, not its hash, which a server that was restarted or flushed does not know.
                calls.eval(_SET_IF_NOT_OLDER, len(keys), *keys, lifetime_ms, *values)
            return sum(calls.execute())
