from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics.figures import _largest_first, _sorted_within

LARGEST = 2**62

few = st.integers(-3, 3)
any_size = st.integers(-LARGEST, LARGEST)


@given(st.lists(st.tuples(st.integers(0, 4), few | any_size)))
def test_the_largest_come_first_within_each_group_and_equals_stay_in_order(pairs: list[tuple[int, int]]) -> None:
    """Amounts of any size: such as pack into one key with the group, and such as do not."""
    pairs.sort(key=lambda pair: pair[0])
    group, total = (np.array([pair[n] for pair in pairs], np.int64) for n in (0, 1))
    expected = sorted(range(len(pairs)), key=lambda n: (pairs[n][0], -pairs[n][1]))
    assert _largest_first(group, total).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 4), few | any_size)))
def test_amounts_stand_by_group_and_size_wherever_one_looks(rows: list[tuple[int, int]]) -> None:
    """Such as pack into one key with the group, and such as do not."""
    group, cents = (np.array([row[n] for row in rows], np.int64) for n in (0, 1))
    found = _sorted_within(group, cents, np.arange(len(rows)))
    assert found.tolist() == [amount for _, amount in sorted(rows)]
