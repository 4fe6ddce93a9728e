"""From figures to the payload's JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from metrics_pipeline.metrics.checksum import content_hash
from metrics_pipeline.metrics.exact import Ints, Percentages, ranges
from metrics_pipeline.metrics.figures import ChangeFigures, PeriodFigures
from metrics_pipeline.metrics.layout import CATEGORY, account_layout, currency_layout
from metrics_pipeline.metrics.texts import json_text, lists, nullable, table, written
from metrics_pipeline.metrics.universe import Universe
from metrics_pipeline.periods import Period

_BLOCK = 1000
"""Accounts whose texts are made together: enough to be fast, few enough to need little memory."""


class Content(NamedTuple):
    """A computed payload without its version and times, as JSON.

    `hash` tells whether two contents are the same; `checksum` is that of the period's undeleted expenses: both as
    `metrics.checksum` has them.
    """

    account_id: int
    period: Period
    json: bytes
    hash: str
    expense_count: int
    transaction_count: int
    checksum: int


class PeriodAssembler:
    """Writes the payloads of one period from tables of figures: categories into currencies, those into accounts."""

    def __init__(
        self,
        universe: Universe,
        account_currencies: list[str],
        statuses: list[str],
        figures: PeriodFigures,
        budgets: dict[int, dict[str, Any]],
        today: date,
        timezone: str,
    ) -> None:
        self._universe, self._figures, self._budgets = universe, figures, budgets
        code_at = {code: place for place, code in enumerate(universe.currencies)}
        self._own_currency = np.array([code_at.get(code, -1) for code in account_currencies], np.int64)
        self._currencies = account_currencies
        self._statuses = [json_text(status) for status in statuses]
        self._shown = figures.has_expenses.copy()
        self._shown[list(budgets)] = True
        self._expense_count = figures.status_counts.sum(axis=1)
        names = universe.category_names
        self._category_ids = pl.Series([json_text(id) for id in universe.categories])
        self._category_names = pl.Series(
            [json_text(None if id is None else names.get(id)) for id in universe.categories]
        )
        period = figures.period
        self._account = account_layout(period, today, timezone, self._statuses)
        self._currency = currency_layout(period, today)

    def accounts_with_expenses(self) -> Ints:
        """Positions of the accounts that have an undeleted expense, of any status, in the period."""
        return np.flatnonzero(self._expense_count)

    def contents(self, positions: Ints) -> Iterator[Content]:
        """The payloads of these accounts, by ascending position among the computation's accounts."""
        for first in range(0, positions.size, _BLOCK):
            yield from self._block(positions[first : first + _BLOCK])

    def _block(self, positions: Ints) -> list[Content]:
        figures = self._figures
        columns = {
            "account_id": self._universe.account_ids[positions],
            "transaction_count": figures.transaction_count[positions],
            "unique_merchants": figures.unique_merchants[positions],
            "unique_categories": figures.unique_categories[positions],
            "uncategorized_count": figures.uncategorized[positions],
        }
        frame = table(
            {
                **columns,
                "currency": [json_text(self._currencies[position]) for position in positions.tolist()],
                **{status: figures.status_counts[positions, n] for n, status in enumerate(self._statuses)},
                "currencies": self._by_account(positions),
            }
        )
        rows = zip(
            columns["account_id"].tolist(),
            written(frame, self._account).cast(pl.Binary).to_list(),
            self._expense_count[positions].tolist(),
            columns["transaction_count"].tolist(),
            figures.checksum[positions].tolist(),
            strict=True,
        )
        return [
            Content(account_id, figures.period, json, content_hash(json), expenses, counted, checksum)
            for account_id, json, expenses, counted, checksum in rows
        ]

    def _by_account(self, positions: Ints) -> pl.Series:
        """`currencies` of each account: its own first, then by code."""
        universe = self._universe
        wanted = np.zeros(universe.account_ids.size, bool)
        wanted[positions] = True
        groups = np.flatnonzero(self._shown & wanted[universe.group_account])
        account, currency = universe.group_account[groups], universe.group_currency[groups]
        groups = groups[np.lexsort((currency, currency != self._own_currency[account], account))]
        return lists(self._of_groups(groups), universe.group_account[groups], positions)

    def _of_groups(self, groups: Ints) -> pl.Series:
        figures, universe = self._figures, self._universe
        codes = pl.Series([json_text(code) for code in universe.currencies], dtype=pl.String)
        count = figures.count[groups]
        sparkline = figures.sparkline[groups]
        frame = table(
            {
                "code": codes[universe.group_currency[groups]],
                "total": figures.total[groups],
                "count": count,
                "average": nullable(figures.average[groups], count > 0),
                "median": nullable(figures.median[groups], count > 0),
                "min": nullable(figures.smallest[groups], count > 0),
                "max": nullable(figures.largest[groups], count > 0),
                **_change("trend.", figures.trend, groups),
                **(_change("to_date.", figures.to_date, groups) if figures.to_date else {}),
                "categories": self._categories(groups),
                **{f"step {n}": column for n, column in enumerate(figures.series[groups].T)},
                **{f"day {n}": column for n, column in enumerate(sparkline.T)},
                "sparkline.min": sparkline.min(axis=1),
                "sparkline.max": sparkline.max(axis=1),
                "sparkline.average": figures.sparkline_average[groups],
                "sparkline.total": sparkline.sum(axis=1),
                "budgets": [json_text(self._budgets.get(group)) for group in groups.tolist()],
            }
        )
        return written(frame, self._currency)

    def _categories(self, groups: Ints) -> pl.Series:
        figures = self._figures.categories
        first, end = figures.first[groups], figures.first[groups + 1]
        rows = ranges(first, end)
        frame = table(
            {
                "id": self._category_ids[figures.category[rows]],
                "name": self._category_names[figures.category[rows]],
                "total": figures.total[rows],
                "count": figures.count[rows],
                "average": figures.average[rows],
                "min": figures.smallest[rows],
                "max": figures.largest[rows],
                "share_pct": _percentages(figures.share_pct[rows]),
            }
        )
        return lists(written(frame, CATEGORY), np.repeat(groups, end - first), groups)


def _change(prefix: str, change: ChangeFigures, groups: Ints) -> dict[str, Any]:
    """The columns of a change, whose names begin with the prefix."""
    amount_change = change.amount_change[groups]
    columns = {
        "previous_total": change.previous_total[groups],
        "previous_count": change.previous_count[groups],
        "absolute_amount_change": amount_change,
        "absolute_count_change": change.count_change[groups],
        "amount_change_pct": _percentages(change.amount_pct[groups]),
        "count_change_pct": _percentages(change.count_pct[groups]),
        "average_change_pct": _percentages(change.average_pct[groups]),
        "is_increase": amount_change > 0,
    }
    return {prefix + name: column for name, column in columns.items()}


def _percentages(percentages: Percentages) -> pl.Series:
    return nullable(percentages.scaled, percentages.defined)
