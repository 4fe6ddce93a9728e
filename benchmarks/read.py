"""What a read costs: from the cache beside the bare Redis command, from the store, computed.

`python -m benchmarks.read` starts servers of its own with a sample, measures, and prints a table.
The bare commands and the reader's take turns, so that both have the machine in the same mood. `--rows 10000000`
adds what computing on demand costs beside so many expenses, in the database that `benchmarks.compute` keeps.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from redis import Redis
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from benchmarks.compute import servers
from benchmarks.dataset import TODAY, Dataset
from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.services.embedded import ensure_services, stop_services
from metrics_pipeline.settings import Settings, load_settings
from metrics_pipeline.source.sample import write_sample

ACCOUNTS, MONTHS, ROUNDS, READS, ON_DEMAND_READS = 100, 12, 20, 500, 1000
PROCESSES, SECONDS = 8, 4.0
ON_DEMAND_TARGET_MS = 100
TARGET = 1.5

Call = Callable[[], object]
Quantiles = tuple[float, float]


def timed(calls: Sequence[Call], times: int, rounds: int = 1, before: Call = lambda: None) -> list[Quantiles]:
    """Median and 99th percentile of each call, in microseconds; they take turns, round by round."""
    found: list[list[float]] = [[] for _ in calls]
    for _, (call, seconds) in itertools.product(range(rounds), list(zip(calls, found, strict=True))):
        for _ in range(times):
            before()
            started = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - started)
    return [(_quantile(seconds, 0.5), _quantile(seconds, 0.99)) for seconds in found]


def _quantile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[int(share * (len(seconds) - 1))] * 1e6


def hits(pipeline: Pipeline) -> dict[str, Quantiles]:
    account = itertools.cycle(range(1, ACCOUNTS + 1)).__next__
    today, redis, reader = pipeline.settings.today(), pipeline.redis, pipeline.reader
    month, four = Period.holding(Grain.MONTH, today), [Period.holding(grain, today) for grain in Grain]

    def mget() -> object:
        id = account()
        return redis.mget([cache_key(id, period) for period in four])

    calls: dict[str, Call] = {
        "GET": lambda: redis.get(cache_key(account(), month)),
        "reader.get": lambda: reader.get(account(), Grain.MONTH),
        "MGET of four": mget,
        "reader.get_many": lambda: reader.get_many(account()),
    }
    return dict(zip(calls, timed(list(calls.values()), READS, ROUNDS), strict=True))


def misses(pipeline: Pipeline) -> dict[str, Quantiles]:
    """One month of one account after another: found in the store, and nowhere."""
    account = itertools.cycle(range(1, ACCOUNTS + 1)).__next__
    reader, month = pipeline.reader, Period.holding(Grain.MONTH, pipeline.settings.today())
    current = [1]

    def forget() -> None:
        current[0] = account()
        pipeline.redis.delete(cache_key(current[0], month))

    def forget_all() -> None:
        forget()
        with pipeline.engine.begin() as connection:
            connection.execute(
                text("DELETE FROM metrics.period_metrics WHERE account_id = :account AND grain = 'month'"),
                {"account": current[0]},
            )

    def read() -> object:
        return reader.get(current[0], Grain.MONTH)

    return {
        "miss, from the store": timed([read], 3 * ACCOUNTS, before=forget)[0],
        "miss, computed": timed([read], 3 * ACCOUNTS, before=forget_all)[0],
    }


def on_demand(rows: int) -> Quantiles:
    """A month that neither cache nor store has, of one account after another in no order, among so many expenses."""
    chance = random.Random(1)
    dataset = Dataset(rows)
    with servers([dataset]) as (settings,), Pipeline(settings) as pipeline:
        account, month = [1], Period.holding(Grain.MONTH, TODAY)

        def forget() -> None:
            account[0] = chance.randint(1, dataset.accounts)
            pipeline.redis.delete(cache_key(account[0], month))
            with pipeline.engine.begin() as connection:
                connection.execute(
                    text(
                        "DELETE FROM metrics.period_metrics "
                        "WHERE account_id = :account AND grain = 'month' AND period_start = :start"
                    ),
                    {"account": account[0], "start": month.start},
                )

        def read() -> None:
            assert pipeline.reader.get(account[0], Grain.MONTH, today=TODAY).source == "computed"

        return timed([read], ON_DEMAND_READS, before=forget)[0]


def throughput(settings: Settings) -> tuple[float, float]:
    """Bare GETs and reader hits a second, of several processes together."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        bare, read = (pool.map(work, [settings] * PROCESSES, chunksize=1) for work in (_bare, _read))
    return sum(bare), sum(read)


def _bare(settings: Settings) -> float:
    redis, month = Redis.from_url(settings.redis_url or ""), Period.holding(Grain.MONTH, settings.today())
    return _a_second(lambda account: redis.get(cache_key(account, month)))


def _read(settings: Settings) -> float:
    with Pipeline(settings) as pipeline:
        return _a_second(lambda account: pipeline.reader.get(account, Grain.MONTH))


def _a_second(call: Callable[[int], object]) -> float:
    call(1)
    started = time.perf_counter()
    for done in itertools.count():
        call(done % ACCOUNTS + 1)
        if (seconds := time.perf_counter() - started) > SECONDS:
            return done / seconds
    raise AssertionError


def show(times: dict[str, Quantiles], bare: float, read: float) -> None:
    table = Table(title="One read, in microseconds")
    for name in ("", "p50", "p99", "p50 beside the bare command"):
        table.add_column(name, justify="left" if not name else "right")
    beside = {"reader.get": "GET", "reader.get_many": "MGET of four"}
    for name, (typical, slow) in times.items():
        ratio = f"{typical / times[beside[name]][0]:.2f} (≤ {TARGET})" if name in beside else ""
        table.add_row(name, f"{typical:,.0f}", f"{slow:,.0f}", ratio)
    Console(width=100).print(table)
    print(f"{PROCESSES} processes together: {bare:,.0f} bare GETs a second, {read:,.0f} reads ({read / bare:.0%})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="expenses to compute on demand among")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mread", dir="/tmp") as home:
        settings = load_settings(home=Path(home), database_url=None, redis_url=None)
        settings = settings.model_copy(update=vars(ensure_services(settings)))
        try:
            with Pipeline(settings) as pipeline:
                pipeline.migrate()
                write_sample(
                    pipeline.engine, accounts=ACCOUNTS, months=MONTHS, today=settings.today(), zone=settings.zone
                )
                pipeline.calculate()
                pipeline.absorb_changes()
                times = hits(pipeline)
                bare, read = throughput(settings)
                times |= misses(pipeline)
        finally:
            stop_services(load_settings(home=Path(home), database_url=None, redis_url=None))
    show(times, bare, read)
    if options.rows:
        typical, slow = (microseconds / 1000 for microseconds in on_demand(options.rows))
        print(
            f"A month computed among {options.rows:,} expenses: p50 {typical:.1f} ms, p99 {slow:.1f} ms "
            f"(≤ {ON_DEMAND_TARGET_MS})"
        )


if __name__ == "__main__":
    main()
