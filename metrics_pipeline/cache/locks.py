"""Period locks: of several runs that want one period, one computes it.

A lock is a Redis key with a lease, renewed while its run works, and released by nobody but its owner.
Locks save work; what keeps numbers right are the store's transactions. So without Redis runs go on
without locks, and say so.
"""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Literal

from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from metrics_pipeline.errors import TransientError
from metrics_pipeline.periods import Period

logger = logging.getLogger(__name__)

LOCK_PREFIX = "metrics:lock:"
LEASE_SECONDS = 60.0
PATIENCE_SECONDS = 30.0

Policy = Literal["skip", "wait"]
"""What to do about periods that another run holds: leave them out, or wait for them."""

_POLL_SECONDS = 0.1
_RENEWALS_PER_LEASE = 3


class PeriodBusy(TransientError):
    """Another run holds a period, and held it for longer than was waited."""


class LockLost(TransientError):
    """A lock's lease ran out and another run took the period over."""


class PeriodLocks:
    """The locks of one run. `held`: the periods it may compute; `skipped`: the others, each with its holder."""

    def __init__(self, redis: Redis, holder: str, lease_seconds: float) -> None:
        self.held: list[Period] = []
        self.skipped: dict[Period, str] = {}
        self._redis, self._holder, self._lease = redis, holder, lease_seconds
        self._locks: dict[Period, Lock] = {}
        self._lost: dict[Period, str] = {}
        self._without = False
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._renewing = threading.Thread(target=self._renew_until_closed, name="period locks", daemon=True)

    def check(self) -> None:
        """Raises LockLost if another run holds one of these periods now: to be asked before each commit.

        Looks into Redis itself, as this process may have stood still for longer than its lease. A lock
        that is gone without a new owner (Redis was emptied) is no reason to stop.
        """
        with self._changing:
            locks = dict(self._locks)
        if locks:
            with suppress(RedisError):
                found = self._redis.mget([lock.name for lock in locks.values()])
                for (period, lock), token in zip(locks.items(), found, strict=True):
                    if token not in (None, lock.local.token):
                        self._lost[period] = holder_in(token)
        if self._lost:
            period, holder = next(iter(self._lost.items()))
            raise LockLost(
                f"{period} was taken over by run {holder}, because run {self._holder} did not renew its lock for "
                f"{self._lease:g} s. What it has not committed by now is left to the other run; it will be tried again."
            )

    def acquire(self, periods: Iterable[Period], policy: Policy, patience_seconds: float) -> None:
        """Lock periods in their order, whoever asks: so that two runs never wait for each other."""
        deadline = time.monotonic() + patience_seconds
        for period in sorted(set(periods)):
            while holder := self._held_by_another(period):
                if policy == "skip":
                    self.skipped[period] = holder
                    break
                if time.monotonic() + _POLL_SECONDS > deadline:
                    raise PeriodBusy(
                        f"{period} is being computed by run {holder}, still after {patience_seconds:g} s; nothing was "
                        f"written. Try again later; `metrics-pipeline locks` shows whether that run is alive."
                    )
                time.sleep(_POLL_SECONDS)
            else:
                self.held.append(period)

    def start_renewing(self) -> None:
        self._renewing.start()

    def release(self) -> None:
        """Give back what is still ours. What Redis does not hear of ends with its lease."""
        self._closed.set()
        self._renewing.join()
        for lock in self._locks.values():
            with suppress(LockError, RedisError):
                lock.release()

    def _held_by_another(self, period: Period) -> str | None:
        """Who else holds a period; None when it has become ours."""
        if self._without:
            return None
        # Not thread_local: the renewing thread uses the same lock.
        lock = Lock(self._redis, lock_key(period), timeout=self._lease, blocking=False, thread_local=False)
        token = self._token()
        try:
            while not lock.acquire(token=token):
                there = self._redis.get(lock.name)
                if there == token.encode():  # the answer to the first try was lost, and the client tried again
                    lock.local.token = there
                    break
                if there:
                    return holder_in(there)
        except RedisError as error:
            self._without = True
            logger.warning("computing without locks from %s on, as Redis gave none (%s)", period, error)
            return None
        with self._changing:
            self._locks[period] = lock
        return None

    def _token(self) -> str:
        """Of this one taking: a later try of the same run is another owner."""
        since = datetime.now(timezone.utc).isoformat()
        return json.dumps(
            {
                "holder": self._holder,
                "host": socket.gethostname(),
                "since": since,
                "lease": self._lease,
                "nonce": secrets.token_hex(8),
            }
        )

    def _renew_until_closed(self) -> None:
        while not self._closed.wait(self._lease / _RENEWALS_PER_LEASE):
            with self._changing:
                locks = dict(self._locks)
            for period, lock in locks.items():
                # Redis may be back for the next round; until then the lease runs on.
                with suppress(RedisError):
                    self._renew(period, lock)

    def _renew(self, period: Period, lock: Lock) -> None:
        """A lock that has gone without a new owner is taken again; one that has an owner is lost."""
        token = lock.local.token
        try:
            lock.reacquire()
        except LockError:
            if not lock.acquire(token=token):
                self._lost[period] = holder_in(self._redis.get(lock.name) or b"")
                with self._changing:
                    del self._locks[period]


@contextmanager
def period_locks(
    redis: Redis,
    periods: Iterable[Period],
    *,
    holder: str,
    policy: Policy,
    patience_seconds: float = PATIENCE_SECONDS,
    lease_seconds: float = LEASE_SECONDS,
) -> Iterator[PeriodLocks]:
    """Hold the locks of periods during the block; one thread renews them all.

    Args:
        holder: the run's id, for people, messages and the monitor.
        patience_seconds: how long `wait` waits, for all periods together.
        lease_seconds: how long a lock outlives a process that was killed.

    Raises PeriodBusy under `wait`, after giving back what was locked by then. Without Redis every
    period counts as held, and a warning is logged.
    """
    locks = PeriodLocks(redis, holder, lease_seconds)
    locks.start_renewing()
    try:
        locks.acquire(periods, policy, patience_seconds)
        yield locks
    finally:
        locks.release()


def lock_key(period: Period) -> str:
    """Without braces, so that a cache that is emptied keeps its locks."""
    return f"{LOCK_PREFIX}{period.grain.value}:{period.key}"


def holder_in(token: bytes | str) -> str:
    """The holder that a lock's token names; the token itself where it was not written here."""
    try:
        return str(json.loads(token)["holder"])
    except (ValueError, KeyError, TypeError):
        return (token if isinstance(token, str) else token.decode(errors="replace")) or "unknown"
