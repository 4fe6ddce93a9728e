"""The JSON API over real servers: payloads, freshness, conditional requests, errors."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period

FOUR = "/api/accounts/1/metrics"


def day_url(settings) -> str:
    return f"{FOUR}/day/{settings.today()}"


def test_four_periods_are_the_payloads_that_the_reader_has(client, pipeline):
    answer = client.get(FOUR)
    assert answer.status_code == 200
    body = answer.json()
    assert body["account_id"] == 1
    assert body["on"] == pipeline.settings.today().isoformat()
    for grain, reading in pipeline.reader.get_many(1).items():
        assert PeriodMetrics.model_validate(body["periods"][grain.value]) == reading.payload


def test_headers_say_where_the_numbers_came_from(client, settings):
    first, second = client.get(day_url(settings)), client.get(day_url(settings))
    assert (first.headers["metrics-source"], second.headers["metrics-source"]) == ("computed", "cache")
    assert first.headers["metrics-version"] == second.headers["metrics-version"] == str(second.json()["version"])
    assert 0 <= int(second.headers["metrics-age"]) < 60
    assert second.headers["metrics-outdated"] == "false"
    assert second.headers["cache-control"] == "private, no-cache"
    four = client.get(FOUR)
    assert four.headers["metrics-source"] == "day=cache, week=computed, month=computed, year=computed"


@pytest.mark.parametrize("url", ["day", "four"])
def test_an_unchanged_version_is_not_sent_again_and_a_new_one_is(client, database, settings, url):
    url = day_url(settings) if url == "day" else FOUR
    tag = client.get(url).headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = client.get(url, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE expenses SET amount = amount + 1 WHERE email_account_id = 1"))
    changed = client.get(url, params={"fresh": "true"}, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_fresh_sees_what_was_committed_before(client, database, settings):
    assert client.get(day_url(settings)).json()["currencies"]["USD"]["total"] == "10.50"
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE expenses SET amount = 99.25 WHERE email_account_id = 1"))
    answer = client.get(day_url(settings), params={"fresh": "true"})
    assert answer.json()["currencies"]["USD"]["total"] == "99.25"


def test_on_chooses_the_day(client, settings):
    day = settings.today() - timedelta(days=10)
    periods = client.get(FOUR, params={"on": day.isoformat()}).json()["periods"]
    assert {name: date.fromisoformat(payload["period_start"]) for name, payload in periods.items()} == {
        grain.value: Period.holding(grain, day).start for grain in Grain
    }


def test_redis_away_costs_nothing_but_time(serving, pipeline, tmp_path):
    pipeline.absorb_changes()
    pipeline.calculate(account_ids=[1])
    without = serving(redis_url=f"unix://{tmp_path}/nothing.sock")
    answer = without.get(day_url(pipeline.settings))
    assert (answer.status_code, answer.headers["metrics-source"]) == (200, "store")
    assert without.get("/api/accounts/2/metrics").status_code == 200
    assert without.get("/readyz").json() == {"status": "degraded", "postgresql": "ok", "redis": "away"}


def test_postgresql_away_leaves_what_is_cached(client, serving, settings):
    client.get(FOUR)
    without = serving(database_url="postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    assert without.get(FOUR).status_code == 200
    missing = without.get("/api/accounts/2/metrics")
    assert missing.status_code == 503
    assert missing.headers["retry-after"] == "5"
    assert "127.0.0.1:1" not in missing.text
    assert without.get("/readyz").json()["status"] == "degraded"


def test_nothing_answers_is_not_ready(serving, tmp_path):
    without = serving(
        database_url="postgresql+psycopg://nobody@127.0.0.1:1/nothing", redis_url=f"unix://{tmp_path}/nothing.sock"
    )
    answer = without.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert without.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/accounts/77/metrics", 404, "There is no account 77"),
        ("/api/accounts/0/metrics", 400, "not a positive integer"),
        ("/api/accounts/9223372036854775808/metrics", 400, "not a positive integer"),
        ("/api/accounts/one/metrics", 400, "by its number"),
        ("/api/accounts/1/metrics?on=2999-01-01", 404, "today"),
        ("/api/accounts/1/metrics?on=1999-01-01", 404, "from 2020-01-01"),
        ("/api/accounts/1/metrics?on=2026-02-30", 400, "YYYY-MM-DD"),
        ("/api/accounts/1/metrics?fresh=yes", 400, "true nor false"),
        ("/api/accounts/1/metrics?fersh=true", 400, "Known here: on, fresh"),
        ("/api/accounts/1/metrics?fresh=true&fresh=false", 400, "more than once"),
        ("/api/accounts/1/metrics/decade/2020-01-01", 400, "day, week, month, year"),
        ("/api/accounts/1/metrics/month/2025-01-02", 404, "starts on 2025-01-01"),
        ("/api/accounts/1/metrics/year/2019-01-01", 404, "from 2020-01-01"),
        ("/api/nothing", 404, "/openapi.json"),
    ],
)
def test_errors_say_what_to_do(client, path, status, says):
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["instance"]) == (status, path.partition("?")[0])
    assert says in problem["detail"]


def test_only_reading_is_allowed(client):
    answer = client.post(FOUR)
    assert answer.status_code == 405
    assert answer.headers["allow"]


def test_the_total_is_exact(client, settings):
    month = client.get(FOUR).json()["periods"]["month"]
    days = min(settings.today().day, 40)
    assert Decimal(month["currencies"]["USD"]["total"]) == Decimal("10.50") * days
