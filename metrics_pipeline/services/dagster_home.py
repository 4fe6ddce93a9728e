"""DAGSTER_HOME, and the environment that every Dagster process needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sqlalchemy import create_engine, text

from metrics_pipeline.database import domain_errors
from metrics_pipeline.errors import DatabaseUnavailable
from metrics_pipeline.services.embedded import DAGSTER_SCHEMA, ServiceUrls
from metrics_pipeline.services.sockets import socket_folder
from metrics_pipeline.settings import Settings

# In a checkout these are links to the files at its top; in a wheel, copies of them.
_INSTANCE = Path(__file__).with_name("dagster.yaml")
WORKSPACE = Path(__file__).with_name("workspace.yaml")


def dagster_home(settings: Settings, urls: ServiceUrls) -> dict[str, str]:
    """Prepare `<home>/dagster` and the schema of Dagster's tables.

    Returns the variables to set for Dagster processes, over the rest of the environment.
    Raises DatabaseUnavailable, or SchemaError when the role may not create the schema.
    """
    folder = dagster_folder(settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Copied whole and then renamed: another Dagster process may be reading it.
    shutil.copyfile(_INSTANCE, folder / "dagster.yaml.new")
    (folder / "dagster.yaml.new").replace(folder / "dagster.yaml")
    _ensure_schema(urls.database_url)
    return {
        "DAGSTER_HOME": str(folder),
        "DAGSTER_POSTGRES_URL": urls.dagster_url,
        "DAGSTER_CODE_SERVER_SOCKET": str(code_server_socket(settings)),
        "METRICS_HOME": str(settings.home),
        "METRICS_DATABASE_URL": urls.database_url,
        "METRICS_REDIS_URL": urls.redis_url,
        "METRICS_BROKER_URL": settings.broker_url or urls.redis_url,
        "METRICS_MAX_CONCURRENT_RUNS": str(settings.max_concurrent_runs or settings.worker_concurrency),
    }


def migrate_dagster(environment: dict[str, str]) -> None:
    """Make or update Dagster's tables. `environment` is what `dagster_home` returned."""
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "migrate"],
        env=os.environ | environment,
        cwd=environment["DAGSTER_HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()[-3:]
        raise DatabaseUnavailable(
            f"`dagster instance migrate` failed with code {done.returncode}: {' | '.join(said)}. "
            "Check that METRICS_DATABASE_URL names a role that may create tables."
        )


def dagster_folder(settings: Settings) -> Path:
    return settings.home / "dagster"


def code_server_socket(settings: Settings) -> Path:
    folder = dagster_folder(settings)
    return socket_folder(folder, "code-server.sock") / "code-server.sock"


def _ensure_schema(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        with domain_errors("Making the schema of Dagster's tables"), engine.begin() as connection:
            # Asked first: a role that may not create schemas can still use one that is there.
            there = text("SELECT 1 FROM pg_namespace WHERE nspname = :name")
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": DAGSTER_SCHEMA})
            if connection.execute(there, {"name": DAGSTER_SCHEMA}).first() is None:
                connection.execute(text(f"CREATE SCHEMA {DAGSTER_SCHEMA}"))
    finally:
        engine.dispose()
