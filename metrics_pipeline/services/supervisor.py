"""`metrics-pipeline up`: Dagster's processes in the foreground."""

from __future__ import annotations

import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.services.dagster_home import (
    WORKSPACE,
    code_server_socket,
    dagster_folder,
    dagster_home,
    migrate_dagster,
)
from metrics_pipeline.services.embedded import ensure_services, stop_dagster
from metrics_pipeline.services.foreground import Program, run_together
from metrics_pipeline.services.worker import worker_program
from metrics_pipeline.settings import Settings


def up(
    settings: Settings,
    more: Sequence[Program] = (),
    module: str = "metrics_pipeline.definitions",
    output: IO[str] | None = None,
) -> int:
    """Start the servers, then run code server, worker, daemon, web server and `more` until Ctrl-C or SIGTERM.

    A process that dies is started again. Returns 0 when asked to stop, 1 when a process cannot run.
    Raises ConfigurationError when the port is taken or `up` runs already for this home. The servers stay:
    `down` stops them.
    """
    environment = dagster_home(settings, ensure_services(settings))
    try:
        with FileLock(settings.home / "up.lock", timeout=0):
            stop_dagster(settings.home)  # left over from an `up` that was killed
            _check_port(settings.dagster_port)
            migrate_dagster(environment)
            programs = [*dagster_programs(settings, module), *more]
            return run_together(programs, os.environ | environment, dagster_folder(settings), output)
    except Timeout:
        raise ConfigurationError(
            f"`metrics-pipeline up` is already running for {settings.home}. Use that one, stop it first, "
            "or set METRICS_HOME to another folder."
        ) from None


def is_up(settings: Settings) -> bool:
    """Whether `up` runs for this home: its code server answers, without which no run is done."""
    return _listens(code_server_socket(settings))


def dagster_programs(settings: Settings, module: str) -> list[Program]:
    """Code server first: daemon and web server connect to it through workspace.yaml."""
    path, url = code_server_socket(settings), f"http://127.0.0.1:{settings.dagster_port}"
    python, workspace = [sys.executable, "-m"], ["-w", str(WORKSPACE)]
    code_server = [*python, "dagster", "code-server", "start", "--socket", str(path), "-m", module]
    web = [*python, "dagster_webserver", "-h", "127.0.0.1", "-p", str(settings.dagster_port), *workspace]
    return [
        Program(
            "code-server",
            [*code_server, "--location-name", "metrics_pipeline", "--use-python-environment-entry-point"],
            ready=lambda: _listens(path),
            prepare=lambda: path.unlink(missing_ok=True),
        ),
        worker_program(settings),
        Program("daemon", [*python, "dagster._daemon", "run", "--log-level", "warning", *workspace]),
        Program("web", web, ready=lambda: answers(f"{url}/server_info"), when_ready=f"Dagster UI: {url}"),
    ]


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"The Dagster UI cannot listen on 127.0.0.1:{port} ({error.strerror}). "
                "Stop what uses that port, or set METRICS_DAGSTER_PORT to a free one."
            ) from None


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def answers(url: str) -> bool:
    """Whether a page is there."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
