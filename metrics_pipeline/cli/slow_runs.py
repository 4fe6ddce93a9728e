from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Annotated

import typer

from metrics_pipeline.cli.monitored import monitored
from metrics_pipeline.cli.options import AsJson
from metrics_pipeline.cli.output import console, print_json


def slow_runs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the latest slow runs, and whether much data explains them.

    Slow is over 30 s, or over three times the median of the same job in the
    last 24 hours. A run on many times its job's rows was slow with much data;
    one on about as many as ever was slow for another reason.
    """
    from metrics_pipeline.cli.status_screen import slow_table

    with monitored() as monitor:
        found = monitor.recent_slow_runs(datetime.now(timezone.utc), limit)
    if as_json:
        print_json([asdict(run) for run in found])
    elif found:
        console.print(slow_table(found))
    else:
        console.print("No slow runs in the last 24 hours.")
