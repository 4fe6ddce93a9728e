"""Which periods a person means by days, or by all of history. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain, Period, periods_between
from metrics_pipeline.planning.request import check_begun, check_covered


def chosen_periods(
    grains: Iterable[Grain], on: Sequence[date], today: date, earliest: date, *, all_history: bool = False
) -> list[Period]:
    """The periods of these grains that hold the days in `on` (default: today), or all since `earliest`.

    Raises BadRequest for both at once, and for a day whose period has not begun or ended before `earliest`.
    """
    if all_history and on:
        raise BadRequest("Ask for all of history or for single days, not for both.")
    if all_history:
        return [period for grain in grains for period in periods_between(grain, earliest, today)]
    periods = sorted({Period.holding(grain, day) for grain in grains for day in on or [today]})
    for period in periods:
        check_begun(period, today)
        check_covered(period, earliest)
    return periods
