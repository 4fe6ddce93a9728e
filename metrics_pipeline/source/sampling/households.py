"""The accounts of the sample: who they belong to, where they live, how they spend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics_pipeline.source.sampling.catalogue import BANKS, FIRST_NAMES, LAST_NAMES
from metrics_pipeline.source.sampling.currencies import Currency
from metrics_pipeline.source.sampling.events import Bools, Floats, Ints

_DOMAINS = ("example.com", "example.org", "example.net")
_NEWER_SHARE, _CLOSED_SHARE, _UNNAMED_CURRENCY_SHARE = 0.18, 0.06, 0.3


@dataclass(frozen=True)
class Households:
    """One entry an account. `income` scales amounts and `busy` is purchases a day; `first_day` and
    `last_day` bound its life; `payday` is which of PAYDAYS it follows."""

    emails: list[str]
    banks: list[str]
    cards: list[str]
    names_currency: Bools
    currency: Ints
    income: Floats
    busy: Floats
    payday: Ints
    first_day: Ints
    last_day: Ints
    active: Bools

    @property
    def count(self) -> int:
        return len(self.emails)


def households(rng: np.random.Generator, count: int, days: int, currencies: tuple[Currency, ...]) -> Households:
    """Draw the accounts. Some began later than the first day; some were closed and are inactive."""
    first, last, bank, domain = (
        rng.integers(0, len(names), count) for names in (FIRST_NAMES, LAST_NAMES, BANKS, _DOMAINS)
    )
    currency = rng.choice(len(currencies), count, p=[each.share for each in currencies])
    newer = rng.random(count) < _NEWER_SHARE
    closed = rng.random(count) < _CLOSED_SHARE
    first_day = np.where(newer, rng.integers(0, max(1, days // 2), count), 0)
    last_day = np.where(closed, rng.integers(days // 2, max(days // 2 + 1, days - 20), count), days - 1)
    return Households(
        emails=[f"{FIRST_NAMES[first[n]]}.{LAST_NAMES[last[n]]}{n + 1}@{_DOMAINS[domain[n]]}" for n in range(count)],
        banks=[BANKS[place] for place in bank],
        cards=[f"Card ending {number:04d}" for number in rng.integers(0, 10_000, count)],
        names_currency=(currency != 0) | (rng.random(count) >= _UNNAMED_CURRENCY_SHARE),
        currency=currency,
        income=np.exp(rng.normal(0, 0.4, count)),
        busy=np.clip(np.exp(rng.normal(0.12, 0.38, count)), 0.35, 3.2),
        payday=rng.integers(0, 3, count),
        first_day=first_day,
        last_day=last_day,
        active=~closed,
    )
