"""Accounts in portions that fit into memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.planning.portions import (
    BYTES_PER_EXPENSE,
    EXPENSES_PER_ACCOUNT,
    expenses_within,
    portions,
)


@given(st.lists(st.integers(0, 1000), max_size=60), st.integers(1, 3000))
def test_every_account_is_in_one_portion_that_fits_or_alone_in_one(sizes, most):
    counts = np.array(sizes, np.int64)
    found = list(portions(counts, most))
    assert [n for part in found for n in range(part.start, part.stop)] == list(range(len(sizes)))
    weights = [int((counts[part] + EXPENSES_PER_ACCOUNT).sum()) for part in found]
    for part, weight in zip(found, weights, strict=True):
        assert weight <= most or part.stop - part.start == 1
    for part, after, weight in zip(found, found[1:], weights, strict=False):
        assert weight + counts[after.start] + EXPENSES_PER_ACCOUNT > most, f"{part} could have been longer"


def test_an_account_with_a_million_expenses_is_in_a_portion_of_its_own():
    found = list(portions(np.array([500, 400, 1_000_000, 300, 200]), 10_000))
    assert found == [slice(0, 2), slice(2, 3), slice(3, 5)]


def test_a_budget_below_one_expense_still_lets_one_in():
    assert expenses_within(1500) == 1_500_000_000 // BYTES_PER_EXPENSE
    assert expenses_within(0.00001) == 1
