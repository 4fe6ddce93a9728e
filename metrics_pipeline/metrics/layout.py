"""Where each figure stands in the payload's JSON: what an account, a currency and a category look like.

Each names the columns that it is written from; `payload` says what they mean. Those of periods are kept: for a few
accounts, describing their texts takes as long as writing them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache

from metrics_pipeline.metrics.figures import step_labels
from metrics_pipeline.metrics.payload import CODE_VERSION, SCHEMA
from metrics_pipeline.metrics.scope import SPARKLINE_DAYS
from metrics_pipeline.metrics.texts import Part, array, json_text, money, percentage, plain, record
from metrics_pipeline.periods import Period


def _fields(texts: Mapping[str, Callable[[str], list[Part]]], prefix: str = "") -> dict[str, list[Part]]:
    """Names with the texts of the columns of the same name."""
    return {name: text(prefix + name) for name, text in texts.items()}


STATUS = [*plain("status"), ":", *plain("count")]

CATEGORY = record(
    **_fields(
        {
            "id": plain,
            "name": plain,
            "total": money,
            "count": plain,
            "average": money,
            "min": money,
            "max": money,
            "share_pct": percentage,
        }
    )
)

_CHANGE = {
    "previous_total": money,
    "previous_count": plain,
    "absolute_amount_change": money,
    "absolute_count_change": plain,
    "amount_change_pct": percentage,
    "count_change_pct": percentage,
    "average_change_pct": percentage,
    "is_increase": plain,
}


@lru_cache(maxsize=100)
def account_layout(period: Period, today: date, timezone: str) -> Sequence[Part]:
    """An account's payload."""
    return record(
        schema=[json_text(SCHEMA)],
        code_version=[json_text(CODE_VERSION)],
        account_id=plain("account_id"),
        currency=plain("currency"),
        grain=[json_text(period.grain.value)],
        period_start=[json_text(period.start)],
        period_end=[json_text(period.end)],
        timezone=[json_text(timezone)],
        as_of=[json_text(period.as_of(today))],
        is_current=[json_text(period.is_current(today))],
        transaction_count=plain("transaction_count"),
        unique_merchants=plain("unique_merchants"),
        unique_categories=plain("unique_categories"),
        uncategorized_count=plain("uncategorized_count"),
        by_status=["{", *plain("by_status"), "}"],
        currencies=["{", *plain("currencies"), "}"],
    )


@lru_cache(maxsize=100)
def currency_layout(period: Period, today: date) -> Sequence[Part]:
    """One of an account's currencies: its code and all figures of it."""
    name, labels = step_labels(period)
    steps = [_step(name, label, f"step {n}") for n, label in enumerate(labels)]
    to_date = record(**_fields(_CHANGE, "to_date.")) if period.is_current(today) else ["null"]
    figures = record(
        total=money("total"),
        count=plain("count"),
        average=money("average"),
        median=money("median"),
        min=money("min"),
        max=money("max"),
        trend=record(**_fields(_CHANGE, "trend."), to_date=to_date),
        categories=["[", *plain("categories"), "]"],
        daily=array(steps if name == "date" else []),
        monthly=array(steps if name == "month" else []),
        sparkline=record(
            ends_on=[json_text(period.as_of(today))],
            days=array([money(f"day {n}") for n in range(SPARKLINE_DAYS)]),
            **_fields(dict.fromkeys(("min", "max", "average", "total"), money), "sparkline."),
        ),
        budgets=plain("budgets"),
    )
    return [*plain("code"), ":", *figures]


def _step(name: str, label: str, column: str) -> list[Part]:
    """One of a period's days or months."""
    named: dict[str, list[Part]] = {name: [json_text(label)]}
    return record(**named, total=money(column))
