from __future__ import annotations

from metrics_pipeline.cli.output import console


def down() -> None:
    """Stop the servers of METRICS_HOME. Their data stays.

    Servers named by METRICS_DATABASE_URL and METRICS_REDIS_URL keep running.
    """
    from metrics_pipeline.services import stop_services
    from metrics_pipeline.settings import load_settings

    settings = load_settings()
    stopped = stop_services(settings)
    console.print(f"Stopped {', '.join(stopped)}." if stopped else f"Nothing runs in {settings.home}.", soft_wrap=True)
