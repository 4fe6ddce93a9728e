"""Columns of daily or monthly totals: what a chart shows, with no drawing in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from metrics_pipeline.dashboard.parameters import Days
from metrics_pipeline.dashboard.wording import Wording
from metrics_pipeline.metrics.payload import CurrencyMetrics, PeriodMetrics
from metrics_pipeline.periods import Grain, Period

_SMALLEST = 3.0
"""Per cent of the height: any spending is to be seen."""


@dataclass(frozen=True)
class Column:
    """One day or month. `height` in per cent of the highest; `href` None where there is nothing to open."""

    when: str
    value: str
    short: str
    height: float
    href: str | None
    is_now: bool
    is_ahead: bool
    side: str


@dataclass(frozen=True)
class Chart:
    label: str
    columns: list[Column]


def sparkline(
    account_id: int, code: str, metrics: CurrencyMetrics, period: Period, days: Days, wording: Wording
) -> Chart:
    """The seven days up to today, or up to the end of a closed period."""
    ends = metrics.sparkline.ends_on
    shown = [ends - timedelta(days=back) for back in range(len(metrics.sparkline.days) - 1, -1, -1)]
    return Chart(
        f"Seven days up to {wording.day(ends)}, {code}",
        _columns(
            metrics.sparkline.days,
            [Period(Grain.DAY, day) for day in shown],
            account_id,
            code,
            days,
            wording,
            highlighted=lambda of: of.start == ends,
        ),
    )


def history(account_id: int, code: str, payload: PeriodMetrics, days: Days, wording: Wording) -> Chart | None:
    """Every day of a week or month, every month of a year; None for a day."""
    metrics = payload.currencies[code]
    if metrics.daily:
        periods = [Period(Grain.DAY, one.date) for one in metrics.daily]
        totals, label = [one.total for one in metrics.daily], f"Spent each day, {code}"
    elif metrics.monthly:
        periods = [Period(Grain.MONTH, date.fromisoformat(f"{one.month}-01")) for one in metrics.monthly]
        totals, label = [one.total for one in metrics.monthly], f"Spent each month, {code}"
    else:
        return None
    columns = _columns(
        totals, periods, account_id, code, days, wording, highlighted=lambda of: of.is_current(days.today)
    )
    return Chart(label, columns)


def _columns(
    totals: Sequence[Decimal],
    periods: Sequence[Period],
    account_id: int,
    code: str,
    days: Days,
    wording: Wording,
    highlighted: Callable[[Period], bool],
) -> list[Column]:
    highest = max((total for total in totals), default=Decimal(0))
    third = len(totals) / 3
    return [
        Column(
            when=wording.day(of.start, "EEE d MMM") if of.grain is Grain.DAY else wording.name(of),
            value=wording.money(total, code),
            short=_short(of, len(totals), wording),
            height=max(float(total / highest) * 100, _SMALLEST) if total > 0 else 0.0,
            href=f"/accounts/{account_id}/{of.grain.value}/{of.key}" if days.holds(of) else None,
            is_now=highlighted(of),
            is_ahead=of.start > days.today,
            side="start" if place < third else "end" if place >= 2 * third else "middle",
        )
        for place, (total, of) in enumerate(zip(totals, periods, strict=True))
    ]


def _short(of: Period, count: int, wording: Wording) -> str:
    """Below the column; of a month's days only some, so that they stay apart on a phone."""
    if of.grain is Grain.MONTH:
        return wording.day(of.start, "MMMMM")
    if count > 7:
        return str(of.start.day) if of.start.day % 5 == 0 or of.start.day == 1 else ""
    return wording.day(of.start, "EEEEE")
