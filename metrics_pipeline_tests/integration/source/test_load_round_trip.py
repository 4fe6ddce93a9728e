from __future__ import annotations

import csv
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COLUMNS = (
    *("id", "email_account_id", "category_id", "amount", "currency", "status", "merchant_name", "description"),
    *("transaction_date", "deleted_at", "created_at", "updated_at"),
)
TEXTS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
MOMENTS = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-6))]),
)
EXPENSES = st.lists(
    st.tuples(
        st.integers(1, 2**63 - 1),
        st.just(1),
        st.sampled_from([None, 1, 2]),
        st.decimals(Decimal("0.01"), Decimal("9999999999.99"), places=2),
        st.text("ABCXYZ0189", min_size=3, max_size=12),
        st.sampled_from(["pending", "processed", "failed", "duplicate"]),
        TEXTS,
        TEXTS,
        MOMENTS,
        st.none() | MOMENTS,
        MOMENTS,
        MOMENTS,
    ),
    unique_by=lambda row: row[0],
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=EXPENSES, shuffled=st.permutations(COLUMNS))
def test_good_rows_come_back_exactly(household: Any, rows: list[tuple[Any, ...]], shuffled: list[str]) -> None:
    places = [COLUMNS.index(name) for name in shuffled]
    with (household.directory / "expenses.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(shuffled)
        writer.writerows([row[place] for place in places] for row in rows)
    summary = household.load()
    assert (summary.rejected, summary.of("expenses").read) == (0, len(rows))
    names, ids = ", ".join(COLUMNS), [row[0] for row in rows]
    stored = household.rows(f"SELECT {names} FROM expenses WHERE id = ANY(:ids) ORDER BY id", ids=ids)
    assert stored == sorted(rows, key=lambda row: row[0])
    assert household.counts("expenses", household.load()) == (0, 0, len(rows), 0)
