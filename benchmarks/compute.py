"""The computation at scale, held against the bare aggregation and against what people do instead.

Every ratio is of medians from one run of this command on one machine. `python -m benchmarks.compute --help`.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import alternatives, publishing
from benchmarks.dataset import FIRST, TODAY, Dataset, Shape, plain_connection
from benchmarks.measure import Measured, Meter
from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.periods import Grain, Period, warm_window
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome, RefreshRequest
from metrics_pipeline.services.embedded import ensure_services, stop_services
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.settings import Settings, load_settings

MONTH, YEAR = Period(Grain.MONTH, date(2025, 12, 1)), Period(Grain.YEAR, date(2025, 1, 1))
HOURLY = [period for grain in Grain for period in warm_window(grain, TODAY)]
CURRENT = [Period.holding(grain, TODAY) for grain in Grain]

_FLOOR = """
SELECT email_account_id, count(*), sum(amount) FROM expenses
WHERE deleted_at IS NULL AND transaction_date >= %s AND transaction_date < %s GROUP BY 1
"""
_SAMPLE_OF_ACCOUNTS = 100
_PUBLISHED = 50_000

console = Console()


class Benchmark:
    """Measures one data set and keeps the lines of the table."""

    def __init__(self, pipeline: Pipeline, dataset: Dataset, runs: int) -> None:
        assert pipeline.settings.database_url
        self._pipeline, self._dataset, self._runs = pipeline, dataset, runs
        self._plain = plain_connection(pipeline.settings.database_url)
        self._meter = Meter(self._plain, pipeline.redis)
        self.results: dict[str, Measured] = {}
        self.floors: dict[str, str] = {}
        self.notes: dict[str, str] = {}

    def floor(self) -> None:
        for name, first, end in (
            ("floor: month", MONTH.start, MONTH.end),
            ("floor: year", YEAR.start, YEAR.end),
            ("floor: two years", FIRST, YEAR.end),
        ):
            work = partial(self._query, _FLOOR, (first, end))
            work()  # so that the data is in memory, as it is for what comes after
            self._keep(name, self._meter.measure(self._runs, work))

    def whole_table(self) -> None:
        """Everybody's periods: into an empty store, and again with nothing changed."""
        for name, periods, floor in (
            ("month", [MONTH], "floor: month"),
            ("year", [YEAR], "floor: year"),
            ("hourly set", HOURLY, "floor: two years"),
        ):
            request = RefreshRequest(periods, TODAY)
            self._refresh(name, request, floor, empty=True)
            self._refresh(f"{name}, unchanged", request, floor)

    def few_accounts(self) -> None:
        """The current day, week, month and year of some accounts, stored and published anew."""
        for count in (1, 10, 100, 1000):
            if count <= self._dataset.accounts:
                step = self._dataset.accounts // count
                ids = range(1, self._dataset.accounts + 1, step)[:count]
                name = f"refresh of {count} accounts" if count > 1 else "refresh of 1 account"
                self._refresh(name, RefreshRequest(CURRENT, TODAY, ids, "refresh", force=True))
                self.notes[name] += f"; target {25 + 1.5 * count:.0f} ms"

    def publishing(self) -> None:
        payloads = self._pipeline.export(grains=[Grain.MONTH, Grain.WEEK])
        rounds = publishing.Rounds(
            [
                (cache_key(p.account_id, Period(p.grain, p.period_start)), p.model_dump_json(by_alias=True).encode())
                for p, _ in zip(payloads, range(_PUBLISHED), strict=False)
            ]
        )
        redis, entries = self._pipeline.redis, rounds.entries()
        count = len(entries)
        for name, work, prepare in (
            ("publish, versions checked", partial(publishing.checked, redis), rounds.entries),
            ("publish, plain SET", partial(publishing.plain, redis), rounds.entries),
        ):
            measured = [self._measure_prepared(work, prepare) for _ in range(self._runs)]
            best = sorted(measured, key=lambda each: each.seconds)[len(measured) // 2]
            self._keep(name, best, note=f"{count / best.seconds:,.0f} payloads/s")
        batches = publishing.encoded(entries)
        found = self._meter.measure(self._runs, partial(publishing.stream, redis, batches, count))
        self._keep("publish, SET encoded beforehand", found, note=f"{count / found.seconds:,.0f} payloads/s")

    def alternatives(self) -> None:
        pairs = len(HOURLY) * self._dataset.accounts
        sample = range(1, min(_SAMPLE_OF_ACCOUNTS, self._dataset.accounts) + 1)
        found = self._meter.measure(1, partial(alternatives.seven_queries, self._plain, sample, HOURLY))
        scale = self._dataset.accounts / len(sample)
        self._keep(
            "seven queries a period",
            Measured(found.seconds * scale, found.python_cpu * scale, None, None, found.peak),
            floor="floor: two years",
            note=f"hourly set; extrapolated from {len(sample)} of {self._dataset.accounts} accounts, {pairs:,} periods",
        )
        self._query(alternatives.INCREMENTAL_MODEL)
        replace = partial(alternatives.delete_and_insert, self._plain, MONTH.start, MONTH.end)
        replace()
        self._keep(
            "incremental SQL model", self._meter.measure(self._runs, replace), floor="floor: month", note="a month"
        )
        self._query(alternatives.MATERIALIZED_VIEW)
        for name, statement in (
            ("materialized view", alternatives.REFRESH),
            ("materialized view, concurrently", alternatives.REFRESH_CONCURRENTLY),
        ):
            found = self._meter.measure(1, partial(self._query, statement))
            self._keep(name, found, floor="floor: two years", note="months by category: count, sum, min, max only")
        self._query("DROP MATERIALIZED VIEW monthly_by_category; DROP TABLE monthly_model")

    def _refresh(self, name: str, request: RefreshRequest, floor: str | None = None, *, empty: bool = False) -> None:
        outcomes: list[Outcome] = []

        def refresh() -> Outcome:
            outcomes.append(self._pipeline.refresh(request))
            return outcomes[-1]

        found = self._meter.measure(
            self._runs, refresh, before=self._empty_store if empty else gc.collect, phases=lambda done: done.seconds
        )
        done = outcomes[-1]
        self._keep(
            name,
            found,
            floor,
            f"{done.payloads:,} payloads, {done.rewritten:,} rewritten, {done.rows_read:,} rows, "
            f"{done.bytes_published / 1e6:,.0f} MB",
        )

    def _empty_store(self) -> None:
        gc.collect()
        self._query("TRUNCATE metrics.period_metrics")
        self._query("CHECKPOINT")

    def _measure_prepared(self, work: partial[None], prepare: object) -> Measured:
        assert callable(prepare)
        return self._meter.measure(1, partial(work, prepare()))

    def _query(self, statement: str, values: tuple[object, ...] = ()) -> None:
        cursor = self._plain.execute(statement, values or None)
        if cursor.description:
            cursor.fetchall()

    def _keep(self, name: str, found: Measured, floor: str | None = None, note: str = "") -> None:
        self.results[name], self.notes[name] = found, note
        if floor:
            self.floors[name] = floor
        console.print(f"[dim]{name}: {found.seconds:.3f} s  {note}")

    def ratio(self, name: str) -> float | None:
        floor = self.floors.get(name)
        return self.results[name].seconds / self.results[floor].seconds if floor in self.results else None

    def table(self) -> Table:
        phases = ("pull", "sort", "compute", "assemble", "store", "publish")
        shown = Table(
            title=f"{self._dataset.rows:,} expenses, {self._dataset.accounts:,} accounts, {self._dataset.shape}"
        )
        for column in ("", "seconds", "x floor", *phases, "CPU Python", "PostgreSQL", "Redis", "peak MB", ""):
            shown.add_column(column, justify="left" if column == "" else "right")
        for name, found in self.results.items():
            ratio = self.ratio(name)
            shown.add_row(
                name,
                f"{found.seconds:.3f}",
                f"{ratio:.1f}" if ratio else "",
                *(f"{found.phases[phase]:.3f}" if phase in found.phases else "" for phase in phases),
                f"{found.python_cpu:.2f}",
                "" if found.postgres_cpu is None else f"{found.postgres_cpu:.2f}",
                "" if found.redis_cpu is None else f"{found.redis_cpu:.2f}",
                f"{found.peak / 2**20:,.0f}",
                self.notes[name],
            )
        return shown


PARTS = ("floor", "whole_table", "few_accounts", "publishing", "alternatives")


def main(
    rows: Annotated[int, typer.Option(help="Expenses, a thousand an account.", min=1000)] = 1_000_000,
    shape: Annotated[Shape, typer.Option(help="All accounts alike, or the largest with a tenth of all rows.")] = "even",
    runs: Annotated[int, typer.Option(help="Of how many runs each figure is the median.", min=1)] = 3,
    part: Annotated[
        list[str] | None, typer.Option(help=f"Only these, the floor always: {', '.join(PARTS[1:])}.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")] = None,
) -> None:
    """Measure floor, month, year, hourly set, refreshes, publishing and the alternatives, in one table.

    The data set is built once, in a database of its own, on the server of METRICS_DATABASE_URL or on an
    embedded one under METRICS_HOME. Redis is always an embedded one: an application's keys are left alone.
    """
    unknown = set(part or ()) - set(PARTS)
    if unknown:
        raise typer.BadParameter(f"no such part: {', '.join(sorted(unknown))}", param_hint="--part")
    dataset = Dataset(rows, shape)
    with _servers(dataset) as settings, Pipeline(settings) as pipeline:
        benchmark = Benchmark(pipeline, dataset, runs)
        for name in PARTS:
            if not part or name in (*part, "floor"):
                getattr(benchmark, name)()
        Console(width=220).print(benchmark.table())
        if json_file:
            figures = {
                name: {**asdict(found), "ratio": benchmark.ratio(name), "note": benchmark.notes[name]}
                for name, found in benchmark.results.items()
            }
            json_file.write_text(json.dumps(figures, indent=1))


@contextmanager
def _servers(dataset: Dataset) -> Iterator[Settings]:
    """Settings for the filled database and an empty Redis; embedded servers are stopped in the end."""
    given = load_settings()
    home = given.home / "benchmark"
    settings = given.model_copy(update={"home": home, "redis_url": EmbeddedRedis(home).ensure()})
    try:
        urls = ensure_services(settings)
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("Writing expenses", total=dataset.rows)
            url = dataset.ensure(urls.database_url, lambda done, _: bar.update(task, completed=done))
        yield load_settings(
            home=home, database_url=url, redis_url=urls.redis_url, timezone="UTC", start_date=FIRST,
            excluded_statuses="failed,duplicate",
        )  # fmt: skip
    finally:
        stop_services(settings)


if __name__ == "__main__":
    typer.run(main)
