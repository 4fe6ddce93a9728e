"""Running the dashboard: where it may listen, what it says on start."""

from __future__ import annotations

import ipaddress
import socket

import uvicorn

from metrics_pipeline.dashboard.app import create_app
from metrics_pipeline.dashboard.observer import OpenMonitor
from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.settings import Settings

_STOP_SECONDS = 3  # open event streams are cut after this


def check_exposure(settings: Settings) -> None:
    """Raises ConfigurationError for an address that others can reach without a secret to sign tokens."""
    if settings.dashboard_secret is None and not _is_loopback(settings.dashboard_host):
        raise ConfigurationError(
            f"The dashboard will not listen on {settings.dashboard_host} without METRICS_DASHBOARD_SECRET: everybody "
            "could read every account. Set it to 32 characters or more (`openssl rand -hex 32`) and make links "
            "with `metrics-pipeline token`, or leave METRICS_DASHBOARD_HOST at 127.0.0.1."
        )


def serve(settings: Settings, open_monitor: OpenMonitor | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigurationError when that cannot be done safely."""
    check_exposure(settings)
    _check_port(settings)
    with Pipeline(settings) as pipeline:
        if settings.dashboard_secret is None:
            print("Dashboard: open to everybody on this machine, for METRICS_DASHBOARD_SECRET is not set.", flush=True)
        print(f"Dashboard: {settings.dashboard_address}", flush=True)
        uvicorn.run(
            create_app(pipeline, open_monitor),
            host=settings.dashboard_host,
            port=settings.dashboard_port,
            log_level="warning",
            access_log=False,  # addresses may carry a token
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_port(settings: Settings) -> None:
    host, port = settings.dashboard_host, settings.dashboard_port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"The dashboard cannot listen on {host}:{port} ({error.strerror or error}). Stop what uses that port, "
                "or set METRICS_DASHBOARD_PORT to a free one."
            ) from None
