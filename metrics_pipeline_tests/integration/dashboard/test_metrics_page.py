"""/metrics: what a scrape tells, to whom, with servers away, and at what cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from pydantic import SecretStr
from starlette.testclient import TestClient

from metrics_pipeline.cache.counters import Reads
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.dashboard import observer
from metrics_pipeline.dashboard.access import issue_scrape_token
from metrics_pipeline.dashboard.app import create_app
from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.facts import CacheFacts, LockFact, Machinery, RunFact, RunHistory, Waiting
from metrics_pipeline.monitor.limits import Limits
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.services.instance import instance_monitor
from metrics_pipeline.settings import load_settings
from metrics_pipeline_tests.integration.dashboard.conftest import SECRET

NOW = datetime.now(timezone.utc)
HOUR = NOW.replace(minute=0, second=0, microsecond=0)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def a_run(number: int, state: str = "succeeded", **facts: object) -> RunFact:
    ended = {"ended_at": NOW + timedelta(seconds=number)} if state in ("succeeded", "failed") else {}
    values = {"job": "daily", "kind": "refresh", "created_at": NOW, "started_at": NOW, **ended, **facts}
    return RunFact(run_id=f"run{number}", state=state, **values)


class Seeing:
    """A monitor that sees what a test puts before it."""

    def __init__(self) -> None:
        self.looks, self.runs, self.cache, self.machinery = 0, [], CacheFacts(), Machinery()
        self.before: Callable[[], None] = lambda: None

    def gather(self, now: datetime) -> Evidence:
        self.looks += 1
        self.before()
        history = RunHistory(self.runs, NOW - timedelta(hours=24), None)
        return Evidence(history, Waiting(), self.cache, self.machinery, Limits(), now)

    @contextmanager
    def opened(self, _: Pipeline) -> Iterator[Seeing]:
        yield self


@pytest.fixture
def seeing(monkeypatch) -> Seeing:
    monkeypatch.setattr(observer, "KEPT_SECONDS", 0.0)
    return Seeing()


@pytest.fixture
def scraping(settings) -> Iterator[Callable[..., TestClient]]:
    """A client of a dashboard with this monitor."""
    with ExitStack() as stack:

        def make(open_monitor, **changes: object) -> TestClient:
            given = {"database_url": settings.database_url, "redis_url": settings.redis_url, "home": settings.home}
            pipeline = stack.enter_context(Pipeline(load_settings(**{**given, **changes})))
            app = create_app(pipeline, open_monitor)
            client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
            return stack.enter_context(client)

        yield make


def scrape(client: TestClient) -> dict[tuple[str, ...], float]:
    """Samples by name and label values, without the common prefix."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix("metrics_pipeline_"), *sample.labels.values()): sample.value
        for family in parse_text(answer.text)
        for sample in family.samples
    }


def test_a_scrape_of_the_real_monitor(scraping, redis_client, database):
    client = scraping(instance_monitor)
    period = Period.holding(Grain.DAY, NOW.date())
    with period_locks(redis_client, database.engine, [period], holder="gone", policy="skip"):
        found = scrape(client)
    assert (found["up", "postgresql"], found["up", "redis"]) == (1, 1)
    assert [found["health", state] for state in ("healthy", "warning", "critical", "idle")].count(1) == 1
    assert (found["locks", "held"], found["locks", "stale"]) == (1, 0)
    assert found["window_runs", "monthly", "calculation", "failed"] == 0
    assert found["check_level", "failures"] == 0
    assert found["observation_age_seconds",] < 5


def test_both_formats_are_valid(scraping, seeing):
    seeing.runs = [a_run(1, rows_read=10, change_to_publish_s=2.5)]
    client = scraping(seeing.opened)
    text, open_metrics = client.get("/metrics"), client.get("/metrics", headers={"Accept": OPENMETRICS})
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    families = [list(parse_text(text.text)), list(parse_openmetrics(open_metrics.text))]
    for family in [family for found in families for family in found]:
        assert family.documentation, family.name
        assert family.name.startswith("metrics_pipeline_")
    assert "_created" not in text.text
    (health,) = [family for family in families[1] if family.name == "metrics_pipeline_health"]
    assert health.type == "stateset"


