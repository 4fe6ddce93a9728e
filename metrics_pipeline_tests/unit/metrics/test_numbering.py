from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics import universe


@pytest.mark.parametrize("small_table", [0, 2**16], ids=["hashed", "looked up"])
@given(codes=st.lists(st.integers(0, 999), max_size=40))
def test_codes_are_numbered_in_order_whichever_way(small_table: int, codes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(universe, "_SMALL_TABLE", small_table)
        distinct, numbers = universe._numbered(np.array(codes, np.int64), 1000)
    assert distinct.tolist() == sorted(set(codes))
    assert distinct[numbers].tolist() == codes
