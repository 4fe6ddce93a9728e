from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from metrics_pipeline.cli.application import flowing
from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import AsJson
from metrics_pipeline.cli.output import console, print_json, progress_bar
from metrics_pipeline.cli.words import ago

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metrics_pipeline.cache.held_locks import HeldLock
    from metrics_pipeline.pipeline import Pipeline

HELP = flowing(
    """List the periods that runs are computing now, with run, host and times.

    A run renews its locks every 10 seconds and gives them back at its end. One that was killed leaves
    them for up to a minute; `locks clear-stale` clears them at once."""
)

app = typer.Typer(invoke_without_command=True)


@app.callback()
def locks(context: typer.Context, as_json: AsJson = False) -> None:
    if context.invoked_subcommand:
        return
    from metrics_pipeline.cache.held_locks import list_locks

    now = datetime.now(timezone.utc)
    with opened_pipeline() as pipeline:
        held = list_locks(pipeline.redis, now)
    if as_json:
        print_json([_shown(lock) for lock in held])
    elif held:
        _print(held, now)
    else:
        console.print("No period is locked: nothing is being computed.")


@app.command(
    "clear-stale",
    help=flowing(
        """Clear the locks that outlived their run.

        Those that missed a renewal and whose run Dagster does not know, or knows to be finished. A lock of a
        run at work stays, however old it is."""
    ),
)
def clear_stale(as_json: AsJson = False) -> None:
    from metrics_pipeline.cache.held_locks import clear_lock, list_locks, stale_locks

    now = datetime.now(timezone.utc)
    with opened_pipeline() as pipeline:
        held = list_locks(pipeline.redis, now)
        with _liveness(pipeline) as is_alive:
            stale = stale_locks(held, is_alive, now)
        cleared = [lock for lock in stale if clear_lock(pipeline.redis, lock)]
    if as_json:
        print_json([_shown(lock) for lock in cleared])
        return
    for lock in cleared:
        # As Text: rich draws a padlock for the `:lock:` in a key.
        console.print(Text(f"Cleared {lock.key} of run {lock.holder}"), soft_wrap=True)
    if not cleared:
        console.print(f"No lock is stale; {len(held)} held.")


@contextmanager
def _liveness(pipeline: Pipeline) -> Iterator[Callable[[str], bool]]:
    """By the runs of the instance that `run` and `up` use."""
    with progress_bar("Opening Dagster's records"):
        from metrics_pipeline.defs.liveness import opened_liveness
        from metrics_pipeline.services import enter_dagster_home

        enter_dagster_home(pipeline.settings)
    with opened_liveness() as is_alive:
        yield is_alive


def _shown(lock: HeldLock) -> dict[str, Any]:
    return {
        "key": lock.key,
        "grain": lock.period.grain if lock.period else None,
        "period_start": lock.period.key if lock.period else None,
        "shard": str(lock.shard) if lock.shard else None,
        "holder": lock.holder,
        "host": lock.host,
        "since": lock.since,
        "renewed_at": lock.renewed_at,
        "remaining_seconds": lock.remaining_seconds,
    }


def _print(held: list[HeldLock], now: datetime) -> None:
    from rich.table import Table

    def age(at: datetime | None) -> str:
        return ago((now - at).total_seconds()) if at else "unknown"

    table = Table(box=None, pad_edge=False)
    for title in ("Period", "Held by", "On", "Since", "Renewed", "Lease left"):
        table.add_column(title, overflow="fold")
    for lock in held:
        left = "for ever" if lock.remaining_seconds is None else f"{lock.remaining_seconds:.0f} s"
        period = f"{lock.period or lock.key}" + (f", shard {lock.shard}" if lock.shard else "")
        cells = (period, lock.holder, lock.host or "unknown", age(lock.since), age(lock.renewed_at), left)
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
