from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.table import Table

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import Accounts, AsJson, Grains, day_option
from metrics_pipeline.cli.output import console, print_json, progress_bar
from metrics_pipeline.cli.submitted import Here, NoWait, left_to_up, submit_runs
from metrics_pipeline.periods import Grain, Period

if TYPE_CHECKING:
    from metrics_pipeline.pipeline import Pipeline
    from metrics_pipeline.planning.request import Outcome


def refresh(
    accounts: Accounts = None,
    grains: Grains = None,
    days: Annotated[
        Optional[list[date]],  # noqa: UP045
        day_option("--date", "-d", help="Only the periods that hold this day; repeat for more. Default: all."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Compute and publish whatever is stored and cached: of the days named, or of today."
        ),
    ] = False,
    here: Here = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Compute now what expense changes made stale.

    The log of changes is absorbed; then the periods that it made stale are
    computed, stored and published. While [bold]up[/bold] runs, its sensor does
    the same by itself, and its workers do what is asked for here: Ctrl-C leaves
    them running; --here computes in this process.

    \b
    [bold]Examples[/bold]
      metrics-pipeline refresh
      metrics-pipeline refresh --account 17 --date 2026-03-01
      metrics-pipeline refresh --account 17 --force
    """
    with opened_pipeline() as pipeline:
        away = left_to_up(pipeline.settings, here=here, no_wait=no_wait)
        with progress_bar("Absorbing changes"):
            changes = pipeline.absorb_changes().changes
            periods = _wanted(pipeline, grains, days, force)
        if away and periods:
            submitted = submit_runs(
                pipeline,
                periods,
                account_ids=accounts,
                force=force,
                only_stale=not force,
                trigger="refresh",
                wait=not no_wait,
                as_json=as_json,
            )
            if submitted is None:
                return
            outcomes = submitted
        else:
            outcomes = _refresh_here(pipeline, periods, accounts, force)
        waiting = len(pipeline.backlog())
    refreshed = {period: count for outcome in outcomes for period, count in outcome.payloads_by_period.items()}
    if as_json:
        print_json(_as_json(changes, refreshed, outcomes, waiting))
    else:
        _print(changes, refreshed, outcomes, waiting)


def _refresh_here(
    pipeline: Pipeline, periods: Collection[Period], accounts: list[int] | None, force: bool
) -> list[Outcome]:
    from metrics_pipeline.planning.request import RefreshRequest
    from metrics_pipeline.planning.stretches import stretches

    today, outcomes = pipeline.settings.today(), []
    with progress_bar("Refreshing") as bar:
        for stretch in stretches(periods):
            bar.say(f"Refreshing {stretch[0]} to {stretch[-1].key}")
            request = RefreshRequest(
                stretch, today, accounts or None, computed_by="refresh", force=force, only_stale=not force
            )
            outcomes.append(pipeline.refresh(request, bar.follow))
    return outcomes


def _wanted(pipeline: Pipeline, grains: Collection[Grain] | None, days: list[date] | None, force: bool) -> list[Period]:
    """What is stale of the periods asked for; forced, all of them."""
    from metrics_pipeline.planning.chosen import chosen_periods

    if force:
        settings = pipeline.settings
        return chosen_periods(grains or Grain, days or (), settings.today(), settings.start_date)
    return [
        stale.period
        for stale in pipeline.backlog()
        if stale.period.grain in (grains or Grain)
        and (not days or any(stale.period.start <= day < stale.period.end for day in days))
    ]


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
