"""What of a request there is to compute, and in which parts: each read at once, within the memory budget."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection

from metrics_pipeline.changes.keys import Key, key_of, period_arrays
from metrics_pipeline.changes.marks import Marks, read_marks
from metrics_pipeline.metrics.copied import read_bigints
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.metrics.scope import scope_of
from metrics_pipeline.metrics.year_before import YearTotals, totals_of
from metrics_pipeline.periods import Period, start_of_day, window
from metrics_pipeline.planning.affected import EVERYBODY
from metrics_pipeline.planning.portions import expenses_within, portions
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.settings import Settings
from metrics_pipeline.sql import query, rows_of
from metrics_pipeline.store.reading import read_stored
from metrics_pipeline.store.traces import accounts_with_rows

Only = Mapping[Period, "set[int] | None"]
"""Of each period the accounts to compute; None: all that the request is about."""

_ESTIMATES_ARE_WITHIN = 1.4
"""By how much the expenses on a page may differ in number from what VACUUM or ANALYZE last saw; autovacuum looks again
when a tenth of a table has changed."""

_STORED_AT_ONCE = 1000
"""Payloads of a year; each has some three kilobytes."""


@dataclass(frozen=True)
class Stage:
    """Periods whose expenses are read together, for one portion of accounts after the other.

    Attributes:
        portions: account ids; None: every active account, and those that have a stored row or a mark.
        everybody: that is who was asked for, even if a portion names some of them.
        only: which accounts of each period are computed; None: all that the request is about.
        also: accounts of each period that have a stored row or a mark: a period that was emptied must not keep its old
            figures, even of accounts that are inactive or gone. Nothing where `only` names the accounts.
        year_totals: what accounts spent in the year before the periods.
    """

    periods: Sequence[Period]
    portions: Sequence[Collection[int] | None]
    everybody: bool
    only: Only
    also: Mapping[Period, Ints]
    year_totals: YearTotals

    @property
    def accounts(self) -> int:
        """How many there are, as far as that is known before reading."""
        return sum(len(portion) for portion in self.portions if portion is not None)

    def traced(self, portion: Collection[int] | None) -> set[int]:
        """The accounts of a portion to compute even if they are inactive or gone: those in `also`. Or all that `only`
        names: each has a mark or a stored row, or exists and lacks one."""
        if not self.also:
            return set(portion or ())
        traced = set(np.concatenate([*self.also.values()]).tolist())
        return traced if portion is None else traced.intersection(portion)


def read_work(connection: Connection, settings: Settings, request: RefreshRequest) -> tuple[Marks, list[Stage]]:
    """The marks that the snapshot shows, and the stages: current periods before others, then newest first."""
    asked, shard = request.account_ids, request.shard
    account_ids = None if asked is None else {id for id in asked if shard is None or shard.holds(id)}
    marks = read_marks(connection, request.periods, account_ids)
    if shard is not None:
        marks = Marks({key: mark for key, mark in marks.tokens.items() if key[0] == EVERYBODY or shard.holds(key[0])})
    newest = sorted(request.periods, key=lambda period: (period.is_current(request.today), period.start), reverse=True)
    only = _only(connection, settings, request, marks, account_ids)
    wide = [period for period in newest if only[period] is None]
    narrow = [period for period in newest if only[period]]
    named = set().union(*(only[period] or () for period in narrow))
    stages = []
    for periods, ids in ((wide, account_ids), (narrow, named)):
        if periods and (ids is None or ids):
            divided = _divided(connection, settings, request, periods, ids, marks)
            also = _traces(connection, periods, ids, marks) if periods is wide else {}
            year_totals = _year_totals(connection, settings, request, periods, ids)
            stages.append(Stage(periods, divided, ids is None, only, also, year_totals))
    return marks, stages


def _traces(
    connection: Connection, periods: Sequence[Period], account_ids: set[int] | None, marks: Marks
) -> dict[Period, Ints]:
    stored = accounts_with_rows(connection, periods, account_ids)
    return {
        period: np.union1d(accounts, np.array([*marks.accounts_of(period)], np.int64))
        for period, accounts in stored.items()
    }


def _year_totals(
    connection: Connection,
    settings: Settings,
    request: RefreshRequest,
    periods: Sequence[Period],
    account_ids: set[int] | None,
) -> YearTotals:
    """What accounts spent in the year before these periods, where its stored payload is what a reader would be given.

    Only for a refresh of what is stale, which believes what it is told of changes. The schedule's runs and those made
    by hand look at all expenses, and so mend what was changed past the triggers.
    """
    year = scope_of(periods, request.today, ()).year_before
    if year is None or account_ids is None or not request.only_stale or year.end <= settings.start_date:
        return {}
    own, ids = fingerprint(settings), sorted(account_ids)
    return {
        id: totals_of(stored.json)
        for first in range(0, len(ids), _STORED_AT_ONCE)
        for id, stored in read_stored(connection, ids[first : first + _STORED_AT_ONCE], year).items()
        if stored.is_right(own, request.today)
    }


def _only(
    connection: Connection, settings: Settings, request: RefreshRequest, marks: Marks, account_ids: set[int] | None
) -> Only:
    if not (request.only_stale or request.only_outdated):
        return dict.fromkeys(request.periods)
    only: dict[Period, set[int] | None] = {
        period: None if marks.is_wide(period) else set(marks.accounts_of(period)) for period in request.periods
    }
    if request.only_outdated:
        only |= {period: None for period in request.periods if period.is_current(request.today)}
        closed = [period for period in request.periods if only[period] is not None]
        for account_id, period in _outdated(connection, settings, closed, account_ids):
            wanted = only[period]
            if wanted is not None and (request.shard is None or request.shard.holds(account_id)):
                wanted.add(account_id)
    return only


def _outdated(
    connection: Connection, settings: Settings, closed: Sequence[Period], account_ids: set[int] | None
) -> Iterator[Key]:
    """What of closed periods is missing in the store, or was computed by older rules or too early."""
    if not closed:
        return
    windows = [window(period, settings.zone) for period in closed]
    rows = connection.execute(
        query("outdated_keys"),
        {
            **period_arrays(closed),
            "last_days": [period.last_day for period in closed],
            "begins": [begin for begin, _ in windows],
            "ends": [end for _, end in windows],
            "account_ids": None if account_ids is None else sorted(account_ids),
            "fingerprint": fingerprint(settings),
        },
    )
    for row in rows:
        yield key_of(row)


def _divided(
    connection: Connection,
    settings: Settings,
    request: RefreshRequest,
    periods: Sequence[Period],
    account_ids: set[int] | None,
    marks: Marks,
) -> list[Collection[int] | None]:
    """The accounts in portions whose expenses fit into the memory budget; most often that is one."""
    most = expenses_within(settings.memory_budget_mb)
    rows = scope_of(periods, request.today, ()).rows
    wanted: dict[str, Any] = {
        "rows_from": start_of_day(rows.first, settings.zone),
        "rows_until": start_of_day(rows.end, settings.zone),
        "account_ids": None if account_ids is None else sorted(account_ids),
    }
    [(estimate,)] = rows_of(connection, "expenses_estimate")
    many = (estimate is None or estimate * _ESTIMATES_ARE_WITHIN > most) and bool(
        connection.execute(query("has_more_expenses"), {**wanted, "most": most}).scalar_one()
    )
    if not many and (account_ids is not None or request.shard is None):
        return [account_ids]
    marked = set().union(*(marks.accounts_of(period) for period in periods))
    ids, expenses = read_bigints(
        connection,
        "accounts_by_expenses",
        {**wanted, **period_arrays(periods), "marked": sorted(marked), "counted": many},
        columns=2,
    )
    if request.shard is not None:
        held = ids % request.shard.count == request.shard.index - 1
        ids, expenses = ids[held], expenses[held]
    return [ids[part].tolist() for part in portions(expenses, most)]
