"""Daily or monthly totals as one line of block characters."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.text import Text

from metrics_pipeline.cli.fitting import fitting
from metrics_pipeline.metrics.payload import CurrencyMetrics, PeriodMetrics
from metrics_pipeline.periods import Grain

_BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"


def sparkline(values: Sequence[Decimal]) -> str:
    """From zero to the largest value, which is the highest block; the least amount is the lowest, zero a dot."""
    highest = max(values, default=Decimal(0))
    return "".join(_BLOCKS[_step(value, highest)] if value > 0 else _NOTHING for value in values)


def sparkline_of(payload: PeriodMetrics, figures: CurrencyMetrics, width: int) -> Text:
    """The days of a week or month and the months of a year, up to today; for a day the seven that end with it."""
    if payload.grain is Grain.DAY:
        totals, label = figures.sparkline.days, "last seven days"
    elif payload.grain is Grain.YEAR:
        totals, label = [month.total for month in figures.monthly][: payload.as_of.month], "by month"
    else:
        totals, label = [day.total for day in figures.daily if day.date <= payload.as_of], "by day"
    return fitting(width, Text(sparkline(totals), "cyan"), Text(f" {label}", "dim"))


def _step(value: Decimal, highest: Decimal) -> int:
    """0 to 7: the eighth of the highest value that the value reaches into."""
    return min(len(_BLOCKS) - 1, int(value * len(_BLOCKS) / highest))
