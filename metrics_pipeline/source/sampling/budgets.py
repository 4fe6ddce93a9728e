"""Budgets that fit what households really spend: some are kept with ease, some just, some are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from metrics_pipeline.source.sampling.currencies import Currency
from metrics_pipeline.source.sampling.events import CATEGORIES, CATEGORY_ID, Floats
from metrics_pipeline.source.sampling.households import Households
from metrics_pipeline.source.sampling.ledger import DUPLICATE, FAILED, NEVER, Ledger

_MONTH_DAYS = 30.44
_PERIOD_DAYS = {"daily": 1.0, "weekly": 7.0, "monthly": _MONTH_DAYS, "yearly": 365.25}
_GENERAL_SHARES = {"daily": 0.15, "weekly": 0.25, "monthly": 0.8, "yearly": 0.2}
_GENERAL_NAMES = {"daily": "Daily spending", "weekly": "Weekly spending", "monthly": "Household", "yearly": "The year"}
_BY_CATEGORY = (
    ("Groceries", ("Groceries",)),
    ("Eating out", ("Restaurants", "Coffee and snacks")),
    ("Getting around", ("Rides and transit", "Fuel", "Parking and tolls")),
    ("Fun", ("Entertainment", "Books and hobbies")),
    ("Clothes and gadgets", ("Clothing", "Electronics")),
    ("Bills", ("Utilities", "Internet and phone", "Subscriptions")),
)
_CATEGORY_SHARE, _WEEKLY_SHARE, _REPLACED_SHARE, _INACTIVE_SHARE = 0.42, 0.2, 0.22, 0.05
_GENEROSITY = (0.8, 0.92, 1.0, 1.06, 1.15, 1.3, 1.6)
_THRESHOLDS = (("70", "90"), ("70", "90"), ("60", "80"), ("75", "95"))


@dataclass(frozen=True)
class Budget:
    account_id: int
    name: str
    period: str
    amount: Decimal
    currency: str
    start_date: date
    end_date: date | None
    active: bool
    warning: str
    critical: str
    category_ids: tuple[int, ...]


def budgets(
    rng: np.random.Generator, homes: Households, ledger: Ledger, days: list[date], currencies: tuple[Currency, ...]
) -> Iterator[Budget]:
    """Budgets in the order of accounts. Some followed another one that ended; some were switched off."""
    daily = _daily_spend(homes, ledger)
    for home in range(homes.count):
        currency = currencies[homes.currency[home]]
        wanted = [
            (_GENERAL_NAMES[period], period, ()) for period, share in _GENERAL_SHARES.items() if rng.random() < share
        ] + [
            (name, "weekly" if rng.random() < _WEEKLY_SHARE else "monthly", tuple(CATEGORY_ID[each] for each in names))
            for name, names in _BY_CATEGORY
            if rng.random() < _CATEGORY_SHARE
        ]
        first, last = days[homes.first_day[home]], days[homes.last_day[home]]
        for name, period, category_ids in wanted:
            usual = daily[home, list(category_ids)].sum() if category_ids else daily[home].sum()
            yield from _versions(
                rng, home + 1, name, period, category_ids, usual * _PERIOD_DAYS[period], currency, first, last
            )


def _versions(
    rng: np.random.Generator,
    account_id: int,
    name: str,
    period: str,
    category_ids: tuple[int, ...],
    usual: float,
    currency: Currency,
    first: date,
    last: date,
) -> Iterator[Budget]:
    start = first - timedelta(days=int(rng.integers(0, 120)))
    warning, critical = _THRESHOLDS[rng.integers(0, len(_THRESHOLDS))]
    replaced_on = None
    if rng.random() < _REPLACED_SHARE and (last - first).days > 1:
        replaced_on = first + timedelta(days=int(rng.integers(1, (last - first).days)))
    for begin, end in ((start, replaced_on), (replaced_on, None)) if replaced_on else ((start, None),):
        yield Budget(
            account_id=account_id,
            name=name,
            period=period,
            amount=_rounded(usual * _GENEROSITY[rng.integers(0, len(_GENEROSITY))], currency),
            currency=currency.code,
            start_date=begin or start,
            end_date=end - timedelta(days=1) if end else None,
            active=bool(rng.random() >= _INACTIVE_SHARE),
            warning=warning,
            critical=critical,
            category_ids=category_ids,
        )


def _daily_spend(homes: Households, ledger: Ledger) -> Floats:
    """Mean spend a day by account and category id (0: none), in the account's own currency."""
    account = ledger.events.account
    counted = (
        (ledger.events.currency == homes.currency[account])
        & (ledger.deleted == NEVER)
        & (ledger.status != FAILED)
        & (ledger.status != DUPLICATE)
    )
    width = len(CATEGORIES) + 1
    cells = account[counted] * width + ledger.category[counted]
    cents = np.bincount(cells, weights=ledger.events.cents[counted], minlength=homes.count * width)
    alive = homes.last_day - homes.first_day + 1
    daily: Floats = cents.reshape(homes.count, width) / 100 / alive[:, None]
    return daily


def _rounded(amount: float, currency: Currency) -> Decimal:
    """Two leading digits, as people set budgets; never below ten of the currency's price steps."""
    exact = Decimal(round(amount * 100)) / 100
    least = Decimal(currency.step) / 10
    if exact <= least:
        return least
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() - 1)).quantize(Decimal("0.01"))
