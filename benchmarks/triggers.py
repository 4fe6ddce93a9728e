"""What capturing changes costs whoever writes expenses: the same writes with and without the triggers.

Both ways take turns in one run, on one machine, on two copies of the same data. `python -m benchmarks.triggers --help`.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy.engine import make_url

from benchmarks.dataset import Dataset, plain_connection
from metrics_pipeline.database import connect_engine
from metrics_pipeline.services.postgres import EmbeddedPostgres
from metrics_pipeline.settings import load_settings
from metrics_pipeline.source.capture import detach

_COLUMNS = "email_account_id, category_id, amount, currency, status, merchant_name, transaction_date, deleted_at"
_INSERT = (
    "INSERT INTO expenses (email_account_id, category_id, amount, currency, merchant_name, transaction_date) "
    "VALUES (1 + %(number)s %% %(accounts)s, 1, 9.99, 'USD', 'Bean', now())"
)
_UPDATE = "UPDATE expenses SET amount = amount + 0.01 WHERE id = 1 + %(number)s %% %(rows)s"
_UPDATE_UNSEEN = "UPDATE expenses SET description = 'note ' || %(number)s WHERE id = 1 + %(number)s %% %(rows)s"
_WARM_UP = 50  # statements in which plans are made

console = Console()


class Writer:
    """One session that writes to a database of its own; every write returns the seconds that it took."""

    def __init__(self, url: str, dataset: Dataset) -> None:
        self._session = plain_connection(url)
        self._size = {"accounts": dataset.accounts, "rows": dataset.rows}
        self._numbers = itertools.count(7, 7919)
        with self._session.cursor().copy(f"COPY (SELECT {_COLUMNS} FROM expenses) TO STDOUT") as rows:
            self._rows = b"".join(rows)

    def copy(self) -> float:
        def work(cursor: psycopg.Cursor[Any]) -> None:
            with cursor.copy(f"COPY expenses ({_COLUMNS}) FROM STDIN") as copy:
                copy.write(self._rows)

        return self._rolled_back(work)

    def update_all(self) -> float:
        return self._rolled_back(lambda cursor: cursor.execute("UPDATE expenses SET amount = amount + 0.01"))

    def one(self, statement: str, *, durable: bool = True) -> float:
        """A statement in a transaction of its own, that waits for the disk (the default) or doesn't."""
        self._session.execute(f"SET synchronous_commit = {'on' if durable else 'off'}")
        parameters = {**self._size, "number": next(self._numbers)}
        started = time.perf_counter()
        self._session.execute(statement, parameters, prepare=True)
        return time.perf_counter() - started

    def _rolled_back(self, work: Callable[[psycopg.Cursor[Any]], object]) -> float:
        # So that no write pays for what the one before left behind.
        self._session.execute("VACUUM expenses, metrics.expense_changes")
        self._session.execute("CHECKPOINT")
        with self._session.transaction(force_rollback=True), self._session.cursor() as cursor:
            started = time.perf_counter()
            work(cursor)
            return time.perf_counter() - started


@dataclass
class Work:
    """A write, how often it is measured, and the most that triggers may multiply its time by (None: no target)."""

    name: str
    target: float | None
    times: int
    run: Callable[[Writer], float]
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"without": [], "with": []})

    def measure(self, writers: dict[str, Writer]) -> None:
        """The two take turns, first one and then the other first, so that a busy machine slows both."""
        warm_up = _WARM_UP if self.times > _WARM_UP else 0
        for turn in range(warm_up + self.times):
            for way in list(writers)[:: 1 if turn % 2 else -1]:
                taken = self.run(writers[way])
                if turn >= warm_up:
                    self.seconds[way].append(taken)

    def median(self, way: str) -> float:
        return statistics.median(self.seconds[way])

    @property
    def ratio(self) -> float:
        return self.median("with") / self.median("without")


def works(dataset: Dataset, rounds: int, statements: int) -> list[Work]:
    return [
        Work(f"COPY of {dataset.rows:,} rows", 1.3, rounds, Writer.copy),
        Work("INSERT of a row", 1.3, statements, lambda writer: writer.one(_INSERT)),
        Work("UPDATE of a row", 1.5, statements, lambda writer: writer.one(_UPDATE)),
        Work("UPDATE that no metric shows", None, statements, lambda writer: writer.one(_UPDATE_UNSEEN)),
        Work("INSERT, not waiting for the disk", None, statements, lambda writer: writer.one(_INSERT, durable=False)),
        Work("UPDATE, not waiting for the disk", None, statements, lambda writer: writer.one(_UPDATE, durable=False)),
        Work(f"UPDATE of {dataset.rows:,} rows", None, rounds, Writer.update_all),
    ]


def table(measured: list[Work], dataset: Dataset) -> Table:
    shown = Table(title=f"{dataset.rows:,} expenses of {dataset.accounts:,} accounts over two years")
    for column in ("", "without", "with triggers", "ratio", "target"):
        shown.add_column(column, justify="right" if column else "left")
    for work in measured:
        shown.add_row(
            work.name,
            _shown(work.median("without")),
            _shown(work.median("with")),
            f"{work.ratio:.2f}",
            f"≤ {work.target}" if work.target else "",
            style="bold red" if work.target and work.ratio > work.target else None,
        )
    return shown


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds > 0.1 else f"{seconds * 1e6:,.0f} µs"


def main(
    rows: Annotated[int, typer.Option(help="Expenses that are there, and that COPY adds.", min=1000)] = 100_000,
    rounds: Annotated[int, typer.Option(help="How often COPY and the large UPDATE are measured.", min=1)] = 7,
    statements: Annotated[int, typer.Option(help="How often each single-row statement is.", min=1)] = 3000,
) -> None:
    """Measure COPY, INSERT and UPDATE with and without triggers, in one table. Exit code 1: a target was missed.

    In databases of its own, on the server of METRICS_DATABASE_URL or on an embedded one under METRICS_HOME.
    """
    dataset = Dataset(rows)
    measured = works(dataset, rounds, statements)
    with _server() as server_url, _databases(server_url, dataset) as urls:
        writers = {way: Writer(url, dataset) for way, url in urls.items()}
        for work in measured:
            work.measure(writers)
            console.print(f"[dim]{work.name}: {work.ratio:.2f}")
    Console(width=100).print(table(measured, dataset))
    if any(work.target and work.ratio > work.target for work in measured):
        raise typer.Exit(1)


@contextmanager
def _server() -> Iterator[str]:
    """The configured server's URL, or that of an embedded one, which is stopped in the end."""
    settings = load_settings()
    if settings.database_url:
        yield settings.database_url
        return
    embedded = EmbeddedPostgres(settings.home / "benchmark")
    try:
        yield embedded.ensure()
    finally:
        embedded.stop()


@contextmanager
def _databases(server_url: str, dataset: Dataset) -> Iterator[dict[str, str]]:
    """Two copies of the data set, without and with triggers; dropped in the end."""
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("Writing expenses", total=dataset.rows)
        dataset.ensure(server_url, lambda done, _: bar.update(task, completed=done))
    names = {way: f"metrics_benchmark_{way}_triggers" for way in ("without", "with")}
    urls = {
        way: make_url(server_url).set(database=name).render_as_string(hide_password=False)
        for way, name in names.items()
    }
    with plain_connection(server_url) as server:
        for name in names.values():
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {name} TEMPLATE {dataset.database}")
        engine = connect_engine(urls["without"])
        with engine.begin() as connection:
            detach(connection)
        engine.dispose()
        yield urls
        for name in names.values():
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    typer.run(main)
