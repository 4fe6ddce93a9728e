"""Letting cache entries live on without sending them again, where they are what the store has."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from redis import Redis

from metrics_pipeline.cache.errors import cache_errors
from metrics_pipeline.cache.keys import VERSION_WIDTH, cache_key
from metrics_pipeline.cache.publisher import TTL_JITTER
from metrics_pipeline.changes.keys import Key

# One call an account. Answers which of them, counted from 1, are absent, older or no entry.
_RENEW = f"""
local absent = {{}}
for n, key in ipairs(KEYS) do
  local there = redis.pcall('GETRANGE', key, 0, {VERSION_WIDTH - 1})
  if there == ARGV[n + 1] then
    if redis.call('PTTL', key) < tonumber(ARGV[1]) then redis.call('PEXPIRE', key, ARGV[1]) end
  elseif type(there) ~= 'string' or there < ARGV[n + 1] then
    absent[#absent + 1] = n
  end
end
return absent
"""


def renew(redis: Redis, versions: Mapping[int, Sequence[tuple[Key, int]]], ttl_seconds: float) -> list[Key]:
    """Renew the lifetime of entries that have these versions. Returns those that must be published instead.

    Sets nothing, so that an entry that is dropped meanwhile stays dropped: no check is needed afterwards.

    Args:
        versions: by account, the keys and the version that the store has of each.
        ttl_seconds: lifetime, give or take five percent; never shortened.

    Raises CacheUnavailable.
    """
    script = redis.register_script(_RENEW)
    with cache_errors(f"Renewing the entries of {len(versions)} accounts"), redis.pipeline(transaction=False) as pipe:
        for of_account in versions.values():
            lifetime_ms = int(ttl_seconds * 1000 * random.uniform(1 - TTL_JITTER, 1 + TTL_JITTER))
            keys = [cache_key(*key) for key, _ in of_account]
            script(keys, [lifetime_ms, *(b"%0*d" % (VERSION_WIDTH, version) for _, version in of_account)], client=pipe)
        answers = pipe.execute()
    return [of_account[n - 1][0] for of_account, absent in zip(versions.values(), answers, strict=True) for n in absent]
