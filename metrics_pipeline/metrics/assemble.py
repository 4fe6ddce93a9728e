"""From figures to the payload's JSON."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import numpy as np

from metrics_pipeline.metrics.exact import Ints, Percentages, ranges
from metrics_pipeline.metrics.figures import ChangeFigures, PeriodFigures
from metrics_pipeline.metrics.fingerprint import content_hash
from metrics_pipeline.metrics.layout import CATEGORY, STATUS, account_layout, currency_layout
from metrics_pipeline.metrics.texts import Chosen, Nullable, Texts, encoded, joined, json_text, written
from metrics_pipeline.metrics.universe import Universe
from metrics_pipeline.periods import Period


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
        codes = [*universe.currencies, *sorted({*account_currencies} - {*universe.currencies})]
        code_at = {code: place for place, code in enumerate(codes)}
        self._own_currency = np.array([code_at[code] for code in account_currencies], np.int64)
        self._codes = [json_text(code) for code in codes]
        self._statuses = [json_text(status) for status in statuses]
        self._shown = figures.has_expenses.copy()
        self._shown[list(budgets)] = True
        self._expense_count = figures.status_counts.sum(axis=1)
        names = universe.category_names
        self._category_ids = [json_text(id) for id in universe.categories]
        self._category_names = [json_text(None if id is None else names.get(id)) for id in universe.categories]
        period = figures.period
        self._account = account_layout(period, today, timezone)
        self._currency = currency_layout(period, today)

    def accounts_with_expenses(self) -> Ints:
        """Positions of the accounts that have an undeleted expense, of any status, in the period."""
        return np.flatnonzero(self._expense_count)

    def contents(self, positions: Ints) -> list[Content]:
        """The payloads of these accounts, by ascending position among the computation's accounts."""
        figures = self._figures
        account_ids, counted = self._universe.account_ids[positions], figures.transaction_count[positions]
        texts = written(
            {
                "account_id": account_ids,
                "currency": Chosen(self._codes, self._own_currency[positions]),
                "transaction_count": counted,
                "unique_merchants": figures.unique_merchants[positions],
                "unique_categories": figures.unique_categories[positions],
                "uncategorized_count": figures.uncategorized[positions],
                "by_status": self._statuses_of(positions),
                "currencies": self._by_account(positions),
            },
            self._account,
        )
        rows = zip(
            account_ids.tolist(),
            encoded(texts),
            self._expense_count[positions].tolist(),
            counted.tolist(),
            figures.checksum[positions].tolist(),
            strict=True,
        )
        return [
            Content(account_id, figures.period, json, content_hash(json), expenses, counted, checksum)
            for account_id, json, expenses, counted, checksum in rows
        ]

    def _statuses_of(self, positions: Ints) -> Texts:
        counts = self._figures.status_counts[positions]
        account, status = np.nonzero(counts)
        texts = written({"status": Chosen(self._statuses, status), "count": counts[account, status]}, STATUS)
        return joined(texts, np.bincount(account, minlength=positions.size))

    def _by_account(self, positions: Ints) -> Texts:
        """`currencies` of each account: its own first, then by code."""
        universe = self._universe
        wanted = np.zeros(universe.account_ids.size, bool)
        wanted[positions] = True
        groups = np.flatnonzero(self._shown & wanted[universe.group_account])
        account, currency = universe.group_account[groups], universe.group_currency[groups]
        groups = groups[np.lexsort((currency, currency != self._own_currency[account], account))]
        texts = self._of_groups(groups)
        return joined(texts, np.searchsorted(account, positions, "right") - np.searchsorted(account, positions))

    def _of_groups(self, groups: Ints) -> Texts:
        figures = self._figures
        sparkline = figures.sparkline[groups]
        some = figures.count[groups] > 0
        return written(
            {
                "code": Chosen(self._codes, self._universe.group_currency[groups]),
                "total": figures.total[groups],
                "count": figures.count[groups],
                "average": Nullable(figures.average[groups], some),
                "median": Nullable(figures.median[groups], some),
                "min": Nullable(figures.smallest[groups], some),
                "max": Nullable(figures.largest[groups], some),
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
            },
            self._currency,
        )

    def _categories(self, groups: Ints) -> Texts:
        figures = self._figures.categories
        first, end = figures.first[groups], figures.first[groups + 1]
        rows = ranges(first, end)
        category = figures.category[rows]
        texts = written(
            {
                "id": Chosen(self._category_ids, category),
                "name": Chosen(self._category_names, category),
                "total": figures.total[rows],
                "count": figures.count[rows],
                "average": figures.average[rows],
                "min": figures.smallest[rows],
                "max": figures.largest[rows],
                "share_pct": _nullable(figures.share_pct[rows]),
            },
            CATEGORY,
        )
        return joined(texts, end - first)


def _change(prefix: str, change: ChangeFigures, groups: Ints) -> dict[str, Any]:
    """The columns of a change, whose names begin with the prefix."""
    amount_change = change.amount_change[groups]
    columns = {
        "previous_total": change.previous_total[groups],
        "previous_count": change.previous_count[groups],
        "absolute_amount_change": amount_change,
        "absolute_count_change": change.count_change[groups],
        "amount_change_pct": _nullable(change.amount_pct[groups]),
        "count_change_pct": _nullable(change.count_pct[groups]),
        "average_change_pct": _nullable(change.average_pct[groups]),
        "is_increase": amount_change > 0,
    }
    return {prefix + name: column for name, column in columns.items()}


def _nullable(percentages: Percentages) -> Nullable:
    return Nullable(percentages.scaled, percentages.defined)
