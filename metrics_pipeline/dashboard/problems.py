"""What went wrong, as the reader of a page or of the API is told it (RFC 9457 for the API)."""

from __future__ import annotations

import logging

import orjson
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from metrics_pipeline.dashboard.rendering import render
from metrics_pipeline.errors import BadRequest, MetricsPipelineError, TransientError

LOGGER = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_RETRY_SECONDS = 5


class Problem(HTTPException):
    """An answer that is not the one asked for; `detail` says why, and what to do."""

    status = 500
    title = "Something went wrong"

    def __init__(self, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(self.status, detail, headers)


class Malformed(Problem):
    status, title = 400, "This request cannot be answered"


class Unauthorized(Problem):
    status, title = 401, "No access without a valid token"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"WWW-Authenticate": 'Bearer realm="metrics"'})


class Forbidden(Problem):
    status, title = 403, "Not yours to see"


class NotFound(Problem):
    status, title = 404, "There is nothing here"


class Unavailable(Problem):
    status, title = 503, "The numbers cannot be read just now"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"Retry-After": str(_RETRY_SECONDS)})


def as_problem(error: Exception) -> Problem:
    """Any error as a problem. Details of unexpected ones go to the log, not to the visitor."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        kind = {404: NotFound, 405: _MethodNotAllowed}.get(error.status_code, Malformed)
        return kind(_HTTP_ADVICE.get(error.status_code, error.detail), dict(error.headers or {}))
    if isinstance(error, BadRequest):
        return Malformed(str(error))
    if isinstance(error, TransientError):
        LOGGER.warning("%s", error)
        return Unavailable(
            f"PostgreSQL did not answer, and the cache does not have this. Try again in {_RETRY_SECONDS} s."
        )
    if isinstance(error, PoolTimeout):
        LOGGER.warning("All connections to PostgreSQL are in use: %s", error)
        return Unavailable(f"Too many reads at once. Try again in {_RETRY_SECONDS} s.")
    if isinstance(error, MetricsPipelineError):
        LOGGER.error("%s", error)
        return Problem("The pipeline is not set up for this. Its operator can run `metrics-pipeline check`.")
    LOGGER.error("Unexpected error", exc_info=error)
    return Problem("This should not have happened. The dashboard's log has the details; try again later.")


async def answer_error(request: Request, error: Exception) -> Response:
    """A page for a page, problem+json for everything else."""
    problem = as_problem(error)
    headers = {"Cache-Control": "no-store", **(problem.headers or {})}
    if _is_page(request):
        body = render("problem.html", title=problem.title, status=problem.status, detail=problem.detail)
        return Response(body, problem.status, headers, "text/html")
    document = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
    }
    return Response(orjson.dumps(document), problem.status, headers, MEDIA_TYPE)


class _MethodNotAllowed(Problem):
    status, title = 405, "This can only be read"


_HTTP_ADVICE = {
    404: "No page and no part of the API has this address. /openapi.json describes the API.",
    405: "Metrics are only read here: use GET.",
}


def _is_page(request: Request) -> bool:
    path = request.url.path
    return path == "/" or path.startswith("/accounts")
