"""The analysts' frame as CSV and as Parquet."""

from __future__ import annotations

from typing import IO

import pandas as pd
import polars as pl

_MONEY = pl.Decimal(38, 2)
_PERCENT = pl.Decimal(38, 2)

# Given rather than inferred, so that files of different months always fit together.
_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "account_id": pl.Int64,
    "grain": pl.String,
    "period_start": pl.Date,
    "period_end": pl.Date,
    "currency": pl.String,
    "total": _MONEY,
    "count": pl.Int64,
    "average": _MONEY,
    "median": _MONEY,
    "min": _MONEY,
    "max": _MONEY,
    "previous_total": _MONEY,
    "amount_change_pct": _PERCENT,
    "total_budget": _MONEY,
    "budget_usage_pct": _PERCENT,
    "is_current": pl.Boolean,
    "as_of": pl.Date,
    "computed_at": pl.Datetime("us", "UTC"),
    "computed_by": pl.String,
    "version": pl.Int64,
}


def write_csv(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """With a header; empty where there is no value."""
    frame.to_csv(file, index=False)


def write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """Amounts and percentages as decimals, days as dates, times in UTC; the same types whatever the rows."""
    known = frame.astype(object).where(frame.notna(), None)
    columns = [pl.Series(name, known[name].tolist(), _TYPES[name]) for name in frame.columns]
    pl.DataFrame(columns).write_parquet(file)
