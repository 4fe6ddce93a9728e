from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics import exact
from metrics_pipeline.metrics.exact import divide_half_up, percentages, product_fits, sum_by, sum_in_blocks

LARGEST = 2**63 - 1
int64s = st.integers(-LARGEST, LARGEST)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def half_up(value: Fraction, places: int = 0) -> int:
    """The value times ten to the places, rounded half away from zero, by another way than the product's."""
    scaled = abs(value) * 10**places
    whole = scaled.numerator // scaled.denominator
    whole += scaled - whole >= Fraction(1, 2)
    return -whole if value < 0 else whole


@pytest.mark.parametrize(
    ("numerator", "divisor", "quotient"),
    [(5, 2, 3), (-5, 2, -3), (4, 3, 1), (-4, 3, -1), (1, 2, 1), (-1, 2, -1), (0, 7, 0), (1, 3, 0)],
)
def test_halves_are_rounded_away_from_zero(numerator: int, divisor: int, quotient: int) -> None:
    assert divide_half_up(ints(numerator), ints(divisor)).tolist() == [quotient]


@given(st.lists(st.tuples(int64s, st.integers(1, LARGEST)), min_size=1))
def test_quotients_are_exact_over_the_whole_range_of_64_bits(pairs: list[tuple[int, int]]) -> None:
    quotients = divide_half_up(ints(*(n for n, _ in pairs)), ints(*(d for _, d in pairs))).tolist()
    assert quotients == [half_up(Fraction(n, d)) for n, d in pairs]


@given(st.lists(st.tuples(st.integers(0, 5), int64s), max_size=40))
def test_sums_are_exact_beyond_what_a_float_holds(cells: list[tuple[int, int]]) -> None:
    values = [value // max(len(cells), 1) for _, value in cells]
    sums = sum_by(np.array([index for index, _ in cells], np.int64), ints(*values), 6)
    expected = [0] * 6
    for (index, _), value in zip(cells, values, strict=True):
        expected[index] += value
    assert sums.tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 5), int64s)), st.integers(0, 9), st.integers(0, 9))
def test_some_rows_are_added_up_and_counted_whatever_a_block_is(
    cells: list[tuple[int, int]], first: int, count: int
) -> None:
    index, values = (np.array([cell[n] for cell in cells], np.int64) for n in (0, 1))
    some = slice(first, min(first + count, len(cells)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_BLOCK", 3)
        sums = sum_in_blocks(some, index.__getitem__, values, 6)
        counts = sum_in_blocks(some, index.__getitem__, None, 6)
    for each in range(6):
        expected = [value for at, value in cells[some] if at == each]
        assert (int(sums[each]) - sum(expected)) % 2**64 == 0
        assert counts[each] == len(expected)


def test_a_sum_just_above_a_floats_precision_is_exact() -> None:
    assert sum_by(np.array([0, 0]), ints(2**53, 1), 1).tolist() == [2**53 + 1]


@given(st.lists(st.tuples(int64s, int64s), min_size=1))
def test_percentages_are_the_exact_ones_rounded(pairs: list[tuple[int, int]]) -> None:
    found = percentages(ints(*(n for n, _ in pairs)), ints(*(d for _, d in pairs)), 2)
    expected = [half_up(Fraction(100 * n, d), 2) if d else None for n, d in pairs]
    assert [value if is_one else None for value, is_one in zip(found.scaled, found.defined, strict=True)] == expected


def test_products_that_leave_64_bits_are_seen() -> None:
    assert product_fits(ints(2**31, -5), 2**30)
    assert not product_fits(ints(2**31), ints(-(2**31)))
    assert not product_fits(ints(-(2**63)), 1)
    assert product_fits(ints(), ints(0), 3)
