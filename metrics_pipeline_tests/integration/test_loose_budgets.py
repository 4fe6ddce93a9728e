"""Budgets and categories of a looser schema: no row of them ends a run for everybody, and other types are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from metrics_pipeline.periods import Grain
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline_tests.world import CURRENT, TODAY, World

NO_CHECKS = """
DO $$ DECLARE rule text; BEGIN
    FOR rule IN
        SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
        WHERE contype IN ('c', 'f') AND conrelid IN ('budgets'::regclass, 'budget_categories'::regclass)
    LOOP EXECUTE rule; END LOOP;
END $$
"""

LOOSER = """
ALTER TABLE budgets ALTER email_account_id DROP NOT NULL, ALTER name DROP NOT NULL, ALTER currency DROP NOT NULL,
    ALTER start_date DROP NOT NULL, ALTER period DROP NOT NULL,
    ALTER warning_threshold TYPE numeric, ALTER critical_threshold TYPE numeric;
ALTER TABLE categories ALTER name DROP NOT NULL;
"""


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[World]:
    """Accounts 1 and 2 with ten and twenty dollars today, the first of them in category 1 of two."""
    with Pipeline(settings) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 2) n")
        made.sql("INSERT INTO categories (id, name) VALUES (1, 'Food'), (2, 'Rent')")
        made.spend(1, 10, category_id=1)
        made.spend(2, 20)
        yield made


def budget(world: World, **columns: Any) -> None:
    """A monthly budget of twenty dollars for account 1, but for these columns."""
    row = {
        "id": 5,
        "email_account_id": 1,
        "name": "All",
        "period": "monthly",
        "amount": 20,
        "currency": "USD",
        "start_date": "2025-01-01",
        **columns,
    }
    world.sql(f"INSERT INTO budgets ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})", **row)


def month_of(world: World, account: int) -> Any:
    """The month's dollars, computed for those that changed, then once more for everybody."""
    world.settle()
    world.pipeline.refresh(RefreshRequest(CURRENT, TODAY, force=True))
    assert world.pipeline.backlog() == []
    return world.pipeline.reader.get(account, Grain.MONTH, today=TODAY).payload.currencies["USD"]


@pytest.mark.parametrize(
    ("columns", "valid"),
    [
        ({"end_date": "infinity"}, True),
        ({"start_date": "-infinity", "end_date": "20000-01-01"}, True),
        ({"start_date": "infinity"}, False),
        ({"start_date": None}, False),
        ({"end_date": "-infinity"}, False),
        ({"name": None}, True),
        ({"currency": None}, False),
        ({"period": None}, False),
        ({"email_account_id": None}, False),
        ({"warning_threshold": "Infinity", "critical_threshold": "1e300"}, True),
        ({"warning_threshold": "-Infinity", "critical_threshold": "1e300"}, True),
    ],
)
def test_a_budget_with_an_odd_value(world, columns, valid):
    world.sql(NO_CHECKS)
    world.sql(LOOSER)
    budget(world, **columns)
    spent = month_of(world, 1)
    assert spent.total == 10
    assert (spent.budgets is not None and spent.budgets.general is not None) == valid
    assert month_of(world, 2).total == 20


@pytest.mark.parametrize(("name", "told"), [("Food", [(77, ""), (1, "Food")]), (None, [(1, ""), (77, "")])])
def test_a_budget_of_a_category_that_is_gone_or_has_no_name(world, name, told):
    world.sql(NO_CHECKS)
    world.sql(LOOSER)
    budget(world)
    world.sql("INSERT INTO budget_categories VALUES (5, 1), (5, 77)")
    world.sql("UPDATE categories SET name = :name WHERE id = 1", name=name)
    [of_categories] = month_of(world, 1).budgets.by_category
    assert of_categories.spent == 10
    assert [(category.id, category.name) for category in of_categories.categories] == told


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE budgets ALTER warning_threshold TYPE int, ALTER critical_threshold TYPE int",
        "ALTER TABLE budgets ALTER warning_threshold TYPE real, ALTER critical_threshold TYPE double precision",
        "ALTER TABLE budgets ALTER start_date TYPE timestamp, ALTER end_date TYPE timestamptz",
        "ALTER TABLE budgets ALTER amount TYPE double precision, ALTER currency TYPE char(5), ALTER name TYPE char(9)",
        "CREATE TYPE t AS ENUM ('daily', 'monthly'); ALTER TABLE budgets ALTER period TYPE t USING period::t",
        "CREATE TYPE t AS ENUM ('USD', 'EUR'); ALTER TABLE budgets ALTER currency TYPE t USING currency::t",
    ],
)
def test_columns_of_another_type(world, change):
    world.sql(NO_CHECKS)
    for statement in change.split("; "):
        world.sql(statement)
    world.pipeline.migrate()
    budget(world)
    general = month_of(world, 1).budgets.general
    assert (general.amount, general.spent, general.status) == (20, 10, "good")
