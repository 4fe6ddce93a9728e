"""Reading metrics: from the cache, else from the store, else computed for this one read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import cached_property
from typing import Literal

import orjson
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.database import domain_errors
from metrics_pipeline.errors import BadRequest
from metrics_pipeline.metrics.compute import fingerprint
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import RefreshRequest, check_account_id
from metrics_pipeline.settings import Settings
from metrics_pipeline.store.reading import read_stored

Source = Literal["cache", "store", "computed"]


@dataclass(frozen=True)
class Reading:
    """A payload, and where it came from."""

    json: bytes
    source: Source

    @cached_property
    def payload(self) -> PeriodMetrics:
        return PeriodMetrics.model_validate_json(self.json)

    def age_seconds(self, now: datetime | None = None) -> float:
        """Seconds since the payload was calculated."""
        return ((now or datetime.now(timezone.utc)) - self.payload.calculated_at).total_seconds()


class MetricsReader:
    """Reads payloads: one Redis round trip when all is well.

    Args:
        compute: stores and publishes what a request asks; called only where neither cache nor store
            have an answer.
    """

    def __init__(
        self, settings: Settings, engine: Engine, redis: Redis, compute: Callable[[RefreshRequest], object]
    ) -> None:
        self._settings, self._engine, self._redis, self._compute = settings, engine, redis, compute
        self._fingerprint = fingerprint(settings)

    def get(self, account_id: int, grain: Grain, on: date | None = None, today: date | None = None) -> Reading:
        """The metrics of the period that holds `on` (default: today).

        An entry or row that was computed under other settings, or as of an earlier day than its
        period requires, is passed over. Raises BadRequest for a period that has not begun or an
        account that does not exist.
        """
        check_account_id(account_id)
        today = today or self._settings.today()
        period = Period.holding(grain, on or today)
        return (
            self._from_cache(account_id, period, today)
            or self._from_store(account_id, period, today)
            or self._computed(account_id, period, today)
        )

    def _from_cache(self, account_id: int, period: Period, today: date) -> Reading | None:
        try:
            value = self._redis.get(cache_key(account_id, period))
        except RedisError:
            return None  # the store has every answer; `check` reports that Redis is away
        if not isinstance(value, bytes):
            return None
        entry = Entry.decode(value)
        if entry.fingerprint != self._fingerprint:
            return None
        payload = orjson.loads(entry.payload)
        as_computed = date.fromisoformat(payload["as_of"]), payload["is_current"]
        return Reading(entry.payload, "cache") if as_computed == _as_required(period, today) else None

    def _from_store(self, account_id: int, period: Period, today: date) -> Reading | None:
        with domain_errors(f"Reading {period} of account {account_id}"), self._engine.connect() as connection:
            stored = read_stored(connection, account_id, period)
        if stored is None or stored.fingerprint != self._fingerprint:
            return None
        if (stored.as_of, stored.is_current) != _as_required(period, today):
            return None
        return Reading(stored.json, "store")

    def _computed(self, account_id: int, period: Period, today: date) -> Reading:
        self._compute(RefreshRequest([period], today, [account_id], computed_by="on_demand"))
        with self._engine.connect() as connection:
            stored = read_stored(connection, account_id, period)
        if stored is None:
            raise BadRequest(f"There is no account {account_id}.")
        return Reading(stored.json, "computed")


def _as_required(period: Period, today: date) -> tuple[date, bool]:
    return period.as_of(today), period.is_current(today)
