"""From figures to the payload's JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np

from metrics_pipeline.metrics.exact import Ints, ranges
from metrics_pipeline.metrics.figures import ChangeFigures, PeriodFigures, step_labels
from metrics_pipeline.metrics.payload import CODE_VERSION, SCHEMA
from metrics_pipeline.metrics.scope import SPARKLINE_DAYS
from metrics_pipeline.metrics.texts import (
    filled,
    joined,
    json_text,
    money_texts,
    null_where,
    percentage_texts,
    template,
    truth_texts,
)
from metrics_pipeline.metrics.universe import Universe
from metrics_pipeline.periods import Grain, Period

_BLOCK = 1000
"""Accounts whose texts are made together: enough to be fast, few enough to need little memory."""

_CODE_VERSION = json_text(CODE_VERSION)


class Content(NamedTuple):
    """A computed payload without its version and times, as JSON.

    `hash` tells whether two contents are the same: 128 bits of BLAKE2b in hexadecimal.
    `checksum`: of the period's undeleted expenses, as `metrics.checksum` has it.
    """

    account_id: int
    period: Period
    json: bytes
    hash: str
    expense_count: int
    transaction_count: int
    checksum: int


_PAYLOAD = template(
    *("schema", "code_version", "account_id", "currency", "grain"),
    *("period_start", "period_end", "timezone", "as_of", "is_current"),
    *("transaction_count", "unique_merchants", "unique_categories", "uncategorized_count", "by_status", "currencies"),
)
_CURRENCY = template(
    *("total", "count", "average", "median", "min", "max"),
    *("trend", "categories", "daily", "monthly", "sparkline", "budgets"),
)
_CHANGE = (
    *("previous_total", "previous_count", "absolute_amount_change", "absolute_count_change"),
    *("amount_change_pct", "count_change_pct", "average_change_pct", "is_increase"),
)
_CATEGORY = template("id", "name", "total", "count", "average", "min", "max", "share_pct")
_SPARKLINE = template("ends_on", "days", "min", "max", "average", "total")


class PeriodAssembler:
    """Writes the payloads of one period: columns of figures to columns of text, and those into templates."""

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
        self._currencies = account_currencies
        code_at = {code: place for place, code in enumerate(universe.currencies)}
        self._own_currency = np.array([code_at.get(code, -1) for code in account_currencies], np.int64)
        self._statuses = [json_text(status) for status in statuses]
        self._shown = figures.has_expenses.copy()
        self._shown[list(budgets)] = True
        self._expense_count = figures.status_counts.sum(axis=1)
        period = figures.period
        self._ends_on = json_text(period.as_of(today))
        self._common = (
            json_text(period.grain.value),
            json_text(period.key),
            json_text(period.end),
            json_text(timezone),
            self._ends_on,
            json_text(period.is_current(today)),
        )

    def accounts_with_expenses(self) -> Ints:
        """Positions of the accounts that have an undeleted expense, of any status, in the period."""
        return np.flatnonzero(self._expense_count)

    def contents(self, positions: Ints) -> Iterator[Content]:
        """The payloads of these accounts, by ascending position among the computation's accounts."""
        for first in range(0, positions.size, _BLOCK):
            yield from self._block(positions[first : first + _BLOCK])

    def _block(self, positions: Ints) -> Iterator[Content]:
        figures = self._figures
        columns = zip(
            self._universe.account_ids[positions].tolist(),
            self._expense_count[positions].tolist(),
            figures.transaction_count[positions].tolist(),
            figures.unique_merchants[positions].tolist(),
            figures.unique_categories[positions].tolist(),
            figures.uncategorized[positions].tolist(),
            [json_text(self._currencies[position]) for position in positions.tolist()],
            figures.status_counts[positions].tolist(),
            self._by_account(positions),
            figures.checksum[positions].tolist(),
            strict=True,
        )
        for (
            account_id,
            expenses,
            counted,
            merchants,
            categories,
            uncategorized,
            own,
            by_status,
            currencies,
            checksum,
        ) in columns:
            text = _PAYLOAD % (
                SCHEMA,
                _CODE_VERSION,
                account_id,
                own,
                *self._common,
                counted,
                merchants,
                categories,
                uncategorized,
                self._status_text(by_status),
                currencies,
            )
            json = text.encode()
            digest = hashlib.blake2b(json, digest_size=16).hexdigest()
            yield Content(account_id, figures.period, json, digest, expenses, counted, checksum)

    def _status_text(self, counts: list[int]) -> str:
        found = [f"{status}:{count}" for status, count in zip(self._statuses, counts, strict=False) if count]
        return "{" + ",".join(found) + "}"

    def _by_account(self, positions: Ints) -> list[str]:
        """`currencies` of each account: its own first, then by code."""
        universe = self._universe
        wanted = np.zeros(universe.account_ids.size, bool)
        wanted[positions] = True
        groups = np.flatnonzero(self._shown & wanted[universe.group_account])
        account, currency = universe.group_account[groups], universe.group_currency[groups]
        groups = groups[np.lexsort((currency, currency != self._own_currency[account], account))]
        codes = [json_text(code) for code in universe.currencies]
        texts = [
            f"{codes[currency]}:{text}"
            for currency, text in zip(universe.group_currency[groups].tolist(), self._of_groups(groups), strict=True)
        ]
        return joined(texts, np.searchsorted(account, positions), np.searchsorted(account, positions, "right"), "{%s}")

    def _of_groups(self, groups: Ints) -> Iterable[str]:
        figures = self._figures
        count = figures.count[groups]
        steps = self._steps(groups)
        columns = (
            money_texts(figures.total[groups]),
            count.tolist(),
            *(
                null_where(count == 0, money_texts(column[groups]))
                for column in (figures.average, figures.median, figures.smallest, figures.largest)
            ),
            self._trends(groups),
            self._categories(groups),
            steps if figures.period.grain in (Grain.WEEK, Grain.MONTH) else ["[]"] * groups.size,
            steps if figures.period.grain is Grain.YEAR else ["[]"] * groups.size,
            self._sparklines(groups),
            [json_text(self._budgets.get(group)) for group in groups.tolist()],
        )
        return map(_CURRENCY.__mod__, zip(*columns, strict=True))

    def _trends(self, groups: Ints) -> Iterable[str]:
        figures = self._figures
        to_date = ["null"] * groups.size
        if figures.to_date:
            to_date = list(map(template(*_CHANGE).__mod__, zip(*_change(figures.to_date, groups), strict=True)))
        columns = (*_change(figures.trend, groups), to_date)
        return map(template(*_CHANGE, "to_date").__mod__, zip(*columns, strict=True))

    def _categories(self, groups: Ints) -> list[str]:
        table, universe = self._figures.categories, self._universe
        first, end = table.first[groups], table.first[groups + 1]
        rows = ranges(first, end)
        names = [
            ("null", "null") if id is None else (str(id), json_text(universe.category_names.get(id)))
            for id in universe.categories
        ]
        ids = [names[place] for place in table.category[rows].tolist()]
        columns = (
            [id for id, _ in ids],
            [name for _, name in ids],
            money_texts(table.total[rows]),
            table.count[rows].tolist(),
            money_texts(table.average[rows]),
            money_texts(table.smallest[rows]),
            money_texts(table.largest[rows]),
            percentage_texts(table.share_pct[rows]),
        )
        texts = list(map(_CATEGORY.__mod__, zip(*columns, strict=True)))
        ends = np.cumsum(end - first)
        return joined(texts, ends - (end - first), ends, "[%s]")

    def _steps(self, groups: Ints) -> Iterable[str]:
        """The period's series: the total of each day, or of each month of a year."""
        name, labels = step_labels(self._figures.period)
        steps = ",".join(f'{{"{name}":"{label}","total":%s}}' for label in labels)
        return filled(f"[{steps}]", self._figures.series[groups])

    def _sparklines(self, groups: Ints) -> Iterable[str]:
        days = self._figures.sparkline[groups]
        columns = (
            [self._ends_on] * groups.size,
            filled("[" + ",".join(["%s"] * SPARKLINE_DAYS) + "]", days),
            money_texts(days.min(axis=1)),
            money_texts(days.max(axis=1)),
            money_texts(self._figures.sparkline_average[groups]),
            money_texts(days.sum(axis=1)),
        )
        return map(_SPARKLINE.__mod__, zip(*columns, strict=True))


def _change(change: ChangeFigures, groups: Ints) -> tuple[Sequence[object], ...]:
    """The columns of `_CHANGE`."""
    return (
        money_texts(change.previous_total[groups]),
        change.previous_count[groups].tolist(),
        money_texts(change.amount_change[groups]),
        change.count_change[groups].tolist(),
        percentage_texts(change.amount_pct[groups]),
        percentage_texts(change.count_pct[groups]),
        percentage_texts(change.average_pct[groups]),
        truth_texts(change.amount_change[groups] > 0),
    )
