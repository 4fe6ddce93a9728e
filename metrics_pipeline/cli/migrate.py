from __future__ import annotations

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.output import console


def migrate() -> None:
    """Bring the database to the newest schema.

    Makes the expense tables where they are missing; existing ones keep their
    columns and rows, and get triggers that log changes. Everything else goes
    into the schema "metrics".

    Needed once for a database of your own, and after an update; the embedded
    one is kept up to date by itself. Safe to repeat.
    """
    with opened_pipeline() as pipeline:
        console.print(f"The schema is at revision {pipeline.migrate()}.")
