"""Rents, utilities, subscriptions and yearly payments, each on its household's own day."""

from __future__ import annotations

import math
from datetime import date

import numpy as np

from metrics_pipeline.periods import Grain
from metrics_pipeline.source.sampling.catalogue import BILLS, Bill
from metrics_pipeline.source.sampling.currencies import Currency
from metrics_pipeline.source.sampling.events import CATEGORY_ID, MERCHANT_CODE, Events
from metrics_pipeline.source.sampling.households import Households
from metrics_pipeline.source.sampling.rhythm import priced

_YEARLY_RISE = 0.035


def bills(rng: np.random.Generator, homes: Households, days: list[date], currencies: tuple[Currency, ...]) -> Events:
    """Every bill of every household between its first and last day."""
    parts = Events.joined([_paid(rng, bill, homes, days, currencies) for bill in BILLS])
    return parts.where((parts.day >= homes.first_day[parts.account]) & (parts.day <= homes.last_day[parts.account]))


def _paid(
    rng: np.random.Generator, bill: Bill, homes: Households, days: list[date], currencies: tuple[Currency, ...]
) -> Events:
    payers = np.flatnonzero(rng.random(homes.count) < bill.share)
    amount = bill.amount * np.exp(bill.spread * rng.normal(0, 1, len(payers)))
    if bill.spread:
        amount *= homes.income[payers] ** 0.7
    merchant = np.array([MERCHANT_CODE[name] for name in bill.merchants])[
        rng.integers(0, len(bill.merchants), len(payers))
    ]
    day_of_month = rng.integers(1, 6 if bill.category == "Rent and mortgage" else 29, len(payers))
    turn = rng.integers(0, bill.every_months, len(payers))

    months = _months(days)
    starts = np.array([(month - days[0]).days for month in months])
    number = np.array([month.year * 12 + month.month for month in months])
    payer, month = np.nonzero((number[None, :] + turn[:, None]) % bill.every_months == 0)
    season = np.array([bill.season * (1 + math.cos((month.month - 1) / 6 * math.pi)) / 2 for month in months])
    rise = (1 + _YEARLY_RISE) ** ((number - number[0]) // 12)
    dollars = amount[payer] * rise[month] * (1 + season[month]) * np.exp(bill.wobble * rng.normal(0, 1, len(payer)))
    dollar = next((place for place, each in enumerate(currencies) if each.code == "USD"), 0)
    currency = np.where(bill.in_dollars, dollar, homes.currency[payers[payer]])
    return Events(
        account=payers[payer],
        day=starts[month] + day_of_month[payer] - 1,
        second=rng.integers(6 * 3600, 11 * 3600, len(payer)),
        category=np.full(len(payer), CATEGORY_ID[bill.category]),
        merchant=merchant[payer],
        currency=currency,
        cents=priced(rng, dollars, currency, currencies, tidy=False),
        automatic=np.ones(len(payer), np.int64),
    )


def _months(days: list[date]) -> list[date]:
    return [day for day in days if day == Grain.MONTH.start_of(day)]
