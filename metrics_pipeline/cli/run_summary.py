"""What `metrics-pipeline run` shows at its end: one account's metrics, what was done, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from rich.table import Table

from metrics_pipeline.cli.cards import cards
from metrics_pipeline.cli.output import console, progress_bar
from metrics_pipeline.cli.reading_time import measure_reading
from metrics_pipeline.database import domain_errors
from metrics_pipeline.periods import Grain
from metrics_pipeline.sql import query

if TYPE_CHECKING:
    from metrics_pipeline.defs.run import Run
    from metrics_pipeline.pipeline import Pipeline


def show_summary(pipeline: Pipeline, runs: Mapping[Grain, Run], today: date) -> None:
    """Print it all; without any account just what was done."""
    account_id = _account_to_show(pipeline, today)
    if account_id is not None:
        readings = [pipeline.reader.get(account_id, grain, today=today) for grain in Grain]
        sources = " and ".join(sorted({reading.source for reading in readings}))
        console.print(f"\nAccount {account_id} on {today}, from the {sources}", style="bold")
        console.print(cards([reading.payload for reading in readings], console.width))
    console.print()
    console.print(_table(runs))
    console.print(_phases(runs), soft_wrap=True)
    if account_id is None:
        console.print("There is no active account yet: `metrics-pipeline load DIR` brings in expenses.")
        return
    with progress_bar("Measuring reads"):
        reading = measure_reading(pipeline, account_id, Grain.MONTH, today)
    console.print(
        f"Reading a cached payload takes {reading.cached * 1000:.2f} ms, computing it {reading.computed * 1000:.1f} ms "
        f"({reading.computed / reading.cached:.0f} times as long).",
        soft_wrap=True,
    )
    console.print(
        f"\nNext: [bold]metrics-pipeline show {account_id}[/bold], or [bold]metrics-pipeline up[/bold] "
        "for Dagster's UI with these runs.",
        soft_wrap=True,
    )


def _account_to_show(pipeline: Pipeline, today: date) -> int | None:
    with domain_errors("Choosing an account to show"), pipeline.engine.connect() as connection:
        return connection.execute(
            query("account_with_most_to_show"), {"month": Grain.MONTH.start_of(today)}
        ).scalar_one_or_none()


def _table(runs: Mapping[Grain, Run]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("Grain")
    table.add_column("Periods")
    for name in ("Accounts", "Expenses read", "Payloads", "Changed", "Seconds"):
        table.add_column(name, justify="right")
    for grain, run in runs.items():
        outcome, periods = run.outcome, run.periods
        table.add_row(
            grain.value,
            f"{len(periods)} since {periods[0].key}",
            f"{outcome.accounts:,}",
            f"{outcome.rows_read:,}",
            f"{outcome.payloads:,}",
            f"{outcome.rewritten:,}",
            f"{outcome.total_seconds:.2f}",
        )
    return table


def _phases(runs: Mapping[Grain, Run]) -> str:
    """Where the seconds went. What is written is written beside computing, so the sum may be above the total."""
    seconds: dict[str, float] = {}
    for run in runs.values():
        for phase, spent in run.outcome.seconds.items():
            seconds[phase] = seconds.get(phase, 0.0) + spent
    total = seconds.pop("total", 0.0)
    known = ["pull", "sort", "compute", "assemble", "store", "publish"]
    phases = [phase for phase in known if phase in seconds] + sorted(seconds.keys() - set(known))
    return f"{total:.2f} s in all: " + ", ".join(f"{phase} {seconds[phase]:.2f}" for phase in phases)
