"""Period locks: of several runs that want one period, one computes it.

Held in Redis, with a lease (`leased`); while Redis is away, in PostgreSQL (`advisory`). A run keeps
the kind that it began with, and the two kinds do not see each other: when Redis goes or comes back
in the middle of a run, another may compute the same periods beside it, until the first one's end.
That is work done twice and nothing worse. Locks save work; what keeps numbers right are the store's
transactions and versions, which hold without any lock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.cache.advisory import AdvisoryLocks
from metrics_pipeline.cache.leased import LeasedLocks
from metrics_pipeline.errors import CacheUnavailable, TransientError
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.shards import Shard

logger = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
PATIENCE_SECONDS = 30.0

Policy = Literal["skip", "wait"]
"""What to do about periods that another run holds: leave them out, or wait for them."""

_POLL_SECONDS = 0.1


class PeriodBusy(TransientError):
    """Another run holds a period, and held it for longer than was waited."""


class Locks(Protocol):
    """Where locks are kept. `take` says who else has a period, or None once it is ours."""

    def take(self, period: Period) -> str | None: ...
    def check(self) -> None: ...
    def release(self) -> None: ...


class PeriodLocks:
    """The locks of one run. `held`: the periods it may compute; `skipped`: the others, each with its holder."""

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self.held: list[Period] = []
        self.skipped: dict[Period, str] = {}

    def check(self) -> None:
        """Raises LockLost if another run may hold one of these periods now: to be asked before each commit."""
        self._locks.check()

    def release(self) -> None:
        self._locks.release()

    def acquire(self, periods: Iterable[Period], policy: Policy, patience_seconds: float) -> None:
        """Lock periods in their order, whoever asks: so that two runs never wait for each other."""
        deadline = time.monotonic() + patience_seconds
        for period in sorted(set(periods)):
            while holder := self._locks.take(period):
                if policy == "skip":
                    self.skipped[period] = holder
                    break
                if time.monotonic() + _POLL_SECONDS > deadline:
                    raise PeriodBusy(
                        f"{period} is being computed by run {holder}, still after {patience_seconds:g} s; nothing "
                        "was written. Try again later; `metrics-pipeline locks` shows whether that run is alive."
                    )
                time.sleep(_POLL_SECONDS)
            else:
                self.held.append(period)


@contextmanager
def period_locks(
    redis: Redis,
    engine: Engine,
    periods: Iterable[Period],
    *,
    holder: str,
    policy: Policy,
    shard: Shard | None = None,
    is_alive: Callable[[str], bool] | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    lease_seconds: float = LEASE_SECONDS,
) -> Iterator[PeriodLocks]:
    """Hold the locks of periods during the block.

    Args:
        engine: gives one connection for as long as the locks are held, if Redis is away.
        holder: the run's id, for people, messages and the monitor.
        shard: lock just this part of each period. Shards of one count are held at once by different
            runs; a whole period excludes its shards, and each of these the whole.
        is_alive: of a run id; see `LeasedLocks`.
        patience_seconds: how long `wait` waits, for all periods together; once more if Redis goes away meanwhile.
        lease_seconds: how long a lock in Redis outlives a process that was killed.

    Raises:
        PeriodBusy: under `wait`, after giving back what was locked by then.
        DatabaseUnavailable: neither Redis nor PostgreSQL is there.
    """
    wanted = list(periods)
    leased = LeasedLocks(redis, holder, shard, lease_seconds, is_alive)
    locks = PeriodLocks(leased)
    try:
        try:
            locks.acquire(wanted, policy, patience_seconds)
        except CacheUnavailable as error:
            logger.warning("locking in PostgreSQL instead: %s", error)
            leased.release()
            locks = PeriodLocks(AdvisoryLocks(engine, holder, shard))
            locks.acquire(wanted, policy, patience_seconds)
        yield locks
    finally:
        locks.release()
