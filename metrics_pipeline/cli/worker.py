from __future__ import annotations

import typer

from metrics_pipeline.cli.exits import ATTENTION


def worker(
    concurrency: int | None = typer.Option(
        None, min=1, metavar="N", help="Runs it does at once; default: METRICS_WORKER_CONCURRENCY."
    ),
) -> None:
    """Run one more worker, on this or another machine, until Ctrl-C.

    `up` has one. On another machine set METRICS_DATABASE_URL and METRICS_REDIS_URL to the servers of `up`,
    and there METRICS_MAX_CONCURRENT_RUNS to what all workers can do at once.
    """
    from metrics_pipeline.services import worker as run_until_stopped
    from metrics_pipeline.settings import load_settings

    if run_until_stopped(load_settings(), concurrency):
        raise typer.Exit(ATTENTION)
