"""A dashboard as a process of its own, as `up` starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from metrics_pipeline.settings import Settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_dashboard(settings: Settings, **environment: str) -> Iterator[str]:
    """Its address. Stopped at the end, when it must end by itself and without a traceback."""
    port = free_port()
    given = {
        "METRICS_DATABASE_URL": str(settings.database_url),
        "METRICS_REDIS_URL": str(settings.redis_url),
        "METRICS_HOME": str(settings.home),
        "METRICS_TIMEZONE": settings.timezone,
        "METRICS_DASHBOARD_PORT": str(port),
        **environment,
    }
    log = settings.home / "dashboard.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "metrics_pipeline.dashboard"],
            env=os.environ | given,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        said = log.read_text()
        print(said)  # pytest shows it when the test fails
    assert "Traceback" not in said


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            assert process.poll() is None, "the dashboard ended by itself"
            assert time.monotonic() < deadline, "waited 60 s for the dashboard"
            time.sleep(0.1)
