"""The API does what its description says: schemathesis sends what fits it, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode, openapi

from metrics_pipeline_tests.dashboard_process import running_dashboard

EXAMPLES = settings(max_examples=80, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture
def operations(settings, spending):
    with running_dashboard(settings) as url:
        yield [found.ok() for found in openapi.from_url(f"{url}/openapi.json").get_all_operations()]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_described(operations, mode):
    """All of schemathesis' checks, on arguments that fit the description and on ones that do not."""
    answered = set()

    def check(case: Case) -> None:
        if case.path_parameters and case.path_parameters.get("account_id") in range(3, 1000):
            case.path_parameters["account_id"] = 1  # so many do not exist; this one does
        answered.add(case.call_and_validate().status_code)

    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not operation.query:
            continue  # a probe takes no arguments
        EXAMPLES(given(case=operation.as_strategy(generation_mode=mode))(check))()
    assert answered >= ({200, 404} if mode is GenerationMode.POSITIVE else {400})


def test_the_description_is_valid_and_names_every_api_route(client):
    from jsonschema_rs import validator_for

    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    served = {route.path for route in client.app.routes if getattr(route, "path", "").startswith("/api")}
    assert served - set(document["paths"]) == {"/api/accounts/{account_id}/events"}  # a stream, for the page
    for payload in client.get("/api/accounts/1/metrics").json()["periods"].values():
        schema = {"$ref": "#/components/schemas/PeriodMetrics", "components": document["components"]}
        assert validator_for(schema).is_valid(payload)
