"""The application: routes, errors, headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import metrics_pipeline.refresh  # noqa: F401 - loaded before a visitor waits for what it computes
from metrics_pipeline.dashboard import api, pages
from metrics_pipeline.dashboard.access import Gate
from metrics_pipeline.dashboard.hits import CacheHits
from metrics_pipeline.dashboard.live import LiveUpdates
from metrics_pipeline.dashboard.metrics_page import MetricsPage
from metrics_pipeline.dashboard.names import AccountNames
from metrics_pipeline.dashboard.observer import OpenMonitor
from metrics_pipeline.dashboard.problems import answer_error
from metrics_pipeline.dashboard.reads import Reads
from metrics_pipeline.dashboard.rendering import STATIC
from metrics_pipeline.dashboard.security import LOOPBACK_NAMES, AnswerHeaders, KnownHosts
from metrics_pipeline.dashboard.state import State
from metrics_pipeline.dashboard.traffic import Traffic
from metrics_pipeline.errors import MetricsPipelineError
from metrics_pipeline.pipeline import Pipeline


def create_app(pipeline: Pipeline, open_monitor: OpenMonitor | None = None) -> Starlette:
    """The dashboard over a pipeline, which the caller closes after it.

    Without a monitor to open, /metrics tells of the servers and of this dashboard alone.
    """
    settings = pipeline.settings
    assert settings.redis_url is not None  # or there would be no Pipeline
    live = LiveUpdates(settings.redis_url)
    gate, hits = Gate(settings), CacheHits(settings)
    metrics = MetricsPage(pipeline, open_monitor)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with live.running(), hits.counting():
            try:
                yield
            finally:
                metrics.observer.close()

    routes: list[BaseRoute] = [
        *api.ROUTES,
        *pages.ROUTES,
        metrics.route,
        Mount("/static", _Static(directory=STATIC)),
    ]
    middleware = [Middleware(Traffic, routes=routes, registry=metrics.registry), Middleware(AnswerHeaders)]
    if gate.open:
        middleware.append(Middleware(KnownHosts, names=LOOPBACK_NAMES))
    app = Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={
            HTTPException: answer_error,
            MetricsPipelineError: answer_error,
            Exception: answer_error,
        },
        lifespan=lifespan,
    )
    app.state.shared = State(
        settings, pipeline, gate, Reads(pipeline.reader, hits), live, AccountNames(pipeline.engine)
    )
    return app


class _Static(StaticFiles):
    """Kept for good by browsers when the address has the content's hash."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        hashed = b"v=" in scope["query_string"]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response
