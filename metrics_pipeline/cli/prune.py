from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Optional

import typer

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import AsJson
from metrics_pipeline.cli.output import console, print_json, progress_bar


def prune(
    older_than: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--older-than", min=1, metavar="DAYS", help="Default: METRICS_RETENTION_RUN_DAYS."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete Dagster's records of old runs that no page needs.

    Kept, however old: runs that hold the latest materialization of a partition
    or the latest result of a check. Numbers, expenses and payloads are not
    touched. The schedule retention_nightly does the same every night, for up
    to ten minutes. Logs under METRICS_HOME above 50 MB are moved aside.
    """
    from dataclasses import asdict

    from metrics_pipeline.retention.pruning import prune as forget

    with opened_pipeline() as pipeline:
        with progress_bar("Opening Dagster's records"):
            from metrics_pipeline.defs.retention import opened_deleting
            from metrics_pipeline.services import enter_dagster_home

            enter_dagster_home(pipeline.settings)
        days = pipeline.settings.retention_run_days if older_than is None else older_than
        with opened_deleting() as delete_runs, progress_bar("Looking for old runs") as bar:
            pruned = forget(
                pipeline,
                delete_runs,
                timedelta(days=days),
                datetime.now(timezone.utc),
                dry_run=dry_run,
                progress=bar,
            )
    if as_json:
        print_json(asdict(pruned))
        return
    verb = "Would delete" if dry_run else "Deleted"
    console.print(
        f"{verb} {pruned.runs:,} runs that ended before {pruned.before:%Y-%m-%d %H:%M} UTC, with {pruned.events:,} "
        f"events ({pruned.characters / 1e6:,.1f} MB), and {pruned.runless_events:,} events outside runs."
    )
    if pruned.logs:
        console.print(
            f"{'Would empty' if dry_run else 'Emptied'} {pruned.logs} logs, {pruned.log_bytes / 1e6:,.0f} MB."
        )
