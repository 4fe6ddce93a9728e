"""Expenses encoded and sorted once, so that each period is a slice and each figure an array operation."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metrics_pipeline.metrics.checksum import add_up
from metrics_pipeline.metrics.dimensions import Dimensions
from metrics_pipeline.metrics.exact import Ints, sum_by
from metrics_pipeline.metrics.expenses import Coded, Expenses
from metrics_pipeline.metrics.scope import Range, Scope
from metrics_pipeline.metrics.universe import Universe, number_pairs, smallest_integer


@dataclass(frozen=True)
class Facts:
    """Expenses sorted by local day, after sums of earlier ones, each at the first day of its range.

    Attributes:
        day, pair, cents, visit: of what counts: local days after `first_day`; its pair, in cents; and the number of
            its (account, merchant), -1 without a merchant or for sums.
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
    visit_account: Ints
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
        counts = sum_by(self.pair[sums], self.sum_counts[sums], size) + np.bincount(self.pair[rows], minlength=size)
        return sum_by(self.pair[part], self.cents[part], size), counts

    def series(self, days: Range, step: NDArray[Any], steps: int) -> Ints:
        """Cents by group and step; `step` says which step each of the days belongs to."""
        part = self.rows_of(days)
        groups = self.universe.group_account.size
        offset = (days.first - self.first_day).days
        cell = self.universe.pair_group[self.pair[part]] * steps + step[self.day[part] - offset]
        return sum_by(cell, self.cents[part], groups * steps).reshape(groups, steps)

    def status_counts(self, days: Range) -> Ints:
        """Undeleted expenses by account and status."""
        part = _slice(self.any_day, self.first_day, days)
        accounts, kinds = self.universe.account_ids.size, max(len(self.statuses), 1)
        cell = self.any_account[part] * np.int64(kinds) + self.status_of[self.any_kind[part]]
        return np.bincount(cell, minlength=accounts * kinds).reshape(accounts, kinds)

    def checksums_of(self, days: Range) -> Ints:
        """By account, the sum of the checksums of its undeleted expenses."""
        part = _slice(self.any_day, self.first_day, days)
        return add_up(self.any_account[part], self.any_checksum[part], self.universe.account_ids.size)


def encode(expenses: Expenses, dimensions: Dimensions, scope: Scope, excluded_statuses: Collection[str]) -> Facts:
    """Sort by day, and number the pairs and visits of what counts."""
    sums, kind = expenses.sum_counts.size, expenses.take_coded("kind")
    labels = [expenses.kinds[value] for value in kind.values.tolist()]
    currencies = sorted({code for code, _ in labels} | {budget.currency for budget in dimensions.budgets})
    statuses = sorted({status for _, status in labels})
    counts = np.array([status.lower() not in excluded_statuses for _, status in labels], bool)

    day = expenses.take("day") - np.int32(scope.first_day.toordinal())
    order = _by_day(day)
    day, account, any_kind = day[order], expenses.take("account")[order], kind.codes[order]
    counted = counts[any_kind]
    merchant = expenses.take_coded("merchant")
    merchant = Coded(merchant.codes[order][counted], merchant.values)
    category = expenses.take_coded("category")
    with ThreadPoolExecutor(1) as pool:  # hashing is most of the work and does not hold Python's lock
        visits = pool.submit(_number_visits, account[counted], merchant)
        universe, pair = number_pairs(
            dimensions,
            currencies,
            account[counted],
            np.array([currencies.index(code) for code, _ in labels], np.int32)[any_kind[counted]],
            Coded(category.codes[order][counted], category.values),
        )
    visit, visit_account = visits.result()
    return Facts(
        universe=universe,
        first_day=scope.first_day,
        day=day[counted],
        pair=pair,
        cents=expenses.take("cents")[order][counted],
        visit=visit,
        visit_account=visit_account,
        sum_counts=expenses.sum_counts[counted[:sums]],
        any_day=day[sums:],
        any_account=account[sums:],
        any_kind=any_kind[sums:],
        any_checksum=expenses.take("checksum")[order][sums:],
        status_of=np.array([statuses.index(status) for _, status in labels], np.int64),
        statuses=statuses,
    )


def _number_visits(account: NDArray[Any], merchant: Coded) -> tuple[NDArray[Any], Ints]:
    """Number the distinct (account, merchant), and say whose each one is."""
    merchants = max(merchant.values.size, 1)
    code = account.astype(smallest_integer((int(account.max(initial=0)) + 1) * merchants))
    code *= merchants
    code += merchant.codes
    code[(merchant.values == 0)[merchant.codes]] = -1
    visit, distinct = pd.factorize(code)
    visit[code < 0] = -1
    return visit.astype(np.int32), distinct.astype(np.int64) // merchants


def _by_day(day: NDArray[Any]) -> NDArray[Any] | slice:
    """What puts days in order, most often nothing: PostgreSQL reads them by an index of dates, or as they came."""
    if (day[1:] >= day[:-1]).all():
        return slice(None)
    return np.argsort(day.astype(np.uint16) if day.max() < 2**16 else day, kind="stable")  # 16 bits in linear time


def _slice(day: NDArray[Any], first_day: date, days: Range) -> slice:
    bounds = np.array([(days.first - first_day).days, (days.end - first_day).days], day.dtype)
    first, end = np.searchsorted(day, bounds)
    return slice(int(first), int(end))


def _divided(part: slice, at: int) -> tuple[slice, slice]:
    """What of a stretch lies before a place, and what from there on."""
    return slice(part.start, min(part.stop, at)), slice(max(part.start, at), part.stop)
