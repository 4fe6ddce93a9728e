"""Accounts and periods as the parallel arrays that queries take."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import Row

from metrics_pipeline.periods import Grain, Period

Key = tuple[int, Period]
"""Account id and period."""


def as_arrays(keys: Iterable[Key]) -> dict[str, str]:
    keys = list(keys)
    return {
        "account_ids": array([account_id for account_id, _ in keys]),
        **period_arrays([period for _, period in keys]),
    }


def period_arrays(periods: Iterable[Period]) -> dict[str, str]:
    texts = [_texts(period) for period in periods]
    return {"grains": array([grain for grain, _ in texts]), "starts": array([start for _, start in texts])}


def array(values: Iterable[object]) -> str:
    """PostgreSQL's array literal of values whose texts need no quotes.

    The driver would turn every element into text by a call of its own.
    """
    return f"{{{','.join(map(str, values))}}}"


@lru_cache(maxsize=10_000)
def _texts(period: Period) -> tuple[str, str]:
    return period.grain.value, period.key


def key_of(row: Row[tuple[Any, ...]]) -> Key:
    return row.account_id, period_of(row)


def period_of(row: Row[tuple[Any, ...]]) -> Period:
    return _period(row.grain, row.period_start)


@lru_cache(maxsize=10_000)
def _period(grain: str, start: date) -> Period:
    """Thousands of rows name the same few periods: made and checked once each."""
    return Period(Grain(grain), start)
