"""Attaching, detaching, and telling whether changes are captured."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import Connection, text

from metrics_pipeline.errors import ConcurrentUpdate
from metrics_pipeline.migrations.apply import migrate
from metrics_pipeline.source import capture
from metrics_pipeline.source.capture import attach, capture_state, detach
from metrics_pipeline_tests.ledger import Ledger

EXPENSE_TABLES = ("email_accounts", "categories", "expenses", "budgets", "budget_categories")

# Everything that pg_dump would print of these tables, and their rows.
DESCRIPTION = """
SELECT attrelid::regclass::text, 'column', attname::text, format_type(atttypid, atttypmod) || attnotnull, attacl::text
FROM pg_attribute WHERE attrelid = ANY(CAST(:tables AS regclass[])) AND attnum > 0
UNION ALL
SELECT conrelid::regclass::text, 'constraint', conname::text, pg_get_constraintdef(oid), null
FROM pg_constraint WHERE conrelid = ANY(CAST(:tables AS regclass[]))
UNION ALL
SELECT indrelid::regclass::text, 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), null
FROM pg_index WHERE indrelid = ANY(CAST(:tables AS regclass[]))
UNION ALL
SELECT tgrelid::regclass::text, 'trigger', tgname::text, pg_get_triggerdef(oid), tgenabled::text
FROM pg_trigger WHERE tgrelid = ANY(CAST(:tables AS regclass[])) AND NOT tgisinternal
UNION ALL
SELECT oid::regclass::text, 'table', relkind::text || relpersistence::text || relreplident::text,
    relowner::regrole::text || relrowsecurity, relacl::text || reloptions::text
FROM pg_class WHERE oid = ANY(CAST(:tables AS regclass[]))
UNION ALL
SELECT adrelid::regclass::text, 'default', adnum::text, pg_get_expr(adbin, adrelid), null
FROM pg_attrdef WHERE adrelid = ANY(CAST(:tables AS regclass[]))
ORDER BY 1, 2, 3
"""
FUNCTIONS = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'metrics'::regnamespace"
TRIGGERS = "SELECT oid, tgname FROM pg_trigger WHERE tgname LIKE 'metrics_pipeline%' ORDER BY oid"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_PATIENCE", 0.5)


def describe(connection: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(DESCRIPTION), {"tables": list(EXPENSE_TABLES)})]


def state(ledger: Ledger) -> list[str]:
    with ledger.engine.connect() as connection:
        problems = capture_state(connection)
    assert {problem.to_do for problem in problems} <= {"Run `metrics-pipeline migrate`."}
    return [problem.message for problem in problems]


def test_detaching_leaves_tables_that_never_had_triggers_exactly_as_they_were(ledger: Ledger, other: Any) -> None:
    """A trigger of the user's own, also one with our prefix, stays."""
    other.execute(text("CREATE SCHEMA app"))
    for table in EXPENSE_TABLES:
        other.execute(text(f"CREATE TABLE app.{table} (LIKE {table} INCLUDING ALL)"))
    other.execute(
        text(
            """
            SET LOCAL search_path = app;
            CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
            CREATE TRIGGER metrics_pipeline_own AFTER INSERT ON expenses EXECUTE FUNCTION own();
            ALTER TABLE expenses DISABLE TRIGGER metrics_pipeline_own;
            ALTER TABLE budgets SET (fillfactor = 80)"""
        )
    )
    before = describe(other)
    attach(other)
    assert len(describe(other)) == len(before) + 17
    detach(other)
    assert describe(other) == before
    other.rollback()


def test_after_detaching_nothing_is_logged_and_nothing_of_it_is_left(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        detach(connection)
    ledger.run("UPDATE expenses SET amount = 77; UPDATE budgets SET amount = 77; TRUNCATE budget_categories")
    assert ledger.logged() == []
    assert ledger.one(FUNCTIONS) == 0
    assert ledger.rows(TRIGGERS) == []
    with ledger.engine.begin() as connection:
        detach(connection)


def test_a_trigger_is_detached_also_from_a_table_that_was_moved(ledger: Ledger) -> None:
    ledger.run("ALTER TABLE expenses RENAME TO spent")
    with ledger.engine.begin() as connection:
        detach(connection)
    assert ledger.rows(TRIGGERS) == []


def test_migrating_attaches_again(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        detach(connection)
    assert len(state(ledger)) == 17
    migrate(ledger.engine)
    assert state(ledger) == []
    ledger.run("UPDATE expenses SET amount = 77")
    assert len(ledger.logged()) == 2


def test_attaching_what_is_attached_touches_nothing(ledger: Ledger, other: Any) -> None:
    """A writer that has been at it for long does not hold up a migration that has nothing to do."""
    catalog = "SELECT xmin, oid FROM pg_proc WHERE proname LIKE 'capture%' ORDER BY oid"
    before = ledger.rows(TRIGGERS), ledger.rows(catalog)
    other.execute(text("UPDATE expenses SET amount = 77"))
    migrate(ledger.engine)
    assert (ledger.rows(TRIGGERS), ledger.rows(catalog)) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP TRIGGER metrics_pipeline_update ON expenses", "is missing: what UPDATE changes"),
        ("ALTER TABLE expenses DISABLE TRIGGER metrics_pipeline_update", "is disabled: what UPDATE changes"),
        ("ALTER TABLE expenses ENABLE REPLICA TRIGGER metrics_pipeline_update", "is enabled for replicated rows only"),
    ],
)
def test_a_trigger_that_does_not_fire_is_reported_and_mended(ledger: Ledger, change: str, told: str) -> None:
    assert state(ledger) == []
    ledger.run(change)
    (problem,) = state(ledger)
    assert problem.startswith("Trigger metrics_pipeline_update on ")
    assert told in problem
    migrate(ledger.engine)
    assert state(ledger) == []
    ledger.run("UPDATE expenses SET amount = 77")
    assert len(ledger.logged()) == 2


