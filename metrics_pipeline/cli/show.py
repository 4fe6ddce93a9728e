from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import AsJson, Grains, Today, day_option
from metrics_pipeline.cli.output import console, print_line
from metrics_pipeline.cli.words import ago
from metrics_pipeline.periods import Grain

if TYPE_CHECKING:
    from metrics_pipeline.cache.reader import Reading


def show(
    account: Annotated[int, typer.Argument(metavar="ACCOUNT", min=1, help="The account's id.")],
    grains: Grains = None,
    day: Annotated[
        Optional[date],  # noqa: UP045
        day_option("--date", "-d", help="The periods that hold this day. Default: today."),
    ] = None,
    today: Today = None,
    as_json: AsJson = False,
) -> None:
    """Show one account's metrics as a dashboard reads them.

    They come from the cache, else from the store, else they are computed now.
    --json prints the payload, one line for each grain.

    \b
    [bold]Examples[/bold]
      metrics-pipeline show 17
      metrics-pipeline show 17 --grain month --date 2026-03-01
      metrics-pipeline show 17 --grain year --json
    """
    with opened_pipeline() as pipeline:
        readings = [pipeline.reader.get(account, grain, on=day, today=today) for grain in grains or Grain]
    if as_json:
        for reading in readings:
            print_line(reading.json)
        return
    from metrics_pipeline.cli.cards import cards

    console.print(cards([reading.payload for reading in readings], console.width))
    for reading in readings:
        console.print(_origin(reading), style="dim", soft_wrap=True)


def _origin(reading: Reading) -> str:
    how = {"cache": "from the cache", "store": "from the store", "computed": "computed now"}[reading.source]
    if reading.outdated:
        how = "outdated, from the cache because PostgreSQL is away"
    grain = reading.payload.grain.value
    return f"{grain}: {how}, calculated {ago(reading.age_seconds())}, version {reading.version}"
