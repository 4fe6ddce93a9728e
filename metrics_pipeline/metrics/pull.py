"""Reading what a computation needs from one snapshot: a constant number of statements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection

from metrics_pipeline.metrics.at_once import read_at_once
from metrics_pipeline.metrics.copied import read_bigints, read_blocks, side_by_side
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.scope import Range, Scope
from metrics_pipeline.periods import Grain, start_of_day
from metrics_pipeline.sql import query

NO_CATEGORY = -(2**63)
NO_CURRENCY = "XXX"
"""ISO 4217's code for "no currency": for expenses that name none."""

_PG_EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Budget:
    """An active budget. Amount in cents, thresholds in hundredths of a percent."""

    id: int
    account_id: int
    name: str
    grain: Grain
    cents: int
    currency: str
    start_date: date
    end_date: date | None
    warning: int
    critical: int
    category_ids: tuple[int, ...]

    def valid_in(self, first: date, last: date) -> bool:
        return self.start_date <= last and (self.end_date is None or self.end_date >= first)


@dataclass(frozen=True)
class Dimensions:
    """What expenses refer to. Account ids ascending, with the currency each one shows first."""

    account_ids: Ints
    account_currencies: list[str]
    active: NDArray[np.bool_]
    category_names: dict[int, str]
    budgets: list[Budget]


@dataclass(frozen=True)
class Expenses:
    """Columns of expenses, or of sums of them, as read. `kinds` decodes `kind` into (currency, status)."""

    account: Ints
    category: Ints
    kind: Ints
    cents: Ints
    merchant: Ints
    micros: Ints
    history: History
    kinds: dict[int, tuple[str, str]]


@dataclass(frozen=True)
class History:
    """Sums of expenses before the rows. `day` is the ordinal of the first day of the sum's range.

    `category` is told of accounts with budgets only; the others' sums are all without one.
    """

    account: Ints
    category: Ints
    kind: Ints
    cents: Ints
    count: Ints
    day: Ints
    micros: Ints


def read_dimensions(
    connection: Connection,
    account_ids: Sequence[int] | None,
    traced: Sequence[int],
    grains: Collection[Grain],
    default_currency: str,
) -> Dimensions:
    """Accounts (None: every active one; and those `traced`), categories, and the budgets of these grains."""
    named = None if account_ids is None else list(account_ids)
    accounts = connection.execute(query("accounts"), {"account_ids": named, "traced": list(traced)}).all()
    ids, currencies, active = zip(*accounts, strict=True) if accounts else ((), (), ())
    codes = {currency: currency_code(currency) or default_currency for currency in set(currencies)}
    wanted = None if named is None else list(ids)
    by_adverb = {grain.adverb: grain for grain in grains}
    budgets = connection.execute(query("budgets"), {"account_ids": wanted, "grains": list(by_adverb)}).mappings()
    return Dimensions(
        account_ids=np.array(ids, np.int64),
        account_currencies=[codes[currency] for currency in currencies],
        active=np.array(active, bool),
        category_names={row.id: row.name for row in connection.execute(query("categories"))},
        budgets=[
            Budget(
                grain=by_adverb[row["period"]],
                currency=currency_code(row["currency"]) or NO_CURRENCY,
                category_ids=tuple(row["category_ids"]),
                **{name: row[name] for name in _BUDGET_COLUMNS},
            )
            for row in budgets
        ],
    )


_BUDGET_COLUMNS = ("id", "account_id", "name", "cents", "start_date", "end_date", "warning", "critical")


def read_expenses(
    connection: Connection,
    scope: Scope,
    zone: ZoneInfo,
    account_ids: Ints | None,
    budget_account_ids: Ints,
    everybody: bool,
) -> Expenses:
    """The rows of the scope and the sums before it.

    Args:
        account_ids: None reads every account.
        everybody: every account was asked for, of whom these may be a portion; else they are few enough to be looked
            up one by one.
    """
    wanted = None if account_ids is None else account_ids.tolist()
    with_budgets = budget_account_ids.tolist()
    middle = scope.rows.first + (scope.rows.end - scope.rows.first) // 2
    stretches = [Range(scope.rows.first, middle), Range(middle, scope.rows.end)] if everybody else [scope.rows]
    reads: list[Callable[[Connection], list[Ints]]] = [
        partial(_read_history, scope.history, zone, wanted, with_budgets, everybody),
        *(partial(_read_rows, stretch, zone, wanted, everybody) for stretch in stretches),
        partial(_read_history, scope.budget_history, zone, with_budgets, with_budgets, everybody),
    ]
    blocks = read_at_once(connection, reads) if everybody else [read(connection) for read in reads]
    past = History(*side_by_side(blocks.pop(0) + blocks.pop()))
    account, category, kind, cents, merchant, micros = side_by_side(
        [block for _ in stretches for block in blocks.pop()]
    )
    kinds = _read_kinds(
        connection,
        np.concatenate([kind, past.kind]),
        np.concatenate([account, past.account]),
        np.concatenate([micros, past.micros]),
    )
    return Expenses(account, category, kind, cents, merchant, micros, past, kinds)


def pg_micros(instant: datetime) -> int:
    """An instant as PostgreSQL's binary timestamptz: microseconds since 2000-01-01 UTC."""
    since = instant - _PG_EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def currency_code(code: str | None) -> str:
    return (code or "").strip().upper()


def _read_rows(
    days: Range, zone: ZoneInfo, account_ids: list[int] | None, everybody: bool, connection: Connection
) -> list[Ints]:
    parameters = {
        "rows_from": start_of_day(days.first, zone),
        "rows_until": start_of_day(days.end, zone),
        "account_ids": account_ids,
        "by_account": not everybody,
    }
    return read_blocks(connection, "expense_rows", parameters, columns=6)


def _read_history(
    segments: Sequence[Range],
    zone: ZoneInfo,
    account_ids: list[int] | None,
    with_categories: list[int],
    everybody: bool,
    connection: Connection,
) -> list[Ints]:
    if not segments or account_ids == []:
        return [np.zeros((7, 0), np.int64)]
    borders = sorted({day for segment in segments for day in (segment.first, segment.end)})
    instants = [start_of_day(day, zone) for day in borders]
    columns = read_bigints(
        connection,
        "expense_history",
        {
            "history_from": instants[0],
            "history_until": instants[-1],
            "bounds": instants,
            "account_ids": account_ids,
            "by_account": not everybody,
            "with_categories": with_categories,
        },
        columns=7,
    )
    first_days = np.array([0, *(day.toordinal() for day in borders)], np.int64)
    columns[5] = first_days[columns[5]]
    return [columns]


def _read_kinds(connection: Connection, kind: Ints, account: Ints, micros: Ints) -> dict[int, tuple[str, str]]:
    """Currency and status of every hash: one lookup of one sample expense for each."""
    if kind.size == 0:
        return {}
    samples = pd.Series(kind).drop_duplicates().index.to_numpy()
    rows = connection.execute(
        query("expense_kinds"),
        {"account_ids": account[samples].tolist(), "micros": micros[samples].tolist()},
    )
    return {row.kind: (currency_code(row.currency) or NO_CURRENCY, row.status) for row in rows}
