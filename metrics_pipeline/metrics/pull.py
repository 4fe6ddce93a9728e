"""Reading the expenses that a computation needs from one snapshot: a constant number of statements."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection

from metrics_pipeline.metrics.at_once import read_at_once
from metrics_pipeline.metrics.copied import read_blocks
from metrics_pipeline.metrics.dimensions import NO_CURRENCY, Dimensions, currency_code
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.expenses import (
    ROW_FIELDS,
    SUM_FIELDS,
    Block,
    Decoder,
    Example,
    Expenses,
    Kind,
    Sums,
    pg_micros,
)
from metrics_pipeline.metrics.scope import Range, Scope
from metrics_pipeline.metrics.year_before import YearBefore, YearTotals
from metrics_pipeline.periods import start_of_day
from metrics_pipeline.sql import rows_of

_STRETCHES = 4

_HISTORY_FIELDS = ("account_id", "category_id", "kind", "cents", "count", "segment")

_Read = Callable[[Connection], "list[Any]"]
"""Finds some parts of what is wanted: sums, or blocks of rows."""


def read_expenses(
    connection: Connection,
    scope: Scope,
    zone: ZoneInfo,
    dimensions: Dimensions,
    account_ids: Sequence[int] | None,
    everybody: bool,
    year_totals: YearTotals,
) -> Expenses:
    """The rows of the scope and the sums before it.

    Args:
        account_ids: None reads every account.
        everybody: every account was asked for, of whom these may be a portion; else they are few enough to be looked
            up one by one.
        year_totals: of the scope's `year_before`, as far as known.
    """
    decoder = Decoder(dimensions.account_ids, scope.rows, zone)
    with_budgets = sorted({budget.account_id for budget in dimensions.budgets})
    known_ids = set(account_ids or ()).intersection(year_totals).difference(with_budgets)
    year = YearBefore(scope, {id: year_totals[id] for id in sorted(known_ids)})
    other_ids = account_ids if account_ids is None else [id for id in account_ids if id not in known_ids]
    stretches = _stretches(scope.rows) if everybody else [scope.rows]

    def divided(ids: Sequence[int] | None) -> list[Sequence[int] | None]:
        return [ids] if ids is None or everybody else [*_halves(ids)]

    def sums(segments: Sequence[Range], ids: Sequence[int] | None) -> _Read:
        return partial(_read_sums, segments, zone, ids, with_budgets, everybody)

    def rows(days: Range, ids: Sequence[int] | None) -> _Read:
        return partial(_read_rows, decoder, days, zone, ids, everybody)

    of_others = [sums(scope.history, ids) for ids in divided(other_ids)]
    of_budgets = [sums(scope.budget_history, with_budgets)]
    of_known = [sums(segments, ids) for segments in year.to_read for ids in divided(year.account_ids)]
    of_all = [rows(days, ids) for days in stretches for ids in divided(account_ids)]
    groups = of_others, of_budgets, of_known, of_all
    others, budgets, known, blocks = _read_groups(connection, groups, at_once=everybody or len(of_all) > 1)
    blocks = [decoder.sums([*others, *budgets, *year.sums(known)]), *blocks]
    examples = {kind: example for block in blocks for kind, example in block.examples.items()}
    return Expenses(blocks, _read_kinds(connection, examples, year.kinds))


def _read_groups(connection: Connection, groups: Sequence[Sequence[_Read]], *, at_once: bool) -> list[list[Any]]:
    """What all reads of each group found."""
    reads = [read for group in groups for read in group]
    results = iter(read_at_once(connection, reads) if at_once else [read(connection) for read in reads])
    return [[each for _ in group for each in next(results)] for group in groups]


def _halves(account_ids: Sequence[int]) -> list[Sequence[int]]:
    """Named accounts for two connections: a hundred take two thirds of the time that they take on one.

    Stretches of days would not do, of which PostgreSQL reads everybody's expenses, to pick theirs out.
    """
    half = (len(account_ids) + 1) // 2
    return [ids for ids in (account_ids[:half], account_ids[half:]) if ids]


def _stretches(days: Range) -> list[Range]:
    """The days in a few parts: with fewer, one of the two connections would be done long before the other."""
    count = (days.end - days.first).days
    borders = [days.first + timedelta(days=count * n // _STRETCHES) for n in range(_STRETCHES + 1)]
    return [Range(first, end) for first, end in itertools.pairwise(borders) if first < end]


def _read_rows(
    decoder: Decoder,
    days: Range,
    zone: ZoneInfo,
    account_ids: Sequence[int] | None,
    everybody: bool,
    connection: Connection,
) -> list[Block]:
    parameters = {
        "rows_from": start_of_day(days.first, zone),
        "rows_until": start_of_day(days.end, zone),
        "account_ids": account_ids,
        "by_account": not everybody,
    }
    return read_blocks(connection, "expense_rows", parameters, ROW_FIELDS, decoder.rows)


def _read_sums(
    segments: Sequence[Range],
    zone: ZoneInfo,
    account_ids: Sequence[int] | None,
    with_categories: Sequence[int],
    everybody: bool,
    connection: Connection,
) -> list[Sums]:
    """Sums over the segments, in parts."""
    if not segments or account_ids == []:
        return []
    borders = sorted({day for segment in segments for day in (segment.first, segment.end)})
    instants = [start_of_day(day, zone) for day in borders]
    first_days = np.array([day.toordinal() for day in borders], np.int64)
    micros = np.array([pg_micros(instant) for instant in instants], np.int64)

    def decode(read: Mapping[str, Ints]) -> Sums:
        segment = read["segment"]  # counted from one
        times = {"day": first_days[segment - 1], "micros": micros[segment - 1], "end": micros[segment]}
        return {name: times[name] if name in times else read[name] for name in SUM_FIELDS}

    parameters = {
        "history_from": instants[0],
        "history_until": instants[-1],
        "bounds": instants,
        "segments": len(borders) - 1,
        "account_ids": account_ids,
        "by_account": not everybody,
        "with_categories": with_categories,
        "tell_categories": bool(with_categories),
    }
    return read_blocks(connection, "expense_history", parameters, _HISTORY_FIELDS, decode)


def _read_kinds(connection: Connection, examples: Mapping[int, Example], known: Mapping[int, Kind]) -> dict[int, Kind]:
    """Currency and status of every hash: one lookup of one example of each that is not known."""
    unknown = {kind: example for kind, example in examples.items() if kind not in known}
    if not unknown:
        return {**known}
    account_ids, begins, ends = map(list, zip(*unknown.values(), strict=True))
    rows = rows_of(
        connection,
        "expense_kinds",
        {"kinds": list(unknown), "account_ids": account_ids, "begins": begins, "ends": ends},
    )
    return {**known, **{row.kind: (currency_code(row.currency) or NO_CURRENCY, row.status) for row in rows}}
