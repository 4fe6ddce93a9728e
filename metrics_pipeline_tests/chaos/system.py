"""A whole system: embedded servers, `metrics-pipeline up` with all its processes, and somebody who keeps editing."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random

import psutil
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.services import answers, ensure_services, stop_services
from metrics_pipeline.settings import Settings, load_settings
from metrics_pipeline_tests.chaos.edits import edit, set_up
from metrics_pipeline_tests.chaos.truth import Seen, look, waiting
from metrics_pipeline_tests.scratch import scratch

ACCOUNTS, DAYS = 5, 40
REST_SECONDS = 120.0

PROGRAMS = {
    "the worker": "celery",
    "the daemon": "dagster._daemon",
    "the code server": "code-server",
    "the web server": "dagster_webserver",
    "the dashboard": "metrics_pipeline.dashboard",
}
"""The processes of `up`, each by a word of its command."""

_CHOSEN = ["home", "timezone", "start_date", "dagster_port", "dashboard_port", "chunk_payloads", "worker_concurrency"]

_UNDER_WAY = """
SELECT run_id FROM dagster.runs WHERE status IN ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')
UNION ALL
SELECT key FROM dagster.bulk_actions WHERE status IN ('REQUESTED', 'CANCELING', 'FAILING', 'COMPLETING')
"""

_NOT_RETRIED_ONCE = """
SELECT run_id, status, retries
FROM dagster.runs AS run
CROSS JOIN LATERAL (
    SELECT count(*) AS retries FROM dagster.run_tags
    WHERE key = 'dagster/parent_run_id' AND value = run.run_id
) AS counted
WHERE run_id = ANY(CAST(:run_ids AS text[])) AND retries <> (status = 'FAILURE')::int
  AND NOT EXISTS (
    SELECT FROM dagster.run_tags AS tag
    WHERE tag.run_id = run.run_id AND tag.key = 'dagster/retry_number' AND tag.value = '2'
  )
"""


@dataclass
class System:
    """`settings` name its servers; `home` alone, without URLs, is how they are found and started again."""

    settings: Settings
    home: Settings
    pipeline: Pipeline
    up: psutil.Popen
    log: Path

    def program(self, name: str) -> psutil.Process:
        """One of PROGRAMS, waiting for it to be started again if it was just killed."""
        found: list[psutil.Process] = []

        def there() -> bool:
            self.check_up()
            with suppress(psutil.Error):
                found[:] = [child for child in self.up.children() if PROGRAMS[name] in child.cmdline()]
            return bool(found)

        wait_until(there, f"{name} to run", 60)
        return found[0]

    def check_up(self) -> None:
        assert self.up.poll() is None, f"`up` has ended:\n{self.log.read_text()[-4000:]}"

    def restart_servers(self) -> None:
        """What an operator, or systemd, does about a server that is gone."""
        ensure_services(self.home)

    def started_runs(self) -> set[str]:
        with self.pipeline.engine.connect() as connection:
            return set(connection.execute(text("SELECT run_id FROM dagster.runs WHERE status = 'STARTED'")).scalars())

    def not_retried_once(self, run_ids: set[str]) -> list[str]:
        """Of these runs, those that failed without exactly one run in their place, their tries not being used up."""
        with self.pipeline.engine.connect() as connection:
            rows = connection.execute(text(_NOT_RETRIED_ONCE), {"run_ids": list(run_ids)})
            return [f"{row.run_id} {row.status} retried {row.retries} times" for row in rows]

    def what_is_under_way(self) -> dict[str, int]:
        """Everything that is not at rest, with how many of it."""
        left = waiting(self.pipeline)
        with self.pipeline.engine.connect() as connection:
            runs = len(connection.execute(text(_UNDER_WAY)).all())
        return left | ({"runs": runs} if runs else {})

    def come_to_rest(self) -> None:
        """Wait until nothing waits or works any more and every process is there. Nobody helps."""
        latest: dict[str, int] = {}

        def at_rest() -> bool:
            self.check_up()
            try:
                latest.clear()
                latest.update(self.what_is_under_way())
            except Exception as error:  # a server that is only just back
                latest[repr(error)] = 1
            return not latest and self.answers()

        deadline = time.monotonic() + REST_SECONDS
        while not at_rest():
            assert time.monotonic() < deadline, f"not at rest after {REST_SECONDS:g} s: {latest or 'no answer'}"
            time.sleep(0.5)

    def answers(self) -> bool:
        """Whether the pages of Dagster and of the dashboard are there."""
        pages = f"{self.settings.dagster_port}/server_info", f"{self.settings.dashboard_port}/healthz"
        return all(answers(f"http://127.0.0.1:{page}") for page in pages)

    def look(self) -> Seen:
        return look(self.pipeline, self.pipeline.redis, self.settings.today())

    @contextmanager
    def being_edited(self, random: Random) -> Iterator[None]:
        """Somebody edits expenses all the time within the block, whenever PostgreSQL is there."""
        stop = threading.Event()
        editing = threading.Thread(target=self._keep_editing, args=(random, stop))
        editing.start()
        try:
            yield
        finally:
            stop.set()
            editing.join()

    def _keep_editing(self, random: Random, stop: threading.Event) -> None:
        while not stop.wait(random.uniform(0, 0.3)):
            with suppress(DBAPIError), self.pipeline.engine.begin() as connection:
                edit(connection, random, accounts=ACCOUNTS, days=DAYS, today=self.settings.today())


@contextmanager
def running_system(random: Random) -> Iterator[System]:
    """Everything as on a fresh machine, in a temporary home; five accounts' expenses of forty days, computed."""
    zone = zone_at_noon()
    with tempfile.TemporaryDirectory(prefix="mchaos-", dir=scratch()) as folder:
        today = load_settings(timezone=zone).today()
        home = load_settings(
            database_url=None,  # never the shell's own
            redis_url=None,
            home=folder,
            timezone=zone,
            start_date=today - timedelta(days=DAYS),
            dagster_port=free_port(),
            dashboard_port=free_port(),
            chunk_payloads=50,
            worker_concurrency=2,
        )
        urls = ensure_services(home)
        settings = home.model_copy(update={"database_url": urls.database_url, "redis_url": urls.redis_url})
        log = Path(folder, "up.log")
        try:
            with Pipeline(settings) as pipeline:
                pipeline.migrate()
                with pipeline.engine.begin() as connection:
                    set_up(connection, ACCOUNTS)
                    for _ in range(200):
                        edit(connection, random, accounts=ACCOUNTS, days=DAYS, today=settings.today())
                pipeline.calculate(all_history=True)
                with _up(home, log) as process:
                    system = System(settings, home, pipeline, process, log)
                    yield system
        finally:
            stop_services(home)


@contextmanager
def _up(home: Settings, log: Path) -> Iterator[psutil.Popen]:
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith(("METRICS_", "DAGSTER_"))}
    environment = {f"METRICS_{name.upper()}": str(getattr(home, name)) for name in _CHOSEN}
    with log.open("wb") as output:
        process = psutil.Popen(
            [str(Path(sys.executable).with_name("metrics-pipeline")), "up"],
            env=inherited | environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def zone_at_noon() -> str:
    """A zone in which it is about noon, so that no day ends while this runs. (Etc/GMT+5 is five hours behind.)"""
    return f"Etc/GMT{datetime.now(timezone.utc).hour - 12:+d}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(reached: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.25)
