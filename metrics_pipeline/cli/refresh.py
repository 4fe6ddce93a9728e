from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Optional

from rich.table import Table

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import Accounts, AsJson, Grains, day_option
from metrics_pipeline.cli.output import console, print_json, progress_bar
from metrics_pipeline.periods import Grain, Period

if TYPE_CHECKING:
    from metrics_pipeline.planning.request import Outcome


def refresh(
    accounts: Accounts = None,
    grains: Grains = None,
    days: Annotated[
        Optional[list[date]],  # noqa: UP045
        day_option("--date", "-d", help="Only the periods that hold this day; repeat for more. Default: all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute now what expense changes made stale.

    The log of changes is absorbed; then the periods that it made stale are
    computed, stored and published. While [bold]up[/bold] runs, its sensor does
    the same by itself.

    \b
    [bold]Examples[/bold]
      metrics-pipeline refresh
      metrics-pipeline refresh --account 17 --date 2026-03-01
    """
    from metrics_pipeline.planning.request import RefreshRequest
    from metrics_pipeline.planning.stretches import stretches

    with opened_pipeline() as pipeline, progress_bar("Absorbing changes") as bar:
        changes = pipeline.absorb_changes().changes
        backlog = [stale.period for stale in pipeline.backlog()]
        today, outcomes = pipeline.settings.today(), []
        for periods in stretches(_wanted(backlog, grains, days)):
            bar.say(f"Refreshing {periods[0]} to {periods[-1].key}")
            request = RefreshRequest(periods, today, accounts or None, computed_by="refresh", only_stale=True)
            outcomes.append(pipeline.refresh(request))
        waiting = len(pipeline.backlog())
    refreshed = {period: count for outcome in outcomes for period, count in outcome.payloads_by_period.items()}
    if as_json:
        print_json(_as_json(changes, refreshed, outcomes, waiting))
    else:
        _print(changes, refreshed, outcomes, waiting)


def _wanted(
    backlog: Collection[Period], grains: Collection[Grain] | None, days: Collection[date] | None
) -> set[Period]:
    return {
        period
        for period in backlog
        if period.grain in (grains or Grain) and (not days or any(period.start <= day < period.end for day in days))
    }


def _print(changes: int, refreshed: dict[Period, int], outcomes: list[Outcome], waiting: int) -> None:
    if refreshed:
        table = Table(box=None, pad_edge=False)
        for name in ("Grain", "First", "Last"):
            table.add_column(name)
        for name in ("Periods", "Payloads"):
            table.add_column(name, justify="right")
        for grain in Grain:
            if periods := sorted(period for period in refreshed if period.grain is grain):
                payloads = sum(refreshed[period] for period in periods)
                table.add_row(grain.value, periods[0].key, periods[-1].key, f"{len(periods):,}", f"{payloads:,}")
        console.print(table)
    seconds = sum(outcome.total_seconds for outcome in outcomes)
    changed = sum(outcome.rewritten for outcome in outcomes)
    console.print(
        f"Absorbed {changes:,} changes; refreshed {sum(refreshed.values()):,} payloads in {seconds:.2f} s, "
        f"{changed:,} with a new version. {waiting:,} periods wait.",
        soft_wrap=True,
    )


def _as_json(changes: int, refreshed: dict[Period, int], outcomes: list[Outcome], waiting: int) -> dict[str, Any]:
    return {
        "changes": changes,
        "payloads": sum(refreshed.values()),
        "rewritten": sum(outcome.rewritten for outcome in outcomes),
        "published": sum(outcome.published for outcome in outcomes),
        "seconds": round(sum(outcome.total_seconds for outcome in outcomes), 4),
        "periods_waiting": waiting,
        "periods": [
            {"grain": period.grain.value, "period_start": period.key, "payloads": payloads}
            for period, payloads in sorted(refreshed.items())
        ],
    }
