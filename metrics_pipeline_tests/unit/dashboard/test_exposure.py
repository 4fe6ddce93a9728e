from __future__ import annotations

from datetime import datetime, timezone

import pytest
from pydantic import SecretStr

from metrics_pipeline.dashboard.access import issue_token
from metrics_pipeline.dashboard.server import check_exposure
from metrics_pipeline.errors import BadRequest, ConfigurationError
from metrics_pipeline.settings import load_settings

SECRET = "x" * 32
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_secret(host):
    check_exposure(load_settings(dashboard_host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "metrics.example.org", ""])
def test_elsewhere_nothing_is_served_without_a_secret(host):
    with pytest.raises(ConfigurationError, match="METRICS_DASHBOARD_SECRET"):
        check_exposure(load_settings(dashboard_host=host))
    check_exposure(load_settings(dashboard_host=host, dashboard_secret=SECRET))


def test_a_short_secret_is_refused():
    with pytest.raises(ConfigurationError, match="METRICS_DASHBOARD_SECRET: is shorter than 32"):
        load_settings(dashboard_secret="short")


def test_the_secret_is_not_shown():
    assert SECRET not in repr(load_settings(dashboard_secret=SECRET))


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"dashboard_host": "0.0.0.0", "dashboard_port": 9000}, "http://127.0.0.1:9000"),
        ({"dashboard_host": "::1"}, "http://[::1]:8000"),
        ({"dashboard_url": "https://metrics.example.org/"}, "https://metrics.example.org"),
    ],
)
def test_the_address_is_one_that_can_be_visited(settings, url):
    assert load_settings(**settings).dashboard_address == url


@pytest.mark.parametrize(("accounts", "days"), [([], 1), ([0], 1), ([1], 0), ([1], -1), ([1], 1e9), (range(1, 99), 1)])
def test_tokens_are_for_some_accounts_and_some_time(accounts, days):
    settings = load_settings().model_copy(update={"dashboard_secret": SecretStr(SECRET)})
    with pytest.raises(BadRequest):
        issue_token(settings, list(accounts), days, NOW)


def test_a_token_needs_the_secret():
    with pytest.raises(ConfigurationError, match="METRICS_DASHBOARD_SECRET is not set"):
        issue_token(load_settings(), [1], 1, NOW)
