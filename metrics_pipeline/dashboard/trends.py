"""A trend as a sentence: the sign for the eye, the words for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from metrics_pipeline.dashboard.wording import Wording
from metrics_pipeline.metrics.payload import Change, CurrencyMetrics
from metrics_pipeline.periods import Grain, Period


@dataclass(frozen=True)
class TrendView:
    """`kind`: up, down, same, or new where there is nothing to compare with."""

    kind: str
    figure: str
    words: str
    difference: str


def trends_of(code: str, metrics: CurrencyMetrics, period: Period, today: date, wording: Wording) -> list[TrendView]:
    """Against the same point of the previous period, while this one runs; and against all of it.

    A day has one: its same point is all of the day before.
    """
    before = wording.before(period, today)
    if metrics.trend.to_date is None or period.grain is Grain.DAY:
        return [_view(metrics.trend, code, before, _in(before, period), wording)]
    point = f"the same point of {before}"
    return [
        _view(metrics.trend.to_date, code, point, f"by {point}", wording),
        _view(metrics.trend, code, f"all of {before}", _in(before, period), wording),
    ]


def _view(change: Change, code: str, against: str, nothing: str, wording: Wording) -> TrendView:
    if not change.absolute_amount_change:
        return TrendView("same", "", f"Unchanged from {against}", "")
    if change.amount_change_pct is None:
        return TrendView("new", "", f"Nothing was spent {nothing}", "")
    more = change.is_increase
    return TrendView(
        "up" if more else "down",
        wording.percent(abs(change.amount_change_pct)),
        f"{'more' if more else 'less'} than {against}",
        f"{'+' if more else '−'}{wording.money(abs(change.absolute_amount_change), code)}",
    )


def _in(before: str, period: Period) -> str:
    """As in: nothing was spent yesterday, last week, in October, on Fri 20 Nov."""
    if before in ("yesterday", "last week"):
        return before
    return f"on {before}" if period.grain is Grain.DAY else f"in {before}"
