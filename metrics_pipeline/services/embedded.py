"""The servers a command needs: the configured ones, else embedded ones under METRICS_HOME."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy.engine import make_url

from metrics_pipeline.errors import ConfigurationError, TransientError
from metrics_pipeline.services.postgres import EmbeddedPostgres
from metrics_pipeline.services.processes import processes_in, stop_processes
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.settings import Settings

DAGSTER_SCHEMA = "dagster"
"""Dagster keeps its tables in this schema of the same database."""

_LOCK_SECONDS = 330  # longer than the slowest start that another command may be in


@dataclass(frozen=True)
class ServiceUrls:
    """Where the servers are. The URLs may hold passwords, so printing this object shows none."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)

    @property
    def dagster_url(self) -> str:
        """The same database for Dagster's storage, which wants psycopg2, with its own schema first.

        In UTC: Dagster writes times into columns without a zone, in that of the session, and reads them as UTC.
        """
        url = make_url(self.database_url).set(drivername="postgresql+psycopg2")
        given = url.query.get("options", ())
        options = [given] if isinstance(given, str) else list(given)
        ours = (f"-csearch_path={DAGSTER_SCHEMA}", "-ctimezone=UTC")
        return url.update_query_dict({"options": " ".join([*options, *ours])}).render_as_string(hide_password=False)


def ensure_services(settings: Settings) -> ServiceUrls:
    """Start what has no URL configured and does not run yet; several commands may call this at once.

    Configured servers are not contacted. Raises ConfigurationError saying what to install or set, or
    DatabaseUnavailable or CacheUnavailable when a server did not start.
    """
    database_url, redis_url = settings.database_url, settings.redis_url
    if database_url is None or redis_url is None:
        with _alone_in(settings.home):
            database_url = database_url or EmbeddedPostgres(settings.home).ensure()
            redis_url = redis_url or EmbeddedRedis(settings.home).ensure()
    return ServiceUrls(database_url, redis_url)


def stop_services(settings: Settings) -> list[str]:
    """Stop what runs under METRICS_HOME, Dagster's processes first. Returns the names of what was stopped."""
    if not settings.home.exists():
        return []
    with _alone_in(settings.home):
        stopped = ["Dagster"] if stop_dagster(settings.home) else []
        for server in (EmbeddedRedis(settings.home), EmbeddedPostgres(settings.home)):
            if server.stop():
                stopped.append(server.name)
        return stopped


def stop_dagster(home: Path) -> bool:
    """Stop Dagster's processes of this home, workers included. Returns whether there were any."""
    programs = ("dagster", "dagster_webserver", "dagster._daemon", "celery")
    running = {process for program in programs for process in processes_in(home / "dagster", program)}
    stop_processes(list(running), seconds=8)
    return bool(running)


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Keep two commands from starting or stopping the same servers at once."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / "services.lock", timeout=_LOCK_SECONDS)
        with lock:
            yield
    except Timeout:
        raise TransientError(
            f"Another command has been starting or stopping the servers in {home} for {_LOCK_SECONDS} s. "
            "See what it is doing, then try again."
        ) from None
    except PermissionError as error:
        raise ConfigurationError(
            f"{home} cannot be used by this user: {error}. Run as its owner, or set METRICS_HOME to another folder."
        ) from error
