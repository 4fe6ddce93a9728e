"""One look: source and store compared on one snapshot, some accounts at a time so that memory stays bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from metrics_pipeline.changes.keys import Key
from metrics_pipeline.database import read_transaction
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.metrics.scope import Range
from metrics_pipeline.periods import Grain, Period, start_of_day
from metrics_pipeline.reconciliation.findings import Comparison, Drift, Kind, ReconcileRequest
from metrics_pipeline.reconciliation.recompute import different_payloads
from metrics_pipeline.reconciliation.source import Sums, sums_by_day, sums_by_period
from metrics_pipeline.reconciliation.stored import GRAINS, Rows, outdated, period_codes, read_rows, read_waiting
from metrics_pipeline.settings import Settings
from metrics_pipeline.sql import query

_MOST_ROWS = 300_000
"""Expenses and payloads that are held at once, unless one account has more."""

_COVERED = 0.5
"""A period was computed for everybody when more than this share of those who spent in it have a payload."""


@dataclass(frozen=True)
class Keys:
    """Accounts and periods of some accounts, each with what source and store say of it. Parallel columns."""

    account: Ints
    grain: Ints
    start: Ints
    expenses: Ints
    source: Ints
    stored: Ints
    checksum: Ints
    has_row: NDArray[np.bool_]
    has_checksum: NDArray[np.bool_]
    edited: NDArray[np.bool_]
    outdated: NDArray[np.bool_]

    def key(self, place: int) -> Key:
        period = Period(GRAINS[int(self.grain[place])], date.fromordinal(int(self.start[place])))
        return int(self.account[place]), period

    def where(self, chosen: NDArray[np.bool_]) -> Keys:
        return Keys(**{name: getattr(self, name)[chosen] for name in Keys.__dataclass_fields__})

    def drifts(self, kind: Kind) -> Iterator[Drift]:
        for place in range(self.start.size):
            yield Drift(
                kind,
                *self.key(place),
                expenses=int(self.expenses[place]),
                stored=int(self.stored[place]) if self.has_row[place] else None,
                delta=None if kind == "edited" else int(self.source[place]) - int(self.checksum[place]),
            )


def compare(
    engine: Engine,
    settings: Settings,
    request: ReconcileRequest,
    today: date,
    account_ids: Collection[int] | None = None,
    covered: Collection[Period] = (),
) -> Comparison:
    """Compare everything, or what these accounts have.

    Args:
        covered: periods known to have been computed for everybody: a few accounts cannot tell.
    """
    found = Comparison(covered=set(covered))
    with read_transaction(engine) as connection:
        days = _all_days(settings, today)
        sizes = _sizes(connection, settings, days, account_ids, found)
        if account_ids is None and request.sample is not None:
            sizes = {account_id: sizes[account_id] for account_id in _chosen(sizes, request.sample, request.seed)}
        found.account_ids = sorted(sizes)
        stored: dict[Period, tuple[int, int]] = {}
        active = np.array(sorted(connection.execute(query("active_accounts")).scalars()), np.int64)
        absent: list[Keys] = []
        for shard in _shards(sizes):
            waiting = read_waiting(connection, shard)
            keys = _keys(
                sums_by_day(connection, days, settings.zone, shard),
                read_rows(connection, shard, fingerprint(settings)),
                settings.start_date,
                today,
            )
            _count_coverage(found, stored, keys, active)
            waits = keys.outdated | waiting.covers(keys.account, keys.grain, keys.start)
            found.deferred += int(waits.sum())
            keys = keys.where(~waits)
            found.compared += keys.start.size
            for kind, differing in _judged(keys):
                found.drifts.add(keys.where(differing).drifts(kind))
            absent.append(keys.where(~keys.has_row & np.isin(keys.account, active)))
            again = keys.where(keys.has_row & (~keys.has_checksum | request.full))
            found.recomputed += again.start.size
            wrong = different_payloads(connection, settings, [again.key(n) for n in range(again.start.size)], today)
            found.drifts.add(Drift("mismatched", *key) for key in wrong)
        if account_ids is None:
            found.covered |= {period for period, shares in stored.items() if shares[1] > shares[0] * _COVERED}
        for keys in absent:
            found.drifts.add(drift for drift in keys.drifts("missing") if drift.period in found.covered)
    return found


def _all_days(settings: Settings, today: date) -> Range:
    """The days of all partitions: the first year's may begin before the start date, the last one's end after today."""
    firsts = [Period.holding(grain, settings.start_date).start for grain in Grain]
    return Range(min(firsts), max(Period.holding(grain, today).end for grain in Grain))


def _sizes(
    connection: Connection, settings: Settings, days: Range, account_ids: Collection[int] | None, found: Comparison
) -> dict[int, int]:
    """Expenses and payloads of every account that has any, or of these."""
    wanted = {"account_ids": None if account_ids is None else sorted(account_ids)}
    bounds = {"first": start_of_day(days.first, settings.zone), "until": start_of_day(days.end, settings.zone)}
    sizes: dict[int, int] = {}
    for row in connection.execute(query("source_accounts"), wanted | bounds):
        if row.account_id is None:
            found.without_account = row.expenses
        else:
            sizes[row.account_id] = row.expenses
            found.outside += row.outside
    for row in connection.execute(query("stored_accounts"), wanted):
        sizes[row.account_id] = sizes.get(row.account_id, 0) + row.payloads
    return sizes


def _chosen(account_ids: Collection[int], count: int, seed: int) -> list[int]:
    """The same accounts for the same seed, whichever others there are."""
    by_hash = sorted(account_ids, key=lambda id: hashlib.blake2b(f"{seed}:{id}".encode(), digest_size=8).digest())
    return by_hash[:count]


def _shards(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    shard: list[int] = []
    rows = 0
    for account_id in sorted(sizes):
        if shard and rows + sizes[account_id] > _MOST_ROWS:
            yield shard
            shard, rows = [], 0
        shard.append(account_id)
        rows += sizes[account_id]
    if shard:
        yield shard


def _keys(by_day: Sums, rows: Rows, earliest: date, today: date) -> Keys:
    """Each account and period that has expenses or a stored payload, of the periods that there are partitions of."""
    sums = [sums_by_period(by_day, grain) for grain in GRAINS]
    grain = np.concatenate([np.full(each.start.size, place) for place, each in enumerate(sums)])
    account, start, count, checksum = (np.concatenate(column) for column in zip(*sums, strict=True))
    accounts = np.unique(np.concatenate([account, rows.account]))

    def code(account: Ints, grain: Ints, start: Ints) -> Ints:
        return np.searchsorted(accounts, account) * 2**24 + period_codes(grain, start)

    codes, place = np.unique(
        np.concatenate([code(account, grain, start), code(rows.account, rows.grain, rows.start)]), return_inverse=True
    )
    of_source, of_store = place[: start.size], place[start.size :]

    def column(places: Ints, values: Ints) -> Ints:
        filled = np.zeros(codes.size, np.int64)
        filled[places] = values
        return filled

    keys = Keys(
        account=accounts[codes // 2**24] if codes.size else codes,
        grain=codes // 2**22 % 4,
        start=codes % 2**22,
        expenses=column(of_source, count),
        source=column(of_source, checksum),
        stored=column(of_store, rows.expenses),
        checksum=column(of_store, rows.checksum),
        has_row=column(of_store, np.ones_like(rows.start)) == 1,
        has_checksum=column(of_store, rows.has_checksum) == 1,
        edited=column(of_store, rows.edited) == 1,
        outdated=column(of_store, outdated(rows, today).astype(np.int64)) == 1,
    )
    first = np.array([Period.holding(grain, earliest).start.toordinal() for grain in GRAINS])
    last = np.array([Period.holding(grain, today).start.toordinal() for grain in GRAINS])
    inside = (keys.start >= first[keys.grain]) & (keys.start <= last[keys.grain])
    return keys.where(inside)


def _judged(keys: Keys) -> Iterator[tuple[Kind, NDArray[np.bool_]]]:
    """What is wrong with the stored payloads."""
    extra = keys.has_row & (keys.expenses == 0) & (keys.stored > 0)
    differs = (keys.source != keys.checksum) | (keys.expenses != keys.stored)
    yield "extra", extra
    yield "mismatched", keys.has_row & keys.has_checksum & differs & ~extra
    yield "edited", keys.edited


def _count_coverage(found: Comparison, stored: dict[Period, tuple[int, int]], keys: Keys, active: Ints) -> None:
    """Add to how many have spent and, of these, how many have a payload: by grain, and by period of active accounts."""
    spent = keys.where(keys.expenses > 0)
    for place, grain in enumerate(GRAINS):
        of_grain = spent.grain == place
        found.with_expenses[grain] = found.with_expenses.get(grain, 0) + int(of_grain.sum())
        found.with_payload[grain] = found.with_payload.get(grain, 0) + int(spent.has_row[of_grain].sum())
    spent = spent.where(np.isin(spent.account, active))
    _, first, number = np.unique(period_codes(spent.grain, spent.start), return_index=True, return_inverse=True)
    everybody, with_row = np.bincount(number), np.bincount(number, spent.has_row)
    for each, example in enumerate(first.tolist()):
        _, period = spent.key(example)
        before = stored.get(period, (0, 0))
        stored[period] = before[0] + int(everybody[each]), before[1] + int(with_row[each])
