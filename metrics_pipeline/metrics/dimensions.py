"""What expenses refer to: accounts, categories and budgets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.periods import Grain
from metrics_pipeline.sql import rows_of

NO_CATEGORY = -(2**63)
NO_CURRENCY = "XXX"
"""ISO 4217's code for "no currency": for expenses that name none."""


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
    end_date: date
    warning: int
    critical: int
    category_ids: tuple[int, ...]

    def valid_in(self, first: date, last: date) -> bool:
        return self.start_date <= last and self.end_date >= first


@dataclass(frozen=True)
class Dimensions:
    """What expenses refer to. Account ids ascending, with the currency each one shows first."""

    account_ids: Ints
    account_currencies: list[str]
    active: NDArray[np.bool_]
    category_names: dict[int, str]
    budgets: list[Budget]


def read_dimensions(
    connection: Connection,
    account_ids: Sequence[int] | None,
    traced: Sequence[int],
    grains: Collection[Grain],
    default_currency: str,
) -> Dimensions:
    """Accounts (None: every active one; and those `traced`), categories, and the budgets of these grains."""
    named = None if account_ids is None else list(account_ids)
    accounts = rows_of(connection, "accounts", {"account_ids": named, "traced": list(traced)})
    ids, currencies, active = zip(*accounts, strict=True) if accounts else ((), (), ())
    codes = {currency: currency_code(currency) or default_currency for currency in set(currencies)}
    wanted = None if named is None else list(ids)
    by_adverb = {grain.adverb: grain for grain in grains}
    budgets = rows_of(connection, "budgets", {"account_ids": wanted, "grains": list(by_adverb)})
    return Dimensions(
        account_ids=np.array(ids, np.int64),
        account_currencies=[codes[currency] for currency in currencies],
        active=np.array(active, bool),
        category_names=dict(rows_of(connection, "categories")),
        budgets=[
            Budget(
                grain=by_adverb[row.period],
                currency=currency_code(row.currency) or NO_CURRENCY,
                category_ids=tuple(row.category_ids),
                **{name: getattr(row, name) for name in _BUDGET_COLUMNS},
            )
            for row in budgets
        ],
    )


_BUDGET_COLUMNS = ("id", "account_id", "name", "cents", "start_date", "end_date", "warning", "critical")


def currency_code(code: str | None) -> str:
    return (code or "").strip().upper()
