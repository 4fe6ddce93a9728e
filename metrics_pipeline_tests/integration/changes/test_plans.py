"""PostgreSQL's plans: of statements that were first used when the store was empty."""

from __future__ import annotations

from sqlalchemy import text

from metrics_pipeline.changes.keys import as_arrays
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.sql import query
from metrics_pipeline_tests.world import CURRENT, TODAY, World

USES = 12
"""The driver prepares a statement that is used for the sixth time; five uses later PostgreSQL keeps a plan of it."""

FILL = """
INSERT INTO metrics.period_metrics
SELECT (jsonb_populate_record(stored, jsonb_build_object('account_id', n))).*
FROM one_row AS stored, generate_series(1000, 2999) AS n
"""
STORED = 2000
READ_ROW_BY_ROW = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relid = 'metrics.period_metrics'::regclass"


def test_no_plan_is_kept_from_when_the_store_was_empty(world: World) -> None:
    """Filling an empty store that autovacuum had just looked at read all of its rows for each key of each chunk."""
    world.pipeline.refresh(RefreshRequest(CURRENT, TODAY, [1]))
    wanted = as_arrays([(account_id, period) for account_id in range(1000, 1500) for period in CURRENT])
    with world.pipeline.engine.connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE one_row AS SELECT * FROM metrics.period_metrics LIMIT 1"))
        connection.execute(text("TRUNCATE metrics.period_metrics"))
        connection.execute(text("ANALYZE metrics.period_metrics"))
        connection.commit()
        for _ in range(USES):
            connection.execute(query("stored_heads"), wanted)
        connection.commit()
        connection.execute(text(FILL))
        connection.commit()
        heads = connection.execute(query("stored_heads"), wanted).all()
        assert sum(head.version is not None for head in heads) == 500
        assert connection.execute(text(READ_ROW_BY_ROW)).scalar_one() < 2 * STORED
