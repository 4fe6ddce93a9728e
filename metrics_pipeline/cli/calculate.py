from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.table import Table

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import Accounts, AsJson, Grains, Today, day_option
from metrics_pipeline.cli.output import console, print_json, progress_bar, remark
from metrics_pipeline.cli.submitted import Here, NoWait, left_to_up, submit_runs, summed
from metrics_pipeline.periods import Grain, Period

if TYPE_CHECKING:
    from metrics_pipeline.pipeline import Pipeline
    from metrics_pipeline.planning.request import Outcome


def calculate(
    accounts: Accounts = None,
    grains: Grains = None,
    days: Annotated[
        Optional[list[date]],  # noqa: UP045
        day_option("--date", "-d", help="The periods that hold this day; repeat for more. Default: today."),
    ] = None,
    all_history: Annotated[bool, typer.Option("--all-history", help="Every period since METRICS_START_DATE.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write and publish a new version even where nothing changed.")
    ] = False,
    shard: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--shard", metavar="I/N", help="Only this share of the accounts, for example 2/8."),
    ] = None,
    today: Today = None,
    here: Here = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Compute metrics now, store and publish them.

    Without options: the current day, week, month and year of every active
    account. A payload that comes out as it is stored keeps its version.

    While [bold]up[/bold] runs, its workers compute: the runs are submitted and
    waited for; Ctrl-C leaves them running. With --here or --today, and
    without [bold]up[/bold], this process computes.

    \b
    [bold]Examples[/bold]
      metrics-pipeline calculate
      metrics-pipeline calculate --account 17 --grain month --date 2026-03-01
      metrics-pipeline calculate --all-history
    """
    from metrics_pipeline.planning.shards import Shard

    share = Shard.parse(shard) if shard else None
    with opened_pipeline() as pipeline:
        if left_to_up(pipeline.settings, here=here or (today is not None and not no_wait), no_wait=no_wait):
            outcomes = submit_runs(
                pipeline,
                _chosen(pipeline, grains, days, all_history),
                account_ids=accounts,
                force=force,
                shard=share,
                only_stale=False,
                trigger="manual",
                wait=not no_wait,
                as_json=as_json,
            )
            if outcomes is None:
                return
            outcome = summed(outcomes)
        else:
            with progress_bar("Computing") as bar:
                outcome = pipeline.calculate(
                    grains=grains or tuple(Grain),
                    on=days or (),
                    all_history=all_history,
                    account_ids=accounts or None,
                    today=today,
                    force=force,
                    shard=share,
                    progress=bar.follow,
                )
    if as_json:
        print_json(outcome_as_json(outcome))
    else:
        _print(outcome)
    if accounts and not share and outcome.accounts < len(set(accounts)):
        remark(f"Of the {len(set(accounts))} accounts asked for {outcome.accounts} exist.")


def _chosen(pipeline: Pipeline, grains: list[Grain] | None, days: list[date] | None, all_history: bool) -> list[Period]:
    from metrics_pipeline.planning.chosen import chosen_periods

    pipeline.absorb_changes()  # what is computed no longer waits for a refresh
    settings = pipeline.settings
    return chosen_periods(
        grains or tuple(Grain), days or (), settings.today(), settings.start_date, all_history=all_history
    )


def _print(outcome: Outcome) -> None:
    table = Table(box=None, pad_edge=False)
    for name, justify in (("Grain", "left"), ("Periods", "right"), ("Payloads", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for grain in Grain:
        counts = [count for period, count in outcome.payloads_by_period.items() if period.grain is grain]
        if counts:
            table.add_row(grain.value, f"{len(counts):,}", f"{sum(counts):,}")
    if table.row_count:
        console.print(table)
    console.print(
        f"{outcome.payloads:,} payloads of {outcome.accounts:,} accounts from {outcome.rows_read:,} rows in "
        f"{outcome.total_seconds:.2f} s; {outcome.rewritten:,} changed, {outcome.publishing}.",
        soft_wrap=True,
    )


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "accounts": outcome.accounts,
        "rows_read": outcome.rows_read,
        "payloads": outcome.payloads,
        "rewritten": outcome.rewritten,
        "published": outcome.published,
        "superseded": outcome.superseded,
        "left_out": outcome.left_out,
        "bytes_published": outcome.bytes_published,
        "chunks_retried": outcome.chunks_retried,
        "seconds": {phase: round(seconds, 4) for phase, seconds in outcome.seconds.items()},
        "periods": [
            {"grain": period.grain.value, "period_start": period.key, "payloads": payloads}
            for period, payloads in sorted(outcome.payloads_by_period.items())
        ],
    }
