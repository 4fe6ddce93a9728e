"""Which entry of the cache may be served: one rule for everything that reads it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from metrics_pipeline.cache.counters import Reason
from metrics_pipeline.cache.keys import Entry
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import check_begun, check_covered

_FRONT_BYTES = 512


class Wanted(NamedTuple):
    """A period, and how the JSON of a payload that may be served says as of which day it was computed.

    Looked for as text, at the payload's front: parsing it would take as long as fetching it. Quotes within
    texts are escaped, so that none can look like these fields.
    """

    period: Period
    as_of: bytes
    is_current: bytes

    def unfit(self, entry: Entry | None, fingerprint: str) -> Reason | None:
        """Why an entry may not be served under these settings; None when it may."""
        if entry is None:
            return "cold"
        if entry.fingerprint != fingerprint:
            return "outdated"
        front = entry.payload[:_FRONT_BYTES]
        return None if self.as_of in front and self.is_current in front else "outdated"


@lru_cache(maxsize=4096)
def wanted(grains: tuple[Grain, ...], on: date, today: date, earliest: date) -> tuple[Wanted, ...]:
    """The periods of these grains that hold `on`. Raises BadRequest where there are no metrics."""
    periods = [Period.holding(grain, on) for grain in grains]
    for period in periods:
        check_begun(period, today)
        check_covered(period, earliest)
    return as_required(periods, today)


def as_required(periods: Iterable[Period], today: date) -> tuple[Wanted, ...]:
    """These periods, as of the day that each requires when today is `today`."""
    return tuple(
        Wanted(
            period,
            f'"as_of":"{period.as_of(today)}"'.encode(),
            f'"is_current":{str(period.is_current(today)).lower()}'.encode(),
        )
        for period in periods
    )
