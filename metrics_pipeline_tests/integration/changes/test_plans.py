"""PostgreSQL's plans: of statements that were first used when a table was empty, or was counted when it was."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, text

from metrics_pipeline.changes.keys import as_arrays
from metrics_pipeline.changes.marks import Marks, clear_marks, read_marks
from metrics_pipeline.database import driver
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.sql import driver_query, query
from metrics_pipeline.store.reading import servable_heads
from metrics_pipeline_tests.world import CURRENT, TODAY, World, mark_stale

USES = 12
"""The driver prepares a statement that is used for the sixth time; five uses later PostgreSQL keeps a plan of it."""

STORED = range(1000, 3000)
MARKED = range(1000, 2000)
FILL = f"""
INSERT INTO metrics.period_metrics
SELECT (jsonb_populate_record(stored, jsonb_build_object('account_id', n))).*
FROM one_row AS stored, generate_series({STORED.start}, {STORED.stop - 1}) AS n
"""


def looked_at(connection: Connection, table: str) -> int:
    """How many rows of a table this transaction has read, with an index or without."""
    statistics = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = CAST(:t AS regclass)"
    return connection.execute(text(statistics), {"t": table}).scalar_one()


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
        assert looked_at(connection, "metrics.period_metrics") < 2 * len(STORED)


@pytest.fixture
def counted_while_empty(world: World) -> World:
    """Many marks since PostgreSQL last counted them, when all that there were had been removed."""
    mark_stale(world.pipeline, CURRENT, range(1000, 1100))
    world.sql("DELETE FROM metrics.stale_periods")
    world.sql("ANALYZE metrics.stale_periods")
    mark_stale(world.pipeline, CURRENT, MARKED)
    return world


def test_marks_are_removed_without_comparing_each_with_all(
    counted_while_empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh of a thousand accounts took half a second longer for each chunk, as autovacuum happened to come."""
    plans = []

    def explained(connection: Connection, name: str, wanted: dict[str, object]) -> list[Any]:
        [[plan]] = driver(connection).execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {driver_query(name)}", wanted)
        plans.extend(plan)
        return []

    engine = counted_while_empty.pipeline.engine
    with engine.connect() as connection:
        marks = read_marks(connection, CURRENT, None)
        some = Marks({key: token for key, token in marks.tokens.items() if key[1] == CURRENT[0]})
        with monkeypatch.context() as patch:
            patch.setattr("metrics_pipeline.changes.marks.rows_of", explained)
            clear_marks(engine, some)
        assert [compared(plan["Plan"]) < len(marks.tokens) for plan in plans] == [True]
        assert read_marks(connection, CURRENT, None).tokens.keys() == marks.tokens.keys() - some.tokens.keys()


def compared(plan: dict[str, Any]) -> int:
    """How many pairs of rows the joins of a plan compared in vain."""
    children = sum(compared(child) for child in plan.get("Plans", ()))
    return children + plan.get("Rows Removed by Join Filter", 0) * plan["Actual Loops"]


def test_what_may_be_served_is_found_without_comparing_each_payload_with_all_marks(counted_while_empty: World) -> None:
    """The hourly run took a minute longer."""
    world = counted_while_empty
    world.pipeline.refresh(RefreshRequest(CURRENT, TODAY, [1]))
    with world.pipeline.engine.begin() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE one_row AS SELECT * FROM metrics.period_metrics LIMIT 1"))
        connection.execute(text(FILL))
        heads = servable_heads(connection, CURRENT, fingerprint(world.pipeline.settings), TODAY, None)
        assert {key[0] for key, _ in heads} - {1} == set(STORED) - set(MARKED)
        assert looked_at(connection, "metrics.stale_periods") < 3 * len(MARKED) * len(CURRENT)
