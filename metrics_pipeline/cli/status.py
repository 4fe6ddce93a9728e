from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Annotated, Optional

import typer

from metrics_pipeline.cli.monitored import monitored
from metrics_pipeline.cli.options import AsJson
from metrics_pipeline.cli.output import console, print_json

_EXIT_CODES = {"healthy": 0, "idle": 0, "warning": 1, "critical": 2}


def status(
    as_json: AsJson = False,
    watch: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--watch", "-w", min=1, metavar="SECONDS", help="Look again every so often, until Ctrl-C."),
    ] = None,
) -> None:
    """Show whether jobs are healthy and numbers fresh.

    Runs and reads are those of the last 24 hours, or of
    METRICS_MONITOR_WINDOW_HOURS. Each finding ends with what to do about it.
    Where [bold]up[/bold] never ran it is idle, however long changes wait.

    The exit code is 0 when healthy or idle, 1 for a warning, 2 when critical,
    3 when PostgreSQL is away. --json prints one document; with --watch, one a
    line each time.
    """
    from metrics_pipeline.cli.status_screen import screen

    with monitored() as monitor:
        if watch and not as_json:
            from rich.live import Live

            with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
                while True:
                    live.update(screen(monitor.status(datetime.now(timezone.utc))), refresh=True)
                    time.sleep(watch)
        while True:
            found = monitor.status(datetime.now(timezone.utc))
            if as_json:
                print_json(found.as_dict())
            else:
                console.print(screen(found))
            if not watch:
                break
            time.sleep(watch)
    raise typer.Exit(_EXIT_CODES[found.health.status])
