from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics.checksum import checksums
from metrics_pipeline.metrics.exact import sum_by

INT64 = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(st.tuples(*[INT64] * 5), min_size=1, max_size=30)


def total(rows: list[tuple[int, ...]]) -> int:
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)]
    return int(sum_by(np.zeros(len(rows), np.int64), checksums(*columns), 1)[0])


def test_it_is_the_same_in_every_run() -> None:
    """Stored sums are compared with those of later versions: a change of the rule needs a new CODE_VERSION."""
    assert total([(1, 2, 3, 4, 5)]) == -8320426560832486998
    assert total([(-1, -(2**63), 2**63 - 1, 0, 739_000)]) == 5495097178478541985


@given(rows=ROWS, order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_and_sums_of_parts_add_up(rows, order) -> None:
    shuffled = rows.copy()
    order.shuffle(shuffled)
    assert total(shuffled) == total(rows)
    parts = total(rows[:1]) + (total(rows[1:]) if rows[1:] else 0)
    assert (parts - total(rows)) % 2**64 == 0


@given(rows=ROWS, place=st.integers(0, 29), column=st.integers(0, 4), value=INT64)
def test_any_other_value_gives_another_sum(rows, place, column, value) -> None:
    place %= len(rows)
    changed = rows.copy()
    changed[place] = (*rows[place][:column], value, *rows[place][column + 1 :])
    assert (total(changed) == total(rows)) == (sorted(changed) == sorted(rows))


@given(first=st.tuples(*[INT64] * 5), second=st.tuples(*[INT64] * 5), column=st.integers(0, 4))
def test_values_swapped_between_two_expenses_give_another_sum(first, second, column) -> None:
    swapped = [
        (*first[:column], second[column], *first[column + 1 :]),
        (*second[:column], first[column], *second[column + 1 :]),
    ]
    assert (total(swapped) == total([first, second])) == (sorted(swapped) == sorted([first, second]))


def test_blocks_make_no_difference() -> None:
    many = [(n, n % 3, n * n, n % 7, 1) for n in range(70_000)]
    assert (total(many) - sum(total(many[first : first + 1000]) for first in range(0, 70_000, 1000))) % 2**64 == 0
