"""How the budgets of a period were used, and those of the six periods before it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from metrics_pipeline_tests.reference.periods import ONE_DAY, between, end_of, previous
from metrics_pipeline_tests.reference.rounding import money, number, percent, total
from metrics_pipeline_tests.reference.rows import Budget, Data, Expense, code


def valid_budgets(data: Data, account_id: int, grain: str, start: date) -> list[Budget]:
    """The account's active budgets of this grain whose dates overlap the period."""
    last_day = end_of(grain, start) - ONE_DAY
    return [
        b
        for b in data.budgets
        if b.account_id == account_id
        and b.grain == grain
        and b.active
        and b.start_date <= last_day
        and (b.end_date is None or b.end_date >= start)
    ]


def budgets_of(
    data: Data,
    account_id: int,
    currency: str,
    expenses: list[Expense],
    grain: str,
    start: date,
    today: date,
    zone: ZoneInfo,
) -> dict[str, Any] | None:
    """The budgets of one currency; `expenses` are the account's counted ones in it, of all times."""
    valid = _of_currency(valid_budgets(data, account_id, grain, start), currency)
    if not valid:
        return None
    end = end_of(grain, start)
    here = between(expenses, start, end, zone)
    elapsed = Fraction((min(today + ONE_DAY, end) - start).days, (end - start).days)
    general = _general(valid)
    by_category = sorted((b for b in valid if b.category_ids), key=lambda b: (b.name, b.id))
    spent, budgeted = _spent_and_budgeted(valid, here)
    return {
        "general": _use(data, general, here, elapsed) if general else None,
        "by_category": [_use(data, budget, here, elapsed) for budget in by_category],
        "total_budget": money(budgeted),
        "overall_usage_pct": percent(spent, budgeted, 1),
        "adherence": _adherence(data, account_id, currency, expenses, grain, start, zone),
    }


def _of_currency(budgets: list[Budget], currency: str) -> list[Budget]:
    return [b for b in budgets if code(b.currency) == currency]


def _general(budgets: list[Budget]) -> Budget | None:
    """The one without categories; of several the one that started last, then the highest id."""
    return max((b for b in budgets if not b.category_ids), key=lambda b: (b.start_date, b.id), default=None)


def _spent(budget: Budget, here: list[Expense]) -> Decimal:
    if not budget.category_ids:
        return total(here)
    return total(e for e in here if e.category_id in budget.category_ids)


def _spent_and_budgeted(budgets: list[Budget], here: list[Expense]) -> tuple[Decimal, Decimal]:
    """What overall usage is made of: the general budget's if there is one, else all the others'."""
    general = _general(budgets)
    deciding = [general] if general else budgets
    return (
        sum((_spent(b, here) for b in deciding), Decimal(0)),
        sum((b.amount for b in deciding), Decimal(0)),
    )


def _use(data: Data, budget: Budget, here: list[Expense], elapsed: Fraction) -> dict[str, Any]:
    spent = _spent(budget, here)
    if budget.amount == 0:
        status = "exceeded" if spent > 0 else "good"
        on_track = spent == 0
    else:
        usage = Fraction(spent) * 100 / Fraction(budget.amount)
        on_track = usage <= elapsed * 100 + 10 or usage < 50
        if usage >= 100:
            status = "exceeded"
        elif usage >= Fraction(budget.critical):
            status = "critical"
        elif usage >= Fraction(budget.warning):
            status = "warning"
        else:
            status = "good"
    names = sorted((data.category_name(category_id), category_id) for category_id in budget.category_ids)
    return {
        "id": budget.id,
        "name": budget.name,
        "categories": [{"id": category_id, "name": name} for name, category_id in names],
        "amount": money(budget.amount),
        "spent": money(spent),
        "remaining": money(budget.amount - spent),
        "usage_pct": percent(spent, budget.amount, 1),
        "status": status,
        "on_track": on_track,
        "elapsed_pct": number(elapsed * 100, 1),
    }


def _adherence(
    data: Data,
    account_id: int,
    currency: str,
    expenses: list[Expense],
    grain: str,
    start: date,
    zone: ZoneInfo,
) -> dict[str, Any]:
    usages: list[Fraction] = []  # oldest first
    for _ in range(6):
        end, start = start, previous(grain, start)
        budgets = _of_currency(valid_budgets(data, account_id, grain, start), currency)
        spent, budgeted = _spent_and_budgeted(budgets, between(expenses, start, end, zone))
        if budgeted > 0:
            usages.insert(0, Fraction(spent) * 100 / Fraction(budgeted))

    trend = "unknown"
    if len(usages) >= 2:
        half = len(usages) // 2
        growth = _mean(usages[-half:]) - _mean(usages[:half])
        trend = "improving" if growth < -5 else "worsening" if growth > 5 else "steady"
    return {
        "periods_analyzed": len(usages),
        "times_exceeded": len([usage for usage in usages if usage >= 100]),
        "average_usage_pct": number(_mean(usages), 1) if usages else None,
        "trend": trend,
    }


def _mean(values: list[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)
