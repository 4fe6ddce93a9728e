"""The computation at scale, held against the bare aggregation and against what people do instead.

Every ratio is of medians from one run of this command on one machine. `python -m benchmarks.compute --help`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.dataset import FIRST, Dataset, Shape
from benchmarks.parts import PARTS, Benchmark
from benchmarks.results import console
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.services.embedded import ensure_services, stop_services
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.settings import Settings, load_settings

_SMALLER = 1_000_000
"""Expenses of the data set that refreshes of few accounts are compared with: their work should not grow."""


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
    sets = [dataset, *([Dataset(_SMALLER, shape)] if rows > _SMALLER else [])]
    gc.freeze()  # as `definitions` does in a run's process
    with servers(sets) as settings, ExitStack() as stack:
        pipelines = [stack.enter_context(Pipeline(each)) for each in settings]
        benchmark = Benchmark(pipelines[0], dataset, runs, (pipelines[1], sets[1]) if sets[1:] else None)
        for name in PARTS:
            if not part or name in (*part, "floor"):
                getattr(benchmark, name)()
        benchmark.floor()
        Console(width=240).print(benchmark.results.table())
        if json_file:
            benchmark.results.write_json(json_file)


@contextmanager
def servers(sets: list[Dataset]) -> Iterator[list[Settings]]:
    """Settings for each filled database and an empty Redis; embedded servers are stopped in the end."""
    given = load_settings()
    home = given.home / "benchmark"
    settings = given.model_copy(update={"home": home, "redis_url": EmbeddedRedis(home).ensure()})
    try:
        urls = ensure_services(settings)
        yield [
            load_settings(
                home=home, database_url=_filled(each, urls.database_url), redis_url=urls.redis_url, timezone="UTC",
                start_date=FIRST, excluded_statuses="failed,duplicate",
            )
            for each in sets
        ]  # fmt: skip
    finally:
        stop_services(settings)


def _filled(dataset: Dataset, server_url: str) -> str:
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("Writing expenses", total=dataset.rows)
        return dataset.ensure(server_url, lambda done, _: bar.update(task, completed=done))


if __name__ == "__main__":
    typer.run(main)
