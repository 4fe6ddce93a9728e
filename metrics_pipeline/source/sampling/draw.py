"""Drawing a whole sample, in memory: nothing here touches a database or a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from metrics_pipeline.periods import Grain, days_between, start_of_day
from metrics_pipeline.source.sampling.bills import bills
from metrics_pipeline.source.sampling.budgets import Budget, budgets
from metrics_pipeline.source.sampling.catalogue import HOME_HABITS, TRIP_HABITS
from metrics_pipeline.source.sampling.currencies import Currency, currencies
from metrics_pipeline.source.sampling.events import Events
from metrics_pipeline.source.sampling.households import Households, households
from metrics_pipeline.source.sampling.ledger import Ledger, ledger
from metrics_pipeline.source.sampling.purchases import Setting, purchases
from metrics_pipeline.source.sampling.rhythm import purchases_a_day
from metrics_pipeline.source.sampling.trips import bookings, currency_by_day, trips

_NOON = 12 * 3600
_BUSIER_ON_TRIPS = 1.8


@dataclass(frozen=True)
class Sample:
    """Everything that is written; the ledger's rows have ids from 1 in their order, as have the others."""

    days: list[date]
    currencies: tuple[Currency, ...]
    households: Households
    ledger: Ledger
    budgets: list[Budget]


def draw_sample(*, accounts: int, months: int, seed: int, today: date, zone: ZoneInfo, default_currency: str) -> Sample:
    """The days are `months` whole months before today's and this one's up to the local noon of `today`."""
    rng = np.random.default_rng(seed)
    first_day = Grain.MONTH.shift(Grain.MONTH.start_of(today), -months)
    days = list(days_between(first_day, today + timedelta(days=1)))
    money = currencies(default_currency)
    homes = households(rng, accounts, len(days), money)
    rows = _ledger(rng, homes, days, zone, money)
    return Sample(days, money, homes, rows, list(budgets(rng, homes, rows, days, money)))


def _ledger(
    rng: np.random.Generator, homes: Households, days: list[date], zone: ZoneInfo, money: tuple[Currency, ...]
) -> Ledger:
    travels = trips(rng, homes, len(days), money)
    abroad = currency_by_day(travels, homes.count, len(days))
    expected = purchases_a_day(homes, days)
    counts = rng.poisson(np.where(abroad >= 0, _BUSIER_ON_TRIPS, 1.0) * expected)
    account, day = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), len(days))
    weekend = np.array([each.weekday() >= 5 for each in days])[day]
    away = abroad[account, day]
    at_home = away < 0
    setting = Setting(account, day, weekend, np.where(at_home, homes.currency[account], away), homes.income[account])
    events = Events.joined(
        [
            purchases(rng, setting.where(at_home), HOME_HABITS, money),
            purchases(rng, setting.where(~at_home), TRIP_HABITS, money),
            bookings(rng, travels, homes, money),
            bills(rng, homes, days, money),
        ]
    )
    starts = np.array([int(start_of_day(each, zone).timestamp()) for each in [*days, days[-1] + timedelta(days=1)]])
    return ledger(rng, events, starts, until=int(starts[-2]) + _NOON)
