from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics.exact import divide_half_up, percentage, percentages, product_fits, sum_by
from metrics_pipeline.metrics.texts import money, money_texts, percentage_texts

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


def test_a_sum_just_above_a_floats_precision_is_exact() -> None:
    assert sum_by(np.array([0, 0]), ints(2**53, 1), 1).tolist() == [2**53 + 1]


@given(st.lists(st.tuples(int64s, int64s), min_size=1))
def test_percentages_are_the_exact_ones_rounded(pairs: list[tuple[int, int]]) -> None:
    found = percentages(ints(*(n for n, _ in pairs)), ints(*(d for _, d in pairs)), 2)
    expected = [half_up(Fraction(100 * n, d), 2) if d else None for n, d in pairs]
    assert [value if is_one else None for value, is_one in zip(found.scaled, found.defined, strict=True)] == expected


@given(int64s, st.integers(0, LARGEST))
def test_one_percentage_is_what_many_are(numerator: int, divisor: int) -> None:
    assert json.loads(percentage_texts(percentages(ints(numerator), ints(divisor), 2))[0]) == percentage(
        numerator, divisor, 2
    )


def test_a_percentage_of_nothing_is_none_and_a_negative_divisor_turns_the_sign() -> None:
    assert percentage_texts(percentages(ints(5, 0, 1, 1), ints(0, 3, -8, 8), 1)) == ["null", "0.0", "-12.5", "12.5"]
    found = percentages(ints(1, -1, 1, 3, -7), ints(1600, 1600, 8, 2, 200), 2)  # 0.0625 % first
    assert percentage_texts(found) == ["0.06", "-0.06", "12.5", "150.0", "-3.5"]
    assert percentage_texts(found[ints(2, 0)]) == ["12.5", "0.06"]


def test_products_that_leave_64_bits_are_seen() -> None:
    assert product_fits(ints(2**31, -5), 2**30)
    assert not product_fits(ints(2**31), ints(-(2**31)))
    assert not product_fits(ints(-(2**63)), 1)
    assert product_fits(ints(), ints(0), 3)


@given(st.lists(int64s))
def test_money_is_the_decimal_of_its_cents(cents: list[int]) -> None:
    decimals = [str((Decimal(each) / 100).quantize(Decimal("0.01"))) for each in cents]
    assert [money(each) for each in cents] == decimals
    assert [json.loads(text) for text in money_texts(ints(*cents))] == decimals
    assert money_texts(np.array(cents, object)) == money_texts(ints(*cents))
