"""A budget as a bar, with its status and pace in words."""

from __future__ import annotations

from rich.text import Text

from metrics_pipeline.cli.fitting import fitting
from metrics_pipeline.metrics.payload import Budgets, BudgetUse
from metrics_pipeline.periods import Grain

_WIDEST = 20
_STYLES = {"good": "green", "warning": "yellow", "critical": "dark_orange", "exceeded": "red"}
_WORST_FIRST = ("exceeded", "critical", "warning", "good")


def budget_lines(grain: Grain, budgets: Budgets | None, width: int) -> list[Text]:
    """The general budget; without one all category budgets together, and the worst status among them."""
    if budgets is None:
        return [Text(f"no {grain.adverb} budget", "dim")]
    uses = [budgets.general] if budgets.general else budgets.by_category
    status = min((use.status for use in uses), key=_WORST_FIRST.index)
    usage = budgets.overall_usage_pct
    share = "" if usage is None else f" {usage:g}%"
    amount = f" of {budgets.total_budget:,.0f}"
    bar = bar_of(usage or 0.0, max(0, min(_WIDEST, width - len(share) - len(amount))))
    return [
        Text.assemble((bar + share, _STYLES[status]), amount),
        fitting(
            width,
            Text.assemble((status, _STYLES[status]), f" · {_pace(uses)}"),
            Text(f" · {uses[0].elapsed_pct:g}% of the time gone"),
        ),
    ]


def bar_of(usage_pct: float, width: int) -> str:
    """Filled to an eighth of a character; full from 100 %."""
    full, rest = divmod(round(min(usage_pct, 100.0) * width * 8 / 100), 8)
    filled = "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
    return filled + "░" * (width - len(filled))


def _pace(uses: list[BudgetUse]) -> str:
    on_track = sum(use.on_track for use in uses)
    if len(uses) == 1:
        return "on track" if on_track else "ahead of pace"
    return f"{on_track} of {len(uses)} on track"
