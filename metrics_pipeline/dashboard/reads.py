"""Reads for the web: the synchronous reader, off the event loop, and its answers' headers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio import CapacityLimiter

from metrics_pipeline.cache.reader import MetricsReader, Reading
from metrics_pipeline.dashboard.head import head_of
from metrics_pipeline.dashboard.hits import CacheHits
from metrics_pipeline.dashboard.problems import NotFound
from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain, Period

T = TypeVar("T")
_THREADS = 12  # fewer than the database pool has connections


class Reads:
    """Answers to reads. Ids and days were checked before, so a refusal means: no such account."""

    def __init__(self, reader: MetricsReader, hits: CacheHits) -> None:
        self._reader, self._hits = reader, hits
        self._limiter = CapacityLimiter(_THREADS)

    async def four(self, account_id: int, on: date, today: date, fresh: bool = False) -> dict[Grain, Reading]:
        """The four periods that hold `on`."""
        if not fresh and (readings := await self._hits.read(account_id, _four(on), today)):
            return dict(zip(Grain, readings, strict=True))
        return await self._off_the_loop(lambda: self._reader.get_many(account_id, on, today, fresh))

    async def one(self, account_id: int, period: Period, today: date, fresh: bool = False) -> Reading:
        if not fresh and (readings := await self._hits.read(account_id, (period,), today)):
            return readings[0]
        return await self._off_the_loop(lambda: self._reader.get(account_id, period.grain, period.start, today, fresh))

    async def _off_the_loop(self, read: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(read, limiter=self._limiter)
        except BadRequest as error:
            raise NotFound(str(error)) from None


@lru_cache(maxsize=1024)
def _four(on: date) -> tuple[Period, ...]:
    return tuple(Period.holding(grain, on) for grain in Grain)


def headers_of_one(reading: Reading) -> dict[str, str]:
    lasting = _lasting_headers(("",), (reading.version,), (reading.source,), (reading.outdated,))
    return {**lasting, "ETag": f'"{reading.version}"', "Metrics-Age": _age(reading, datetime.now(timezone.utc))}


def headers_of_four(readings: Mapping[Grain, Reading]) -> dict[str, str]:
    found, now = list(readings.values()), datetime.now(timezone.utc)
    lasting = _lasting_headers(
        _LABELS,
        tuple([reading.version for reading in found]),
        tuple([reading.source for reading in found]),
        tuple([reading.outdated for reading in found]),
    )
    ages = [label + _age(reading, now) for label, reading in zip(_LABELS, found, strict=True)]
    return {**lasting, "Metrics-Age": ", ".join(ages)}


_LABELS = tuple(f"{grain.value}=" for grain in Grain)


@lru_cache(maxsize=20_000)
def _lasting_headers(
    labels: tuple[str, ...], versions: tuple[int, ...], sources: tuple[str, ...], outdated: tuple[bool, ...]
) -> dict[str, str]:
    """What stays the same while these versions are served; not to be changed by its callers."""

    def each(values: Iterable[object]) -> str:
        return ", ".join(f"{label}{value}" for label, value in zip(labels, values, strict=True))

    tag = hashlib.blake2b(repr(versions).encode(), digest_size=12).hexdigest()
    return {
        "ETag": f'"{tag}"',
        "Cache-Control": "private, no-cache",
        "Metrics-Version": each(versions),
        "Metrics-Source": each(sources),
        "Metrics-Outdated": each(str(one).lower() for one in outdated),
    }


def _age(reading: Reading, now: datetime) -> str:
    return str(max(0, int((now - head_of(reading.json).calculated_at).total_seconds())))
