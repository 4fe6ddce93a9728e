from __future__ import annotations

import itertools
import json
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics import texts
from metrics_pipeline.metrics.exact import Percentages, percentage, percentages
from metrics_pipeline.metrics.texts import (
    Chosen,
    Nullable,
    Part,
    Values,
    array,
    encoded,
    joined,
    money,
    money_text,
    plain,
    record,
    written,
)

LARGEST = 2**63 - 1
int64s = st.integers(-LARGEST, LARGEST)

NAMES = {"money": texts.money, "percentage": texts.percentage, "plain": texts.plain}


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def one_column(values: Values, parts: list[Part]) -> list[str]:
    """What both ways of writing give."""
    columns = {"it": values}
    found = texts._by_python(columns, parts)
    assert texts._by_polars(columns, parts).to_list() == found
    return found


def percentage_texts(found: Percentages) -> list[str]:
    return one_column(Nullable(found.scaled, found.defined), texts.percentage("it"))


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
    assert [money_text(each) for each in cents] == decimals
    for values in (ints(*cents), np.array(cents, object)):
        assert [json.loads(text) for text in one_column(values, money("it"))] == decimals


@given(st.lists(st.tuples(int64s, st.booleans())), st.sampled_from(sorted(NAMES)))
def test_what_is_not_there_is_null(amounts: list[tuple[int, bool]], kind: str) -> None:
    values, there = ints(*(each for each, _ in amounts)), np.array([each for _, each in amounts], bool)
    full = one_column(values, NAMES[kind]("it"))
    expected = [text if known else "null" for text, known in zip(full, there, strict=True)]
    assert one_column(Nullable(values, there), NAMES[kind]("it")) == expected


def test_truth_is_written_as_json_has_it() -> None:
    assert one_column(np.array([True, False]), plain("it")) == ["true", "false"]


@pytest.mark.parametrize("rows", [2, 20_000], ids=["few", "many"])
def test_a_text_is_put_together_of_what_is_fixed_and_what_differs(rows: int) -> None:
    columns = {"name": ['"100 %s"'] * rows, "n": np.full(rows, -2)}
    parts = record(name=plain("name"), all=array([plain("n"), ["true"], money("n")]), none=array([]), pct=["5 %"])
    text = '{"name":"100 %s","all":[-2,true,"-0.02"],"none":[],"pct":5 %}'
    assert encoded(written(columns, parts)) == [text.encode()] * rows


@given(st.lists(st.text(alphabet='aé,"', max_size=3)), st.data())
def test_texts_are_joined_by_as_many_as_asked(parts: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(parts)))))
    borders = list(itertools.pairwise([0, *cuts, len(parts)]))
    sizes, expected = ints(*(end - first for first, end in borders)), [",".join(parts[a:b]) for a, b in borders]
    assert joined(parts, sizes) == expected
    assert encoded(joined(pl.Series(parts, dtype=pl.String), sizes)) == [text.encode() for text in expected]


@given(st.lists(st.integers(0, 2)))
def test_one_of_a_few_texts_is_chosen_by_its_place(places: list[int]) -> None:
    few = ["null", '"é"', "12"]
    assert one_column(Chosen(few, ints(*places)), plain("it")) == [few[place] for place in places]
