"""A change that can't be logged: its write succeeds, nobody waits, and it is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.errors import Diagnostic
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from metrics_pipeline.database import driver
from metrics_pipeline.source.capture import misses_in_flight
from metrics_pipeline_tests.ledger import Ledger

# One significant write of each kind.
WRITES = [
    "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) VALUES (1, 1, 'USD', '2026-01-01')",
    "UPDATE expenses SET amount = amount + 1",
    "DELETE FROM expenses WHERE id = 11",
    "TRUNCATE expenses",
    "UPDATE budgets SET amount = amount + 1",
    "INSERT INTO budget_categories VALUES (5, 1)",
    "UPDATE categories SET name = name || '.'",
    "UPDATE email_accounts SET currency = 'EUR'",
]

BREAKAGES = {
    "log renamed": "ALTER TABLE metrics.expense_changes RENAME TO elsewhere",
    "log dropped": "DROP TABLE metrics.expense_changes",
    "column dropped": "ALTER TABLE metrics.expense_changes DROP COLUMN first_at",
    "log refuses rows": "ALTER TABLE metrics.expense_changes ADD CHECK (false) NOT VALID",
    "no rights": "CREATE ROLE {role}; GRANT USAGE, CREATE ON SCHEMA metrics TO {role}; "
    "GRANT USAGE ON SEQUENCE metrics.missed_changes TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}; "
    + "".join(
        f"ALTER FUNCTION metrics.capture_{name}() OWNER TO {{role}};"
        for name in (
            "expenses_insert",
            "expenses_update",
            "expenses_delete",
            "expenses_truncate",
            "budgets_update",
            "budget_categories_insert",
            "categories_update",
            "email_accounts_update",
        )
    ),
}


@pytest.fixture
def role(ledger: Ledger, other: Any) -> Iterator[str]:
    """A role's name; it is dropped in the end with whatever it owns in this database."""
    name = f"role_of_{ledger.one('SELECT current_database()')}"
    yield name
    other.rollback()
    if ledger.one(f"SELECT count(*) FROM pg_roles WHERE rolname = '{name}'"):
        ledger.run(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}")


@contextmanager
def warnings_of(connection: Any) -> Iterator[list[str]]:
    """What the session is told meanwhile; message and hint of each."""
    heard: list[str] = []

    def hear(told: Diagnostic) -> None:
        heard.append(f"{told.severity}: {told.message_primary} {told.message_hint}")

    driver(connection).add_notice_handler(hear)
    yield heard
    driver(connection).remove_notice_handler(hear)


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_write_succeeds_with_a_warning_and_each_miss_is_counted(
    ledger: Ledger, other: Any, role: str, breakage: str
) -> None:
    ledger.run(BREAKAGES[breakage].format(role=role))
    for count, statement in enumerate(WRITES, start=1):
        with warnings_of(other) as heard:
            other.execute(text(statement))
            other.commit()
        assert ledger.missed() == count, statement
        assert heard[0].startswith("WARNING: metrics_pipeline could not log this"), statement
        assert "Run metrics-pipeline check" in heard[0]
    assert ledger.rows("SELECT * FROM expenses") == []
    assert ledger.one("SELECT amount FROM budgets WHERE id = 5") == 101
    assert ledger.one("SELECT name FROM categories WHERE id = 1") == "Food."
    assert ledger.one("SELECT currency FROM email_accounts WHERE id = 1") == "EUR"


def test_a_locked_log_is_not_waited_for(ledger: Ledger, other: Any) -> None:
    other.execute(text("LOCK TABLE metrics.expense_changes IN ACCESS EXCLUSIVE MODE"))
    for count, statement in enumerate(WRITES[:3], start=1):
        began = time.monotonic()
        ledger.run(f"SET LOCAL statement_timeout = '10s'; {statement}")
        assert 0.15 < time.monotonic() - began < 1.0
        assert ledger.missed() == count
    ledger.run("UPDATE expenses SET description = 'not significant'; DELETE FROM budgets WHERE id = 6")
    assert ledger.missed() == 3
    other.rollback()
    ledger.run(WRITES[0])
    assert len(ledger.logged()) == 1


def test_a_table_that_is_looked_up_may_be_locked_too(ledger: Ledger, other: Any) -> None:
    other.execute(text("LOCK TABLE budgets IN ACCESS EXCLUSIVE MODE"))
    ledger.run("SET LOCAL statement_timeout = '10s'; DELETE FROM budget_categories")
    assert ledger.missed() == 1


@pytest.mark.parametrize(
    "breakage",
    ["DROP SEQUENCE metrics.missed_changes; DROP TABLE metrics.expense_changes", "ALTER SCHEMA metrics RENAME TO m"],
)
def test_the_write_succeeds_even_when_the_miss_cannot_be_counted(elsewhere: Ledger, other: Any, breakage: str) -> None:
    elsewhere.run(breakage)
    with warnings_of(other) as heard:
        other.execute(text("UPDATE expenses SET amount = 77"))
        other.commit()
    assert elsewhere.rows("SELECT DISTINCT amount FROM expenses") == [(77,)]
    assert "could not be counted either" in heard[0]


