"""The JSON API: payloads as the pipeline made them, with where they came from in the headers."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metrics_pipeline.dashboard.openapi import openapi_document
from metrics_pipeline.dashboard.parameters import Days, account_of, fresh_of, on_of, period_of, query_of
from metrics_pipeline.dashboard.problems import Unavailable
from metrics_pipeline.dashboard.reads import headers_of_four, headers_of_one
from metrics_pipeline.dashboard.state import state_of

_PING_SECONDS = 15
_MOST_LISTENERS = 1000


async def four_periods(request: Request) -> Response:
    state = state_of(request)
    access = state.gate.access(request)
    account_id = account_of(request)
    access.check(account_id)
    query, days = query_of(request, ("on", "fresh")), Days.of(state.settings)
    on = on_of(query, days)
    readings = await state.reads.four(account_id, on, days.today, fresh_of(query))
    periods = b",".join(b'"%b":%b' % (grain.value.encode(), reading.json) for grain, reading in readings.items())
    body = b'{"account_id":%d,"on":"%b","periods":{%b}}' % (account_id, on.isoformat().encode(), periods)
    return _conditional(request, body, headers_of_four(readings))


async def one_period(request: Request) -> Response:
    state = state_of(request)
    access = state.gate.access(request)
    account_id = account_of(request)
    access.check(account_id)
    days = Days.of(state.settings)
    period, fresh = period_of(request, days), fresh_of(query_of(request, ("fresh",)))
    reading = await state.reads.one(account_id, period, days.today, fresh)
    return _conditional(request, reading.json, headers_of_one(reading))


async def events(request: Request) -> Response:
    """Server-sent events of one account: `connection` and `published`."""
    state = state_of(request)
    access = state.gate.access(request)
    account_id = account_of(request)
    access.check(account_id)
    if state.live.listeners >= _MOST_LISTENERS:
        raise Unavailable("Too many pages are open for live updates; this one polls instead.")
    return EventSourceResponse(
        state.live.events(account_id, access.expires), ping=_PING_SECONDS, headers={"Cache-Control": "no-store"}
    )


async def openapi(_: Request) -> Response:
    return _json(openapi_document())


async def healthz(_: Request) -> Response:
    """The process answers."""
    return _json({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Whether reads can be answered: with either server, some can; `degraded` says that one is away."""
    servers = await state_of(request).servers()
    up = [answers for answers in servers.values() if answers]
    status = "ok" if len(up) == len(servers) else "degraded" if up else "unavailable"
    words = {name: "ok" if answers else "away" for name, answers in servers.items()}
    return _json({"status": status, **words}, 200 if up else 503)


ROUTES = [
    Route("/api/accounts/{account_id}/metrics", four_periods),
    Route("/api/accounts/{account_id}/metrics/{grain}/{start}", one_period),
    Route("/api/accounts/{account_id}/events", events),
    Route("/openapi.json", openapi),
    Route("/healthz", healthz),
    Route("/readyz", readyz),
]


def _conditional(request: Request, body: bytes, headers: dict[str, str]) -> Response:
    """304 where the client has this version already."""
    if asked := request.headers.get("if-none-match"):
        known = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
        if headers["ETag"] in known or "*" in known:
            return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _json(document: Mapping[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, {"Cache-Control": "no-store"}, "application/json")
