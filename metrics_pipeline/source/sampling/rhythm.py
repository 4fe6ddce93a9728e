"""When households spend: on which days more than on others, and how prices end."""

from __future__ import annotations

import calendar
from datetime import date

import numpy as np

from metrics_pipeline.source.sampling.currencies import Currency
from metrics_pipeline.source.sampling.events import Floats, Ints
from metrics_pipeline.source.sampling.households import Households

_MOST_CENTS = 999_999_999_999  # numeric(12, 2)
_BY_WEEKDAY = np.array([0.86, 0.88, 0.92, 0.98, 1.16, 1.28, 0.92])
_BY_MONTH = np.array([0.92, 0.93, 0.98, 0.99, 1.0, 1.0, 1.04, 1.02, 0.97, 0.99, 1.04, 1.22])
PAYDAYS = ("twice a month", "end of month", "every other Friday")


def purchases_a_day(homes: Households, days: list[date]) -> Floats:
    """Expected purchases by account and day: more after a payday, on Fridays and Saturdays, in December."""
    calendar_factor = np.array([_BY_WEEKDAY[day.weekday()] * _BY_MONTH[day.month - 1] for day in days])
    after_payday = np.array([[_after_payday(kind, day) for day in days] for kind in range(len(PAYDAYS))])
    after_payday /= after_payday.mean(axis=1, keepdims=True)
    place = np.arange(len(days))
    alive = (place >= homes.first_day[:, None]) & (place <= homes.last_day[:, None])
    rate: Floats = homes.busy[:, None] * calendar_factor * after_payday[homes.payday] * alive
    return rate


def _after_payday(kind: int, day: date) -> float:
    return 0.75 + 0.7 * float(np.exp(-_days_since_payday(kind, day) / 4))


def _days_since_payday(kind: int, day: date) -> int:
    if kind == 2:
        return (day.toordinal() - 5) % 14
    is_last = day.day == calendar.monthrange(day.year, day.month)[1]
    if is_last:
        return 0
    return day.day - 15 if kind == 0 and day.day >= 15 else day.day


def priced(
    rng: np.random.Generator, dollars: Floats, currency: Ints, currencies: tuple[Currency, ...], *, tidy: bool = True
) -> Ints:
    """Cents in the currency, in its usual steps; `tidy` makes many prices end in .99, .50 or .00."""
    per_dollar = np.array([each.per_dollar for each in currencies])[currency]
    step = np.array([each.step for each in currencies])[currency]
    cents = np.maximum(1, np.rint(dollars * per_dollar * 100 / step)).astype(np.int64) * step
    if tidy:
        whole, ending = cents // 100 * 100, rng.random(len(cents))
        fine = (step == 1) & (whole > 0)
        cents = np.where(fine & (ending < 0.28), whole + 99, cents)
        cents = np.where(fine & (ending >= 0.28) & (ending < 0.38), whole + 50, cents)
        cents = np.where(fine & (ending >= 0.38) & (ending < 0.56), whole, cents)
    found: Ints = np.minimum(cents, _MOST_CENTS)
    return found
