"""Random edits that nobody is told of, of expenses, store and cache: after a reconciliation all is right.

HYPOTHESIS_PROFILE=thorough tries many more, and others each time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metrics_pipeline_tests.integration.reconciliation.conftest import Unwatched
from metrics_pipeline_tests.reference import empty_tables
from metrics_pipeline_tests.world import TODAY, spend

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"

DAYS = st.integers(0, 80).map(lambda back: f"'{TODAY.fromordinal(TODAY.toordinal() - back)} 12:00+00'")
EXPENSES = st.sampled_from(
    [
        "UPDATE expenses SET amount = amount + 1 WHERE id = :id",
        "UPDATE expenses SET amount = 10 WHERE id = :id",
        "UPDATE expenses SET transaction_date = {day} WHERE id = :id",
        "UPDATE expenses SET email_account_id = email_account_id % 3 + 1 WHERE id = :id",
        "UPDATE expenses SET category_id = 3 - category_id WHERE id = :id",
        "UPDATE expenses SET merchant_name = 'other' WHERE id >= :id",
        "UPDATE expenses SET status = 'failed' WHERE id = :id",
        "UPDATE expenses SET currency = 'CRC' WHERE id = :id",
        "UPDATE expenses SET deleted_at = now() WHERE id = :id",
        "UPDATE expenses SET deleted_at = NULL",
        "DELETE FROM expenses WHERE id = :id",
        "DELETE FROM expenses WHERE transaction_date > {day}",
        "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
        "VALUES (1 + CAST(:id AS bigint) % 3, 7, 'USD', {day})",
    ]
)
STORE = st.sampled_from(
    [
        """UPDATE metrics.period_metrics SET payload = replace(payload, '"total":"', '"total":"9') """
        "WHERE (account_id + (period_start - date '2026-01-01') + :id) % 7 = 0",
        "UPDATE metrics.period_metrics SET source_checksum = NULL, seal = NULL WHERE grain = 'day'",
        "UPDATE metrics.period_metrics SET expense_count = expense_count + 1 WHERE account_id = 1 + :id % 3",
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("unseen"), EXPENSES),
        st.tuples(st.just("unseen"), EXPENSES),
        st.tuples(st.just("unseen"), STORE),
        st.tuples(st.just("seen"), EXPENSES),
        st.tuples(st.sampled_from(["hourly", "settle", "flush"]), st.just("")),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.timeout(3600 if THOROUGH else 240)
@settings(
    max_examples=500 if THOROUGH else 25,
    derandomize=not THOROUGH,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
@given(steps=STEPS, rename=st.booleans(), data=st.data())
def test_whatever_nobody_saw_is_mended(world: Unwatched, steps, rename, data) -> None:
    begin(world)
    for what, statement in steps:
        if statement:
            last = world.sql("SELECT coalesce(max(id), 1) FROM expenses")
            statement = statement.format(day=data.draw(DAYS))
            parameters = {"id": last - data.draw(st.integers(0, 20))} if ":id" in statement else {}
            (world.unseen if what == "unseen" else world.sql)(statement, **parameters)
        else:
            {"hourly": world.hourly, "settle": world.settle, "flush": world.redis.flushdb}[what]()
    if rename:
        world.unseen("UPDATE categories SET name = name || '.' WHERE id = 1")
    assert world.reconcile(full=rename).verified
    world.settle()
    assert world.wrong() == []
    assert world.found(full=True) == {}


def begin(world: Unwatched) -> None:
    """The same few expenses, computed."""
    world.redis.flushdb()
    with world.pipeline.engine.begin() as connection:
        empty_tables(connection)
        connection.exec_driver_sql(
            "INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 3) n"
        )
        connection.exec_driver_sql("INSERT INTO categories (id, name) VALUES (1, 'Food'), (2, 'Travel')")
        for n in range(18):
            spend(
                connection,
                1 + n % 3,
                10 + n,
                TODAY.fromordinal(TODAY.toordinal() - 4 * n).isoformat(),
                category_id=1 + n % 2,
            )
        connection.exec_driver_sql("TRUNCATE metrics.expense_changes")
    world.pipeline.tend_cache()
    world.compute_everything()
