"""What is done to a database before something is measured in it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

from benchmarks.dataset import plain_connection
from metrics_pipeline.changes.absorb import mark
from metrics_pipeline.cli.findings import COVERING_INDEX
from metrics_pipeline.periods import Period
from metrics_pipeline.pipeline import Pipeline


def mark_stale(pipeline: Pipeline, periods: Sequence[Period], account_ids: Sequence[int]) -> None:
    """Mark these periods of these accounts, as a change would."""
    at = datetime.now(timezone.utc)
    with pipeline.engine.begin() as connection:
        mark(connection, {(account_id, period): (at, at) for account_id in account_ids for period in periods})
    gc.collect()


def vacuum(pipeline: Pipeline) -> None:
    """Vacuum the store, else autovacuum would, beside what is measured."""
    assert pipeline.settings.database_url
    with plain_connection(pipeline.settings.database_url) as connection:
        connection.execute("VACUUM ANALYZE metrics.period_metrics")


@contextmanager
def covering_index(pipeline: Pipeline) -> Iterator[None]:
    """The index that `check` recommends for large tables."""
    assert pipeline.settings.database_url
    with plain_connection(pipeline.settings.database_url) as connection:
        connection.execute(COVERING_INDEX.replace(" ON ", " covering ON ", 1))
        try:
            yield
        finally:
            connection.execute("DROP INDEX covering")
