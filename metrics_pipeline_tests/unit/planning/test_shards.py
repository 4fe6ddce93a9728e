from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.planning.shards import MOST_SHARDS, Shard


@given(account_id=st.integers(1, 2**63 - 1), count=st.integers(1, MOST_SHARDS))
def test_every_account_is_in_just_one_shard(account_id, count):
    assert [Shard(n, count).holds(account_id) for n in range(1, count + 1)].count(True) == 1


@given(count=st.integers(1, MOST_SHARDS), data=st.data())
def test_a_shard_is_read_as_it_is_written(count, data):
    shard = Shard(data.draw(st.integers(1, count)), count)
    assert Shard.parse(str(shard)) == shard


@pytest.mark.parametrize(
    ("index", "count"),
    [(0, 4), (5, 4), (-1, 4), (1, 0), (1, MOST_SHARDS + 1), (True, 4), (1, 4.0), ("1", 4), (1, None)],
)
def test_a_shard_that_does_not_exist_is_refused(index, count):
    with pytest.raises(BadRequest, match="Shard"):
        Shard(index, count)


@pytest.mark.parametrize(
    "said", ["", "1", "1/", "/4", "0/4", "5/4", "1/4/4", "-1/4", "1.0/4", " 1/4", "1/4\n", "١/٤", "1" * 5000]
)
def test_what_is_no_shard_is_refused(said):
    with pytest.raises(BadRequest, match=r"[sS]hard"):
        Shard.parse(said)
