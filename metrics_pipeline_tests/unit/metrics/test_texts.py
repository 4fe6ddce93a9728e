from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics.exact import Percentages, percentage, percentages
from metrics_pipeline.metrics.texts import (
    array,
    lists,
    money,
    money_or_null,
    money_text,
    nullable,
    percentage_text,
    plain,
    record,
    table,
    written,
)

LARGEST = 2**63 - 1
int64s = st.integers(-LARGEST, LARGEST)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def percentage_texts(found: Percentages) -> list[str]:
    return written(table({"pct": nullable(found.scaled, found.defined)}), percentage_text("pct")).to_list()


@given(int64s, st.integers(0, LARGEST))
def test_one_percentage_is_what_many_are(numerator: int, divisor: int) -> None:
    (found,) = percentage_texts(percentages(ints(numerator), ints(divisor), 2))
    assert json.loads(found) == percentage(numerator, divisor, 2)


def test_a_percentage_of_nothing_is_none_and_a_negative_divisor_turns_the_sign() -> None:
    assert percentage_texts(percentages(ints(5, 0, 1, 1), ints(0, 3, -8, 8), 2)) == ["null", "0.0", "-12.5", "12.5"]
    found = percentages(ints(1, -1, 1, 3, -7), ints(1600, 1600, 8, 2, 200), 2)  # 0.0625 % first
    assert percentage_texts(found) == ["0.06", "-0.06", "12.5", "150.0", "-3.5"]
    assert percentage_texts(found[ints(2, 0)]) == ["12.5", "0.06"]


@given(st.lists(int64s))
def test_money_is_the_decimal_of_its_cents(cents: list[int]) -> None:
    decimals = [str((Decimal(each) / 100).quantize(Decimal("0.01"))) for each in cents]
    assert [money(each) for each in cents] == decimals
    for values in (ints(*cents), np.array(cents, object)):
        texts = written(table({"cents": values}), money_text("cents"))
        assert [json.loads(text) for text in texts] == decimals


@given(st.lists(st.tuples(int64s, st.booleans())))
def test_money_that_is_not_there_is_null(amounts: list[tuple[int, bool]]) -> None:
    cents, known = ints(*(each for each, _ in amounts)), np.array([each for _, each in amounts], bool)
    texts = written(table({"cents": nullable(cents, known)}), money_or_null("cents"))
    assert [json.loads(text) for text in texts] == [money(each) if there else None for each, there in amounts]


def test_a_text_is_put_together_of_what_is_fixed_and_what_differs() -> None:
    frame = table({"name": ['"a"', '"b"'], "n": ints(1, -2)})
    parts = record(name=plain("name"), all=array([plain("n"), ["true"], money_text("n")]), none=array([]))
    assert written(frame, parts).to_list() == [
        '{"name":"a","all":[1,true,"0.01"],"none":[]}',
        '{"name":"b","all":[-2,true,"-0.02"],"none":[]}',
    ]


def test_lists_keep_the_order_of_texts_and_of_who_wants_them() -> None:
    texts = pl.Series(["a", "b", "c", "d"])
    assert lists(texts, ints(7, 3, 7, 9), ints(9, 4, 7, 3)).to_list() == ["d", "", "a,c", "b"]
