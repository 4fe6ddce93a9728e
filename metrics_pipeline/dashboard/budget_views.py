"""Budgets as bars: how much is used, where the period stands, and what that means in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from metrics_pipeline.dashboard.wording import Wording
from metrics_pipeline.metrics.payload import Budgets, BudgetUse

_STATUS = {
    "good": "Within budget",
    "warning": "Nearing the limit",
    "critical": "Close to the limit",
    "exceeded": "Over budget",
}
_WORST_LAST = list(_STATUS)


@dataclass(frozen=True)
class BudgetView:
    """`used` and `elapsed` in per cent of the bar, at most 100."""

    name: str
    status: str
    status_words: str
    pace_words: str
    usage: str
    spent: str
    amount: str
    left: str
    used: float
    elapsed: float
    is_current: bool


def headline_budget(code: str, budgets: Budgets | None, is_current: bool, wording: Wording) -> BudgetView | None:
    """The one budget that a card shows: the general one, else all category budgets taken together."""
    if budgets is None:
        return None
    if budgets.general:
        return _view(code, [budgets.general], budgets.general.name, budgets.overall_usage_pct, is_current, wording)
    uses = budgets.by_category
    if not uses:
        return None
    name = uses[0].name if len(uses) == 1 else f"{len(uses)} category budgets"
    return _view(code, uses, name, budgets.overall_usage_pct, is_current, wording)


def budget_views(code: str, budgets: Budgets | None, is_current: bool, wording: Wording) -> list[BudgetView]:
    """Each budget by itself, the general one first."""
    if budgets is None:
        return []
    uses = [*([budgets.general] if budgets.general else []), *budgets.by_category]
    return [_view(code, [use], use.name, use.usage_pct, is_current, wording) for use in uses]


def adherence_words(budgets: Budgets | None, wording: Wording) -> str | None:
    """How the budgets of the six periods before were kept; None where there were none."""
    kept = budgets.adherence if budgets else None
    if kept is None or not kept.periods_analyzed:
        return None
    exceeded = "never" if not kept.times_exceeded else wording.count(kept.times_exceeded, "time", "times")
    usage = "" if kept.average_usage_pct is None else f", {wording.percent(kept.average_usage_pct)} used on average"
    trend = "" if kept.trend == "unknown" else f"; {kept.trend}"
    analysed = wording.count(kept.periods_analyzed, "period", "periods")
    return f"In the last {analysed} with a budget: exceeded {exceeded}{usage}{trend}."


def _view(
    code: str, uses: Sequence[BudgetUse], name: str, usage: float | None, is_current: bool, wording: Wording
) -> BudgetView:
    spent, amount = sum((use.spent for use in uses), Decimal(0)), sum((use.amount for use in uses), Decimal(0))
    status = max((use.status for use in uses), key=_WORST_LAST.index)
    left = amount - spent
    pace = "on pace" if all(use.on_track for use in uses) else "ahead of pace"
    return BudgetView(
        name=name,
        status=status,
        status_words=_STATUS[status],
        pace_words=pace if is_current else "",
        usage="" if usage is None else wording.percent(usage),
        spent=wording.money(spent, code),
        amount=wording.money(amount, code),
        left=f"{wording.money(abs(left), code)} {'left' if left >= 0 else 'over'}",
        used=min(usage if usage is not None else 100.0 if spent else 0.0, 100.0),
        elapsed=min(uses[0].elapsed_pct, 100.0),
        is_current=is_current,
    )
