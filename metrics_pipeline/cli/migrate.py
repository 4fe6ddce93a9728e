from __future__ import annotations

from typing import Annotated, Optional

import typer

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.output import console


def migrate(
    back_to: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--back-to", metavar="REVISION", help="Undo what came after, before an older release is used."),
    ] = None,
) -> None:
    """Bring the database to the newest schema.

    Makes the expense tables where they are missing; existing ones keep their
    columns and rows, and get triggers that log changes. Everything else goes
    into the schema "metrics".

    Needed once for a database of your own, and after an update; the embedded
    one is kept up to date by itself. Safe to repeat.

    An older release finds its schema again after --back-to, with the revision
    that its [bold]check[/bold] asks for.
    """
    with opened_pipeline() as pipeline:
        if back_to is None:
            console.print(f"The schema is at revision {pipeline.migrate()}.")
            return
        from metrics_pipeline.migrations.apply import roll_back

        roll_back(pipeline.engine, back_to)
    console.print(f"The schema is back at revision {back_to}. Install the release that needs it before anything else.")
