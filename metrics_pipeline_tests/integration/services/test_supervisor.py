"""`up` with real Dagster processes, and what it tells Dagster."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.services.dagster_home import code_server_socket, dagster_home, migrate_dagster
from metrics_pipeline.services.embedded import ServiceUrls, ensure_services, stop_services
from metrics_pipeline.services.supervisor import up
from metrics_pipeline.services.worker import worker_program
from metrics_pipeline.settings import Settings
from metrics_pipeline_tests.integration.services.test_foreground import gone

if TYPE_CHECKING:
    from metrics_pipeline_tests.conftest import Database

DEFINITIONS = """
import dagster as dg

@dg.asset
def one() -> None: ...

defs = dg.Definitions(assets=[one], executor=dg.in_process_executor)
"""
UP = """
import sys
from metrics_pipeline.services.supervisor import up
from metrics_pipeline.settings import load_settings
sys.exit(up(load_settings(), module="up_test_definitions"))
"""


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def process(home: Path, free_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An `up` whose page is there."""
    (home / "up_test_definitions.py").write_text(DEFINITIONS)
    environment = os.environ | {
        "METRICS_HOME": str(home),
        "METRICS_DAGSTER_PORT": str(free_port),
        "PYTHONPATH": str(home),
    }
    log = home / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", UP], env=environment, stdout=output, stderr=output)
    try:
        _wait_for(lambda: f"Dagster UI: http://127.0.0.1:{free_port}" in log.read_text(), process, log)
        yield process
    finally:
        process.kill()
        process.wait()


def test_up_serves_dagster_and_sigterm_leaves_no_process(
    process: subprocess.Popen[bytes], home: Path, free_port: int
) -> None:
    assert _graphql(free_port, "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }") == (
        '{"data":{"repositoriesOrError":{"nodes":[{"name":"__repository__"}]}}}'
    )
    with pytest.raises(ConfigurationError, match="already running"):
        up(Settings(home=home, dagster_port=free_port))
    # Code server and what it started, worker and its two, daemon, web server.
    _wait_for(lambda: len(psutil.Process(process.pid).children(recursive=True)) >= 7, process, home / "up.log")
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0
    assert [child for child in family if not gone(child.pid)] == []
    assert stop_services(Settings(home=home)) == ["Redis", "PostgreSQL"]


def test_what_a_killed_up_left_is_stopped_by_down(process: subprocess.Popen[bytes], home: Path) -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    assert any("celery" in child.cmdline() for child in family)
    process.kill()
    process.wait()
    assert stop_services(Settings(home=home)) == ["Dagster", "Redis", "PostgreSQL"]
    assert [child for child in family if not gone(child.pid)] == []


def test_a_taken_port_says_which_setting_to_change(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = Settings(home=home, dagster_port=other.getsockname()[1])
        with pytest.raises(ConfigurationError, match="METRICS_DAGSTER_PORT"):
            up(settings)


def test_dagster_keeps_its_tables_in_its_own_schema(database: Database, redis_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=database.url, redis_url=redis_url, home=tmp_path)
    for _ in range(2):
        environment = dagster_home(settings, ensure_services(settings))
        migrate_dagster(environment)
    statement = "SELECT table_schema FROM information_schema.tables WHERE table_name IN ('runs', 'event_logs', 'jobs')"
    with database.connect() as connection:
        assert {row[0] for row in connection.exec_driver_sql(statement)} == {"dagster"}
    assert (tmp_path / "dagster" / "dagster.yaml").read_text() == Path("dagster.yaml").read_text()


def test_code_servers_of_two_homes_use_two_sockets() -> None:
    sockets = {code_server_socket(Settings(home=Path(home))) for home in ("/tmp/one", "/tmp/two")}
    assert len(sockets) == 2


def test_dagster_environment_names_the_servers(database: Database, redis_url: str, tmp_path: Path) -> None:
    urls = ServiceUrls(database.url, redis_url)
    environment = dagster_home(Settings(home=tmp_path), urls)
    assert environment["METRICS_DATABASE_URL"] == database.url
    assert environment["METRICS_REDIS_URL"] == redis_url
    assert environment["METRICS_BROKER_URL"] == redis_url
    own = Settings(home=tmp_path, broker_url="redis://queue", worker_concurrency=3)
    assert dagster_home(own, urls)["METRICS_BROKER_URL"] == "redis://queue"
    assert environment["DAGSTER_POSTGRES_URL"] == urls.dagster_url
    assert environment["DAGSTER_HOME"] == str(tmp_path / "dagster")


def test_runs_at_once_are_no_more_than_the_worker_can_do(database: Database, redis_url: str, tmp_path: Path) -> None:
    urls = ServiceUrls(database.url, redis_url)
    given = {"home": tmp_path, "worker_concurrency": 3}
    assert dagster_home(Settings(**given), urls)["METRICS_MAX_CONCURRENT_RUNS"] == "3"
    assert dagster_home(Settings(**given, max_concurrent_runs=9), urls)["METRICS_MAX_CONCURRENT_RUNS"] == "9"
    assert "-c 3" in " ".join(worker_program(Settings(**given)).command)
    assert "-c 1" in " ".join(worker_program(Settings(**given), concurrency=1).command)


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _graphql(port: int, query: str) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=('{"query": "' + query + '"}').encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())
