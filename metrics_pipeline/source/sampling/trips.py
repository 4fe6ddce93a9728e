"""Trips abroad: which days of which accounts, in which currency, and what was booked ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics_pipeline.source.sampling.catalogue import FLIGHT_MERCHANTS, HOTEL_MERCHANTS
from metrics_pipeline.source.sampling.currencies import Currency
from metrics_pipeline.source.sampling.events import CATEGORY_ID, MERCHANT_CODE, Events, Ints
from metrics_pipeline.source.sampling.households import Households
from metrics_pipeline.source.sampling.rhythm import priced

_TRAVELLING_SHARE, _TRIPS_A_YEAR = 0.42, 1.4
_NEARBY = 3
"""Trips go to the currencies that come first: the most used ones."""


@dataclass(frozen=True)
class Trips:
    """One entry a trip; days count from the first day, `length` in days."""

    account: Ints
    start: Ints
    length: Ints
    currency: Ints


def trips(rng: np.random.Generator, homes: Households, days: int, currencies: tuple[Currency, ...]) -> Trips:
    travelling = rng.random(homes.count) < _TRAVELLING_SHARE
    account = np.repeat(np.arange(homes.count), rng.poisson(travelling * _TRIPS_A_YEAR * days / 365))
    start, length = rng.integers(0, days, len(account)), rng.integers(3, 15, len(account))
    away = rng.integers(0, _NEARBY, len(account))
    currency = np.where(away == homes.currency[account], _NEARBY % len(currencies), away)
    return Trips(account, start, length, currency)


def currency_by_day(found: Trips, accounts: int, days: int) -> Ints:
    """For each account and day the currency of its trip, or -1 at home."""
    abroad = np.full((accounts, days), -1, np.int64)
    for account, start, length, currency in zip(found.account, found.start, found.length, found.currency, strict=True):
        abroad[account, start : start + length] = currency
    return abroad


def bookings(rng: np.random.Generator, found: Trips, homes: Households, currencies: tuple[Currency, ...]) -> Events:
    """A flight and a stay for each trip, paid at home some weeks before."""
    return Events.joined(
        [
            _booked(rng, found, homes, currencies, "Flights", 310, FLIGHT_MERCHANTS),
            _booked(rng, found, homes, currencies, "Lodging", 420, HOTEL_MERCHANTS),
        ]
    )


def _booked(
    rng: np.random.Generator,
    found: Trips,
    homes: Households,
    currencies: tuple[Currency, ...],
    category: str,
    amount: float,
    merchants: tuple[str, ...],
) -> Events:
    count = len(found.account)
    dollars = amount * np.exp(0.35 * rng.normal(0, 1, count)) * homes.income[found.account] ** 0.5
    currency = homes.currency[found.account]
    booked = Events(
        account=found.account,
        day=found.start - rng.integers(8, 60, count),
        second=rng.integers(9 * 3600, 23 * 3600, count),
        category=np.full(count, CATEGORY_ID[category]),
        merchant=np.array([MERCHANT_CODE[name] for name in merchants])[rng.integers(0, len(merchants), count)],
        currency=currency,
        cents=priced(rng, dollars, currency, currencies),
        automatic=np.zeros(count, np.int64),
    )
    return booked.where(
        (booked.day >= homes.first_day[booked.account]) & (booked.day <= homes.last_day[booked.account])
    )
