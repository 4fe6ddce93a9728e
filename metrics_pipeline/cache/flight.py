"""Single flight: of many readers that miss the same payload, one computes and the others wait for it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.exceptions import LockError, RedisError

_LEASE_SECONDS = 10.0
_PATIENCE_SECONDS = 2.0
_POLL_SECONDS = 0.02


@contextmanager
def alone(redis: Redis, key: str) -> Iterator[None]:
    """Hold the flight of a key while computing it. Whoever had to wait, or came just after, looks for the result first.

    A courtesy, not a guard: after two seconds, or without Redis, several compute at once, and the
    store's transactions keep that right.
    """
    lock = redis.lock(f"metrics:flight:{key}", timeout=_LEASE_SECONDS, sleep=_POLL_SECONDS, thread_local=False)
    held = False
    with suppress(RedisError):
        held = lock.acquire(blocking_timeout=_PATIENCE_SECONDS, token=secrets.token_hex(8))
    try:
        yield
    finally:
        if held:
            with suppress(LockError, RedisError):
                lock.release()
