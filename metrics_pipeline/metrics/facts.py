"""Expenses encoded and sorted once, so that each period is a slice and each figure an array operation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metrics_pipeline.metrics.checksum import add_up, checksums
from metrics_pipeline.metrics.exact import Ints, sum_by
from metrics_pipeline.metrics.pull import Dimensions, Expenses, pg_micros
from metrics_pipeline.metrics.scope import Range, Scope
from metrics_pipeline.metrics.universe import Universe, number_pairs
from metrics_pipeline.periods import start_of_day


@dataclass(frozen=True)
class Facts:
    """Counted expenses sorted by local day; sums from before the rows stand first, at their first day.

    Attributes:
        day: local days after `first_day`, in 32 bits: there are as many as expenses.
        visit: number of the (account, merchant) of the expense, -1 without a merchant or for sums.
        any_*: undeleted expenses of every status.
    """

    universe: Universe
    first_day: date
    day: NDArray[Any]
    pair: NDArray[Any]
    cents: Ints
    count: Ints
    visit: NDArray[Any]
    visit_account: Ints
    any_day: NDArray[Any]
    any_account_status: NDArray[Any]
    any_checksum: Ints
    statuses: list[str]

    def rows_of(self, days: Range) -> slice:
        """Where the expenses of these days stand."""
        return _slice(self.day, self.first_day, days)

    def sums_of(self, days: Range) -> tuple[Ints, Ints]:
        """Cents and counts by pair over these days."""
        part, size = self.rows_of(days), self.universe.pair_group.size
        return sum_by(self.pair[part], self.cents[part], size), sum_by(self.pair[part], self.count[part], size)

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
        return np.bincount(self.any_account_status[part], minlength=accounts * kinds).reshape(accounts, kinds)

    def checksums_of(self, days: Range) -> Ints:
        """By account, the sum of the checksums of its undeleted expenses."""
        part = _slice(self.any_day, self.first_day, days)
        account = self.any_account_status[part] // max(len(self.statuses), 1)
        return add_up(account, self.any_checksum[part], self.universe.account_ids.size)


def encode(
    expenses: Expenses,
    dimensions: Dimensions,
    scope: Scope,
    zone: ZoneInfo,
    excluded_statuses: Collection[str],
) -> Facts:
    """Number accounts, currencies, categories and days, keep what counts, and sort by day."""
    past, first_day = expenses.history, scope.first_day
    accounts = dimensions.account_ids
    account = np.concatenate([_positions(accounts, past.account), _positions(accounts, expenses.account)])
    row_day = local_days(expenses.micros, scope.rows, zone)
    day = (np.concatenate([past.day, row_day]) - first_day.toordinal()).astype(np.int32)
    known = np.flatnonzero(account >= 0)
    known = known[np.argsort(_narrow(day[known]), kind="stable")]

    def column(history: Ints | int, rows: Ints | int) -> Ints:
        """History and rows one after the other, of known accounts, by day."""
        joined = np.concatenate(
            [
                np.broadcast_to(np.asarray(history, np.int64), past.account.shape),
                np.broadcast_to(np.asarray(rows, np.int64), expenses.account.shape),
            ]
        )
        return joined[known]

    account, day = account[known], day[known]
    kind, currencies, statuses, counted = _decode_kinds(column(past.kind, expenses.kind), expenses, excluded_statuses)
    currencies = sorted({*currencies, *(budget.currency for budget in dimensions.budgets)})
    currency_of = np.array([currencies.index(code) for code, _ in kind.labels], np.int64)
    status_of = np.array([statuses.index(label) for _, label in kind.labels], np.int64)
    is_row = column(0, 1) == 1
    checksum = checksums(expenses.category, expenses.kind, expenses.cents, expenses.merchant, row_day)

    universe, pair = number_pairs(
        dimensions,
        currencies,
        account[counted],
        currency_of[kind.codes[counted]],
        column(past.category, expenses.category)[counted],
    )
    visit, visit_account = _number_visits(account[counted], column(0, expenses.merchant)[counted])
    return Facts(
        universe=universe,
        first_day=first_day,
        day=day[counted],
        pair=pair,
        cents=column(past.cents, expenses.cents)[counted],
        count=column(past.count, 1)[counted],
        visit=visit,
        visit_account=visit_account,
        any_day=day[is_row],
        any_account_status=account[is_row] * max(len(statuses), 1) + status_of[kind.codes[is_row]],
        any_checksum=column(0, checksum)[is_row],
        statuses=statuses,
    )


@dataclass(frozen=True)
class _Kinds:
    codes: NDArray[Any]
    labels: list[tuple[str, str]]


def _decode_kinds(
    kind: Ints, expenses: Expenses, excluded: Collection[str]
) -> tuple[_Kinds, list[str], list[str], NDArray[np.bool_]]:
    codes, unique = pd.factorize(kind)
    labels = [expenses.kinds[int(code)] for code in unique]
    counts = np.array([status.lower() not in excluded for _, status in labels], bool)
    return (
        _Kinds(codes, labels),
        sorted({currency for currency, _ in labels}),
        sorted({status for _, status in labels}),
        counts[codes],
    )


def _number_visits(account: Ints, merchant: Ints) -> tuple[NDArray[Any], Ints]:
    """Number the distinct (account, merchant); hash 0 stands for no merchant."""
    merchant_code, merchants = pd.factorize(merchant)
    code = np.where(merchant == 0, -1, account * max(len(merchants), 1) + merchant_code)
    visit, unique = pd.factorize(code)
    missing = np.flatnonzero(unique == -1)
    visit = np.where(np.isin(visit, missing), -1, visit)
    return visit, unique // max(len(merchants), 1)


def _positions(sorted_ids: Ints, ids: Ints) -> Ints:
    """Where each id stands among the sorted ones; -1 for ids that are not there."""
    if sorted_ids.size == 0:
        return np.full(ids.size, -1)
    codes, unique = pd.factorize(ids)
    place = np.minimum(np.searchsorted(sorted_ids, unique), sorted_ids.size - 1)
    found: Ints = np.where(sorted_ids[place] == unique, place, -1)
    positions: Ints = found[codes]
    return positions


def local_days(micros: Ints, rows: Range, zone: ZoneInfo) -> Ints:
    """The ordinal of the local day of each instant in the range, by the bounds that windows have."""
    count = (rows.end - rows.first).days
    starts = [pg_micros(start_of_day(rows.first + timedelta(days=n), zone)) for n in range(count)]
    return np.searchsorted(np.array(starts), micros, side="right") - 1 + rows.first.toordinal()


def _narrow(day: NDArray[Any]) -> NDArray[Any]:
    """Days in 16 bits where they fit: numpy sorts those in linear time."""
    return day.astype(np.uint16) if day.size and day.max() < 2**16 else day


def _slice(day: NDArray[Any], first_day: date, days: Range) -> slice:
    bounds = np.array([(days.first - first_day).days, (days.end - first_day).days], day.dtype)
    first, end = np.searchsorted(day, bounds)
    return slice(int(first), int(end))
