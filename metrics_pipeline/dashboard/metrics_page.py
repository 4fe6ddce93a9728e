"""/metrics: what Prometheus scrapes, in its text format or as OpenMetrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metrics_pipeline.dashboard.gauges import Gauges
from metrics_pipeline.dashboard.observer import Observer, OpenMonitor
from metrics_pipeline.dashboard.state import state_of
from metrics_pipeline.dashboard.tallies import Tallies
from metrics_pipeline.pipeline import Pipeline


class MetricsPage:
    """A registry of this application's own, and the observer that fills it."""

    def __init__(self, pipeline: Pipeline, open_monitor: OpenMonitor | None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that nobody asks for
        self.registry = CollectorRegistry()
        self.observer = Observer(pipeline, open_monitor, Tallies(self.registry).take)
        self.registry.register(Gauges(lambda: self.observer.latest))
        ProcessCollector(namespace="metrics_pipeline_dashboard", registry=self.registry)
        self.route = Route("/metrics", self.answer)

    async def answer(self, request: Request) -> Response:
        """Always 200 for whoever may ask: which server is away is one of the metrics."""
        state_of(request).gate.check_scrape(request)
        await self.observer.look()
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        headers = {"Cache-Control": "no-store", "Content-Type": media_type}
        return Response(encode(self.registry), headers=headers)
