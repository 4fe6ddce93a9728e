"""Checksums of the expenses as they are now, by account and period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection

from metrics_pipeline.metrics.checksum import checksums
from metrics_pipeline.metrics.copied import read_bigints
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.expenses import ROW_FIELDS, LocalDays
from metrics_pipeline.metrics.scope import Range
from metrics_pipeline.periods import Grain, start_of_day


class Sums(NamedTuple):
    """Undeleted expenses by account and first day (an ordinal), ascending: how many, and their checksum."""

    account: Ints
    start: Ints
    expenses: Ints
    checksum: Ints


def sums_by_day(connection: Connection, days: Range, zone: ZoneInfo, account_ids: Sequence[int]) -> Sums:
    """Read the expenses of these accounts and days."""
    account, category, kind, cents, merchant, micros = read_bigints(
        connection,
        "expense_rows",
        {
            "rows_from": start_of_day(days.first, zone),
            "rows_until": start_of_day(days.end, zone),
            "account_ids": list(account_ids),
            "by_account": True,
        },
        columns=len(ROW_FIELDS),
    )
    day = LocalDays(days, zone).of(micros)
    return _grouped(account, day, np.ones_like(day), checksums(category, kind, cents, merchant, day))


def sums_by_period(by_day: Sums, grain: Grain) -> Sums:
    """The days' sums added up to periods of a grain."""
    if grain is Grain.DAY:
        return by_day
    days, place = np.unique(by_day.start, return_inverse=True)
    starts = np.array([grain.start_of(date.fromordinal(day)).toordinal() for day in days.tolist()], np.int64)
    return _grouped(by_day.account, starts[place], by_day.expenses, by_day.checksum)


def _grouped(account: Ints, start: Ints, count: Ints, checksum: Ints) -> Sums:
    order = np.lexsort((start, account))
    account, start = account[order], start[order]
    first = np.flatnonzero(np.diff(account, prepend=-1) | np.diff(start, prepend=-1))
    if first.size == 0:
        return Sums(account, start, count, checksum)
    return Sums(
        account[first],
        start[first],
        np.add.reduceat(count[order], first),
        np.add.reduceat(checksum[order], first),
    )
