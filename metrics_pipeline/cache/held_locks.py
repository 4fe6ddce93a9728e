"""Looking at period locks from outside: who holds what, which locks outlived their run, and clearing those."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from redis import Redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from metrics_pipeline.cache.errors import cache_errors
from metrics_pipeline.cache.lock_keys import LOCK_PREFIX, holder_in, parse_lock_key
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.shards import Shard

_OVER_AGE = 0.4
"""Share of its lease after which a lock missed two renewals: a living run renews after a sixth."""


@dataclass(frozen=True)
class HeldLock:
    """A lock as Redis has it. None for what cannot be known of a key that was not written by a run.

    Attributes:
        shard: None for the lock of the whole period.
        holder: run id.
        since: when the run took it.
        renewed_at: when its lease was last set to its full length.
        remaining_seconds: of the lease.
    """

    key: str
    period: Period | None
    shard: Shard | None
    holder: str
    host: str | None
    since: datetime | None
    renewed_at: datetime | None
    remaining_seconds: float | None
    lease_seconds: float | None
    token: bytes = field(repr=False)

    def is_over_age(self, now: datetime) -> bool:
        """Whether it missed a renewal, or would stay for ever."""
        if self.renewed_at is None or self.lease_seconds is None:
            return self.remaining_seconds is None
        return now - self.renewed_at > timedelta(seconds=self.lease_seconds * _OVER_AGE)


def list_locks(redis: Redis, now: datetime | None = None) -> list[HeldLock]:
    """All locks of periods, by key. `now` is the present, by which ages are told. Raises CacheUnavailable."""
    with cache_errors("Reading the locks"):
        keys = sorted(key.decode() for key in redis.scan_iter(f"{LOCK_PREFIX}*", count=1_000))
        return _read(redis, keys, now or datetime.now(timezone.utc))


def read_lock(redis: Redis, key: str, now: datetime) -> HeldLock | None:
    """One lock; None when nobody holds it. Raises CacheUnavailable."""
    with cache_errors(f"Reading the lock {key}"):
        return next(iter(_read(redis, [key], now)), None)


def stale_locks(locks: Iterable[HeldLock], is_alive: Callable[[str], bool], now: datetime) -> list[HeldLock]:
    """Locks that missed a renewal and whose run is not alive: age alone would take them from runs at work.

    Args:
        is_alive: of a run id; asked only about locks over age.
    """
    return [lock for lock in locks if lock.is_over_age(now) and not is_alive(lock.holder)]


def clear_lock(redis: Redis, lock: HeldLock) -> bool:
    """Delete a lock if its owner is still the one seen. Returns whether it was. Raises CacheUnavailable."""
    with cache_errors(f"Clearing the lock {lock.key}"):
        try:
            Lock(redis, lock.key).do_release(lock.token)  # type: ignore[arg-type]
        except LockNotOwnedError:
            return False
    return True


def _read(redis: Redis, keys: list[str], now: datetime) -> list[HeldLock]:
    with redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.get(key)
            pipeline.pttl(key)
        answers = pipeline.execute()
    found = zip(keys, answers[::2], answers[1::2], strict=True)
    return [_held(key, token, ttl, now) for key, token, ttl in found if token is not None]


def _held(key: str, token: bytes, ttl_milliseconds: int, now: datetime) -> HeldLock:
    period, shard = parse_lock_key(key)
    remaining = ttl_milliseconds / 1000 if ttl_milliseconds >= 0 else None
    try:
        said = json.loads(token)
        host, since, lease = str(said["host"]), datetime.fromisoformat(said["since"]), float(said["lease"])
    except (ValueError, KeyError, TypeError):
        return HeldLock(key, period, shard, holder_in(token), None, None, None, remaining, None, token)
    renewed = None if remaining is None else now - timedelta(seconds=lease - remaining)
    return HeldLock(key, period, shard, holder_in(token), host, since, renewed, remaining, lease, token)
