from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import AsJson, Today
from metrics_pipeline.cli.output import console, print_json, progress_bar


def sample(
    accounts: Annotated[int, typer.Option(min=1, help="How many accounts.")] = 200,
    months: Annotated[int, typer.Option(min=1, help="Whole months of expenses before this one.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and day give the same rows.")] = 1,
    today: Today = None,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database with invented households.

    Salaries and rents, groceries, travel in a second currency, refunds left
    out, late and corrected rows, and budgets, up to today.

    \b
    [bold]Examples[/bold]
      metrics-pipeline sample
      metrics-pipeline sample --accounts 1000 --months 36 --seed 7
    """
    from metrics_pipeline.source.sample import write_sample

    with opened_pipeline() as pipeline, progress_bar("Writing the sample") as progress:
        settings = pipeline.settings
        summary = write_sample(
            pipeline.engine,
            accounts=accounts,
            months=months,
            seed=seed,
            today=today or settings.today(),
            zone=settings.zone,
            default_currency=settings.default_currency,
            progress=progress,
        )
    if as_json:
        print_json(asdict(summary))
        return
    console.print(
        f"Wrote {summary.accounts:,} accounts, {summary.expenses:,} expenses from {summary.first_day} to "
        f"{summary.last_day}, and {summary.budgets:,} budgets.\n"
        "Next: [bold]metrics-pipeline calculate --all-history[/bold]",
        soft_wrap=True,
    )
