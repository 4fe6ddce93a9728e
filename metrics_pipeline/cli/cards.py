"""Payloads as cards: total, trend, sparkline, categories and budget at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from metrics_pipeline.cli.budget_bar import budget_lines
from metrics_pipeline.cli.fitting import fitting
from metrics_pipeline.cli.sparkline import sparkline_of
from metrics_pipeline.cli.words import day_and_month, days, money, period_title
from metrics_pipeline.metrics.payload import Change, CurrencyMetrics, PeriodMetrics
from metrics_pipeline.periods import Grain, Period

_NARROWEST_PAIR, _WIDEST_CARD = 76, 52
_FRAME = 4  # border and blank on either side


def cards(payloads: Sequence[PeriodMetrics], width: int) -> RenderableType:
    """Two cards a row, or one where `width` characters do not hold two."""
    columns = 2 if len(payloads) > 1 and width >= _NARROWEST_PAIR else 1
    each = min(width // columns, _WIDEST_CARD)
    grid = Table.grid()
    for start in range(0, len(payloads), columns):
        row = payloads[start : start + columns]
        bodies = [_body(payload, each - _FRAME) for payload in row]
        tallest = max(len(body) for body in bodies)
        grid.add_row(*(_framed(payload, body, each, tallest) for payload, body in zip(row, bodies, strict=True)))
    return grid


def _framed(payload: PeriodMetrics, body: list[Text], width: int, lines: int) -> Panel:
    return Panel(
        Group(*body),
        title=Text(period_title(Period(payload.grain, payload.period_start)), "bold"),
        title_align="left",
        box=box.ROUNDED,
        border_style="cyan" if payload.is_current else "dim",
        width=width,
        height=lines + 2,
    )


def _body(payload: PeriodMetrics, width: int) -> list[Text]:
    """The account's own currency in full, or the first one; a line for each other one with expenses."""
    if not payload.currencies:
        return [Text("no expenses", "dim")]
    first, *others = sorted(payload.currencies.items(), key=lambda item: item[0] != payload.currency)
    lines = _figures(payload, *first, width)
    for code, figures in others:
        if figures.count:
            lines.append(Text(f"and {code} {money(figures.total)}  {_expenses(figures.count)}", "dim"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _figures(payload: PeriodMetrics, code: str, figures: CurrencyMetrics, width: int) -> list[Text]:
    head = Text.assemble((f"{code} {money(figures.total)}", "bold"), f"  {_expenses(figures.count)}")
    median = [] if figures.median is None else [Text(f", median {money(figures.median)}", "dim")]
    shares = [
        Text(f"{' · ' if place else ''}{category.name or 'uncategorized'}{_share(category.share_pct)}")
        for place, category in enumerate(figures.categories)
    ]
    return [
        fitting(width, head, *median),
        _trend(payload, figures.trend.to_date or figures.trend, width),
        sparkline_of(payload, figures, width),
        *([fitting(width, *shares)] if shares else []),
        *budget_lines(payload.grain, figures.budgets, width),
    ]


def _share(percent: float | None) -> str:
    """There is none of a total that refunds have made zero."""
    return "" if percent is None else f" {percent:.0f}%"


def _trend(payload: PeriodMetrics, change: Change, width: int) -> Text:
    """A current period is set against as many days of the one before as it has had itself."""
    before = _before(payload)
    if change.amount_change_pct is None:
        return Text(f"● nothing in {before}", "dim")
    if change.absolute_amount_change == 0:
        return Text(f"= as much as {before}")
    arrow, style, word = ("▲", "red", "more") if change.is_increase else ("▼", "green", "less")
    share = Text(f"{arrow} {abs(change.amount_change_pct):,.1f}% {word}", style)
    return fitting(width, share, Text(f" than {before}"), Text(f" ({money(change.previous_total)})", "dim"))


def _before(payload: PeriodMetrics) -> str:
    """What the trend compares with: the days of the period before, or its name where it is all of it."""
    previous = Period(payload.grain, payload.period_start).shift(-1)
    last = previous.last_day
    if payload.is_current:
        last = min(last, previous.start + (payload.as_of - payload.period_start))
    if last < previous.last_day or previous.grain is Grain.WEEK:
        return days(previous.start, last, with_year=previous.grain is Grain.YEAR)
    return day_and_month(last) if previous.grain is Grain.DAY else period_title(previous)


def _expenses(count: int) -> str:
    return "1 expense" if count == 1 else f"{count:,} expenses"
