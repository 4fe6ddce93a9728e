"""Reading metrics: from the cache, else from the store, else computed for this one read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import cached_property
from typing import Literal

from redis import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy import Engine

from metrics_pipeline.cache.checked import CheckedPublisher
from metrics_pipeline.cache.counters import count_misses
from metrics_pipeline.cache.fetch import fetch
from metrics_pipeline.cache.flight import alone
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.cache.wanted import Wanted, wanted
from metrics_pipeline.database import domain_errors
from metrics_pipeline.errors import BadRequest, CacheUnavailable, DatabaseUnavailable
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import RefreshRequest, check_account_id
from metrics_pipeline.settings import Settings
from metrics_pipeline.store.reading import read_stored
from metrics_pipeline.store.versioned import Versioned

Source = Literal["cache", "store", "computed"]

_HANGS_SECONDS = 5.0
"""For so long after Redis gave no answer it is not asked again."""


@dataclass(frozen=True)
class Reading:
    """A payload, and where it came from.

    `outdated`: PostgreSQL was away, so that an entry known to be too old had to be served.
    """

    json: bytes
    version: int
    source: Source
    outdated: bool = False

    @cached_property
    def payload(self) -> PeriodMetrics:
        return PeriodMetrics.model_validate_json(self.json)

    def age_seconds(self, now: datetime | None = None) -> float:
        """Seconds since the payload was calculated."""
        return ((now or datetime.now(timezone.utc)) - self.payload.calculated_at).total_seconds()


class MetricsReader:
    """Reads payloads: one Redis round trip when all is well.

    A Redis that hangs is waited for once; for five seconds after that PostgreSQL answers all.

    Args:
        compute: stores and publishes what a request asks; called only where neither cache nor store
            have an answer that is known to be right.
    """

    def __init__(
        self, settings: Settings, engine: Engine, redis: Redis, compute: Callable[[RefreshRequest], object]
    ) -> None:
        self._settings, self._engine, self._redis, self._compute = settings, engine, redis, compute
        self._fingerprint = fingerprint(settings)
        self._publisher = CheckedPublisher(engine, redis, self._fingerprint)
        self._hangs_until = 0.0

    def get(
        self, account_id: int, grain: Grain, on: date | None = None, today: date | None = None, fresh: bool = False
    ) -> Reading:
        """The metrics of the period that holds `on` (default: today).

        Args:
            fresh: answer from PostgreSQL, never from the cache; what the caller committed before is in it.

        An entry or row that was computed under other settings, or as of an earlier day than its
        period requires, is passed over.

        Raises:
            BadRequest: a period that has not begun or ended before the start date, an account that does not exist.
            DatabaseUnavailable: PostgreSQL is away, and the cache has nothing of this period.
        """
        return self._read(account_id, (grain,), on, today, fresh)[0]

    def get_many(
        self, account_id: int, on: date | None = None, today: date | None = None, fresh: bool = False
    ) -> dict[Grain, Reading]:
        """The day, week, month and year that hold `on` (default: today): one round trip for all four."""
        grains = tuple(Grain)
        return dict(zip(grains, self._read(account_id, grains, on, today, fresh), strict=True))

    def _read(
        self, account_id: int, grains: tuple[Grain, ...], on: date | None, today: date | None, fresh: bool
    ) -> list[Reading]:
        check_account_id(account_id)
        today = today or self._settings.today()
        periods = wanted(grains, on or today, today, self._settings.start_date)
        if fresh:
            return [self._from_database(account_id, each.period, today) for each in periods]
        readings, misses = [], []
        for each, entry in zip(periods, self._cached(account_id, periods), strict=True):
            reason = each.unfit(entry, self._fingerprint)
            if entry is not None and reason is None:
                readings.append(Reading(entry.payload, entry.version, "cache"))
            else:
                misses.append(reason or "cold")
                readings.append(self._on_miss(account_id, each.period, today, entry))
        if misses and not self._hangs():
            count_misses(self._redis, misses)
        return readings

    def _cached(self, account_id: int, periods: Sequence[Wanted]) -> list[Entry | None]:
        if self._hangs():
            return [None] * len(periods)
        try:
            values = fetch(self._redis, [cache_key(account_id, each.period) for each in periods])
        except RedisError as error:
            if isinstance(error, RedisTimeoutError):
                self._hangs_until = time.monotonic() + _HANGS_SECONDS
            return [None] * len(periods)  # PostgreSQL has every answer; `check` reports that Redis is away
        return [Entry.decode(value) if value else None for value in values]

    def _on_miss(self, account_id: int, period: Period, today: date, entry: Entry | None) -> Reading:
        try:
            return self._from_database(account_id, period, today)
        except DatabaseUnavailable:
            if entry is None:
                raise
            return Reading(entry.payload, entry.version, "cache", outdated=True)

    def _from_database(self, account_id: int, period: Period, today: date) -> Reading:
        """The stored payload when nothing says that it is stale; else computed now, by one reader at a time."""
        action = f"Reading {period} of account {account_id}"
        if reading := self._from_store(account_id, period, today, action):
            return reading
        with nullcontext() if self._hangs() else alone(self._redis, cache_key(account_id, period)):
            if reading := self._from_store(account_id, period, today, action):
                return reading  # another reader computed it since
            with suppress(CacheUnavailable):  # stored, though not published: this reader has its answer
                self._compute(RefreshRequest([period], today, [account_id], computed_by="on_demand"))
        with domain_errors(action), self._engine.connect() as connection:
            stored = read_stored(connection, [account_id], period).get(account_id)
        if stored is None:
            raise BadRequest(f"There is no account {account_id}.")
        return Reading(stored.json, stored.version, "computed")

    def _from_store(self, account_id: int, period: Period, today: date, action: str) -> Reading | None:
        with domain_errors(action), self._engine.connect() as connection:
            stored = read_stored(connection, [account_id], period).get(account_id)
        if stored is None or not stored.is_right(self._fingerprint, today):
            return None
        if not self._hangs():
            with suppress(CacheUnavailable):
                payload = Versioned((account_id, period), stored.version, stored.json)
                self._publisher.publish([payload], self._settings.ttl_on_demand_seconds)
        return Reading(stored.json, stored.version, "store")

    def _hangs(self) -> bool:
        return time.monotonic() < self._hangs_until
