"""Expenses numbered and sorted once, so that each period is a slice and each figure an array operation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics_pipeline.metrics.exact import Ints, sum_in_blocks
from metrics_pipeline.metrics.scope import Range
from metrics_pipeline.metrics.universe import Universe


@dataclass(frozen=True)
class Facts:
    """Expenses sorted by local day, after sums of earlier ones, each at the first day of its range.

    Attributes:
        day, pair, cents, visit: of what counts: local days after `first_day`; its pair, in cents; and its account
            times `merchants` plus its merchant, -1 without a merchant or for sums.
        sum_counts: how many expenses are in each of the sums, which are the first of those.
        any_*: undeleted expenses of every status, without the sums.
        status_of: the place in `statuses` of each kind's.
    """

    universe: Universe
    first_day: date
    day: NDArray[Any]
    pair: NDArray[Any]
    cents: Ints
    visit: NDArray[Any]
    merchants: int
    sum_counts: Ints
    any_day: NDArray[Any]
    any_account: NDArray[Any]
    any_kind: NDArray[Any]
    any_checksum: Ints
    status_of: Ints
    statuses: list[str]

    def rows_of(self, days: Range) -> slice:
        """Where the expenses of these days stand."""
        return _slice(self.day, self.first_day, days)

    def sums_of(self, days: Range) -> tuple[Ints, Ints]:
        """Cents and counts by pair over these days."""
        part, size = self.rows_of(days), self.universe.pair_group.size
        sums, rows = _divided(part, self.sum_counts.size)
        counts = sum_in_blocks(sums, self.pair.__getitem__, self.sum_counts, size)
        counts += sum_in_blocks(rows, self.pair.__getitem__, None, size)
        return sum_in_blocks(part, self.pair.__getitem__, self.cents, size), counts

    def series(self, days: Range, step: NDArray[Any], steps: int) -> Ints:
        """Cents by group and step; `step` says which step each of the days belongs to."""
        groups, offset = self.universe.group_account.size, (days.first - self.first_day).days

        def cell(block: slice) -> NDArray[Any]:
            group: NDArray[Any] = self.universe.pair_group[self.pair[block]]
            group *= steps
            group += step[self.day[block] - offset]
            return group

        return sum_in_blocks(self.rows_of(days), cell, self.cents, groups * steps).reshape(groups, steps)

    def status_counts(self, days: Range) -> Ints:
        """Undeleted expenses by account and status."""
        accounts, statuses = self.universe.account_ids.size, max(len(self.statuses), 1)

        def cell(block: slice) -> NDArray[Any]:
            account = self.any_account[block].astype(np.int64)
            account *= statuses
            account += self.status_of[self.any_kind[block]]
            return account

        part = _slice(self.any_day, self.first_day, days)
        return sum_in_blocks(part, cell, None, accounts * statuses).reshape(accounts, statuses)

    def checksums_of(self, days: Range) -> Ints:
        """By account, the sum of the checksums of its undeleted expenses."""
        part = _slice(self.any_day, self.first_day, days)
        return sum_in_blocks(part, self.any_account.__getitem__, self.any_checksum, self.universe.account_ids.size)


def _slice(day: NDArray[Any], first_day: date, days: Range) -> slice:
    bounds = np.array([(days.first - first_day).days, (days.end - first_day).days], day.dtype)
    first, end = np.searchsorted(day, bounds)
    return slice(int(first), int(end))


def _divided(part: slice, at: int) -> tuple[slice, slice]:
    """What of a stretch lies before a place, and what from there on."""
    return slice(part.start, min(part.stop, at)), slice(max(part.start, at), part.stop)
