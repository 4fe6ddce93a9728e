"""What a payload must say, field by field, but for its header of versions and times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from metrics_pipeline_tests.reference.budgets import budgets_of, valid_budgets
from metrics_pipeline_tests.reference.periods import ONE_DAY, between, days_of, end_of, previous
from metrics_pipeline_tests.reference.rounding import money, percent, total
from metrics_pipeline_tests.reference.rows import Data, Expense, code


def expected_payload(
    data: Data,
    account_id: int,
    grain: str,
    start: date,
    *,
    today: date,
    zone: ZoneInfo,
    excluded_statuses: Collection[str] = ("failed", "duplicate"),
    default_currency: str = "USD",
) -> dict[str, Any]:
    """Every field of the payload except version, times, who computed it, code version and schema."""
    end = end_of(grain, start)
    last_day = end - ONE_DAY
    undeleted = [e for e in data.expenses if e.account_id == account_id and not e.deleted]
    counted = [e for e in undeleted if e.status.lower() not in excluded_statuses]
    here = between(counted, start, end, zone)
    own_currency = code(data.account(account_id).currency or default_currency)

    spark_end = min(today, last_day)
    listed = {code(e.currency) for e in here}
    listed |= {code(e.currency) for e in between(counted, previous(grain, start), start, zone)}
    listed |= {code(e.currency) for e in between(counted, spark_end - timedelta(days=6), spark_end + ONE_DAY, zone)}
    listed |= {code(b.currency) for b in valid_budgets(data, account_id, grain, start)}

    return {
        "account_id": account_id,
        "currency": own_currency,
        "grain": grain,
        "period_start": start.isoformat(),
        "period_end": end.isoformat(),
        "timezone": zone.key,
        "as_of": min(today, last_day).isoformat(),
        "is_current": start <= today < end,
        "transaction_count": len(here),
        "unique_merchants": len({e.merchant for e in here if e.merchant is not None}),
        "unique_categories": len({e.category_id for e in here if e.category_id is not None}),
        "uncategorized_count": len([e for e in here if e.category_id is None]),
        "by_status": dict(Counter(e.status.lower() for e in between(undeleted, start, end, zone))),
        "currencies": {
            currency: _currency(
                data,
                account_id,
                currency,
                [e for e in counted if code(e.currency) == currency],
                grain=grain,
                start=start,
                today=today,
                zone=zone,
            )
            for currency in sorted(listed, key=lambda currency: (currency != own_currency, currency))
        },
    }


def _currency(
    data: Data,
    account_id: int,
    currency: str,
    expenses: list[Expense],
    *,
    grain: str,
    start: date,
    today: date,
    zone: ZoneInfo,
) -> dict[str, Any]:
    """The figures of one currency; `expenses` are the account's counted ones in it, of all times."""
    end = end_of(grain, start)
    here = between(expenses, start, end, zone)
    amounts = sorted(e.amount for e in here)
    return {
        "total": money(total(here)),
        "count": len(here),
        "average": money(Fraction(sum(amounts)) / len(amounts)) if amounts else None,
        "median": money(_median(amounts)) if amounts else None,
        "min": money(amounts[0]) if amounts else None,
        "max": money(amounts[-1]) if amounts else None,
        "trend": _trend(expenses, grain, start, today, zone),
        "categories": _categories(data, here),
        "daily": [
            {"date": day.isoformat(), "total": money(total(between(here, day, day + ONE_DAY, zone)))}
            for day in days_of(start, end)
            if grain in ("week", "month")
        ],
        "monthly": [
            {
                "month": f"{first:%Y-%m}",
                "total": money(total(between(here, first, end_of("month", first), zone))),
            }
            for first in days_of(start, end)
            if grain == "year" and first.day == 1
        ],
        "sparkline": _sparkline(expenses, min(today, end - ONE_DAY), zone),
        "budgets": budgets_of(data, account_id, currency, expenses, grain, start, today, zone),
    }


def _median(amounts: list[Decimal]) -> Fraction:
    """Of sorted amounts: the middle one, or the mean of the two in the middle."""
    middle = len(amounts) // 2
    if len(amounts) % 2 == 1:
        return Fraction(amounts[middle])
    return (Fraction(amounts[middle - 1]) + Fraction(amounts[middle])) / 2


def _trend(expenses: list[Expense], grain: str, start: date, today: date, zone: ZoneInfo) -> dict[str, Any]:
    end, before = end_of(grain, start), previous(grain, start)
    trend = _change(between(expenses, start, end, zone), between(expenses, before, start, zone))
    trend["to_date"] = None
    if start <= today < end:
        elapsed = today - start + ONE_DAY
        trend["to_date"] = _change(
            between(expenses, start, start + elapsed, zone),
            between(expenses, before, min(before + elapsed, start), zone),
        )
    return trend


def _change(now: list[Expense], then: list[Expense]) -> dict[str, Any]:
    new, old = total(now), total(then)
    average_change = None
    if now and then:
        new_average, old_average = Fraction(new) / len(now), Fraction(old) / len(then)
        average_change = percent(new_average - old_average, old_average, 2)
    return {
        "previous_total": money(old),
        "previous_count": len(then),
        "absolute_amount_change": money(new - old),
        "absolute_count_change": len(now) - len(then),
        "amount_change_pct": percent(new - old, old, 2),
        "count_change_pct": percent(len(now) - len(then), len(then), 2),
        "average_change_pct": average_change,
        "is_increase": new > old,
    }


def _categories(data: Data, here: list[Expense]) -> list[dict[str, Any]]:
    rows = []
    for category_id in {e.category_id for e in here}:
        amounts = [e.amount for e in here if e.category_id == category_id]
        name = None if category_id is None else data.category_name(category_id)
        # Largest first; among equals the nameless one last, the others by name and id.
        place = (-sum(amounts), category_id is None, name or "", category_id or 0)
        row = {
            "id": category_id,
            "name": name,
            "total": money(sum(amounts, Decimal(0))),
            "count": len(amounts),
            "average": money(Fraction(sum(amounts)) / len(amounts)),
            "min": money(min(amounts)),
            "max": money(max(amounts)),
            "share_pct": percent(sum(amounts), total(here), 2),
        }
        rows.append((place, row))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def _sparkline(expenses: list[Expense], ends_on: date, zone: ZoneInfo) -> dict[str, Any]:
    days = [ends_on - timedelta(days=back) for back in (6, 5, 4, 3, 2, 1, 0)]
    totals = [total(between(expenses, day, day + ONE_DAY, zone)) for day in days]
    return {
        "ends_on": ends_on.isoformat(),
        "days": [money(amount) for amount in totals],
        "min": money(min(totals)),
        "max": money(max(totals)),
        "average": money(Fraction(sum(totals)) / 7),
        "total": money(sum(totals, Decimal(0))),
    }
