from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from metrics_pipeline.periods import Grain, periods_between
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.reconciliation.findings import ReconcileRequest, Reconciliation
from metrics_pipeline_tests.world import NOW, TODAY, World

FIRST = date(2026, 1, 1)
EVERY_PERIOD = [period for grain in Grain for period in periods_between(grain, FIRST, TODAY)]


class Unwatched(World):
    """A world whose expenses are also changed behind the triggers' back."""

    def unseen(self, *statements: str, **parameters: Any) -> None:
        """Run statements as a restored dump or a replica does: no trigger fires, no foreign key is checked."""
        with self.pipeline.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                connection.execute(text(statement), parameters)

    def compute_everything(self) -> None:
        self.absorb()
        self.pipeline.refresh(RefreshRequest(EVERY_PERIOD, TODAY))
        self.settle()

    def reconcile(self, **request: Any) -> Reconciliation:
        return self.pipeline.reconcile(ReconcileRequest(**request), NOW)

    def found(self, **request: Any) -> dict[str, int]:
        """What is found, without repairing it: kinds with their numbers."""
        return {kind: count for kind, count in self.reconcile(repair=False, **request).found.items() if count}


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[Unwatched]:
    """Three accounts that spend every fifth day of 2026, with every period since then computed and published."""
    settings = settings.model_copy(update={"start_date": FIRST})
    with Pipeline(settings) as pipeline:
        made = Unwatched(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 3) n")
        made.sql("INSERT INTO categories (id, name) VALUES (1, 'Food'), (2, 'Travel')")
        made.unseen(  # days without expenses have no marks, and so no payloads
            "INSERT INTO expenses (email_account_id, category_id, amount, currency, merchant_name, transaction_date) "
            "SELECT account, 1 + day % 2, 10 * account + day, 'USD', 'shop ' || day % 3, "
            "timestamptz '2026-01-02 12:00+00' + day * interval '5 days' "
            "FROM generate_series(1, 3) account, generate_series(0, 14) day"
        )
        pipeline.tend_cache(NOW)
        made.compute_everything()
        yield made
