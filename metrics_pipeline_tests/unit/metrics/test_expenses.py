"""What is kept of expenses does not depend on the blocks in which they come."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.metrics.checksum import checksums
from metrics_pipeline.metrics.expenses import ROW_FIELDS, SUM_FIELDS, Decoder, Example, Expenses
from metrics_pipeline.metrics.scope import Range

HAVANA = ZoneInfo("America/Havana")  # where the clock goes back at one in the morning of the first of November
DAYS = Range(date(2026, 10, 31), date(2026, 11, 4))
NOON = 846_849_600_000_000  # of the first of November, UTC, in microseconds since 2000
ACCOUNTS = np.array([3, 5, 8])
HOUR = 3_600_000_000

few = st.sampled_from([-(2**63), -7, 0, 2**62])
rows = st.lists(st.tuples(st.sampled_from([1, 3, 5, 9]), few, few, st.integers(-9, 9), few, st.integers(-40, 100)))


def decoder() -> Decoder:
    return Decoder(ACCOUNTS, DAYS, HAVANA)


def columns(fields: tuple[str, ...], values: list[tuple[int, ...]]) -> dict[str, Any]:
    return {name: np.array([each[n] for each in values], np.int64) for n, name in enumerate(fields)}


@given(rows, st.data())
def test_blocks_add_up_to_the_whole(drawn: list[tuple[int, ...]], data: st.DataObject) -> None:
    read = [(*row[:-1], NOON + row[-1] * HOUR // 2) for row in drawn]
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(read)), max_size=3))), len(read)]
    blocks = [decoder().rows(columns(ROW_FIELDS, read[a:b])) for a, b in itertools.pairwise(cuts)]
    kept = [row for row in read if row[0] in ACCOUNTS]
    expenses = Expenses([decoder().sums([]), *blocks], {})
    assert (expenses.rows_read, expenses.sum_counts.size) == (len(read), 0)
    account, cents, day, checksum = (
        np.concatenate([block.columns[name] for block in expenses.blocks])
        for name in ("account", "cents", "day", "checksum")
    )
    assert ACCOUNTS[account].tolist() == [row[0] for row in kept]
    assert cents.tolist() == [row[3] for row in kept]
    for name, n in (("category", 1), ("kind", 2), ("merchant", 4)):
        values, places = expenses.places(name)
        found = [values[own[block.coded[name].codes]] for block, own in zip(expenses.blocks, places, strict=True)]
        assert np.concatenate(found).tolist() == [row[n] for row in kept]
        assert sorted(values.tolist()) == sorted({row[n] for row in kept})
    _, category, kind, cents, merchant, _ = columns(ROW_FIELDS, kept).values()
    assert checksum.tolist() == checksums(category, kind, cents, merchant, day.astype(int)).tolist()
    for block in blocks:
        assert all(
            (account_id, at) in {(row[0], row[5]) for row in kept} for account_id, at, _ in block.examples.values()
        )


def test_a_local_day_ends_where_its_window_does() -> None:
    """Midnight of the first is UTC-4, that of the second UTC-5: the day has 25 hours."""
    first, second = NOON - 8 * HOUR, NOON + 17 * HOUR
    read = [(3, 0, 0, 0, 0, instant) for instant in (first - 1, first, second - 1, second)]
    days = decoder().rows(columns(ROW_FIELDS, read)).columns["day"].tolist()
    assert [date.fromordinal(day).day for day in days] == [31, 1, 1, 2]


def test_sums_stand_in_the_order_of_days_without_those_of_other_accounts() -> None:
    parts = [
        columns(SUM_FIELDS, [(5, 1, 7, 500, 2, 740_002, 20, 30), (4, 1, 7, 400, 9, 740_001, 10, 20)]),
        columns(SUM_FIELDS, [(3, 2, 7, 300, 1, 740_001, 10, 20), (8, 2, 6, 800, 3, 740_002, 20, 30)]),
    ]
    block = decoder().sums(parts)
    expenses = Expenses([block], {})
    assert expenses.rows_read == 4
    assert block.examples == {7: Example(3, 10, 20), 6: Example(8, 20, 30)}
    assert expenses.sum_counts.tolist() == [1, 2, 3]
    assert [block.columns[name].tolist() for name in ("account", "day", "cents", "checksum")] == [
        [0, 1, 2], [740_001, 740_002, 740_002], [300, 500, 800], [0, 0, 0]
    ]  # fmt: skip
