"""How long a committed edit takes to reach the cache, with everything running as `metrics-pipeline up` runs it.

`python -m benchmarks.latency` starts servers of its own with a sample, and edits one expense after
another at random moments: until its four current entries are dropped, and until all four are published anew.
Then the same with Dagster's default launcher, which starts a process for each run.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.services.embedded import ensure_services, stop_services
from metrics_pipeline.settings import Settings, load_settings
from metrics_pipeline.source.sample import write_sample

EDITS, EDITS_BY_DEFAULT_LAUNCHER, ACCOUNTS, MONTHS = 50, 15, 100, 12
TARGETS = {"dropped": (1.0, 5.0), "published": (4.0, 10.0)}
"""Seconds at the median and at the 95th percentile."""

_UP = """
import sys
from importlib import import_module
from pathlib import Path
from metrics_pipeline.services import up
from metrics_pipeline.settings import load_settings
import_module("metrics_pipeline.services.dagster_home")._INSTANCE = Path(sys.argv[1])
raise SystemExit(up(load_settings()))
"""
_INSTANCE: Path = import_module("metrics_pipeline.services.dagster_home")._INSTANCE
_START_SECONDS, _LONGEST_SECONDS = 300.0, 60.0
_LOOK_EVERY_SECONDS, _LONGEST_PAUSE_SECONDS = 0.003, 5.0

_EDIT = text(
    "UPDATE expenses SET amount = amount + 0.01 WHERE id = (SELECT id FROM expenses "
    "WHERE email_account_id = :account AND transaction_date <= now() AND deleted_at IS NULL "
    "ORDER BY transaction_date DESC LIMIT 1)"
)
# Those of the refresh runs that the edit led to.
_RUNS = text(
    "SELECT count(*), min(extract(epoch FROM create_timestamp)), max(start_time), max(end_time) FROM dagster.runs "
    "WHERE extract(epoch FROM create_timestamp) > :since"
)


@dataclass
class Edit:
    """Seconds after the commit of one edit."""

    dropped: float
    published: float
    runs: int
    requested: float
    started: float
    ended: float


@contextmanager
def running(settings: Settings, log: Path, instance: Path = _INSTANCE) -> Iterator[None]:
    """`up`, without the dashboard and with this dagster.yaml, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "METRICS_HOME": str(settings.home),
        "METRICS_DAGSTER_PORT": str(port),
        "METRICS_START_DATE": settings.start_date.isoformat(),
    }
    with log.open("wb") as output:
        command = [sys.executable, "-c", _UP, str(instance)]
        process = subprocess.Popen(command, env=os.environ | own, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def edit(pipeline: Pipeline, account_id: int) -> Edit:
    """Change the account's latest expense, and watch its current entries until all are of a newer version."""
    today = pipeline.settings.today()
    keys = [cache_key(account_id, Period.holding(grain, today)) for grain in Grain]
    before = _versions(pipeline, keys)
    with pipeline.engine.begin() as connection:
        connection.execute(_EDIT, {"account": account_id})
    committed, wall = time.perf_counter(), time.time()
    dropped: float | None = None
    while True:
        now, versions = time.perf_counter() - committed, _versions(pipeline, keys)
        if dropped is None and all(was != is_now for was, is_now in zip(before, versions, strict=True)):
            dropped = now
        if dropped is not None and all(versions):
            break
        if now > _LONGEST_SECONDS:
            raise SystemExit(f"Account {account_id} was not refreshed within {_LONGEST_SECONDS:g} s of its edit.")
        time.sleep(_LOOK_EVERY_SECONDS)
    published = time.perf_counter() - committed
    runs, requested, started, ended = _settled_runs(pipeline, wall)
    return Edit(dropped, published, runs, requested - wall, started - wall, ended - wall)


def _versions(pipeline: Pipeline, keys: Sequence[str]) -> list[int | None]:
    values = pipeline.redis.mget(keys)
    return [Entry.decode(value).version if isinstance(value, bytes) else None for value in values]


def _settled_runs(pipeline: Pipeline, since: float) -> tuple[int, float, float, float]:
    """How many runs there were since, when the first was requested, and the last started and ended."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    open_runs = text("SELECT count(*) FROM dagster.runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')")
    while True:
        with pipeline.engine.connect() as connection:
            if not connection.execute(open_runs).scalar_one():
                count, requested, started, ended = connection.execute(_RUNS, {"since": since}).one()
                if count:
                    return int(count), float(requested), float(started), float(ended)
        if time.monotonic() > deadline:
            raise SystemExit(f"The refresh's runs were not over after {_LONGEST_SECONDS:g} s.")
        time.sleep(0.1)


def measure(pipeline: Pipeline, edits: int) -> list[Edit]:
    """Edits of random accounts, at moments that have nothing to do with the sensor's."""
    chance = random.Random(1)
    today = pipeline.settings.today()
    with pipeline.engine.connect() as connection:
        recent = text(
            "SELECT email_account_id FROM expenses WHERE transaction_date BETWEEN :today - 5 AND now() "
            "AND deleted_at IS NULL GROUP BY 1"
        )
        accounts = sorted(connection.execute(recent, {"today": today}).scalars())
    _warm_up(pipeline, accounts[0])
    found = []
    for _ in range(edits):
        time.sleep(chance.uniform(0, _LONGEST_PAUSE_SECONDS))
        found.append(edit(pipeline, chance.choice(accounts)))
    return found


def _warm_up(pipeline: Pipeline, account_id: int) -> None:
    """Wait for Dagster to start; the first edit then finds cold processes, and is not counted."""
    started = time.time()
    while not _has_ticked(pipeline, started):
        if time.time() - started > _START_SECONDS:
            raise SystemExit(f"No sensor ticked within {_START_SECONDS:g} s; look at the log of `up`.")
        time.sleep(0.5)
    edit(pipeline, account_id)


def _has_ticked(pipeline: Pipeline, since: float) -> bool:
    ticked = "SELECT EXISTS (SELECT FROM dagster.job_ticks WHERE extract(epoch FROM timestamp) > :since)"
    with pipeline.engine.connect() as connection:
        there = connection.execute(text("SELECT to_regclass('dagster.job_ticks') IS NOT NULL")).scalar_one()
        return bool(there and connection.execute(text(ticked), {"since": since}).scalar_one())


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[round(share * (len(values) - 1))]


def with_default_launcher(folder: Path) -> Path:
    """The same dagster.yaml, without the launcher that it names."""
    parts = _INSTANCE.read_text().split("\n\n")
    path = folder / "default-launcher.yaml"
    path.write_text("\n\n".join(part for part in parts if "run_launcher:" not in part))
    return path


def show(found: Sequence[Edit], launcher: str) -> None:
    table = Table(title=f"{len(found)} single edits, seconds after the commit, {launcher}")
    for name in ("", "p50", "target", "p95", "target", "longest"):
        table.add_column(name, justify="left" if not name else "right")
    phases = {
        "entries dropped": ("dropped", [each.dropped for each in found]),
        "first run requested": ("", [each.requested for each in found]),
        "last run started": ("", [each.started for each in found]),
        "all four published": ("published", [each.published for each in found]),
        "last run ended": ("", [each.ended for each in found]),
    }
    for name, (promise, values) in phases.items():
        typical, slow = (f"≤ {target:g}" for target in TARGETS[promise]) if promise else ("", "")
        row = (f"{quantile(values, 0.5):.2f}", typical, f"{quantile(values, 0.95):.2f}", slow, f"{max(values):.2f}")
        table.add_row(name, *row, style=None if promise else "dim")
    Console(width=100).print(table)
    print(f"Runs an edit: {sum(each.runs for each in found) / len(found):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=EDITS)
    parser.add_argument("--default-launcher-edits", type=int, default=EDITS_BY_DEFAULT_LAUNCHER, help="0: none")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--months", type=int, default=MONTHS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlat", dir="/tmp") as home:
        settings = load_settings(home=Path(home), database_url=None, redis_url=None)
        settings = settings.model_copy(update={"start_date": settings.today() - timedelta(days=options.months * 30)})
        urls = ensure_services(settings)
        found: list[Edit] = []
        by_default: list[Edit] = []
        try:
            with Pipeline(settings.model_copy(update=vars(urls))) as pipeline:
                pipeline.migrate()
                write_sample(
                    pipeline.engine,
                    accounts=options.accounts,
                    months=options.months,
                    today=settings.today(),
                    zone=settings.zone,
                )
                pipeline.calculate(all_history=True)  # or the sample itself is what there is to refresh
                with running(settings, Path(home, "up.log")):
                    found = measure(pipeline, options.edits)
                if options.default_launcher_edits:
                    with running(settings, Path(home, "default.log"), with_default_launcher(Path(home))):
                        by_default = measure(pipeline, options.default_launcher_edits)
        finally:
            stop_services(settings)
    show(found, "warm workers")
    if by_default:
        show(by_default, "Dagster's default launcher")


if __name__ == "__main__":
    main()
