"""Runs that a command leaves to the instance that `up` serves, and what came of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from metrics_pipeline.cli.output import print_json, progress_bar, remark

if TYPE_CHECKING:
    from metrics_pipeline.periods import Period
    from metrics_pipeline.pipeline import Pipeline
    from metrics_pipeline.planning.request import Outcome
    from metrics_pipeline.planning.shards import Shard
    from metrics_pipeline.settings import Settings

Here = Annotated[bool, typer.Option("--here", help="Compute in this process, also while `up` runs.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Submit the runs to `up`, print their ids, and end.")]


def left_to_up(settings: Settings, *, here: bool, no_wait: bool) -> bool:
    """Whether the work goes to a running `up`. Raises ConfigurationError when it must and none runs."""
    from metrics_pipeline.errors import ConfigurationError
    from metrics_pipeline.services import is_up

    if here and no_wait:
        raise ConfigurationError("Choose one: --here computes in this process, --no-wait leaves it to `up`.")
    if here:
        return False
    if is_up(settings):
        return True
    if no_wait:
        raise ConfigurationError(f"Nothing runs for {settings.home} that could be left the work: start `up` first.")
    return False


def submit_runs(
    pipeline: Pipeline,
    periods: Iterable[Period],
    *,
    account_ids: Sequence[int] | None,
    force: bool,
    shard: Shard | None = None,
    only_stale: bool,
    trigger: Literal["manual", "refresh"],
    wait: bool,
    as_json: bool,
) -> list[Outcome] | None:
    """Submit one run for each stretch of periods, and wait for them; None without waiting: the ids are then printed.

    Interrupted, it leaves the runs running and says so. Raises RunFailed.
    """
    with progress_bar("Submitting to the running instance") as bar:
        from metrics_pipeline.defs import submitting
        from metrics_pipeline.defs.assets import MaterializeConfig
        from metrics_pipeline.planning.stretches import stretches
        from metrics_pipeline.services import enter_dagster_home
        from metrics_pipeline.services.dagster_home import WORKSPACE

        settings, started = pipeline.settings, time.monotonic()
        enter_dagster_home(settings)
        config = MaterializeConfig(
            account_ids=list(account_ids) if account_ids else None,
            force_refresh=force,
            only_stale=only_stale,
            shard=str(shard) if shard else None,
        )
        with submitting.opened_instance(str(WORKSPACE)) as (instance, workspace):
            submitted = submitting.submit(instance, workspace, stretches(periods), config, trigger)
            where = f"http://127.0.0.1:{settings.dagster_port}/runs"
            if not wait:
                _print_ids(list(submitted), where, as_json)
                return None
            try:
                runs = submitting.wait_for(instance, submitted, bar.say)
            except KeyboardInterrupt:
                remark(f"{len(submitted)} runs go on without this command; see {where}.")
                raise
    outcomes = [run.outcome for run in runs]
    remark(f"{len(runs)} runs of the running instance took {time.monotonic() - started:.1f} s; see {where}.")
    return outcomes


def _print_ids(run_ids: list[str], where: str, as_json: bool) -> None:
    if as_json:
        print_json({"runs": run_ids})
        return
    for run_id in run_ids:
        typer.echo(run_id)
    remark(f"{len(run_ids)} runs are in the queue; see {where}.")


def summed(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcomes of runs of the same accounts as one."""
    from metrics_pipeline.planning.request import Outcome

    total = Outcome()
    for one in outcomes:
        total.accounts = max(total.accounts, one.accounts)
        for count in _COUNTS:
            setattr(total, count, getattr(total, count) + getattr(one, count))
        total.payloads_by_period |= one.payloads_by_period
        for phase, seconds in one.seconds.items():
            total.seconds[phase] = total.seconds.get(phase, 0.0) + seconds
    return total


_COUNTS = (
    "rows_read",
    "payloads",
    "rewritten",
    "published",
    "superseded",
    "left_out",
    "bytes_published",
    "chunks_retried",
)
