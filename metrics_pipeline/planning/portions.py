"""How many expenses fit into a memory budget, and accounts in portions that do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BYTES_PER_EXPENSE = 100
"""What one expense takes at the height of a computation: columns as read, in order, and what is made of them."""

EXPENSES_PER_ACCOUNT = 10
"""What an account takes by itself, in expenses: its figures, currencies and categories."""


def expenses_within(megabytes: float) -> int:
    """How many expenses can be computed at once in so much memory; at least one."""
    return max(int(megabytes * 1e6 / BYTES_PER_EXPENSE), 1)


def portions(expenses: NDArray[np.int64], most: int) -> Iterator[slice]:
    """Stretches of accounts, given the expenses of each, that are as long as fits.

    An account with more than fits is in a portion of its own: its figures can't be computed in pieces.
    """
    upto = np.cumsum(expenses + EXPENSES_PER_ACCOUNT)
    first, before = 0, 0
    while first < upto.size:
        end = max(int(np.searchsorted(upto, before + most, side="right")), first + 1)
        yield slice(first, end)
        first, before = end, int(upto[end - 1])
