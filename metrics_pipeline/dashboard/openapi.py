"""The API's description, made from the payload's own model."""

from __future__ import annotations

from functools import cache
from typing import Any

from metrics_pipeline.dashboard.problems import MEDIA_TYPE
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain

_ACCOUNT = {
    "name": "account_id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
}
_FRESH = {
    "name": "fresh",
    "in": "query",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
    "description": "true: answered from PostgreSQL, with everything committed before; never from the cache.",
}
_DAY = {"type": "string", "format": "date"}
_KNOWN = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "ETags that the client has; 304 when one of them is still right.",
}
_PROBLEMS = {
    "400": "An argument is of the wrong form",
    "401": "No valid token",
    "403": "The token is not for this account",
    "404": "There is no such account, or no such period: not begun, before the start date, or the day not its first",
    "503": "Neither server could answer",
}
_ANSWER_HEADERS = {
    "ETag": "Changes whenever the numbers do.",
    "Metrics-Version": "Version of the payload; grain=version for several.",
    "Metrics-Source": "cache, store or computed; grain=source for several.",
    "Metrics-Age": "Seconds since the payload was calculated; grain=seconds for several.",
    "Metrics-Outdated": "true when PostgreSQL is away and an entry known to be too old had to be served.",
}


@cache
def openapi_document() -> dict[str, Any]:
    payload = PeriodMetrics.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas = {**payload.pop("$defs"), "PeriodMetrics": payload, "Problem": _problem(), "FourPeriods": _four()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Expense metrics",
            "version": "1",
            "description": "The metrics of an account per day, week, month and year. Money is a decimal string, "
            "per currency. Errors are problem+json and say what to do.",
        },
        "security": [{"token": []}, {}],
        "paths": {
            "/api/accounts/{account_id}/metrics": {
                "get": _operation(
                    "The four periods that hold a day",
                    "fourPeriods",
                    "FourPeriods",
                    [_ACCOUNT, {"name": "on", "in": "query", "schema": _DAY, "description": "Default: today."}, _FRESH],
                )
            },
            "/api/accounts/{account_id}/metrics/{grain}/{start}": {
                "get": _operation(
                    "One period",
                    "onePeriod",
                    "PeriodMetrics",
                    [
                        _ACCOUNT,
                        {"name": "grain", "in": "path", "required": True, "schema": _grain()},
                        {
                            "name": "start",
                            "in": "path",
                            "required": True,
                            "schema": _DAY,
                            "description": "The period's first day; weeks begin on Monday.",
                        },
                        _FRESH,
                    ],
                )
            },
            "/healthz": {"get": _probe("Whether the process answers", "healthz", ["200"])},
            "/readyz": {"get": _probe("Whether reads can be answered", "readyz", ["200", "503"])},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `metrics-pipeline token`. Without a secret, on loopback, none is needed.",
                }
            },
        },
    }


def _operation(summary: str, name: str, schema: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    headers = {header: {"schema": {"type": "string"}, "description": text} for header, text in _ANSWER_HEADERS.items()}
    reference = {"$ref": f"#/components/schemas/{schema}"}
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "summary": summary,
        "operationId": name,
        "parameters": [*parameters, _KNOWN],
        "responses": {
            "200": {
                "description": "The metrics",
                "headers": headers,
                "content": {"application/json": {"schema": reference}},
            },
            "304": {"description": "Unchanged since the ETag sent", "headers": headers},
            **{status: {"description": text, "content": problem} for status, text in _PROBLEMS.items()},
        },
    }


def _probe(summary: str, name: str, statuses: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "required": ["status"], "additionalProperties": {"type": "string"}}
    answer = {"description": summary, "content": {"application/json": {"schema": schema}}}
    return {"summary": summary, "operationId": name, "security": [], "responses": dict.fromkeys(statuses, answer)}


def _grain() -> dict[str, Any]:
    return {"type": "string", "enum": [grain.value for grain in Grain]}


def _four() -> dict[str, Any]:
    names = [grain.value for grain in Grain]
    reference = {"$ref": "#/components/schemas/PeriodMetrics"}
    return {
        "type": "object",
        "required": ["account_id", "on", "periods"],
        "properties": {
            "account_id": {"type": "integer"},
            "on": _DAY,
            "periods": {
                "type": "object",
                "required": names,
                "additionalProperties": False,
                "properties": dict.fromkeys(names, reference),
            },
        },
    }


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {"type": text, "title": text, "status": {"type": "integer"}, "detail": text, "instance": text},
    }
