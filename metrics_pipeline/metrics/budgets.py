"""Budgets against spend: status, pace, and how well the six periods before were kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from math import lcm
from typing import Any

import numpy as np

from metrics_pipeline.metrics.dimensions import NO_CATEGORY, Budget
from metrics_pipeline.metrics.exact import Ints, percentage
from metrics_pipeline.metrics.facts import Facts
from metrics_pipeline.metrics.scope import whole
from metrics_pipeline.metrics.texts import money_text
from metrics_pipeline.periods import LOOKBACK, Grain, Period

Usage = tuple[int, int]
"""Cents spent, cents budgeted."""

_STEADY_POINTS = 5


class BudgetBook:
    """The budgets of one computation, by grain and group, ready to be held against spend."""

    def __init__(self, facts: Facts, budgets: Sequence[Budget]) -> None:
        self._facts = facts
        self._by_group: dict[Grain, dict[int, list[Budget]]] = defaultdict(lambda: defaultdict(list))
        universe = facts.universe
        account_position = {int(id): n for n, id in enumerate(universe.account_ids)}
        category_position = {NO_CATEGORY if id is None else id: n for n, id in enumerate(universe.categories)}
        group_at = {
            (int(account), universe.currencies[currency]): group
            for group, (account, currency) in enumerate(
                zip(universe.group_account.tolist(), universe.group_currency.tolist(), strict=True)
            )
        }
        pair_codes = universe.pair_group * len(universe.categories) + universe.pair_category
        self._pairs: dict[int, Ints] = {}
        for budget in budgets:
            if budget.account_id not in account_position:
                continue
            group = group_at[account_position[budget.account_id], budget.currency]
            self._by_group[budget.grain][group].append(budget)
            wanted = [group * len(universe.categories) + category_position[id] for id in budget.category_ids]
            self._pairs[budget.id] = np.searchsorted(pair_codes, np.array(sorted(wanted), np.int64))

    def of_period(self, period: Period, today: date) -> dict[int, dict[str, Any]]:
        """The payload's `budgets` for every group that has any valid in the period."""
        by_group = self._by_group[period.grain]
        if not by_group:
            return {}
        windows = [period.shift(-back) for back in range(LOOKBACK + 1)]
        spends = [_Spend(self._facts, window) for window in windows]
        elapsed = min((today - period.start).days + 1, period.days)
        found = {}
        for group, budgets in by_group.items():
            general, by_category = plan_of(budgets, period)
            if general is None and not by_category:
                continue
            spent = {budget.id: self._spent(budget, group, spends[0]) for budget in [general, *by_category] if budget}
            past = [
                usage
                for window, spend in zip(windows[1:], spends[1:], strict=True)
                if (usage := self._overall(*plan_of(budgets, window), group, spend))[1] > 0
            ]
            overall = self._overall(general, by_category, group, spends[0])
            found[group] = {
                "general": self._use(general, spent[general.id], elapsed, period.days) if general else None,
                "by_category": [self._use(item, spent[item.id], elapsed, period.days) for item in by_category],
                "total_budget": money_text(overall[1]),
                "overall_usage_pct": percentage(*overall, 1),
                "adherence": adherence(past),
            }
        return found

    def _overall(self, general: Budget | None, by_category: Iterable[Budget], group: int, spend: _Spend) -> Usage:
        if general is not None:
            return self._spent(general, group, spend), general.cents
        by_category = list(by_category)
        return (
            sum(self._spent(budget, group, spend) for budget in by_category),
            sum(budget.cents for budget in by_category),
        )

    def _spent(self, budget: Budget, group: int, spend: _Spend) -> int:
        if not budget.category_ids:
            return spend.by_group[group]
        return sum(spend.by_pair[pair] for pair in self._pairs[budget.id].tolist())

    def _use(self, budget: Budget, spent: int, elapsed: int, days: int) -> dict[str, Any]:
        names = self._facts.universe.category_names
        return {
            "id": budget.id,
            "name": budget.name,
            "categories": [
                {"id": id, "name": name} for name, id in sorted((names.get(id, ""), id) for id in budget.category_ids)
            ],
            "amount": money_text(budget.cents),
            "spent": money_text(spent),
            "remaining": money_text(budget.cents - spent),
            "usage_pct": percentage(spent, budget.cents, 1),
            "status": status_of(budget, spent),
            "on_track": is_on_track(spent, budget.cents, elapsed, days),
            "elapsed_pct": percentage(elapsed, days, 1),
        }


class _Spend:
    """Cents by pair and by group in one period, as plain integers."""

    def __init__(self, facts: Facts, period: Period) -> None:
        cents, _ = facts.sums_of(whole(period))
        self.by_pair: list[int] = cents.tolist()
        self.by_group: list[int] = facts.universe.sum_pairs(cents).tolist()


def plan_of(budgets: Iterable[Budget], period: Period) -> tuple[Budget | None, list[Budget]]:
    """The general budget (of several, the one that started last) and the category budgets of a period."""
    valid = [budget for budget in budgets if budget.valid_in(period.start, period.last_day)]
    general = [budget for budget in valid if not budget.category_ids]
    by_category = [budget for budget in valid if budget.category_ids]
    return max(general, key=lambda budget: (budget.start_date, budget.id), default=None), by_category


def status_of(budget: Budget, spent: int) -> str:
    """From exact usage, so that 99.96 % is not "exceeded" because it prints as 100.0."""
    if budget.cents == 0:
        return "exceeded" if spent > 0 else "good"
    if spent >= budget.cents:
        return "exceeded"
    usage = 10_000 * spent
    if usage >= budget.critical * budget.cents:
        return "critical"
    return "warning" if usage >= budget.warning * budget.cents else "good"


def is_on_track(spent: int, cents: int, elapsed: int, days: int) -> bool:
    """Usage at most ten points above the elapsed share of the days, or below half."""
    if cents == 0:
        return spent <= 0
    return 10 * spent * days <= cents * (10 * elapsed + days) or 2 * spent < cents


def adherence(past: Sequence[Usage]) -> dict[str, Any]:
    """Figures over earlier periods, newest first, each with a budget above zero."""
    whole_budget = lcm(*(cents for _, cents in past))
    used = [spent * (whole_budget // cents) for spent, cents in past]
    return {
        "periods_analyzed": len(past),
        "times_exceeded": sum(spent >= cents for spent, cents in past),
        "average_usage_pct": percentage(sum(used), whole_budget * len(used), 1) if used else None,
        "trend": _trend(used, whole_budget),
    }


def _trend(used: Sequence[int], whole_budget: int) -> str:
    """The newer half against the older one; `used` in parts of `whole_budget`, newest first."""
    half = len(used) // 2
    if half == 0:
        return "unknown"
    rise = 100 * (sum(used[:half]) - sum(used[-half:]))
    limit = _STEADY_POINTS * whole_budget * half
    if rise > limit:
        return "worsening"
    return "improving" if rise < -limit else "steady"
