"""Period locks in Redis: keys with a lease that a thread renews, released by nobody but their owner."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone

from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from metrics_pipeline.cache.held_locks import clear_lock, read_lock, stale_locks
from metrics_pipeline.cache.lock_keys import holder_in, lock_key, new_token, shard_name
from metrics_pipeline.errors import CacheUnavailable, TransientError
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.shards import Shard

logger = logging.getLogger(__name__)

_RENEWALS_PER_LEASE = 6

# Takes a lock, or tells which key is in the way and its token. A whole period is in the way of its
# shards, and each of these of the whole; shards of another count share accounts with these. The set
# only names shards to look at, so that one whose key has expired is nobody's.
_TAKE = """
local own, whole, shards = KEYS[1], KEYS[2], KEYS[3]
local token, lease, shard, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local function in_the_way(key)
  local there = redis.call('GET', key)
  if there and there ~= token then return {key, there} end
end
local found = in_the_way(own) or (shard ~= '' and in_the_way(whole))
if found then return found end
for _, name in ipairs(redis.call('SMEMBERS', shards)) do
  if shard == '' or string.match(name, '%d+$') ~= count then
    found = in_the_way(whole .. ':' .. name)
    if found then return found end
    redis.call('SREM', shards, name)
  end
end
redis.call('SET', own, token, 'PX', lease)
if shard ~= '' then
  redis.call('SADD', shards, shard)
  redis.call('PEXPIRE', shards, 604800000)
end
return false
"""


class LockLost(TransientError):
    """A lock that was held is not any longer: its lease, or its session with PostgreSQL, ended."""


class LeasedLocks:
    """The locks of one run in Redis.

    Args:
        is_alive: of a run id. With it, a lock whose run is dead and missed its renewals is cleared when
            met, instead of waiting for the end of its lease.
    """

    def __init__(
        self, redis: Redis, holder: str, shard: Shard | None, lease: float, is_alive: Callable[[str], bool] | None
    ) -> None:
        self._redis, self._holder, self._shard, self._lease, self._is_alive = redis, holder, shard, lease, is_alive
        self._script = redis.register_script(_TAKE)
        self._locks: dict[Period, Lock] = {}
        self._lost: dict[Period, str] = {}
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._renewing = threading.Thread(target=self._renew_until_closed, name="period locks", daemon=True)
        self._renewing.start()

    def take(self, period: Period) -> str | None:
        """Who else holds a period; None when it has become ours. Raises CacheUnavailable."""
        # Not thread_local: the renewing thread uses the same lock.
        lock = Lock(self._redis, lock_key(period, self._shard), timeout=self._lease, thread_local=False)
        lock.local.token = new_token(self._holder, self._lease).encode()
        try:
            while there := self._take(period, lock):
                if not self._cleared(there[0]):
                    return holder_in(there[1])
        except RedisError as error:
            raise CacheUnavailable(f"Locking {period}: Redis gave no lock ({error}).") from error
        with self._changing:
            self._locks[period] = lock
        return None

    def check(self) -> None:
        """Raises LockLost if another run holds one of these periods now.

        Looks into Redis itself, as this process may have stood still for longer than its lease. A lock
        that is gone without a new owner (Redis was emptied) is taken again.
        """
        with self._changing:
            locks = dict(self._locks)
        if locks:
            with suppress(RedisError):
                found = self._redis.mget([lock.name for lock in locks.values()])
                for (period, lock), token in zip(locks.items(), found, strict=True):
                    if token != lock.local.token:
                        self._take_again(period, lock)
        if self._lost:
            period, holder = next(iter(self._lost.items()))
            raise LockLost(
                f"{period} was taken over by run {holder}, because run {self._holder} did not renew its lock for "
                f"{self._lease:g} s. What it has not committed by now is left to the other run; it will be tried again."
            )

    def release(self) -> None:
        """Give back what is still ours. What Redis does not hear of ends with its lease."""
        self._closed.set()
        self._renewing.join()
        for lock in self._locks.values():
            with suppress(LockError, RedisError):
                lock.release()

    def _take(self, period: Period, lock: Lock) -> tuple[str, bytes] | None:
        """The key in the way and its token. Our own token there is an earlier try, whose answer was lost."""
        whole, shard = lock_key(period), self._shard
        found = self._script(
            keys=[lock.name, whole, whole.replace(":lock:", ":lock-shards:", 1)],
            args=[
                lock.local.token,
                int(self._lease * 1000),
                shard_name(shard) if shard else "",
                shard.count if shard else "",
            ],
        )
        return (found[0].decode(), found[1]) if found else None

    def _take_again(self, period: Period, lock: Lock) -> None:
        if there := self._take(period, lock):
            self._lost[period] = holder_in(there[1])
            with self._changing:
                self._locks.pop(period, None)

    def _cleared(self, key: str) -> bool:
        """Whether the lock in the way was of a dead run, and is gone now."""
        if self._is_alive is None:
            return False
        now = datetime.now(timezone.utc)
        held = read_lock(self._redis, key, now)
        if held is None:
            return True
        if held.lease_seconds is None or not stale_locks([held], self._is_alive, now):
            return False  # without a lease it was not a run that took it, but a person
        if clear_lock(self._redis, held):
            logger.warning("cleared the lock %s, which outlived run %s", key, held.holder)
        return True

    def _renew_until_closed(self) -> None:
        while not self._closed.wait(self._lease / _RENEWALS_PER_LEASE):
            with self._changing:
                locks = dict(self._locks)
            for period, lock in locks.items():
                # Redis may be back for the next round; until then the lease runs on.
                with suppress(RedisError):
                    try:
                        lock.reacquire()
                    except LockError:
                        self._take_again(period, lock)
