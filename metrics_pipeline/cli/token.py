from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Optional

import typer

from metrics_pipeline.cli.output import console


def token(
    accounts: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option("--account", "-a", metavar="ID", min=1, help="Repeat for more."),
    ] = None,
    metrics: Annotated[bool, typer.Option("--metrics", help="For Prometheus instead: reads /metrics alone.")] = False,
    days: Annotated[float, typer.Option("--days", metavar="N", help="How long it is valid.")] = 30,
) -> None:
    """Make a token that lets its holder see these accounts on the dashboard.

    Prints the token, and a link that opens the dashboard with it. Needs METRICS_DASHBOARD_SECRET, the
    same that the dashboard runs with; another secret makes every token given out worthless.

    With --metrics it is for Prometheus: it reads /metrics, and shows no account.
    """
    from metrics_pipeline.dashboard.access import issue_scrape_token, issue_token
    from metrics_pipeline.settings import load_settings

    settings = load_settings()
    if bool(accounts) == metrics:
        raise typer.BadParameter("name accounts with --account, or say --metrics, one of the two")
    if not accounts:
        typer.echo(issue_scrape_token(settings, days, datetime.now(timezone.utc)))
        return
    made = issue_token(settings, accounts, days, datetime.now(timezone.utc))
    typer.echo(made)
    path = f"/accounts/{accounts[0]}" if len(set(accounts)) == 1 else "/"
    console.print(f"Link: {settings.dashboard_address}{path}?token={made}", soft_wrap=True, highlight=False)
