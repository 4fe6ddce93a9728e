"""The processes that do the runs: `up` has one of these programs, `metrics-pipeline worker` adds more."""

from __future__ import annotations

import os
import secrets
import sys
from typing import IO

from metrics_pipeline.services.dagster_home import dagster_folder, dagster_home
from metrics_pipeline.services.embedded import ensure_services
from metrics_pipeline.services.foreground import Program, run_together
from metrics_pipeline.settings import Settings


def worker(settings: Settings, concurrency: int | None = None, output: IO[str] | None = None) -> int:
    """Run one more worker until Ctrl-C or SIGTERM, on this machine or another.

    It needs the PostgreSQL and Redis of the `up` that sends the runs: on another machine, set
    METRICS_DATABASE_URL and METRICS_REDIS_URL. Returns 0 when asked to stop, 1 when it ended by itself.
    Raises ConfigurationError or DatabaseUnavailable.
    """
    environment = dagster_home(settings, ensure_services(settings))
    program = worker_program(settings, concurrency)
    return run_together([program], os.environ | environment, dagster_folder(settings), output)


def worker_program(settings: Settings, concurrency: int | None = None) -> Program:
    """A Celery worker of this many processes (default: METRICS_WORKER_CONCURRENCY)."""
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "metrics_pipeline.defs.worker", "worker"]
    # Names have to differ, also between containers that all give their processes the same ids.
    name = ["-n", f"worker-{secrets.token_hex(3)}@%h"]
    places = ["-c", str(concurrency or settings.worker_concurrency)]
    # What workers tell each other is of no use here, and costs a second at the start.
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Program("worker", [*celery, *name, *places, *alone, "-l", "WARNING"])
