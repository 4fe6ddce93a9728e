from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.settings import Settings, load_settings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("DATABASE_URL", "mysql://host/db", "only PostgreSQL works: postgresql://user@host/database"),
        ("DATABASE_URL", "my database", "write it as postgresql://user:password@host:5432/database"),
        ("REDIS_URL", "localhost:6379", "write it as redis://:password@host:6379/0 or unix:///path"),
        ("TIMEZONE", "Costa Rica", "use an IANA name such as America/Costa_Rica"),
        ("TIMEZONE", "../etc/passwd", "use an IANA name such as America/Costa_Rica"),
        ("START_DATE", "first of May", "valid date"),
        ("DEFAULT_CURRENCY", "$", "use 3 to 12 letters or digits such as USD"),
        ("TTL_BACKGROUND_SECONDS", "0", "greater than 0"),
        ("TTL_ON_DEMAND_SECONDS", "-1", "greater than 0"),
        ("CHUNK_PAYLOADS", "many", "valid integer"),
        ("DAGSTER_PORT", "65536", "less than 65536"),
        ("MONITOR_FAILURES_WARNING", "5", "less than or equal to 1"),
        ("MONITOR_FAILURES_WARNINGS", "0.1", "not permitted"),
        ("ALERT_SECRET", "short", "is shorter than 32 characters"),
        ("ALERT_WEBHOOK_URL", "hooks.slack.com/x", "write it as https://hooks.example.org/path"),
    ],
)
def test_a_wrong_setting_fails_with_one_line_that_says_what_to_set(
    environment: pytest.MonkeyPatch, name: str, value: str, advice: str
) -> None:
    environment.setenv(f"METRICS_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"METRICS_{name}: ")
    assert advice in line


def test_every_wrong_setting_is_told_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("METRICS_TIMEZONE", "Nowhere")
    environment.setenv("METRICS_REDIS_URL", "nothing")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["METRICS_REDIS_URL", "METRICS_TIMEZONE"]


def test_limits_of_the_monitor_are_settings_and_must_be_in_order(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("METRICS_MONITOR_FAILURES_CRITICAL", "0.2")
    assert load_settings().monitor.failures_critical == 0.2
    assert load_settings().monitor.failures_warning == 0.05
    environment.setenv("METRICS_MONITOR_FAILURES_WARNING", "0.3")
    with pytest.raises(ConfigurationError, match="METRICS_MONITOR_FAILURES_WARNING is above"):
        load_settings()


def test_a_start_date_in_the_future_is_refused(environment: pytest.MonkeyPatch) -> None:
    tomorrow = datetime.now(timezone.utc).date() + timedelta(days=2)
    environment.setenv("METRICS_START_DATE", tomorrow.isoformat())
    with pytest.raises(ConfigurationError, match=f"METRICS_START_DATE is {tomorrow}, in the future; set it to"):
        load_settings()


def test_a_password_is_not_in_the_message(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("METRICS_DATABASE_URL", "mysql://app:hunter2@host/db")
    environment.setenv("METRICS_REDIS_URL", "http://:hunter2@host")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_an_empty_variable_counts_as_unset(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("METRICS_DATABASE_URL", "")
    environment.setenv("METRICS_TIMEZONE", "")
    assert load_settings().database_url is None
    assert load_settings().timezone == "UTC"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://app@host/db", "postgresql+psycopg://app@host/db"),
        ("postgresql+psycopg2://app:p%40ss@host:5432/db", "postgresql+psycopg://app:p%40ss@host:5432/db"),
    ],
)
def test_any_postgresql_url_gets_the_driver_that_this_package_uses(given: str, used: str) -> None:
    assert load_settings(database_url=given).database_url == used


@pytest.mark.parametrize(
    ("given", "excluded"),
    [("failed, Duplicate ,failed", ("duplicate", "failed")), (" , ", ()), ("void", ("void",))],
)
def test_excluded_statuses_are_a_list_without_case_order_or_repeats(
    environment: pytest.MonkeyPatch, given: str, excluded: tuple[str, ...]
) -> None:
    environment.setenv("METRICS_EXCLUDED_STATUSES", given)
    assert load_settings().excluded_statuses == excluded


def test_home_is_absolute_and_currency_upper_case(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("METRICS_HOME", "some/where")
    environment.setenv("METRICS_DEFAULT_CURRENCY", "crc")
    settings = load_settings()
    assert settings.home == Path.cwd() / "some/where"
    assert settings.default_currency == "CRC"


def test_today_is_the_local_day() -> None:
    settings = load_settings(timezone="America/Costa_Rica")
    assert settings.today(datetime(2026, 1, 1, 5, 59, tzinfo=timezone.utc)) == date(2025, 12, 31)
    assert settings.today(datetime(2026, 1, 1, 6, 0, tzinfo=timezone.utc)) == date(2026, 1, 1)


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.variables().items() if not field.description] == []