def test_a_trigger_that_always_fires_is_fine_and_stays_so(ledger: Ledger) -> None:
    ledger.run("ALTER TABLE expenses ENABLE ALWAYS TRIGGER metrics_pipeline_update")
    assert state(ledger) == []
    migrate(ledger.engine)
    assert ledger.rows("SELECT count(*) FROM pg_trigger WHERE tgenabled = 'A'") == [(1,)]


def test_a_new_table_of_the_old_name_is_reported_and_attached(ledger: Ledger) -> None:
    ledger.run("ALTER TABLE expenses RENAME TO old_expenses; CREATE TABLE expenses (LIKE old_expenses INCLUDING ALL)")
    assert len(state(ledger)) == 4
    migrate(ledger.engine)
    assert state(ledger) == []


def test_a_function_for_tables_as_they_were_is_reported_and_replaced(ledger: Ledger) -> None:
    """It names a column that is gone: every update would be missed."""
    ledger.run("ALTER TABLE expenses RENAME COLUMN merchant_name TO merchant")
    (problem,) = state(ledger)
    assert problem.startswith("Function metrics.capture_expenses_update is of another version")
    migrate(ledger.engine)
    ledger.run("UPDATE expenses SET amount = 77")
    assert len(ledger.logged()) == 2
    assert ledger.missed() == 0


def test_missing_tables_are_reported(ledger: Ledger) -> None:
    ledger.run("DROP TABLE budget_categories")
    with ledger.engine.connect() as connection:
        (problem,) = capture_state(connection)
    assert "there is no table budget_categories" in problem.message
    ledger.run("ALTER TABLE metrics.expense_changes RENAME TO elsewhere")
    with ledger.engine.connect() as connection:
        assert any("metrics.expense_changes" in problem.message for problem in capture_state(connection))


def test_changes_made_while_detached_count_as_missed_once_there_are_stored_payloads(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        detach(connection)
    migrate(ledger.engine)
    assert ledger.missed() == 0
    ledger.run(
        "INSERT INTO metrics.period_metrics VALUES "
        "(1, 'day', '2026-01-05', '{}', 1, '2026-01-05', false, '', '', 0, 0, now(), '')"
    )
    migrate(ledger.engine)
    assert ledger.missed() == 0
    ledger.run("ALTER TABLE expenses DISABLE TRIGGER metrics_pipeline_update")
    migrate(ledger.engine)
    assert ledger.missed() == 1


@pytest.mark.usefixtures("patience")
def test_a_writer_that_stays_is_not_waited_for_endlessly(ledger: Ledger, other: Any) -> None:
    other.execute(text("UPDATE expenses SET amount = 77"))
    with (
        pytest.raises(ConcurrentUpdate, match=r"Detaching triggers .* Nothing was changed; try again"),
        ledger.engine.begin() as connection,
    ):
        detach(connection)
    assert state(ledger) == []


def test_writers_do_not_queue_behind_an_attempt_for_long(ledger: Ledger, other: Any) -> None:
    """A long transaction holds the table; others go on writing while attaching tries; then it succeeds."""
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND NOT granted)"
    ledger.run("DROP TRIGGER metrics_pipeline_update ON expenses")
    other.execute(text("UPDATE expenses SET description = 'slow' WHERE id = 22"))
    attaching = threading.Thread(target=migrate, args=(ledger.engine,))
    attaching.start()
    while not ledger.one(waiting):
        assert attaching.is_alive()
    ledger.run("SET LOCAL statement_timeout = '900ms'; UPDATE expenses SET amount = amount + 1 WHERE id = 11")
    while ledger.one(waiting):
        pass
    other.commit()
    attaching.join()
    assert state(ledger) == []


def test_attaching_leaves_the_sessions_lock_timeout_as_it_was(other: Any) -> None:
    other.execute(text("SET lock_timeout = '7s'"))
    attach(other)
    assert other.execute(text("SHOW lock_timeout")).scalar_one() == "7s"