def test_counters_only_grow_while_the_window_moves_on(scraping, seeing):
    client = scraping(seeing.opened)
    seeing.runs = [a_run(1), a_run(2, state="running")]
    first = scrape(client)
    assert first["runs_total", "daily", "refresh", "succeeded"] == 0  # ended before anybody looked
    assert first["window_runs", "daily", "refresh", "succeeded"] == 1
    later = {"started_at": NOW, "rows_read": 7, "payloads": 3, "change_to_publish_s": 2.0}
    seeing.runs = [a_run(3600, state="failed"), a_run(3601, **later), a_run(1)]
    second = scrape(client)
    assert second["runs_total", "daily", "refresh", "succeeded"] == 1
    assert second["runs_total", "daily", "refresh", "failed"] == 1
    assert (second["rows_read_total", "daily", "refresh"], second["payloads_published_total", "daily", "refresh"]) == (
        7,
        3,
    )
    assert second["commit_to_publish_seconds_sum",] == 2.0
    assert second["run_duration_seconds_count", "daily", "refresh"] == 2
    assert scrape(client)["runs_total", "daily", "refresh", "succeeded"] == 1  # each run once
    seeing.runs = []
    last = scrape(client)
    assert last["runs_total", "daily", "refresh", "succeeded"] == 1
    assert last["window_runs", "daily", "refresh", "succeeded"] == 0
    seeing.runs = [a_run(1, created_at=NOW - timedelta(hours=20), ended_at=NOW - timedelta(hours=20))]
    assert scrape(client)["runs_total", "daily", "refresh", "succeeded"] == 1  # it only came back into view


def test_reads_grow_over_a_new_hour_and_over_a_lost_redis(scraping, seeing):
    client = scraping(seeing.opened)
    seeing.cache = CacheFacts({HOUR: Reads(100, {"cold": 5})})
    assert scrape(client)["reads_total",] == 0
    seeing.cache = CacheFacts({HOUR: Reads(110, {"cold": 6}), HOUR + timedelta(hours=1): Reads(4, {"outdated": 1})})
    found = scrape(client)
    assert (found["reads_total",], found["read_misses_total", "cold"], found["read_misses_total", "outdated"]) == (
        14,
        1,
        1,
    )
    seeing.cache = CacheFacts(error="away")
    assert scrape(client)["reads_total",] == 14
    seeing.cache = CacheFacts({HOUR: Reads(2, {})})
    assert scrape(client)["reads_total",] == 16


def test_a_worker_is_missed_only_where_dagster_ran(scraping, seeing):
    client = scraping(seeing.opened)
    assert ("worker_up",) not in scrape(client)
    for answers in (False, True):
        seeing.machinery = Machinery(datetime.now(timezone.utc) - timedelta(seconds=30), answers)
        found = scrape(client)
        assert found["worker_up",] == answers
        assert 30 <= found["daemon_silent_seconds",] < 60


def test_stale_locks_and_the_last_calculation_of_each_grain(scraping, seeing):
    seeing.cache = CacheFacts(locks=[LockFact("a", "run1", 1.0, True), LockFact("b", "run2", 1.0, False)])
    hourly = {"kind": "calculation"}
    seeing.runs = [a_run(3, **hourly), a_run(9, state="failed", **hourly), a_run(2, **hourly), a_run(12)]
    found = scrape(scraping(seeing.opened))
    assert (found["locks", "stale"], found["locks", "held"]) == (1, 1)
    assert found["last_success_timestamp_seconds", "daily"] == pytest.approx(NOW.timestamp() + 3, rel=0, abs=0.1)
    assert found["last_success_timestamp_seconds", "yearly"] == 0


