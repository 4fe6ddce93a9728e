"""The dashboard's own requests, counted by route and status, with the time to the first byte of the answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_OTHER = "other"  # addresses that nobody serves are visitors' inventions: one name for all


class Traffic:
    """Middleware that counts into a registry."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], registry: CollectorRegistry) -> None:
        self._app = app
        self._names: dict[object, str] = {}
        for route in routes:
            if isinstance(route, Route):
                self._names[route.endpoint] = route.path
            elif isinstance(route, Mount):
                self._names[route.app] = route.path
        self._requests = Counter(
            "metrics_pipeline_dashboard_requests",
            "Answers of the dashboard, by route and status.",
            ["route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "metrics_pipeline_dashboard_request_duration_seconds",
            "Time from a request to the first byte of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )

    @cache  # noqa: B019 - one object for the process's life
    def _counters(self, name: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(name, status), self._seconds.labels(name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answered = time.perf_counter(), False

        def count(status: int) -> None:
            requests, seconds = self._counters(self._names.get(scope.get("endpoint"), _OTHER), status)
            requests.inc()
            seconds.observe(time.perf_counter() - began)

        async def send_counted(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        except Exception:
            if not answered:
                count(500)  # which is answered outside of all middleware
            raise