def test_a_miss_is_counted_also_when_its_write_is_rolled_back(ledger: Ledger, other: Any) -> None:
    ledger.run(BREAKAGES["log renamed"])
    other.execute(text(WRITES[0]))
    other.rollback()
    assert ledger.missed() == 1


def test_a_miss_is_in_flight_until_its_transaction_ends(ledger: Ledger, other: Any) -> None:
    """Whoever looks for it before that can't find it: the count alone would make the change lost."""
    ledger.run(BREAKAGES["log renamed"])
    with ledger.engine.connect() as observer:
        assert not misses_in_flight(observer)
        savepoint = other.begin_nested()
        other.execute(text(WRITES[0]))
        savepoint.commit()
        assert misses_in_flight(observer)
        assert ledger.missed() == 1
        other.commit()
        assert not misses_in_flight(observer)


def test_a_cancelled_write_is_cancelled(ledger: Ledger, other: Any) -> None:
    """The time limit is met while the trigger waits for the log: it ends the statement, as it would elsewhere."""
    other.execute(text("LOCK TABLE metrics.expense_changes IN ACCESS EXCLUSIVE MODE"))
    with pytest.raises(DBAPIError) as failure:
        ledger.run("SET LOCAL statement_timeout = '60ms'; UPDATE expenses SET amount = 77")
    assert isinstance(failure.value.orig, psycopg.errors.QueryCanceled)
    assert ledger.missed() == 0
    assert ledger.one("SELECT max(amount) FROM expenses") == 20


def test_a_user_who_cancels_is_heard(ledger: Ledger, other: Any) -> None:
    other.execute(text("LOCK TABLE metrics.expense_changes IN ACCESS EXCLUSIVE MODE"))
    with ledger.engine.connect() as connection:
        raw = driver(connection)
        canceller = threading.Thread(target=lambda: (_wait_until_waiting(ledger, raw), raw.cancel_safe()))
        canceller.start()
        with pytest.raises(DBAPIError) as failure:
            connection.execute(text("UPDATE expenses SET amount = 77"))
        canceller.join()
    assert isinstance(failure.value.orig, psycopg.errors.QueryCanceled)


def _wait_until_waiting(ledger: Ledger, raw: psycopg.Connection[Any]) -> None:
    while not ledger.one(f"SELECT count(*) FROM pg_locks WHERE pid = {raw.info.backend_pid} AND NOT granted"):
        pass


def test_a_serialization_failure_is_the_writers_to_see(ledger: Ledger) -> None:
    ledger.run(
        """
        CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE serialization_failure; END $$;
        CREATE TRIGGER conflict BEFORE INSERT ON metrics.expense_changes EXECUTE FUNCTION conflict()"""
    )
    with pytest.raises(DBAPIError) as failure:
        ledger.run("UPDATE expenses SET amount = 77")
    assert isinstance(failure.value.orig, psycopg.errors.SerializationFailure)


def test_a_writer_without_rights_on_the_log_writes_and_is_logged(elsewhere: Ledger, other: Any, role: str) -> None:
    elsewhere.run(
        f'CREATE ROLE {role}; GRANT USAGE ON SCHEMA "App data" TO {role};'
        f'GRANT INSERT, SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "App data" TO {role}'
    )
    other.execute(text(f"SET LOCAL ROLE {role}"))
    for statement in WRITES[:3]:
        other.execute(text(statement))
    with pytest.raises(DBAPIError, match="permission denied"), other.begin_nested():
        other.execute(text("DELETE FROM metrics.expense_changes"))
    other.commit()
    assert {operation for _, operation, _ in elsewhere.logged()} == {"insert", "update", "delete"}
    assert elsewhere.missed() == 0


def test_the_functions_are_nobody_elses_to_attach(elsewhere: Ledger, other: Any, role: str) -> None:
    """They write with their owner's rights: on a table of one's own they would log whatever one likes."""
    elsewhere.run(
        f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA metrics TO {role}; CREATE SCHEMA own AUTHORIZATION {role}"
    )
    other.execute(text(f"SET LOCAL ROLE {role}"))
    other.execute(text("CREATE TABLE own.expenses (id bigint)"))
    with pytest.raises(DBAPIError, match="permission denied for function"):
        other.execute(
            text("CREATE TRIGGER t AFTER TRUNCATE ON own.expenses EXECUTE FUNCTION metrics.capture_expenses_truncate()")
        )


def test_what_a_writers_search_path_hides_is_not_used(ledger: Ledger, other: Any) -> None:
    other.execute(
        text(
            """
            CREATE SCHEMA shadow;
            CREATE FUNCTION shadow.fail(bigint, bigint) RETURNS boolean LANGUAGE plpgsql
                AS $$ BEGIN RAISE 'not the built-in operator'; END $$;
            CREATE OPERATOR shadow.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = shadow.fail);
            CREATE TEMPORARY TABLE old_rows (id bigint);
            CREATE TEMPORARY TABLE expense_changes (id bigint)"""
        )
    )
    schema = ledger.one("SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass('expenses')")
    other.execute(text("SET LOCAL search_path = shadow, pg_catalog, public"))
    other.execute(text(f"UPDATE {schema}.expenses SET amount = 77"))
    other.commit()
    assert len(ledger.logged()) == 2
    assert ledger.missed() == 0
