from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics import many


@pytest.mark.parametrize("few", [-1, 2**14], ids=["by polars", "by numpy"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@given(st.data())
def test_numbers_of_the_whole_range_are_sorted_and_told_apart(few: int, dtype: type, data: st.DataObject) -> None:
    range_ = np.iinfo(dtype)
    values = data.draw(st.lists(st.integers(-3, 3) | st.integers(int(range_.min), int(range_.max))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many, "_MANY", few)
        assert many.ascending(np.array(values, dtype)).tolist() == sorted(values)
        assert sorted(many.distinct(np.array(values, dtype)).tolist()) == sorted(set(values))
