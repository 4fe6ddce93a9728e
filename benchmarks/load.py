"""The dashboard's API under load, beside a bare handler that does one MGET on the same Redis.

`python benchmarks/load.py` starts servers of its own with a sample, measures, and prints a table:
the server's own time for the four cards from the cache and with Redis stopped, the most requests
a second of both, then a while at 80 % of that with edits going on. `--minutes 10` for the long run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.services.embedded import ensure_services, stop_services
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.settings import load_settings
from metrics_pipeline.source.sample import write_sample

ACCOUNTS, CONNECTIONS = 50, 16
SHARE = 0.8

BARE = """
import os
import redis.asyncio, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.settings import load_settings
client, today = redis.asyncio.Redis.from_url(os.environ["METRICS_REDIS_URL"]), load_settings().today()
periods = [Period.holding(grain, today) for grain in Grain]
async def mget(request):
    account = int(request.path_params["account"])
    return Response(b"".join(await client.mget([cache_key(account, period) for period in periods])))
app = Starlette(routes=[Route("/api/accounts/{account}/metrics", mget), Route("/healthz", lambda _: Response())])
uvicorn.run(app, port=int(os.environ["METRICS_DASHBOARD_PORT"]), log_level="warning", access_log=False)
"""


@dataclass
class Measured:
    """Answers of one stretch: seconds as the client saw them, the sources, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    errors: int = 0
    duration: float = 0.0

    def per_second(self) -> float:
        return len(self.seconds) / self.duration

    def quantile(self, share: float) -> float:
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))] * 1000

    def hit_rate(self) -> float:
        return statistics.fmean(source == "cache" for source in self.sources)


async def drive(port: int, seconds: float, rate: float | None = None) -> Measured:
    """Ask for four cards of one account after another: as fast as it goes, or so many a second."""
    measured, began = Measured(), time.perf_counter()
    tickets = itertools.count()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (now := time.perf_counter()) < began + seconds:
            ticket = next(tickets)
            due = began + ticket / rate if rate else now
            if due > now:
                await asyncio.sleep(due - now)
            account = ticket % ACCOUNTS + 1
            writer.write(b"GET /api/accounts/%d/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % account)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
            # From when it was due: a server that stalls does not slow down the asking.
            measured.seconds.append(time.perf_counter() - due)
            measured.errors += not head.startswith(b"HTTP/1.1 200")
            sources = fields.get("metrics-source", "").split(", ")
            measured.sources += [source.partition("=")[2] for source in sources]
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    measured.duration = time.perf_counter() - began
    return measured


def most_a_second(port: int, seconds: int = 8) -> float:
    """Answers a second by wrk, which leaves more of the machine to the server; by `drive` where there is no wrk."""
    if shutil.which("wrk") is None:
        return asyncio.run(drive(port, seconds)).per_second()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"local n = 0; request = function() n = n % {ACCOUNTS} + 1; "
            'return wrk.format("GET", "/api/accounts/" .. n .. "/metrics") end'
        )
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "-s", script.name, f"http://127.0.0.1:{port}"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    return float(said.partition("Requests/sec:")[2].split()[0])


def server_times(port: int, path: str, count: int) -> list[float]:
    """The server's own milliseconds for one page after another, by its Server-Timing header."""
    found = []
    for number in range(count):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path.format(number % ACCOUNTS + 1)}") as answer:
            answer.read()
            found.append(float(answer.headers["Server-Timing"].partition("dur=")[2]))
    return sorted(found)


@contextmanager
def process(arguments: list[str], environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | environment | {"METRICS_DASHBOARD_PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, started.pid
    finally:
        started.terminate()
        started.wait(20)


def megabytes(pid: int) -> float:
    """Resident memory of a process (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def edits(environment: dict[str, str]) -> Iterator[None]:
    """Two edits a second, each absorbed and refreshed as the sensor and its run do, in another process."""
    editor = subprocess.Popen([sys.executable, __file__, "--edit"], env=os.environ | environment)
    try:
        yield
        assert editor.poll() is None, "the edits ended by themselves"
    finally:
        editor.terminate()
        editor.wait(20)


def edit_for_good() -> None:
    with Pipeline(load_settings()) as pipeline:
        for number in itertools.count():
            account_id, today = number % ACCOUNTS + 1, pipeline.settings.today()
            with pipeline.engine.begin() as connection:
                connection.execute(
                    text(
                        "UPDATE expenses SET amount = amount + 0.01 WHERE id ="
                        " (SELECT max(id) FROM expenses WHERE email_account_id = :account_id)"
                    ),
                    {"account_id": account_id},
                )
            pipeline.absorb_changes()
            pipeline.refresh(RefreshRequest([Period.holding(grain, today) for grain in Grain], today, [account_id]))
            time.sleep(0.5)


def measure(pipeline: Pipeline, environment: dict[str, str], minutes: float) -> None:
    with process(["-c", BARE], environment) as (port, _):
        asyncio.run(drive(port, 2))
        bare = most_a_second(port)
    with process(["-m", "metrics_pipeline.dashboard"], environment) as (port, server):
        asyncio.run(drive(port, 2))
        full = most_a_second(port)
        print(f"requests a second: bare MGET handler {bare:,.0f}, four cards {full:,.0f} ({full / bare:.0%})")
        for name, path in {"JSON": "/api/accounts/{}/metrics", "page": "/accounts/{}"}.items():
            times = server_times(port, path, 1000)
            print(f"server time from the cache, {name}: p50 {times[499]:.2f} ms, p99 {times[989]:.2f} ms")

        with edits(environment):
            time.sleep(3)
            most = asyncio.run(drive(port, 8)).per_second()
            before = megabytes(server)
            measured = asyncio.run(drive(port, minutes * 60, most * SHARE))
        print(
            f"{minutes:g} min at {measured.per_second():,.0f} a second, 80 % of the most with edits: "
            f"{measured.errors} errors, p50 {measured.quantile(0.5):.1f} ms, p99 {measured.quantile(0.99):.1f} ms, "
            f"hit rate {measured.hit_rate():.2%}, memory {before:.0f} -> {megabytes(server):.0f} MB"
        )
        EmbeddedRedis(pipeline.settings.home).stop()
        times = server_times(port, "/api/accounts/{}/metrics", 300)
        print(f"server time with Redis stopped, JSON: p50 {times[149]:.2f} ms, p99 {times[296]:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.5, help="how long at 80 %% of the maximum")
    parser.add_argument("--edit", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.edit:
        edit_for_good()
    minutes = arguments.minutes
    with tempfile.TemporaryDirectory(prefix="load-", dir="/tmp") as home:
        settings = load_settings(home=Path(home), database_url=None, redis_url=None)  # never the shell's own
        urls = ensure_services(settings)
        settings = load_settings(home=Path(home), database_url=urls.database_url, redis_url=urls.redis_url)
        environment = {
            "METRICS_HOME": home,
            "METRICS_DATABASE_URL": urls.database_url,
            "METRICS_REDIS_URL": urls.redis_url,
        }
        try:
            with Pipeline(settings) as pipeline:
                pipeline.migrate()
                write_sample(pipeline.engine, accounts=ACCOUNTS, months=24, today=settings.today(), zone=settings.zone)
                pipeline.absorb_changes()
                pipeline.calculate()
                pipeline.calculate(account_ids=range(1, ACCOUNTS + 1))  # inactive ones too
                measure(pipeline, environment, minutes)
        finally:
            stop_services(settings)


if __name__ == "__main__":
    main()
