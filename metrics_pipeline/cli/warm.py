from __future__ import annotations

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import AsJson
from metrics_pipeline.cli.output import console, print_json, progress_bar


def warm(as_json: AsJson = False) -> None:
    """Publish the latest stored metrics to the cache again.

    Nothing is computed: payloads of the last 8 days, 5 weeks, 4 months and 2
    years that may be served today go from PostgreSQL to Redis. Useful after Redis
    was emptied; while [bold]up[/bold] runs, its sensor notices that by itself.
    """
    with opened_pipeline() as pipeline, progress_bar("Publishing"):
        published = pipeline.warm()
    if as_json:
        print_json({"published": published})
    else:
        console.print(f"{published:,} stored payloads published.")
