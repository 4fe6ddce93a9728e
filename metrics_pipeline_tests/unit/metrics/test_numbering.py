from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics import universe
from metrics_pipeline.metrics.dimensions import Dimensions
from metrics_pipeline.metrics.encode import VisitNumbering
from metrics_pipeline.metrics.universe import PairNumbering

codes_below_1000 = st.lists(st.integers(0, 999), max_size=40)


@pytest.mark.parametrize("small_table", [0, 2**16], ids=["hashed", "looked up"])
@given(codes=codes_below_1000, others=codes_below_1000)
def test_codes_are_numbered_in_order_whichever_way(small_table: int, codes: list[int], others: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(universe, "_SMALL_TABLE", small_table)
        distinct, numbers = universe._numbered(np.array(codes, np.int64), np.array(others, np.int64), 1000)
    assert distinct.tolist() == sorted({*codes, *others})
    assert distinct[numbers].tolist() == codes


MANY = 100_000
"""Of each of two kinds: their pairs do not fit into 32 bits."""

IDS = np.arange(MANY)
PAIRS = PairNumbering(Dimensions(IDS, ["USD"] * MANY, IDS >= 0, {}, []), ["USD"], IDS)

positions = st.lists(st.tuples(st.sampled_from([0, 1, 21_475, MANY - 1]), st.integers(0, MANY - 1)), max_size=20)


@given(positions)
def test_pairs_of_more_accounts_and_categories_than_32_bits_hold_are_told_apart(rows: list[tuple[int, int]]) -> None:
    account, category = (np.array([row[n] for row in rows], np.int32) for n in (0, 1))
    found, pair = PAIRS.universe(PAIRS.codes(account, np.zeros_like(account), category))
    group = found.pair_group[pair]
    assert found.group_account[group].tolist() == account.tolist()
    assert [found.categories[place] for place in found.pair_category[pair]] == category.tolist()
    assert found.pair_group.size == len(set(rows))


@given(positions)
def test_visits_of_more_accounts_to_merchants_than_32_bits_hold_are_told_apart(rows: list[tuple[int, int]]) -> None:
    account, merchant = (np.array([row[n] for row in rows], np.int32) for n in (0, 1))
    numbering = VisitNumbering(MANY, IDS)
    visit = numbering.codes(account, merchant)
    some = merchant > 0  # the first value is that of no merchant
    assert (visit >= 0).tolist() == some.tolist()
    assert (visit[some] // numbering.merchants).tolist() == account[some].tolist()
    assert len(set(visit[some].tolist())) == len({row for row in rows if row[1]})
