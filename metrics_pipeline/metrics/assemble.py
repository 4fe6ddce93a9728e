"""From figures to the payload's JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import orjson

from metrics_pipeline.metrics.exact import money
from metrics_pipeline.metrics.facts import Universe
from metrics_pipeline.metrics.figures import CategoryFigures, ChangeFigures, PeriodFigures
from metrics_pipeline.metrics.payload import CODE_VERSION, SCHEMA
from metrics_pipeline.periods import Grain, Period, days_between


@dataclass(frozen=True)
class Content:
    """A computed payload without its version and times, as JSON."""

    account_id: int
    period: Period
    json: bytes
    expense_count: int
    transaction_count: int

    @property
    def hash(self) -> str:
        """Tells whether two contents are the same; 128 bits of BLAKE2b in hexadecimal."""
        return hashlib.blake2b(self.json, digest_size=16).hexdigest()


class PeriodAssembler:
    """Writes the payloads of one period, account by account."""

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
        self._universe, self._currencies, self._statuses = universe, account_currencies, statuses
        self._figures, self._budgets = figures, budgets
        self._first_group: list[int] = universe.first_group.tolist()
        self._group_currency: list[int] = universe.group_currency.tolist()
        period = figures.period
        shown = figures.has_expenses.copy()
        shown[list(budgets)] = True
        self._shown: list[bool] = shown.tolist()
        self._expense_count: list[int] = figures.status_counts.sum(axis=1).tolist()
        self._ends_on = period.as_of(today).isoformat()
        self._steps = _step_labels(period)
        self._common = {
            "period_start": period.key,
            "period_end": period.end.isoformat(),
            "timezone": timezone,
            "as_of": self._ends_on,
            "is_current": period.is_current(today),
        }

    def accounts_with_expenses(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Positions of the accounts that have an undeleted expense, of any status, in the period."""
        return np.flatnonzero(self._expense_count)

    def contents(self, positions: Iterable[int]) -> Iterator[Content]:
        """The payloads of these accounts, by position among the computation's accounts."""
        figures = self._figures
        account_ids = self._universe.account_ids
        for position in positions:
            account_id = int(account_ids[position])
            content = {
                "schema": SCHEMA,
                "code_version": CODE_VERSION,
                "account_id": account_id,
                "currency": self._currencies[position],
                "grain": figures.period.grain.value,
                **self._common,
                "transaction_count": figures.transaction_count[position],
                "unique_merchants": figures.unique_merchants[position],
                "unique_categories": figures.unique_categories[position],
                "uncategorized_count": figures.uncategorized[position],
                "by_status": {
                    status: count
                    for status, count in zip(self._statuses, figures.status_counts[position].tolist(), strict=False)
                    if count
                },
                "currencies": self._by_currency(position),
            }
            yield Content(
                account_id,
                figures.period,
                orjson.dumps(content),
                self._expense_count[position],
                figures.transaction_count[position],
            )

    def _by_currency(self, position: int) -> dict[str, Any]:
        groups = [
            group for group in range(self._first_group[position], self._first_group[position + 1]) if self._shown[group]
        ]
        codes = self._universe.currencies
        own = self._currencies[position]
        groups.sort(key=lambda group: codes[self._group_currency[group]] != own)
        return {codes[self._group_currency[group]]: self._of_group(group) for group in groups}

    def _of_group(self, group: int) -> dict[str, Any]:
        figures = self._figures
        some = figures.count[group] > 0
        spark = figures.sparkline[group]
        totals = [
            {self._step_name: step, "total": money(cents)}
            for step, cents in zip(self._steps, figures.series[group], strict=True)
        ]
        return {
            "total": money(figures.total[group]),
            "count": figures.count[group],
            "average": money(figures.average[group]) if some else None,
            "median": money(figures.median[group]) if some else None,
            "min": money(figures.smallest[group]) if some else None,
            "max": money(figures.largest[group]) if some else None,
            "trend": {
                **_change(figures.trend, group),
                "to_date": _change(figures.to_date, group) if figures.to_date else None,
            },
            "categories": self._categories(figures.categories, group),
            "daily": totals if self._step_name == "date" else [],
            "monthly": totals if self._step_name == "month" else [],
            "sparkline": {
                "ends_on": self._ends_on,
                "days": [money(cents) for cents in spark],
                "min": money(min(spark)),
                "max": money(max(spark)),
                "average": money(figures.sparkline_average[group]),
                "total": money(sum(spark)),
            },
            "budgets": self._budgets.get(group),
        }

    @property
    def _step_name(self) -> str:
        return "month" if self._figures.period.grain is Grain.YEAR else "date"

    def _categories(self, table: CategoryFigures, group: int) -> list[dict[str, Any]]:
        ids, names = self._universe.categories, self._universe.category_names
        rows = []
        for row in range(table.first[group], table.first[group + 1]):
            id = ids[table.category[row]]
            rows.append(
                {
                    "id": id,
                    "name": None if id is None else names.get(id, f"category {id}"),
                    "total": money(table.total[row]),
                    "count": table.count[row],
                    "average": money(table.average[row]),
                    "min": money(table.smallest[row]),
                    "max": money(table.largest[row]),
                    "share_pct": table.share_pct[row],
                }
            )
        return rows


def _change(figures: ChangeFigures, group: int) -> dict[str, Any]:
    return {
        "previous_total": money(figures.previous_total[group]),
        "previous_count": figures.previous_count[group],
        "absolute_amount_change": money(figures.amount_change[group]),
        "absolute_count_change": figures.count_change[group],
        "amount_change_pct": figures.amount_pct[group],
        "count_change_pct": figures.count_pct[group],
        "average_change_pct": figures.average_pct[group],
        "is_increase": figures.amount_change[group] > 0,
    }


def _step_labels(period: Period) -> list[str]:
    """What the columns of the period's series stand for: days, a year's months, nothing for a day."""
    if period.grain is Grain.DAY:
        return []
    if period.grain is Grain.YEAR:
        return [f"{period.start.year:04d}-{month:02d}" for month in range(1, 13)]
    return [day.isoformat() for day in days_between(period.start, period.end)]
