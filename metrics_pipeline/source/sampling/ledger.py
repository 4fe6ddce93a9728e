"""From purchases to the rows of the expense table: status, recording, corrections and deletion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics_pipeline.source.sampling.events import Events, Floats, Ints
from metrics_pipeline.source.values import STATUSES

NEVER = -(2**62)
"""In place of a time: NULL."""
NO_CATEGORY = 0
"""In place of a category id: NULL."""
NO_MERCHANT = -1

_UNCATEGORISED, _NO_MERCHANT, _DELETED, _FAILED, _DUPLICATED = 0.09, 0.02, 0.01, 0.012, 0.008
_LATE, _CORRECTED, _STUCK_PENDING, _RECENTLY_PENDING = 0.03, 0.04, 0.003, 0.35
_RECENT_DAYS = 3
_HOUR, _DAY = 3600, 86_400
PENDING, PROCESSED, FAILED, DUPLICATE = map(STATUSES.index, ("pending", "processed", "failed", "duplicate"))


@dataclass(frozen=True)
class Ledger:
    """Rows in the order of their recording. Times are seconds since 1970, or NEVER."""

    events: Events
    category: Ints
    merchant: Ints
    status: Ints
    occurred: Ints
    created: Ints
    updated: Ints
    deleted: Ints

    @property
    def count(self) -> int:
        return len(self.created)


def ledger(rng: np.random.Generator, events: Events, day_starts: Ints, until: int) -> Ledger:
    """Record the purchases that happened by `until`; nothing in the ledger is later.

    `day_starts` has the first second of each local day, and of the day after the last. Days
    without 24 hours are stretched or shortened evenly.
    """
    copies = events.where(np.flatnonzero(rng.random(len(events.day)) < _DUPLICATED))
    is_copy = np.arange(len(events.day) + len(copies.day)) >= len(events.day)
    events = Events.joined([events, copies])

    length = np.diff(day_starts)[events.day]
    occurred = day_starts[events.day] + events.second * length // _DAY
    happened = occurred <= until
    events, occurred, is_copy = events.where(happened), occurred[happened], is_copy[happened]

    count = len(occurred)
    chance: Floats = rng.random(count)
    recent = occurred > until - _RECENT_DAYS * _DAY
    status = np.full(count, PROCESSED)
    status[chance < np.where(recent, _RECENTLY_PENDING, _STUCK_PENDING)] = PENDING
    status[chance > 1 - _FAILED] = FAILED
    status[is_copy] = DUPLICATE

    late = rng.random(count) < _LATE
    delay = np.where(late, rng.uniform(2 * _DAY, 45 * _DAY, count), rng.exponential(4 * 60, count) + 20)
    created = np.minimum(occurred + delay.astype(np.int64), until)
    corrected = rng.random(count) < _CORRECTED
    updated = np.where(corrected, created + rng.integers(_HOUR, 30 * _DAY, count), created)
    deleted = rng.random(count) < _DELETED
    deleted_at = np.minimum(created + rng.integers(_HOUR, 20 * _DAY, count), until)
    updated = np.minimum(np.where(deleted, deleted_at, updated), until)

    order = np.argsort(created, kind="stable")
    category = np.where(rng.random(count) < _UNCATEGORISED, NO_CATEGORY, events.category)
    merchant = np.where(rng.random(count) < _NO_MERCHANT, NO_MERCHANT, events.merchant)
    return Ledger(
        events=events.where(order),
        category=category[order],
        merchant=merchant[order],
        status=status[order],
        occurred=occurred[order],
        created=created[order],
        updated=updated[order],
        deleted=np.where(deleted, deleted_at, NEVER)[order],
    )
