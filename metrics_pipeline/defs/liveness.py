"""Whether a run is alive, from Dagster's run records."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg


def run_liveness(instance: dg.DagsterInstance) -> Callable[[str], bool]:
    """Tells of a run id whether that run may still be at work: known, and not finished.

    A worker that was killed is noticed by run monitoring, which then records its runs as failed.
    """

    def is_alive(run_id: str) -> bool:
        run = instance.get_run_by_id(run_id)
        return run is not None and not run.is_finished

    return is_alive


@contextmanager
def opened_liveness() -> Iterator[Callable[[str], bool]]:
    """By the runs of the instance in DAGSTER_HOME."""
    with dg.DagsterInstance.get() as instance:
        yield run_liveness(instance)
