"""How PostgreSQL keeps the tables: vacuumed before they grow, and payloads compressed only where they have to be."""

from __future__ import annotations

import pytest
from sqlalchemy import text


def test_dead_rows_are_vacuumed_by_number_in_queues_and_by_a_small_share_in_the_store(database):
    with database.engine.begin() as connection:
        rows = connection.execute(
            text(
                "SELECT relname, reloptions FROM pg_class WHERE relnamespace = CAST('metrics' AS regnamespace) "
                "AND relname IN ('expense_changes', 'stale_periods', 'cache_drops', 'period_metrics')"
            )
        )
        options = {row.relname: set(row.reloptions or ()) for row in rows}
    store = options.pop("period_metrics")
    assert "autovacuum_vacuum_scale_factor=0.02" in store
    queue = {"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_threshold=5000"}
    assert len(options) == 3
    assert all(queue <= found for found in options.values())


@pytest.mark.parametrize(("kilobytes", "compressed"), [(1, False), (4, False), (7, False), (20, True)])
def test_payloads_are_compressed_only_where_they_would_not_fit_a_page(database, kilobytes, compressed):
    with database.engine.begin() as connection:
        stored = connection.execute(
            text(
                "INSERT INTO metrics.period_metrics (account_id, grain, period_start, payload, version, as_of, "
                "is_current, fingerprint, content_hash, expense_count, transaction_count, computed_at, computed_by) "
                "VALUES (1, 'month', '2026-03-01', CAST(:payload AS json), 1, '2026-03-31', false, '', '', 0, 0, "
                "now(), 'manual')"
            ),
            {"payload": f'"{"repeated " * (kilobytes * 1024 // 9)}"'},
        )
        assert stored.rowcount == 1
        size = connection.execute(text("SELECT pg_column_size(payload) FROM metrics.period_metrics")).scalar_one()
    assert (size < kilobytes * 512) == compressed
