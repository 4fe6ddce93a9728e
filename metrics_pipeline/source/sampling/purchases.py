"""Day-to-day purchases, at home and on trips: what, where, when and for how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from metrics_pipeline.source.sampling.catalogue import Habit
from metrics_pipeline.source.sampling.currencies import Currency
from metrics_pipeline.source.sampling.events import CATEGORY_ID, MERCHANT_CODE, Bools, Events, Floats, Ints
from metrics_pipeline.source.sampling.rhythm import priced

_HOUR_SPREAD = 1.4


@dataclass(frozen=True)
class Setting:
    """The purchases to draw: one entry each, with its account, day, currency and income factor."""

    account: Ints
    day: Ints
    weekend: Bools
    currency: Ints
    income: Floats

    def where(self, chosen: Bools) -> Setting:
        return Setting(*(getattr(self, field.name)[chosen] for field in fields(self)))


def purchases(
    rng: np.random.Generator, setting: Setting, habits: Sequence[Habit], currencies: tuple[Currency, ...]
) -> Events:
    """Draw what each purchase was. Every account has its own favourite merchants."""
    count = len(setting.account)
    draw = rng.random(count)
    habit = np.where(
        setting.weekend,
        np.searchsorted(_cumulated([each.weekend for each in habits]), draw),
        np.searchsorted(_cumulated([each.weekday for each in habits]), draw),
    )
    amount = np.array([each.amount for each in habits])[habit]
    spread = np.array([each.spread for each in habits])[habit]
    dollars = amount * np.exp(spread * rng.normal(0, 1, count)) * setting.income**0.6
    return Events(
        account=setting.account,
        day=setting.day,
        second=_seconds(rng, habit, habits),
        category=np.array([CATEGORY_ID[each.category] for each in habits])[habit],
        merchant=_merchants(rng, setting.account, habit, habits),
        currency=setting.currency,
        cents=priced(rng, dollars, setting.currency, currencies),
        automatic=np.zeros(count, np.int64),
    )


def _merchants(rng: np.random.Generator, account: Ints, habit: Ints, habits: Sequence[Habit]) -> Ints:
    sizes = np.array([len(each.merchants) for each in habits])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    codes = np.array([MERCHANT_CODE[merchant] for each in habits for merchant in each.merchants])
    rank = (rng.random(len(account)) ** 2.2 * sizes[habit]).astype(np.int64)
    favourite = (account * 7919 + habit * 104_729) % sizes[habit]
    found: Ints = codes[starts[habit] + (rank + favourite) % sizes[habit]]
    return found


def _seconds(rng: np.random.Generator, habit: Ints, habits: Sequence[Habit]) -> Ints:
    """Around one of the habit's two peaks (a habit with one peak has it twice)."""
    early = np.array([each.hours[0][0] for each in habits])
    late = np.array([each.hours[-1][0] for each in habits])
    late_share = np.array([each.hours[-1][1] / (each.hours[0][1] + each.hours[-1][1]) for each in habits])
    is_late = rng.random(len(habit)) < late_share[habit]
    hours = np.where(is_late, late[habit], early[habit]) + rng.normal(0, _HOUR_SPREAD, len(habit))
    return (np.clip(hours, 0.02, 23.98) * 3600).astype(np.int64)


def _cumulated(weights: list[float]) -> Floats:
    sums = np.cumsum(weights)
    shares: Floats = sums[:-1] / sums[-1]
    return shares
