"""`up` with real Dagster processes, and what happens to processes that stop or will not stop."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.services import foreground
from metrics_pipeline.services.dagster_home import code_server_socket, dagster_home, migrate_dagster
from metrics_pipeline.services.embedded import ServiceUrls, ensure_services, stop_services
from metrics_pipeline.services.foreground import Program, run_together
from metrics_pipeline.services.supervisor import up
from metrics_pipeline.services.worker import worker_program
from metrics_pipeline.settings import Settings

if TYPE_CHECKING:
    from metrics_pipeline_tests.conftest import Database

PYTHON = [sys.executable, "-u", "-c"]
SLEEPS = [*PYTHON, "import time; time.sleep(600)"]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
LEAVES_A_CHILD = (
    "import subprocess, sys; print('child', subprocess.Popen([sys.executable, '-c', sys.argv[1]]).pid); sys.exit(3)"
)
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
def home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="metrics-home-", dir="/tmp"))
    yield home
    stop_services(Settings(home=home))
    shutil.rmtree(home)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_when_one_process_dies_all_stop_and_its_last_lines_are_told(tmp_path: Path) -> None:
    output = io.StringIO()
    dies = Program("worker", [*PYTHON, "import sys; print('no disk left'); sys.exit(9)"])
    started = time.monotonic()
    assert run_together([Program("web", SLEEPS), dies], os.environ, tmp_path, output) == 1
    assert time.monotonic() - started < 5
    assert "worker ended by itself with code 9; its last lines:\n  no disk left" in output.getvalue()
    assert "web ended" not in output.getvalue()


def test_a_process_that_dies_after_it_ran_well_is_started_again_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreground, "_RAN_WELL_SECONDS", 0.5)
    monkeypatch.setattr(foreground, "_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(foreground, "_GIVE_UP_SECONDS", 3)
    output, prepared = io.StringIO(), list[float]()
    code = "import pathlib, sys, time; first = not pathlib.Path('ran').exists(); pathlib.Path('ran').touch(); "
    code += "print('first' if first else 'second'); time.sleep(0.7 if first else 0); sys.exit(7)"
    worker = Program("worker", [*PYTHON, code], prepare=lambda: prepared.append(time.monotonic()))
    assert run_together([Program("web", SLEEPS), worker], os.environ, tmp_path, output) == 1
    assert len(prepared) > 2
    assert 2 < prepared[-1] - prepared[0] < 6
    told = output.getvalue()
    assert "worker ended by itself with code 7; its last lines:\n  first\nworker is started again" in told
    assert told.endswith("worker ended by itself with code 7; its last lines:\n  second\n")


def test_a_program_starts_once_the_one_before_it_is_ready(tmp_path: Path) -> None:
    output, mark = io.StringIO(), tmp_path / "ready"
    code = "import pathlib, time; time.sleep(0.5); pathlib.Path('ready').touch(); time.sleep(600)"
    first = Program("first", [*PYTHON, code], ready=mark.exists, when_ready="first is ready")
    second = Program("second", [*PYTHON, "import os; print('ready there:', os.path.exists('ready'))"])
    assert run_together([first, second], os.environ, tmp_path, output) == 1
    assert "first is ready" in output.getvalue()
    assert "ready there: True" in output.getvalue()


def test_what_stopping_interrupts_is_not_told_as_errors(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit('Traceback')); "
    program = Program("worker", [*PYTHON, code + "print('works', flush=True); time.sleep(600)"])
    output = io.StringIO()

    def interrupt() -> None:
        while "works" not in output.getvalue():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    assert run_together([program], os.environ, tmp_path, output) == 0
    assert "Traceback" not in output.getvalue()
    assert output.getvalue().endswith("What is interrupted now is done after the next start.\n")


def test_a_program_that_dies_before_it_is_ready_starts_no_other(tmp_path: Path) -> None:
    output = io.StringIO()
    first = Program("first", [*PYTHON, "raise SystemExit('wrong module')"], ready=lambda: False)
    assert run_together([first, Program("second", [*PYTHON, "print('second ran')"])], os.environ, tmp_path, output) == 1
    assert "wrong module" in output.getvalue()
    assert "second ran" not in output.getvalue()


def test_children_whose_parent_left_them_are_stopped_too(tmp_path: Path) -> None:
    output = io.StringIO()
    run_together([Program("parent", [*PYTHON, LEAVES_A_CHILD, DEAF])], os.environ, tmp_path, output)
    child = int(output.getvalue().split("child ")[1].split()[0])
    deadline = time.monotonic() + 5  # it is not ours to wait for
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(child)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    before, output = signal.getsignal(number), io.StringIO()
    says_its_id = [*PYTHON, "import os, time; print('id', os.getpid()); time.sleep(600)"]
    threading.Timer(1, os.kill, (os.getpid(), number)).start()
    started = time.monotonic()
    assert run_together([Program("one", says_its_id), Program("two", says_its_id)], os.environ, tmp_path, output) == 0
    assert time.monotonic() - started < 5
    *said, stopping = output.getvalue().splitlines()
    assert stopping.startswith("Stopping")
    ids = [int(line.split("id ")[1]) for line in said]
    assert [gone(pid) for pid in ids] == [True, True]
    assert signal.getsignal(number) is before


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    output = io.StringIO()
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    assert run_together([Program("deaf", [*PYTHON, DEAF])], os.environ, tmp_path, output) == 0
    assert 5 < time.monotonic() - started < 15
    assert "deaf" in output.getvalue()


def test_up_serves_dagster_and_sigterm_leaves_no_process(home: Path, free_port: int) -> None:
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
        assert _graphql(free_port, "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }") == (
            '{"data":{"repositoriesOrError":{"nodes":[{"name":"__repository__"}]}}}'
        )
        with pytest.raises(ConfigurationError, match="already running"):
            up(Settings(home=home, dagster_port=free_port))
        # Code server and what it started, worker and its two, daemon, web server.
        _wait_for(lambda: len(psutil.Process(process.pid).children(recursive=True)) >= 7, process, log)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    finally:
        process.kill()
        process.wait()
    assert [child for child in family if not gone(child.pid)] == []
    assert stop_services(Settings(home=home)) == ["Redis", "PostgreSQL"]


def test_what_a_killed_up_left_is_stopped_by_down(home: Path, free_port: int) -> None:
    (home / "up_test_definitions.py").write_text(DEFINITIONS)
    environment = os.environ | {
        "METRICS_HOME": str(home),
        "METRICS_DAGSTER_PORT": str(free_port),
        "PYTHONPATH": str(home),
    }
    log = home / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", UP], env=environment, stdout=output, stderr=output)
    _wait_for(lambda: "Dagster UI:" in log.read_text(), process, log)
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
