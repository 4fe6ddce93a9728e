"""Purchases as columns, before they become rows of the expense table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from metrics_pipeline.source.sampling.catalogue import (
    BILLS,
    FLIGHT_MERCHANTS,
    HOME_HABITS,
    HOTEL_MERCHANTS,
    TREE,
    TRIP_HABITS,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CATEGORIES = [*TREE, *(child for children in TREE.values() for child in children)]
"""Names in the order of their ids, which begin at 1: parents first."""
CATEGORY_ID = {name: place for place, name in enumerate(CATEGORIES, 1)}

MERCHANTS = sorted(
    {merchant for each in (*HOME_HABITS, *TRIP_HABITS, *BILLS) for merchant in each.merchants}
    | {*FLIGHT_MERCHANTS, *HOTEL_MERCHANTS}
)
"""Merchant codes are places in this list."""
MERCHANT_CODE = {name: code for code, name in enumerate(MERCHANTS)}


@dataclass(frozen=True)
class Events:
    """One entry a purchase. Accounts and currencies are places from 0, days count from the first day.

    `second` is within the local day, `cents` in hundredths of the currency, `automatic` 1 where no
    card was used.
    """

    account: Ints
    day: Ints
    second: Ints
    category: Ints
    merchant: Ints
    currency: Ints
    cents: Ints
    automatic: Ints

    def where(self, chosen: Bools | Ints) -> Events:
        return Events(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @staticmethod
    def joined(parts: Sequence[Events]) -> Events:
        return Events(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Events)))
