from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

import typer

from metrics_pipeline.cli.output import console


def token(
    accounts: Annotated[list[int], typer.Option("--account", "-a", metavar="ID", min=1, help="Repeat for more.")],
    days: Annotated[float, typer.Option("--days", metavar="N", help="How long it is valid.")] = 30,
) -> None:
    """Make a token that lets its holder see these accounts on the dashboard.

    Prints the token, and a link that opens the dashboard with it. Needs METRICS_DASHBOARD_SECRET, the
    same that the dashboard runs with; another secret makes every token given out worthless.
    """
    from metrics_pipeline.dashboard.access import issue_token
    from metrics_pipeline.dashboard.server import dashboard_url
    from metrics_pipeline.settings import load_settings

    settings = load_settings()
    made = issue_token(settings, accounts, days, datetime.now(timezone.utc))
    typer.echo(made)
    path = f"/accounts/{accounts[0]}" if len(set(accounts)) == 1 else "/"
    console.print(f"Link: {dashboard_url(settings)}{path}?token={made}", soft_wrap=True, highlight=False)
