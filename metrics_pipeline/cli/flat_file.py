"""The analysts' frame as CSV and as Parquet."""

from __future__ import annotations

from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_MONEY = pa.decimal128(38, 2)
_PERCENT = pa.decimal128(38, 2)

# Given rather than inferred, so that files of different months always fit together.
_TYPES = {
    "account_id": pa.int64(),
    "grain": pa.string(),
    "period_start": pa.date32(),
    "period_end": pa.date32(),
    "currency": pa.string(),
    "total": _MONEY,
    "count": pa.int64(),
    "average": _MONEY,
    "median": _MONEY,
    "min": _MONEY,
    "max": _MONEY,
    "previous_total": _MONEY,
    "amount_change_pct": _PERCENT,
    "total_budget": _MONEY,
    "budget_usage_pct": _PERCENT,
    "is_current": pa.bool_(),
    "as_of": pa.date32(),
    "computed_at": pa.timestamp("us", tz="UTC"),
    "computed_by": pa.string(),
    "version": pa.int64(),
}


def write_csv(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """With a header; empty where there is no value."""
    frame.to_csv(file, index=False)


def write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """Amounts and percentages as decimals, days as dates, times in UTC; the same types whatever the rows."""
    schema = pa.schema([(name, _TYPES[name]) for name in frame.columns])
    pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), file)
