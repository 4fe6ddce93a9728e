from __future__ import annotations

from metrics_pipeline.cli.output import console, remark


def detach() -> None:
    """Remove the triggers that notice changed expenses.

    The expense tables are left exactly as they were without them. From then on changes reach the
    metrics with the hourly calculation only. [bold]metrics-pipeline migrate[/bold] attaches again, and
    what changed meanwhile is computed.
    """
    from metrics_pipeline.api import with_servers
    from metrics_pipeline.database import connect_engine, domain_errors
    from metrics_pipeline.settings import load_settings
    from metrics_pipeline.source.capture import detach as detach_triggers

    settings = load_settings()
    # Not by an opened pipeline: that one would attach to an embedded database first.
    engine = connect_engine(str(with_servers(settings).database_url), pool_size=1)
    try:
        with domain_errors("Detaching the triggers"), engine.begin() as connection:
            detach_triggers(connection)
    finally:
        engine.dispose()
    console.print("Detached. Changes are noticed again after `metrics-pipeline migrate`.")
    if settings.database_url is None:
        remark("The embedded database is kept up to date by the next command that opens it: that attaches again.")
