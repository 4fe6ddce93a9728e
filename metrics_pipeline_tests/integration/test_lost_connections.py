"""What is said of a connection that PostgreSQL ended in the middle of a transaction: why, not that it is gone."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Connection, Engine

from metrics_pipeline.database import domain_errors, driver, snapshot_transaction
from metrics_pipeline.errors import DatabaseUnavailable
from metrics_pipeline.sql import rows_of


def stand_still(connection: Connection) -> None:
    driver(connection).execute("SET LOCAL idle_in_transaction_session_timeout = 50")
    time.sleep(0.3)


def be_terminated(connection: Connection) -> None:
    with connection.engine.begin() as other:
        other.exec_driver_sql("SELECT pg_terminate_backend(%s, 5000)", (driver(connection).info.backend_pid,))


@pytest.mark.parametrize(
    ("suffer", "said"),
    [(stand_still, "in which this process had stood still"), (be_terminated, "terminating connection due to")],
)
def test_why_a_transaction_was_ended_is_told_and_the_next_one_works(database, suffer, said):
    engine: Engine = database.engine

    def count() -> None:
        with domain_errors("Counting"), snapshot_transaction(engine) as connection:
            suffer(connection)
            rows_of(connection, "exported_snapshot")

    with pytest.raises(DatabaseUnavailable, match=said):
        count()
    with snapshot_transaction(engine) as connection:
        assert rows_of(connection, "exported_snapshot")
