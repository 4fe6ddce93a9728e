"""Which errors are tried again and which end a run."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from metrics_pipeline.database import may_pass
from metrics_pipeline.errors import MetricsPipelineError, TransientError

RETRY = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""Three more tries, after about 2, 6 and 14 seconds."""


@contextmanager
def retrying_transient_errors(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Ask for another try after a transient error; fail with the message of any other of our own.

    An error of PostgreSQL that no other place named counts by its own code: a deadlock passes, a broken
    query does not.

    The policy is applied here rather than set on the asset: under the in-process executor Dagster
    also tries again what a person terminates, so that a run could not be stopped.
    """
    try:
        yield
    except Exception as error:
        if (isinstance(error, TransientError) or may_pass(error)) and context.retry_number < RETRY.max_retries:
            raise dg.RetryRequested(RETRY.max_retries, RETRY.calculate_delay(context.retry_number + 1)) from error
        if isinstance(error, MetricsPipelineError):
            raise dg.Failure(str(error)) from error
        raise