@pytest.mark.parametrize(
    ("away", "url"),
    [("redis", "redis://127.0.0.1:1/0"), ("postgresql", "postgresql://nobody@127.0.0.1:1/none")],
)
def test_with_a_server_away_it_still_answers(scraping, seeing, away, url):
    client = scraping(seeing.opened, **{"database_url" if away == "postgresql" else "redis_url": url})
    found = scrape(client)
    assert found["up", away] == 0
    assert sum(found["up", server] for server in ("redis", "postgresql")) == 1
    assert ("dashboard_process_resident_memory_bytes",) in found


def test_a_monitor_that_fails_is_asked_again(scraping, seeing):
    client = scraping(seeing.opened)
    seeing.before = lambda: 1 / 0
    assert ("health", "idle") not in scrape(client)
    seeing.before = lambda: None
    assert ("health", "idle") in scrape(client)


def test_one_look_serves_all_scrapes_of_some_seconds(scraping, seeing, monkeypatch):
    monkeypatch.setattr(observer, "KEPT_SECONDS", 60.0)
    client = scraping(seeing.opened)
    for _ in range(5):
        scrape(client)
    assert seeing.looks == 1


def test_scrapes_do_not_pile_up_on_a_slow_server(scraping, seeing, monkeypatch):
    monkeypatch.setattr(observer, "PATIENCE_SECONDS", 0.1)
    client, answers = scraping(seeing.opened), threading.Event()
    scrape(client)
    seeing.before = answers.wait
    try:
        found = [scrape(client) for _ in range(4)]
        assert seeing.looks == 2
        ages = [each["observation_age_seconds",] for each in found]
        assert ages == sorted(ages)
        assert client.get("/healthz").status_code == 200
    finally:
        answers.set()
    monkeypatch.setattr(observer, "PATIENCE_SECONDS", 8.0)
    scrape(client)
    assert seeing.looks <= 3  # the four left no looks behind that now follow one another


def test_requests_are_counted_by_route_not_by_address(scraping, seeing, spending):
    client = scraping(seeing.opened)
    for path in ("/api/accounts/1/metrics", "/api/accounts/2/metrics", "/api/accounts/none/metrics", "/nowhere/at/all"):
        client.get(path)
    found = scrape(client)
    route = "/api/accounts/{account_id}/metrics"
    assert found["dashboard_requests_total", route, "200"] == 2
    assert found["dashboard_requests_total", route, "400"] == 1
    assert found["dashboard_requests_total", "other", "404"] == 1
    assert found["dashboard_request_duration_seconds_count", route] == 3


def test_an_error_that_nobody_expected_is_counted(scraping, seeing, monkeypatch):
    client = scraping(seeing.opened)
    monkeypatch.setattr(client.app.state.shared.gate, "access", lambda _: 1 / 0)
    assert client.get("/api/accounts/1/metrics").status_code == 500
    assert scrape(client)["dashboard_requests_total", "/api/accounts/{account_id}/metrics", "500"] == 1


def test_with_a_secret_only_a_token_for_metrics_reads_them(scraping, seeing, settings, token_for):
    client = scraping(seeing.opened, dashboard_secret=SecretStr(SECRET))
    signing = settings.model_copy(update={"dashboard_secret": SecretStr(SECRET)})

    def status(path: str, token: str | None) -> int:
        return client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {}).status_code

    scraper = issue_scrape_token(signing, 1, NOW)
    assert status("/metrics", scraper) == 200
    assert [status("/metrics", token) for token in (None, "not.a.token", token_for(1))] == [401, 401, 401]
    assert status("/metrics", issue_scrape_token(signing, 1, NOW - timedelta(days=2))) == 401
    assert status("/api/accounts/1/metrics", scraper) == 401
    assert seeing.looks == 1
